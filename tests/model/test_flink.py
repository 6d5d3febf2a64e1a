"""The Flink job as Airflow rendered it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from airflow_doeks.model.flink import FlinkJob


def test_slots_say_how_many_task_managers_there_are():
    """As many as offer one slot for each of the job's parallel parts."""
    job = FlinkJob.of_rendered({"jar": "a.jar", "parallelism": "5", "task_manager": {"slots": 2}})
    assert (job.task_managers, job.is_stream) == (3, False)


@pytest.mark.parametrize("path", ["s3://acme/savepoint-1", "file:/state/savepoint-1", "/state/savepoint-1"])
def test_a_job_starts_from_a_path(path):
    """A savepoint is a URL, or a path of a file system that the job reaches."""
    assert FlinkJob.of_rendered({"jar": "a.jar", "from": path}).from_ == path


@pytest.mark.parametrize("value", ["None", "stop_clicks", ""])
def test_a_task_that_returned_no_savepoint_is_told(value):
    """A stream never starts from nothing where its state was asked for."""
    with pytest.raises(ValidationError, match="expected the path of a savepoint"):
        FlinkJob.of_rendered({"jar": "a.jar", "from": value})
