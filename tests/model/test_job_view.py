"""The unchecked view that lint reads is the same as the checked job that runs."""

from __future__ import annotations

import pytest

from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.job_view import view
from tests.language.seeds import PIPELINE_SEEDS

JOBS = [{}, *(task["spark"] for task in PIPELINE_SEEDS[0]["tasks"].values() if "spark" in task)]


@pytest.mark.parametrize("job", JOBS)
def test_every_field_of_a_job_reads_the_same_through_the_view(job):
    """Defaults too: whoever adds a field or changes a default must change the view."""
    seen, model = view(job), SparkJob.model_validate(job)
    for name in SparkJob.model_fields:
        if name in ("driver", "executors"):
            pod, typed = getattr(seen, name), getattr(model, name)
            assert {key: getattr(pod, key) for key in type(typed).model_fields} == typed.model_dump()
            assert (pod.vcpu, pod.memory_bytes) == (typed.vcpu, typed.memory_bytes)
        elif name != "secrets":
            assert getattr(seen, name) == getattr(model, name)
    assert set(seen.secrets) == set(model.secrets)
