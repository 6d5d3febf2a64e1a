"""A job after rendering, or from Python, is checked as the YAML is: the same findings, and nothing is sent."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_doeks.attempt.job import read_rendered_job
from airflow_doeks.model.engine import SPARK
from airflow_doeks.model.errors import SpecError

MAIN = {"main": "s3://acme-code/clean.py"}
SOURCE = {"spark": "p.yaml:3:5", "spark.executors.min": "p.yaml:6:9"}


def read(job: dict[str, Any], source: dict[str, str] | None = None) -> Any:
    """The job as it would be submitted."""
    platform = {"name": "laptop", "type": "local"}
    return read_rendered_job(job, SPARK, folder=".", source=source or {}, platform=platform, render=str)


@pytest.mark.parametrize(
    ("job", "told"),
    [
        ({}, "p.yaml:3:5: DK211 the job has neither main nor sql"),
        (MAIN | {"sql": "s3://acme-code/a.sql"}, "p.yaml:3:5: DK211 the job has both main and sql"),
        (MAIN | {"executors": {"min": "5", "max": "2"}}, "p.yaml:6:9: DK210 executors.min 5 is above executors.max 2"),
        (MAIN | {"executors": {"min": 0}}, "p.yaml:6:9: DK210 a job without executors cannot run"),
        (MAIN | {"executors": {"max": 0}}, "p.yaml:3:5: DK210 executors.min 1 is above executors.max 0"),
    ],
)
def test_a_job_that_is_not_whole_is_refused(job: dict[str, Any], told: str) -> None:
    """With the code, the place in the YAML and the reason; from Python without a place."""
    with pytest.raises(SpecError) as refused:
        read(job, SOURCE)
    assert str(refused.value).startswith(told)
    assert "(after rendering)" in str(refused.value)
    with pytest.raises(SpecError, match=r"^job: DK21"):
        read(job)


@pytest.mark.parametrize("counts", [{}, {"min": "1", "max": "3"}, {"min": 0, "max": 3}, {"max": 3}])
def test_a_whole_job_is_read(counts: dict[str, Any]) -> None:
    """Numbers may come as text: rendered values do."""
    assert read(MAIN | {"executors": counts}).main == MAIN["main"]
