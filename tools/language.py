"""The pipeline language as models: `write_schema.py` writes them as JSON Schema, from which all else comes.

The compiler and docs/yaml.md read that schema, so that editor, compiler and docs cannot disagree and `doeks lint`
starts without building models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema, create_model

from airflow_doeks.model.engine import ENGINES, load
from airflow_doeks.model.job import Duration, Positive
from airflow_doeks.model.record import FailureCategory

NAME = r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,99}$"
# Of file systems the host may be left out: it is this machine's, or the one of Hadoop's configuration. Of a store it is
# the bucket, container or broker, without which nothing can be read.
_FILES = "file|hdfs|viewfs|webhdfs|dbfs|maprfs|ofs|alluxio"
_STORES = "s3[an]?|gc?s|abfss?|wasbs?|adls?|oss|cosn?|obs|https?|kafka"
_SCHEME = "[A-Za-z][A-Za-z0-9+.-]*"
URI = rf"^(({_FILES}):/[^/\s]|(?!({_STORES}):){_SCHEME}:////?[^/\s]|{_SCHEME}://[^/\s]|\{{\{{|\{{%)"


def _expected(schema: dict[str, Any], words: str) -> Any:
    return WithJsonSchema({**schema, "x-expected": words})


Name = Annotated[str, _expected({"type": "string", "pattern": NAME}, "letters, digits, `_` and `-`")]
Pause = Annotated[
    str,
    _expected(
        {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?[smhd])+$"}]},
        "a duration such as 0s, 90s, 30m or 1h30m, or a number of seconds",
    ),
]
Uri = Annotated[str, _expected({"type": "string", "pattern": URI}, "a URI such as s3://bucket/path")]
Date = Annotated[
    str,
    _expected({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}([T ].+)?$"}, "a date such as 2026-01-31"),
]
Amount = Annotated[
    str,
    _expected(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"}]},
        "an amount of US dollars such as 5 or 0.50",
    ),
]
Count = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0})]
# A Kubernetes label's name: "tag-" before it leaves 59 of 63 characters.
TagKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_-]{0,56}[A-Za-z0-9])?$")]
Tags = dict[TagKey, Annotated[str, Field(min_length=1)]]
TriggerRule = Literal[
    "all_success",
    "all_failed",
    "all_done",
    "all_done_min_one_success",
    "all_skipped",
    "one_failed",
    "one_success",
    "one_done",
    "none_failed",
    "none_failed_min_one_success",
    "none_skipped",
    "always",
]


class Part(BaseModel):
    """Base of everything in the language: unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TaskOutput(Part):
    """The output of another task."""

    task: str = Field(description="Id of the task whose return value is expanded over.", examples=["list_days"])


class Defaults(Part):
    """What tasks share; a task that says the same key wins."""

    platform: Name | None = Field(
        default=None, description="Platform of doeks.yaml that jobs run on.", examples=["lake"]
    )
    retries: Count = Field(default=0, description="Tries after the first.", examples=[2])
    retry_delay: Pause = Field(default="5m", description="Pause between tries.", examples=["5m"])
    retry_on: list[FailureCategory] | None = Field(
        default=None,
        description="Failure categories worth another try; all but `user_code` and `cancelled` if left out.",
        examples=[["spot_loss", "platform"]],
    )
    execution_timeout: Duration | None = Field(
        default=None, description="Longest time of one try, waiting included.", examples=["6h"]
    )
    queue_timeout: Duration | None = Field(
        default=None, description="Longest time a job may wait to be scheduled; then it is cancelled.", examples=["2h"]
    )
    startup_timeout: Duration | None = Field(
        default=None,
        description="Longest time from scheduling to running; then the job is cancelled.",
        examples=["15m"],
    )
    run_timeout: Duration | None = Field(
        default=None, description="Longest time a job may run; then it is cancelled.", examples=["3h"]
    )
    budget_usd: Amount | None = Field(
        default=None,
        description="Dollars one run of the task may cost; only the policy `max_budget_usd` reads it so far.",
        examples=[5],
    )
    pool: str | None = Field(
        default=None,
        description="Airflow pool, which must exist; of a platform with `max_jobs` it is `doeks_` and its name.",
        examples=["default_pool"],
    )
    priority_weight: Positive = Field(default=1, description="Airflow's weight when a pool is full.", examples=[10])
    cost_tags: Tags = Field(default={}, description="What tasks are billed by.", examples=[{"team": "sales"}])


def jobs_by_engine(words: str) -> dict[str, Any]:
    """A field an engine, none of which must be there; ``words`` describes it, with the engine's title filled in."""
    return {
        row.name: (load(row.noun), Field(default=load(row.noun)(), description=words.format(row.title)))
        for row in ENGINES.values()
    }


PipelineDefaults = create_model(
    "PipelineDefaults",
    __base__=Defaults,
    __doc__="What the tasks of one or all pipelines share.",
    **jobs_by_engine("Settings of every {} job."),
)


class _Entry(Defaults):
    needs: list[str] = Field(
        default=[],
        description="Tasks or groups that come before; a name is looked up in the own group first, then outward.",
        examples=[["clean_orders"]],
    )
    reads: list[Uri] = Field(
        default=[],
        description="Datasets read; who writes them in this pipeline comes before.",
        examples=[["s3://raw/orders"]],
    )
    writes: list[Uri] = Field(default=[], description="Datasets written.", examples=[["s3://clean/orders"]])
    inlets: list[Uri] = Field(default=[], description="More assets for Airflow's graph, without edges.")
    outlets: list[Uri] = Field(default=[], description="More assets whose update the task announces.")
    trigger_rule: TriggerRule = Field(default="all_success", description="When the task runs, given what it needs.")
    role: Literal["setup", "teardown"] | None = Field(
        default=None, description="`setup` prepares what later tasks use; its `teardown` always runs after them."
    )
    doc: str | None = Field(default=None, description="Markdown shown with the task in Airflow.")


class _JobTask(_Entry):
    expand: list[Any] | TaskOutput | None = Field(
        default=None,
        description="One task instance per item of the list or of a task's output; `{{ task.item }}` is the item.",
        examples=[["eu", "us"], {"task": "list_days"}],
    )


JOB_TASKS = tuple(
    create_model(
        f"{row.title}Task",
        __base__=_JobTask,
        __doc__=f"A task that runs one {row.title} job.",
        **{row.name: (load(row.noun), Field(description=f"The {row.title} job."))},
    )
    for row in ENGINES.values()
)


class UsesTask(_Entry):
    """A task that runs any Airflow operator or sensor on the allow-list."""

    uses: Annotated[
        str,
        _expected(
            {"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_]*([.:][A-Za-z_][A-Za-z0-9_]*)*$"},
            "an alias such as bash, or the import path of an operator",
        ),
    ] = Field(description="Alias or import path of the operator.", examples=["bash"])
    with_: dict[str, Any] = Field(
        default={}, alias="with", description="Arguments of the operator.", examples=[{"bash_command": "echo done"}]
    )
    expand: list[dict[str, Any]] | TaskOutput | None = Field(
        default=None,
        description="One task instance per item; each item is a mapping of arguments.",
        examples=[[{"bash_command": "echo 1"}, {"bash_command": "echo 2"}]],
    )


class Group(Part):
    """Tasks that belong together; their ids start with the group's."""

    tasks: dict[Name, Task] = Field(min_length=1, description="Tasks and groups inside.")
    needs: list[str] = Field(default=[], description="Tasks or groups that come before every task of the group.")
    description: str | None = Field(default=None, description="Shown as the group's tooltip.")


# One of these, told apart by the key that must be there.
Task = Union[(*JOB_TASKS, UsesTask, Group)]


class Cron(Part):
    """A schedule by the clock."""

    cron: str = Field(description="Five cron fields, or a preset such as `@daily`.", examples=["0 3 * * *"])
    timezone: str | None = Field(default=None, description="Zone of the cron; the pipeline's if left out.")
    covers: Literal["previous_interval", "trigger_time"] = Field(
        default="previous_interval",
        description="What a run's dates mean: the interval before it was triggered, or the moment itself.",
    )


class AnyAsset(Part):
    """A run when any of the assets was updated."""

    any: list[Uri] = Field(min_length=1, description="Assets; one update is enough.", examples=[["s3://raw/orders"]])


class AllAssets(Part):
    """A run when all of the assets were updated."""

    all: list[Uri] = Field(min_length=1, description="Assets; each must be updated.", examples=[["s3://raw/orders"]])


class Assets(Part):
    """A schedule by data."""

    assets: AnyAsset | AllAssets = Field(description="Which updates start a run.")


class Pipeline(Part):
    """One pipeline: one file, one DAG. Its DAG id is the file's path below pipelines/ with "/" as "."."""

    description: str | None = Field(
        default=None,
        description="One line, shown in Airflow's list.",
        examples=["Clean and aggregate the day's orders."],
    )
    schedule: str | Cron | Assets | None = Field(
        default=None, description="When it runs: cron, preset, mapping, or null for by hand.", examples=["@daily"]
    )
    start_date: Date | None = Field(default=None, description="First day that runs cover.", examples=["2026-01-01"])
    end_date: Date | None = Field(default=None, description="Last day that runs cover.")
    timezone: str = Field(default="UTC", description="Zone of dates and cron.", examples=["Europe/Berlin"])
    catchup: bool = Field(default=False, description="Run what was missed since `start_date`.")
    max_active_runs: Positive | None = Field(default=None, description="Runs at one time.", examples=[1])
    dagrun_timeout: Duration | None = Field(default=None, description="Longest time of one run.", examples=["1d"])
    owner: str = Field(default="airflow", min_length=1, description="Who answers for it.", examples=["sales-data"])
    tags: list[str] = Field(default=[], description="Airflow's tags, for its list.", examples=[["orders"]])
    cost_tags: Tags = Field(
        default={}, description="What it is billed by.", examples=[{"team": "sales", "cost_center": "4711"}]
    )
    params: dict[str, Any] = Field(default={}, description="Parameters of a run and their defaults.")
    infer: bool = Field(default=True, description="Draw edges from `writes` to `reads` of this pipeline.")
    defaults: PipelineDefaults = Field(default=PipelineDefaults(), description="What its tasks share.")
    tasks: dict[Name, Task] = Field(min_length=1, description="Tasks and groups by id.")
