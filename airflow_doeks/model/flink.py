"""The Flink job that a data engineer describes; checked like a Spark job, before and after rendering."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airflow_doeks.model.job import Driver, Duration, JobPart, Positive


class FlinkJob(JobPart):
    """One Flink application: `jar` or `sql`. Checked, but no platform of this version runs it yet."""

    jar: str | None = Field(default=None, description="Jar of the application, or a URL.", examples=["jobs/stream.jar"])
    sql: str | None = Field(default=None, description="SQL file to run.", examples=["sql/stream.sql"])
    class_: str | None = Field(default=None, alias="class", description="Main class of the jar.")
    args: tuple[str | int | float, ...] = Field(default=(), description="Arguments of the application.")
    conf: dict[str, str | int | float | bool] = Field(default={}, description="Flink properties.")
    parallelism: Positive | None = Field(default=None, description="Default parallelism.", examples=[4])
    mode: Literal["bounded", "streaming"] = Field(default="bounded", description="Whether the job ends by itself.")
    upgrade: Literal["savepoint", "last-state", "stateless"] = Field(
        default="savepoint", description="How a changed streaming job is replaced."
    )
    until: Literal["finished", "running"] = Field(default="finished", description="When the task succeeds.")
    stable_for: Duration | None = Field(default=None, description="How long a streaming job must run to count as up.")
    job_manager: Driver = Field(default=Driver(), description="The job manager's pod.")
    task_managers: Driver = Field(default=Driver(), description="Each task manager's pod.")
    task_slots: Positive | None = Field(default=None, description="Slots of each task manager.")
    image: str | None = Field(default=None, description="Container image; the platform's if left out.")
    env: dict[str, str] = Field(default={}, description="Environment variables.")
    presets: tuple[str, ...] = Field(default=(), description="Named settings, applied in order.")
