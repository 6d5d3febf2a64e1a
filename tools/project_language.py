"""doeks.yaml as models, the platform team's file; used like `language.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from language import Amount, Name, Part, PipelineDefaults, Tags, jobs_by_engine
from pydantic import Field, WithJsonSchema, create_model

from airflow_doeks.model.job import Positive

# A job's quantities without templates: nothing renders doeks.yaml.
Cpus = Annotated[
    str,
    WithJsonSchema(
        {
            "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d+)?m?$"}],
            "x-expected": "a CPU quantity such as 1, 0.5 or 500m",
        }
    ),
]
Bytes = Annotated[
    str,
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?([kMGT]i?|Ki)?$"}],
            "x-expected": "a memory quantity such as 512Mi, 4Gi or 16G",
        }
    ),
]
Platform = Annotated[dict[str, Any], WithJsonSchema({"x-one-of": "Platform"})]


# What can be eased; a test compares it with the keys of Policies.
PolicyName = Literal[
    "required_cost_tags",
    "allowed_cost_tags",
    "max_executors",
    "max_task_managers",
    "max_cpu",
    "max_memory",
    "required_presets",
    "allowed_images",
    "allowed_uses",
    "platforms",
    "max_budget_usd",
]


class PolicyException(Part):
    """Pipelines that one policy does not hold for."""

    policy: PolicyName = Field(description="The policy.")
    pipelines: list[str] = Field(
        min_length=1, description="Patterns of pipelines, below pipelines/.", examples=[["sales/backfill", "lab/**"]]
    )
    reason: str = Field(min_length=1, description="Why, for whoever reads this.", examples=["once, for the year 2025"])


class Policies(Part):
    """What no pipeline may leave; checked on the merged result."""

    required_cost_tags: list[str] = Field(default=[], description="Cost tags every job must have.", examples=[["team"]])
    allowed_cost_tags: dict[str, list[str]] = Field(
        default={}, description="The values a cost tag may have.", examples=[{"team": ["sales", "growth"]}]
    )
    max_executors: Positive | None = Field(default=None, description="Most executors of one job.", examples=[200])
    max_task_managers: Positive | None = Field(
        default=None, description="Most task managers of one job.", examples=[50]
    )
    allowed_images: list[str] | None = Field(
        default=None, description="Patterns of container images.", examples=[["acme/*"]]
    )
    allowed_uses: list[str] = Field(
        default=[],
        description="Aliases, or patterns of import paths, that `uses` may name beside sensors and `empty`.",
        examples=[["bash", "airflow.providers.amazon.*"]],
    )
    platforms: dict[Name, list[str]] = Field(
        default={},
        description="Patterns of the pipelines that may use a platform, below pipelines/.",
        examples=[{"lake": ["sales/**"]}],
    )
    max_budget_usd: Amount | None = Field(default=None, description="Highest `budget_usd` of a task.", examples=[50])
    max_cpu: Cpus | None = Field(
        default=None, description="Most virtual CPUs of one job, all its pods together.", examples=[400]
    )
    max_memory: Bytes | None = Field(
        default=None, description="Most memory of one job, all its pods together.", examples=["2000Gi"]
    )
    required_presets: list[str] = Field(
        default=[], description="Presets that every job of their engine must have.", examples=[["graviton"]]
    )
    warn: list[PolicyName] = Field(
        default=[], description="Policies that only warn.", examples=[["required_cost_tags"]]
    )
    exceptions: list[PolicyException] = Field(default=[], description="Where a policy does not hold, and why.")


class Environment(Part):
    """What is different in one environment."""

    platform: Name | None = Field(
        default=None, description="Platform of every job of every pipeline here, whatever the pipeline says."
    )
    cost_tags: Tags = Field(default={}, description="Cost tags of everything here.", examples=[{"env": "prod"}])
    defaults: PipelineDefaults = Field(default=PipelineDefaults(), description="What tasks share here.")
    policies: Policies = Field(
        default=Policies(), description="What no pipeline may leave here; over the `policies` of all environments."
    )
    variables: dict[Name, str | int | float | bool] = Field(
        default={}, description="Values of `${name}` here; each environment gives each variable the same type."
    )


Preset = create_model(
    "Preset",
    __base__=Part,
    __doc__="""Settings under a name; a job that lists the preset gets them, and what the job says itself wins.

A preset may list presets itself: the job gets those, too, and what the preset says wins over them.""",
    **jobs_by_engine("Settings of a {} job."),
)


class RateCard(Part):
    """Which prices hold: the newest bundled card of a region, or cards of your own."""

    region: str | None = Field(default=None, description="AWS region of the prices.", examples=["us-east-1"])
    file: str | None = Field(
        default=None,
        description="A rate card of your own, or a folder of dated ones, relative to doeks.yaml.",
    )


class Project(Part):
    """doeks.yaml: platforms, environments, presets and policies of all pipelines below its folder."""

    platforms: dict[Name, Platform] = Field(default={}, description="Where jobs run, by name.")
    environments: dict[Name, Environment] = Field(default={}, description="dev, prod and so on, by name.")
    presets: dict[Name, Preset] = Field(default={}, description="Named settings of jobs.")
    known_conf: list[str] = Field(
        default=[],
        description="Patterns of Spark properties that the build of a platform reads; `doeks lint` knows them then.",
        examples=[["spark.sql.acme.*"]],
    )
    policies: Policies = Field(default=Policies(), description="What no pipeline may leave.")
    defaults: PipelineDefaults = Field(default=PipelineDefaults(), description="What all tasks share.")
    cost_tags: Tags = Field(default={}, description="Cost tags of everything.")
    monthly_budgets_usd: dict[str, dict[str, Amount]] = Field(
        default={},
        description="Dollars that the jobs of a cost tag's value may cost in a UTC month, by tag and value.",
        examples=[{"team": {"sales": 500}}],
    )
    rate_card: RateCard = Field(default=RateCard(), description="Which prices hold.")
