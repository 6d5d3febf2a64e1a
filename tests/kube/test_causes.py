"""Why a job ended, by what a real kubelet and a real operator leave behind of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_doeks.model.status import JobState
from tests.kube.conftest import SESSION, mounts
from tests.kube.test_api_server import platform, request, until

RAISES = """\
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.table("no_such_table").show()
"""
# 2 GiB in a driver that has one: the kernel ends it.
GROWS = """\
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
held = [bytearray(b"x" * 2**20) for _ in range(2048)]
"""
# A worker of Python that has 2 GiB on an executor that has one. With cgroup v2 the kernel ends its container, too.
SWELLS = """\
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.sparkContext.parallelize([1], 1).map(lambda _: len([bytearray(b"x" * 2**20) for _ in range(2048)])).collect()
"""
OF_A_WORKER = ("user_code", "Python worker exited unexpectedly")
if Path("/sys/fs/cgroup/cgroup.controllers").exists():  # of the lab, whose node is this machine
    OF_A_WORKER = ("oom_executor", "executor")
CAUSES = {  # what a job does -> how its end is called, and a word of the message
    "raises": (RAISES, "user_code", "no_such_table"),
    "grows": (GROWS, "oom_driver", "driver"),
    "swells": (SWELLS, *OF_A_WORKER),
}


@pytest.mark.parametrize("what", CAUSES)
def test_a_failure_has_its_cause(operator, shared_folder, what):
    """A wrong name, a driver and an executor without memory: each is told as such, with its job's own words."""
    program, category, word = CAUSES[what]
    path = shared_folder / "code" / f"{what}.py"
    path.write_text(program)
    made = platform(type=operator)
    small = {"driver": {"memory": "1Gi"}, "executors": {"memory": "1Gi", "min": 1, "max": 1}}
    conf = mounts(shared_folder) | {"spark.task.maxFailures": 1}
    sent, _ = request(made, f"{what}-{SESSION}", main=f"local://{path}", args=[], conf=conf, **small)
    ref = made.submit(sent)
    until(lambda: made.observe(ref).state.is_terminal, 240)
    failure = made.explain(ref)
    assert (made.observe(ref).state, failure.category) == (JobState.FAILED, category), failure
    assert word in failure.message, failure


def test_an_image_that_is_not_there_is_told_while_the_job_waits(operator):
    """The job stays QUEUED or STARTING, its explanation names the image, and a cancel leaves nothing."""
    made = platform(type=operator)
    ref = made.submit(request(made, f"image-{SESSION}", image="kubelab.test/no-such:4.0.2")[0])
    try:
        until(lambda: made.explain(ref).category == "image")
        assert "no-such" in made.explain(ref).message
        assert made.observe(ref).state in (JobState.QUEUED, JobState.STARTING)
    finally:
        made.cancel(ref)
    until(lambda: made.observe(ref).state is JobState.CANCELLED)
