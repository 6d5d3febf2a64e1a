"""An engine that the package has never heard of: a row, its job and its operator."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from airflow_doeks.model.engine import Engine
from airflow_doeks.model.job import Driver, JobPart
from airflow_doeks.platforms.protocol import Finding, JobValues


class TrialJob(JobPart):
    """One trial."""

    script: str | None = Field(default=None, description="What is tried.", examples=["jobs/trial.py"])
    args: tuple[str, ...] = Field(default=(), description="Arguments of the trial.")
    conf: dict[str, str] = Field(default={}, description="Properties of the trial.")
    worker: Driver = Field(default=Driver(), description="The worker's pod.")
    presets: tuple[str, ...] = Field(default=(), description="Named settings.")


class TrialOperator:
    """Runs a trial."""


def fault(key: str) -> tuple[str, str, str] | None:
    """Every property but ``mode`` is ignored."""
    return None if key == "mode" else ("DK217", f"{key} is not a property of trials", "write mode")


def check_job(config: object, job: JobValues) -> list[Finding]:
    """A platform that tries takes every trial, and reads all of its values."""
    del config
    assert set(job) == {*TrialJob.model_fields}
    return []


PRESETS: dict[str, Any] = {"careful": None}
TRIAL = Engine(
    name="trial",
    title="Trial",
    noun=f"{__name__}:TrialJob",
    operator=f"{__name__}:TrialOperator",
    work=("script",),
    pods=("worker",),
    presets=f"{__name__}:PRESETS",
    property_fault=f"{__name__}:fault",
)
