"""Why an EMR job failed: category and root cause from its states and its logs in S3 or CloudWatch."""

from __future__ import annotations

import gzip

import pytest

from airflow_doeks.model.job import SparkJob
from airflow_doeks.platforms.emr_on_eks import logs as emr_logs
from tests.fakes.emr_containers import Fault, Step
from tests.platforms.harness_emr_on_eks import CLUSTER, world

JOB = SparkJob(main="s3://acme-code/jobs/clean.py")
TRACEBACK = """Reading orders
Traceback (most recent call last):
  File "/tmp/clean.py", line 12, in <module>
    rate = total / count
ZeroDivisionError: division by zero
"""
JAVA_ERROR = 'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space'
SPARK_LOG = "26/11/20 12:00:01 INFO SparkContext: Running Spark version 3.5.3\n"


@pytest.fixture
def aws(tmp_path):
    """A fresh fake AWS."""
    with world(tmp_path) as fresh:
        yield fresh


def failed(aws, details, reason="USER_ERROR", *, written=None, state="FAILED", **entry):
    """The failure of a job that ended like this; ``written``: name below containers/ -> text."""
    aws.emr.script = lambda _: (Step(0, state, details, reason),)
    platform = aws.platform(**entry)
    ref = platform.submit(platform.render(JOB, aws.identity()))
    for name, text in (written or {}).items():
        place = f"{CLUSTER}/jobs/{ref.path[1]}/containers/{name}"
        if entry.get("log_group"):
            aws.aws.log_streams[f"airflow/{place.removesuffix('.gz')}"] = text.splitlines()
            continue
        file = aws.folder / "acme-logs" / "emr" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(text.encode()))
    aws.emr.calls.clear()
    return platform.explain(ref)


DRIVER = {
    "spark-1/spark-000-driver/stdout.gz": TRACEBACK,
    "spark-1/spark-000-driver/stderr.gz": SPARK_LOG,
    "spark-1/clean-exec-1/stderr.gz": "executor noise",
    "job-runner/stderr.gz": "submitter noise",
}


@pytest.mark.parametrize("entry", [{}, {"logs": None, "log_group": "/emr/sales", "log_stream_prefix": "airflow"}])
def test_the_python_error_of_the_driver_is_the_root_cause(aws, entry):
    """A failing PySpark job tells its own exception, found in S3 or CloudWatch, with the log's tail."""
    failure = failed(aws, "exit code 1", written=DRIVER, **entry)
    assert (failure.category, failure.message) == ("user_code", "ZeroDivisionError: division by zero")
    assert failure.log_tail[-1] == "ZeroDivisionError: division by zero"
    assert failure.evidence[0] == "EMR: FAILED - USER_ERROR - exit code 1"
    assert failure.evidence[1].endswith("containers/spark-1/spark-000-driver/stdout" + ("" if entry else ".gz"))
    assert failure.links["Driver log"]


@pytest.mark.parametrize(
    ("details", "reason", "category"),
    [
        ("Pod failed: ErrImagePull: not found", "USER_ERROR", "image"),
        ("Driver OOMKilled", "USER_ERROR", "oom_driver"),
        ("pods spark-1 is forbidden: exceeded quota: compute", "CLUSTER_UNAVAILABLE", "quota"),
        ("The driver was evicted: DiskPressure", "USER_ERROR", "eviction"),
        ("node ip-10-0-0-1 was terminated", "USER_ERROR", "spot_loss"),
        ("0/5 nodes are available: Insufficient cpu", "CLUSTER_UNAVAILABLE", "unschedulable"),
        ("User is not authorized to perform sts:AssumeRole", "VALIDATION_ERROR", "permission"),
        ("Driver pod was not created: timed out", "INTERNAL_ERROR", "timeout"),
        (None, "INTERNAL_ERROR", "platform"),
        (None, "CLUSTER_UNAVAILABLE", "platform"),
        ("exit code 1", "USER_ERROR", "user_code"),
        (None, None, "unknown"),
    ],
)
def test_emrs_own_words_give_the_category(aws, details, reason, category):
    """What EMR tells is read into one of our categories, also without any log."""
    failure = failed(aws, details, reason)
    assert failure.category == category
    assert failure.message == (details or reason or "neither EMR nor a log tells why")
    assert "no container log of the job yet at s3://acme-logs/emr/" in failure.evidence[1]


def test_a_driver_that_never_came_is_explained_by_its_submitter(aws):
    """Without a driver log the submitter's log tells."""
    log = "Exception in thread main org.apache.spark.SparkException: x\nError: Failed to load class com.acme.Clean.\n"
    failure = failed(aws, "exit code 1", written={"job-runner/stderr.gz": log})
    assert failure.category == "dependency"
    assert "com.acme.Clean" in failure.message


def test_a_cancelled_job_is_cancelled_not_failed(aws):
    """A cancelled job's log may hold errors; they are not why it ended."""
    assert failed(aws, None, None, state="CANCELLED", written=DRIVER).category == "cancelled"


def test_explaining_takes_at_most_six_calls(aws):
    """One describe, one list and three logs are the most."""
    counted = []
    answer = aws.aws.answer
    aws.aws.answer = lambda handler, body: counted.append(handler.path) or answer(handler, body)
    logs = DRIVER | {"spark-1/spark-000-driver/stdout.gz": "nothing here"}
    failed(aws, "exit code 1", written=logs)
    asked = counted[
        next(i for i, path in enumerate(counted) if path.startswith(f"/virtualclusters/{CLUSTER}/jobruns/")) :
    ]
    assert len(asked) == 5


@pytest.mark.parametrize("entry", [{}, {"logs": None, "log_group": "/emr/sales", "log_stream_prefix": "airflow"}])
def test_the_driver_is_found_behind_a_thousand_executors(aws, entry):
    """A list of logs that is cut before the driver's: its name is known, and its log is read."""
    driver = f"spark-1/spark-{0:019d}-driver"
    logs = {f"spark-1/clean-exec-{number}/{stream}.gz": "" for number in range(501) for stream in ("stderr", "stdout")}
    failure = failed(aws, "exit code 1", written=logs | {f"{driver}/stderr.gz": JAVA_ERROR}, **entry)
    assert (failure.category, failure.log_tail) == ("oom_driver", (JAVA_ERROR,))


def test_the_tail_is_of_the_log_that_tells_why(aws):
    """A Java job fails in the driver's stderr; what it printed before is not the tail to show."""
    logs = {"spark-1/spark-000-driver/stdout.gz": "Reading orders", "spark-1/spark-000-driver/stderr.gz": JAVA_ERROR}
    assert failed(aws, "exit code 1", written=logs).log_tail == (JAVA_ERROR,)


def put_log(aws, content: bytes):
    """Whatever bytes as the driver's stdout of the failed job; gives the failure."""
    aws.emr.script = lambda _: (Step(0, "FAILED", "exit code 1", "USER_ERROR"),)
    platform = aws.platform()
    ref = platform.submit(platform.render(JOB, aws.identity()))
    file = aws.folder / f"acme-logs/emr/{CLUSTER}/jobs/{ref.path[1]}/containers/spark-1/spark-000-driver/stdout.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return platform.explain(ref)


def test_the_end_of_a_long_log_is_read(aws):
    """A log of several archives and more bytes than are kept: its last lines tell why."""
    noise = b"\n".join(b"%016x" % number for number in range(0, 2**40, 2**22)) + b"\n"
    assert len(noise) > emr_logs.TAIL_BYTES
    failure = put_log(aws, gzip.compress(noise) + gzip.compress(TRACEBACK.encode()))
    assert failure.message == "ZeroDivisionError: division by zero"
    assert len(failure.log_tail) == 200


def test_a_broken_log_breaks_no_explanation(aws):
    """Bytes that are no archive though they look like one: EMR's words explain, the evidence tells."""
    failure = put_log(aws, b"\x1f\x8bbroken")
    assert (failure.category, failure.message) == ("user_code", "exit code 1")
    assert failure.evidence[1].startswith("logs could not be read: error: Error -3")


def test_explaining_never_raises(aws):
    """With EMR away and logs denied there is still a failure, and its evidence says what could not be read."""
    aws.emr.faults.append(Fault("DescribeJobRun", "InternalServerException", 500, times=float("inf")))
    failure = failed(aws, None)
    assert failure.category == "unknown"
    assert "DescribeJobRun failed" in failure.evidence[0]
