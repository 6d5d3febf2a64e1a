"""doeks.yaml as models, the platform team's file; used like `language.py`."""

from __future__ import annotations

from typing import Annotated, Any

from language import Amount, Name, Part, PipelineDefaults, Tags, jobs_by_engine
from pydantic import Field, WithJsonSchema, create_model

from airflow_doeks.model.job import Positive

Platform = Annotated[dict[str, Any], WithJsonSchema({"x-one-of": "Platform"})]


class Environment(Part):
    """What is different in one environment."""

    platform: Name | None = Field(
        default=None, description="Platform of every job of every pipeline here, whatever the pipeline says."
    )
    cost_tags: Tags = Field(default={}, description="Cost tags of everything here.", examples=[{"env": "prod"}])
    defaults: PipelineDefaults = Field(default=PipelineDefaults(), description="What tasks share here.")
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


class Policies(Part):
    """What no pipeline may leave; checked on the merged result."""

    required_cost_tags: list[str] = Field(default=[], description="Cost tags every job must have.", examples=[["team"]])
    allowed_cost_tags: dict[str, list[str]] = Field(
        default={}, description="The values a cost tag may have.", examples=[{"team": ["sales", "growth"]}]
    )
    max_executors: Positive | None = Field(default=None, description="Most executors of one job.", examples=[200])
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


class RateCard(Part):
    """Which prices hold."""

    region: str | None = Field(default=None, description="AWS region of the prices.", examples=["us-east-1"])
    file: str | None = Field(default=None, description="A rate card of your own, relative to doeks.yaml.")


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
    rate_card: RateCard = Field(default=RateCard(), description="Which prices hold.")
