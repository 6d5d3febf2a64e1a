"""Why an EMR job failed, as its pods and events tell; the real Kubernetes client on a fake API server. Rung R2."""

from __future__ import annotations

import gzip
import threading

import pytest

from airflow_doeks.model.job import SparkJob
from airflow_doeks.platforms.emr_on_eks import explain as emr_explain
from tests.fakes.aws_http import serving
from tests.fakes.emr_containers import Step
from tests.fakes.kubernetes import FakeKubernetes
from tests.platforms.harness_emr_on_eks import CLUSTER, world

ASKED = {"kubernetes": "kubernetes_default", "namespace": "sales"}
LOST_EXECUTOR = (
    'Exception in thread "main" org.apache.spark.SparkException: Job aborted due to stage failure: Task 1 in stage 2.0 '
    "failed 4 times, most recent failure: Lost task 1.3 in stage 2.0 (TID 9) (10.0.0.7 executor 3): "
    "ExecutorLostFailure (executor 3 exited unrelated to the running tasks) Reason: Executor heartbeat timed out\n"
)
TRACEBACK = "Traceback (most recent call last):\n  File x\nValueError: no such column\n"


class Failed:
    """A failed job run with its namespace; ``explain`` after its pods are gone, unless they are said to linger."""

    def __init__(self, aws, kubernetes):
        self.aws, self.kubernetes = aws, kubernetes
        aws.emr.script = lambda _: (Step(0, "FAILED", "exit code 1", "USER_ERROR"),)
        self.platform = aws.platform(**ASKED)
        request = self.platform.render(SparkJob(main="s3://acme-code/m.py"), aws.identity())
        self.ref = self.platform.submit(request)
        self.job_run = self.ref.path[1]
        self.driver = f"spark-{self.job_run}-driver"
        self.submitter = f"{self.job_run}-x7k2p"
        self.executor = f"{aws.identity().name}-exec-1"

    def log(self, text):
        """What the driver printed."""
        pod = f"{CLUSTER}/jobs/{self.job_run}/containers/spark-1/{self.driver}"
        file = self.aws.folder / "acme-logs" / "emr" / pod / "stdout.gz"
        file.parent.mkdir(parents=True)
        file.write_bytes(gzip.compress(text.encode()))

    def explain(self, *, pods_linger=False):
        """The failure."""
        if not pods_linger:
            self.kubernetes.end_job(self.job_run)
        return self.platform.explain(self.ref)


@pytest.fixture
def failed(tmp_path):
    """A failed job of a fresh AWS and a fresh cluster."""
    with world(tmp_path) as aws, serving(FakeKubernetes()) as kubernetes:
        aws.kubernetes = kubernetes
        yield Failed(aws, kubernetes)


def ended(reason, code):
    """The status of a container that ended."""
    return {"containerStatuses": [{"name": "c", "state": {"terminated": {"reason": reason, "exitCode": code}}}]}


def waiting(reason, message):
    """The status of a container that waits."""
    return {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": reason, "message": message}}}]}


def condition(kind, holds, reason):
    """The status of a pod of which something holds or not."""
    return {"conditions": [{"type": kind, "status": holds, "reason": reason}]}


EVICTED = {"reason": "Evicted", "message": "The node was low on resource: memory"} | ended("Error", 137)
SHUT_DOWN = {"reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."}
FITS_NOWHERE = (
    "0/5 nodes are available: 5 Insufficient cpu. preemption: 0/5 nodes are available: 5 No preemption victims found"
)


@pytest.mark.parametrize(
    ("role", "status", "category"),
    [
        ("driver", ended("OOMKilled", 137), "oom_driver"),
        ("executor", ended("OOMKilled", 137), "oom_executor"),
        ("driver", ended("Error", 1), "user_code"),
        ("driver", waiting("ImagePullBackOff", "Back-off pulling image acme/spark:9"), "image"),
        ("driver", waiting("CreateContainerConfigError", 'secret "db" not found'), "user_code"),
        ("driver", EVICTED, "eviction"),
        ("driver", SHUT_DOWN, "spot_loss"),
        ("driver", condition("DisruptionTarget", "True", "PreemptionByScheduler"), "eviction"),
        ("driver", condition("DisruptionTarget", "True", "DeletionByTaintManager"), "spot_loss"),
        ("driver", condition("PodScheduled", "False", "Unschedulable"), "unschedulable"),
        ("executor", condition("PodScheduled", "False", "Unschedulable"), "user_code"),
    ],
)
def test_the_state_of_a_pod_gives_the_category(failed, role, status, category):
    """How a driver or an executor ended, or what it waits for; an executor that waits ends no job."""
    name = failed.driver if role == "driver" else failed.executor
    failed.kubernetes.start_pod(name, failed.job_run, role, **status)
    assert failed.explain(pods_linger=True).category == category


@pytest.mark.parametrize(
    ("reason", "message", "category"),
    [
        ("Evicted", "The node was low on resource: ephemeral-storage.", "eviction"),
        ("Preempted", "Preempted by pod 1 on node ip-10-0-0-1", "eviction"),
        ("Evicted", "Evicted pod: SpotInterrupted", "spot_loss"),
        ("NodeNotReady", "Node is not ready", "spot_loss"),
        ("TaintManagerEviction", "Marking for deletion Pod sales/spark-driver", "spot_loss"),
        ("TaintManagerEviction", "Cancelling deletion of Pod sales/spark-driver", "user_code"),
        ("Failed", 'Failed to pull image "acme/spark:9": not found', "image"),
        ("FailedScheduling", FITS_NOWHERE, "unschedulable"),
        ("Pulling", 'Pulling image "acme/evicted-preempted:1"', "user_code"),
    ],
)
def test_events_tell_of_a_driver_that_is_gone(failed, reason, message, category):
    """The pod is gone by the time it is asked for; its event is not, and stands in the evidence."""
    failed.kubernetes.start_pod(failed.driver, failed.job_run, "driver")
    failed.kubernetes.tell(failed.driver, reason, message)
    failure = failed.explain()
    assert failure.category == category
    assert (f"Kubernetes: {failed.driver}: {reason}, {message}" in failure.evidence) is (category != "user_code")


def test_what_a_pod_overcame_is_not_why_it_failed(failed):
    """Every driver waits for a node and sometimes for an image; a driver that then ran did not fail of it."""
    failed.kubernetes.tell(failed.driver, "FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.")
    failed.kubernetes.tell(failed.driver, "Scheduled", "Successfully assigned")
    failed.kubernetes.tell(failed.driver, "Failed", "Failed to pull image: i/o timeout")
    failed.kubernetes.tell(failed.driver, "Started", "Started container")
    failed.log(TRACEBACK)
    assert failed.explain().message == "ValueError: no such column"


def test_a_quota_is_told_by_the_kubernetes_job_that_could_make_no_pod(failed):
    """No pod ever was: the Job object of the submitter tells that the quota is used up, until it succeeds."""
    failed.kubernetes.tell(failed.job_run, "FailedCreate", "pods is forbidden: exceeded quota: compute", kind="Job")
    assert failed.explain().category == "quota"
    failed.kubernetes.tell(failed.job_run, "SuccessfulCreate", f"Created pod: {failed.submitter}", kind="Job")
    assert failed.explain().category == "user_code"


def test_events_of_other_jobs_are_not_ours(failed):
    """A namespace is shared: neighbours' pods and events explain nothing."""
    failed.kubernetes.start_pod("spark-000000099-driver", "000000099", "driver", **ended("OOMKilled", 137))
    failed.kubernetes.tell("spark-000000099-driver", "Evicted", "low on memory")
    failed.kubernetes.tell("other-clean-0123456789ab-exec-1", "Evicted", "low on memory")
    assert failed.explain(pods_linger=True).category == "user_code"


def test_an_executor_lost_to_spot_explains_a_driver_that_only_missed_it(failed):
    """The log knows that an executor was lost, Kubernetes knows why; executors are gone and known by their prefix."""
    failed.log(LOST_EXECUTOR)
    assert failed.explain().category == "platform"
    failed.kubernetes.tell(failed.executor, "Evicted", "Evicted pod: SpotInterrupted")
    failure = failed.explain()
    assert (failure.category, failure.message) == (
        "spot_loss",
        f"{failed.executor}: Evicted, Evicted pod: SpotInterrupted",
    )


def test_an_executor_that_spark_survived_does_not_hide_the_jobs_own_error(failed):
    """Spot takes an executor, later the code fails: the code is why."""
    failed.log(TRACEBACK)
    failed.kubernetes.tell(failed.executor, "Evicted", "Evicted pod: SpotInterrupted")
    failed.kubernetes.tell(failed.submitter, "Evicted", "low on memory")
    failure = failed.explain()
    assert (failure.category, failure.message) == ("user_code", "ValueError: no such column")
    assert f"Kubernetes: {failed.executor}: Evicted, Evicted pod: SpotInterrupted" in failure.evidence


def test_a_killed_driver_outweighs_an_error_that_its_log_survived(failed):
    """The kernel ended the driver: an exception in its log is told beside it, not instead."""
    failed.log(TRACEBACK)
    failed.kubernetes.start_pod(failed.driver, failed.job_run, "driver", **ended("OOMKilled", 137))
    failure = failed.explain(pods_linger=True)
    assert (failure.category, failure.message) == ("oom_driver", f"{failed.driver}: OOMKilled, exit code 137")
    assert "the log says: ValueError: no such column" in failure.evidence


@pytest.mark.parametrize("denied", ["list pods", "list events"])
def test_what_kubernetes_refuses_is_in_the_evidence(failed, denied):
    """Without the right the job is explained from its log, and the evidence names the refusal, without the token."""
    failed.log(TRACEBACK)
    failed.kubernetes.denied.add(denied)
    failure = failed.explain()
    assert failure.message == "ValueError: no such column"
    what = denied.removeprefix("list ")
    assert f"{what} could not be read: 403 Forbidden (docs/platforms.md lists what is asked)" in failure.evidence
    assert "canary" not in str(failure)


@pytest.mark.parametrize(("denied", "category"), [("list events", "oom_driver"), ("list pods", "eviction")])
def test_pods_tell_without_events_and_events_without_pods(failed, denied, category):
    """Who may list one of them is told by that one."""
    failed.log(TRACEBACK)
    failed.kubernetes.start_pod(failed.driver, failed.job_run, "driver", **ended("OOMKilled", 137))
    failed.kubernetes.tell(failed.driver, "Evicted", "The node was low on resource: memory.")
    failed.kubernetes.denied.add(denied)
    assert failed.explain(pods_linger=True).category == category


def test_a_cluster_that_cannot_be_reached_costs_no_explanation(failed):
    """A private API server: the log still explains."""
    failed.log(TRACEBACK)
    failed.kubernetes.url = "http://127.0.0.1:1"
    failure = failed.explain()
    assert failure.message == "ValueError: no such column"
    assert any(line.startswith("pods could not be read: MaxRetryError") for line in failure.evidence)


def test_explaining_with_pods_takes_at_most_six_calls(failed):
    """A describe, a list of logs, two logs, pods and events."""
    calls = []
    for fake in (failed.aws.aws, failed.kubernetes):
        answer = fake.answer
        fake.answer = lambda handler, body, answer=answer: calls.append(handler.path) or answer(handler, body)
    failed.log("nothing here")
    pod = failed.aws.folder / f"acme-logs/emr/{CLUSTER}/jobs/{failed.job_run}/containers"
    (pod / "spark-1" / failed.driver / "stderr").write_text("nor here")
    (pod / failed.submitter).mkdir()
    (pod / failed.submitter / "stderr").write_text("nor here")
    failed.explain()
    assert len(calls) == 6


def test_a_call_that_hangs_is_left_behind(failed, monkeypatch):
    """What was read until then explains the job; the evidence says that something is missing."""
    failed.log(TRACEBACK)
    monkeypatch.setattr(emr_explain, "SECONDS", 0.5)
    hangs, answer = threading.Event(), failed.aws.aws.s3.handle
    failed.aws.aws.s3 = type("", (), {"handle": lambda *request: hangs.wait(5) and answer(*request)})
    failure = failed.explain()
    hangs.set()
    assert failure.category == "user_code"
    assert failure.message == "exit code 1"
    assert failure.evidence[-1] == "not everything could be read within 0 s"
