"""The pipeline language as models: `write_schema.py` writes them as JSON Schema, from which all else comes.

The compiler and docs/yaml.md read that schema, so that editor, compiler and docs cannot disagree and `doeks lint`
starts without building models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema, create_model

from airflow_doeks.model.engine import ENGINES, load
from airflow_doeks.model.job import Duration, Positive
from airflow_doeks.model.plan import ARGUMENTS
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


_TEXT = "What is told, a template; which run it was and how it ended, if left out."


class Slack(Part):
    """A message in Slack, by the provider's SlackNotifier."""

    channel: str = Field(min_length=1, description="Channel.", examples=["#sales-data"])
    text: str | None = Field(default=None, description=_TEXT)
    connection: str | None = Field(default=None, description="Airflow connection; `slack_default`.")


class Email(Part):
    """A mail, by the provider's SmtpNotifier."""

    to: str | list[str] = Field(description="Who is mailed.", examples=["sales@example.com"])
    subject: str | None = Field(default=None, description=_TEXT)
    text: str | None = Field(default=None, description=_TEXT)
    from_: str | None = Field(default=None, alias="from", description="Who mails; as the connection says.")
    connection: str | None = Field(default=None, description="Airflow connection; `smtp_default`.")


class Sns(Part):
    """A message to a topic of Amazon SNS."""

    topic: str = Field(description="ARN of the topic.", examples=["arn:aws:sns:us-east-1:123456789012:sales"])
    text: str | None = Field(default=None, description=_TEXT)
    subject: str | None = Field(default=None, description="Subject, for mails.")
    connection: str | None = Field(default=None, description="Airflow connection; `aws_default`.")
    region: str | None = Field(default=None, description="AWS region.")


class Webhook(Part):
    """JSON posted to the host of an Airflow connection, which holds the token."""

    connection: str = Field(description="Airflow connection of type HTTP.", examples=["alerts"])
    endpoint: str | None = Field(default=None, description="Path below its host.", examples=["v1/alerts"])
    text: str | None = Field(default=None, description=_TEXT)
    json_: dict[str, Any] | None = Field(
        default=None,
        alias="json",
        description="The body; `{text: ...}` if left out.",
        examples=[{"run": "{{ run_id }}"}],
    )
    headers: dict[str, str] | None = Field(default=None, description="Further headers.")


class SlackNotice(Part):
    """Tells in Slack."""

    slack: Slack = Field(description="The message.")


class EmailNotice(Part):
    """Tells by mail."""

    email: Email = Field(description="The mail.")


class SnsNotice(Part):
    """Tells by Amazon SNS."""

    sns: Sns = Field(description="The message.")


class WebhookNotice(Part):
    """Tells by HTTP."""

    webhook: Webhook = Field(description="The post.")


class UsesNotice(Part):
    """Tells by any notifier of Airflow on the allow-list."""

    uses: str = Field(description="Import path of the class.", examples=["acme.notifiers.Pager"])
    with_: dict[str, Any] = Field(default={}, alias="with", description="Its arguments.")


Notice = SlackNotice | EmailNotice | SnsNotice | WebhookNotice | UsesNotice
Told = Notice | list[Notice]


class Deadline(Part):
    """How long a run may take."""

    within: Duration = Field(description="The time it has.", examples=["2h"])
    after: Literal["queued", "logical_date"] = Field(
        default="queued", description="What it is counted from: when the run is queued, or its own date."
    )


def _told(words: str) -> Any:
    return Field(default=None, description=words, examples=[{"slack": {"channel": "#sales-data"}}])


Parts = dict[Name, list[Any] | TaskOutput]


class Zip(Part):
    """Lists side by side: the first of each, the second of each, and so on."""

    zip: Parts = Field(
        min_length=1,
        description="Key of the item -> a list, or of each a task's output; of `uses` argument -> list.",
        examples=[{"day": ["mon", "tue"], "region": ["eu", "us"]}],
    )


class Cross(Part):
    """Lists crossed: each of the one with each of the others."""

    cross: Parts = Field(
        min_length=1,
        description="Key of the item -> a list; of `uses` argument -> a list or a task's output.",
        examples=[{"day": ["mon", "tue"], "region": ["eu", "us"]}],
    )


class _Shared(Part):
    """What tasks share; a task that says the same key wins."""

    platform: Name | None = Field(
        default=None, description="Platform of doeks.yaml that jobs run on.", examples=["lake"]
    )
    retries: Count = Field(default=0, description="Tries after the first.", examples=[2])
    retry_delay: Pause = Field(default="5m", description="Pause between tries.", examples=["5m"])
    retry_on: list[FailureCategory] | None = Field(
        default=None,
        description="Failure categories worth another try; all but `user_code`, `cancelled` and `budget` if left out.",
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
        description="Dollars one run of the task may cost, its tries together; told at 80 %, cancelled at 100 %.",
        examples=[5],
    )
    pool: str | None = Field(
        default=None,
        description="Airflow pool, which must exist; of a platform with `max_jobs` it is `doeks_` and its name.",
        examples=["default_pool"],
    )
    priority_weight: Positive = Field(default=1, description="Airflow's weight when a pool is full.", examples=[10])
    cost_tags: Tags = Field(default={}, description="What tasks are billed by.", examples=[{"team": "sales"}])
    on_failure: Told | None = _told("Who is told when it failed for good.")
    on_success: Told | None = _told("Who is told when it succeeded.")
    on_retry: Told | None = _told("Who is told when a try failed and another comes.")
    on_budget: Told | None = _told("Who is told, once, when 80 % of a budget of dollars may be used up.")


_KINDS: dict[Any, Any] = {  # kind of an argument of every operator -> its type here
    "flag": bool,
    "count": Positive,
    "text": Annotated[str, Field(min_length=1)],
    "texts": str | list[str],
    "duration": Duration,
    "factor": Annotated[
        float,
        _expected(
            {"anyOf": [{"type": "boolean"}, {"type": "number", "minimum": 1}]}, "true, or a number of at least 1"
        ),
    ],
}


def _arguments(of_one: bool) -> dict[str, Any]:
    """Fields of what every operator of Airflow takes, those of one task or those that tasks share."""
    return {
        name: (
            (_KINDS[row.kind] if isinstance(row.kind, str) else Literal[row.kind]) | None,
            Field(default=None, description=row.meaning, examples=[row.example]),
        )
        for name, row in ARGUMENTS.items()
        if row.of_one is of_one
    }


Defaults = create_model(
    "Defaults",
    __base__=_Shared,
    __doc__="What tasks share; a task that says the same key wins.",
    **_arguments(of_one=False),
)


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


_One = create_model("_One", __base__=Defaults, **_arguments(of_one=True))


class _Entry(_One):
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


class _Mapped(_Entry):
    map_name: str | None = Field(
        default=None,
        description="How Airflow shows each instance of a mapped task.",
        examples=["{{ task.item }}", "{{ task.item.day }}"],
    )


class _JobTask(_Mapped):
    expand: list[Any] | TaskOutput | Zip | Cross | None = Field(
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


class UsesTask(_Mapped):
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
    expand: list[dict[str, Any]] | TaskOutput | Zip | Cross | None = Field(
        default=None,
        description="One task instance per item; each item is a mapping of arguments.",
        examples=[[{"bash_command": "echo 1"}, {"bash_command": "echo 2"}]],
    )


class FunctionCall(Part):
    """A function of a Python file of the project. The worker imports it, nothing else does."""

    file: str = Field(
        description="Python file, relative to the YAML file, below the folder of doeks.yaml.",
        examples=["../jobs/days.py"],
    )
    function: Annotated[
        str, _expected({"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_]*$"}, "the name of a function")
    ] = Field(description="Its name.", examples=["list_days"])
    args: dict[str, Any] = Field(
        default={},
        description="Arguments by name, templates rendered; names of Airflow's context, such as `ds`, come unasked.",
        examples=[{"since": "{{ ds }}"}],
    )
    inputs: dict[str, str] = Field(
        default={},
        description="Arguments that are what another task returned: argument -> task, which comes before.",
        examples=[{"days": "list_days"}],
    )


class PythonTask(_JobTask):
    """A task that calls a function; what it returns is its output, which `expand` and `inputs` of others take."""

    python: FunctionCall = Field(description="The function. `allowed_uses` of doeks.yaml must name `python`.")


class BranchTask(_Entry):
    """A task whose function returns which of the tasks after it run: an id, with its groups', or a list of them."""

    branch: FunctionCall = Field(description="The function. `allowed_uses` of doeks.yaml must name `python`.")


class ShortCircuitTask(_Entry):
    """A task whose function says whether anything after it runs."""

    short_circuit: FunctionCall = Field(description="The function. `allowed_uses` of doeks.yaml must name `python`.")


class Trigger(Part):
    """Another pipeline, or any DAG."""

    pipeline: str = Field(
        min_length=1, description="Path of the pipeline below pipelines/, or a DAG id.", examples=["sales/rollup"]
    )
    conf: dict[str, Any] = Field(default={}, description="The run's `params` and `dag_run.conf`.")
    run_id: str | None = Field(default=None, description="Id of the run; Airflow's if left out.")
    wait: bool = Field(default=False, description="Succeed or fail as the run does, waiting without a worker.")


class TriggerTask(_Mapped):
    """A task that starts a run of another pipeline."""

    trigger: Trigger = Field(description="What is started.")
    expand: list[dict[str, Any]] | TaskOutput | None = Field(
        default=None,
        description="One run per item, whose `conf` the item is.",
        examples=[[{"region": "eu"}, {"region": "us"}]],
    )


class _Waiting(Part):
    every: Duration | None = Field(default=None, description="Pause between two looks; a minute.", examples=["5m"])
    timeout: Duration | None = Field(default=None, description="Longest wait; a week.", examples=["6h"])


class WaitForPipeline(_Waiting):
    """The run of another pipeline, or of any DAG, with the same dates."""

    pipeline: str = Field(
        min_length=1, description="Path of the pipeline below pipelines/, or a DAG id.", examples=["sales/daily"]
    )
    task: str | None = Field(default=None, description="Only this task of it, by its full id.", examples=["clean"])
    offset: Duration | None = Field(default=None, description="How much earlier its dates are.", examples=["1d"])


class WaitForDataset(_Waiting):
    """Anything at a place: a file, or a folder with a file in it; `*` and `?` stand for parts of names."""

    dataset: Uri = Field(description="The place, on S3 or `file:`.", examples=["s3://raw/orders/{{ ds }}/_SUCCESS"])
    connection: str | None = Field(default=None, description="Airflow connection that may list it.")


class WaitForTask(_Entry):
    """A task that waits, without a worker between two looks."""

    wait_for: WaitForPipeline | WaitForDataset = Field(description="What is waited for.")


class Group(Part):
    """Tasks that belong together; their ids start with the group's."""

    tasks: dict[Name, Task] = Field(min_length=1, description="Tasks and groups inside.")
    needs: list[str] = Field(default=[], description="Tasks or groups that come before every task of the group.")
    description: str | None = Field(default=None, description="Shown as the group's tooltip.")


# One of these, told apart by the key that must be there.
Task = Union[(*JOB_TASKS, UsesTask, PythonTask, BranchTask, ShortCircuitTask, TriggerTask, WaitForTask, Group)]


class Cron(Part):
    """A schedule by the clock."""

    cron: str = Field(description="Five cron fields, or a preset such as `@daily`.", examples=["0 3 * * *"])
    timezone: str | None = Field(default=None, description="Zone of the cron; the pipeline's if left out.")
    covers: Literal["previous_interval", "trigger_time", "partition"] = Field(
        default="previous_interval",
        description="What a run's dates mean: the interval before it was triggered, or the moment itself. `partition`, "
        "from Airflow 3.2 on: a run has no dates, and `{{ dag_run.partition_key }}` names its moment.",
    )


class AssetAlias(Part):
    """Whatever tasks announce under a name, where the asset is known only after they ran."""

    alias: str = Field(min_length=1, description="Name of the alias.", examples=["doeks/orders"])


class AnyAsset(Part):
    """A run when any of the parts was updated."""

    any: list[Uri | AssetAlias | AnyAsset | AllAssets] = Field(
        min_length=1, description="Assets, aliases or conditions; one is enough.", examples=[["s3://raw/orders"]]
    )


class AllAssets(Part):
    """A run when all of the parts were updated."""

    all: list[Uri | AssetAlias | AnyAsset | AllAssets] = Field(
        min_length=1,
        description="Assets, aliases or conditions; each must hold.",
        examples=[["s3://raw/orders", {"any": ["s3://raw/eu", "s3://raw/us"]}]],
    )


class Assets(Part):
    """A schedule by data."""

    assets: AnyAsset | AllAssets = Field(description="Which updates start a run.")
    or_cron: str | None = Field(
        default=None, description="Runs by the clock, too: a cron or preset.", examples=["@daily"]
    )
    partitions: Literal["same", "hour", "day", "week", "month", "quarter", "year"] | None = Field(
        default=None,
        description="From Airflow 3.2 on: a run for each partition that was updated, or for each hour, day ... it is "
        "in, which is `{{ dag_run.partition_key }}`.",
        examples=["day"],
    )


class Pipeline(Part):
    """One pipeline: one file, one DAG. Its DAG id is the file's path below pipelines/ with "/" as "."."""

    description: str | None = Field(
        default=None,
        description="One line, shown in Airflow's list.",
        examples=["Clean and aggregate the day's orders."],
    )
    schedule: str | Cron | Assets | None = Field(
        default=None,
        description="When it runs: cron, preset, `@once`, `@continuous`, mapping, or null for by hand.",
        examples=["@daily"],
    )
    start_date: Date | None = Field(default=None, description="First day that runs cover.", examples=["2026-01-01"])
    end_date: Date | None = Field(default=None, description="Last day that runs cover.")
    timezone: str = Field(default="UTC", description="Zone of dates and cron.", examples=["Europe/Berlin"])
    catchup: bool = Field(default=False, description="Run what was missed since `start_date`.")
    max_active_runs: Positive | None = Field(default=None, description="Runs at one time.", examples=[1])
    dagrun_timeout: Duration | None = Field(default=None, description="Longest time of one run.", examples=["1d"])
    budget_usd: Amount | None = Field(
        default=None, description="Dollars one run of the pipeline may cost, all tasks together.", examples=[20]
    )
    owner: str = Field(default="airflow", min_length=1, description="Who answers for it.", examples=["sales-data"])
    tags: list[str] = Field(default=[], description="Airflow's tags, for its list.", examples=[["orders"]])
    cost_tags: Tags = Field(
        default={}, description="What it is billed by.", examples=[{"team": "sales", "cost_center": "4711"}]
    )
    on_failure: Told | None = _told("Who is told when a run failed; `defaults` have it for each task.")
    on_success: Told | None = _told("Who is told when a run succeeded.")
    deadline: Duration | Deadline | None = Field(
        default=None,
        description="How long a run may take until somebody is told; before Airflow 3.1 `doeks reconcile` tells.",
        examples=["2h"],
    )
    on_missed_deadline: Told | None = _told("Who is told when a run takes longer than `deadline`.")
    params: dict[str, Any] = Field(default={}, description="Parameters of a run and their defaults.")
    infer: bool = Field(default=True, description="Draw edges from `writes` to `reads` of this pipeline.")
    defaults: PipelineDefaults = Field(default=PipelineDefaults(), description="What its tasks share.")
    tasks: dict[Name, Task] = Field(min_length=1, description="Tasks and groups by id.")
