"""Why a Flink job failed or does not come up: each bad day in one category and one line, the stream's state named."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from airflow_doeks.model.status import JobState
from tests.fakes.cluster import EVENTS, FLINK, PODS
from tests.platforms.harness_apache_flink import JOB_ID, NAMESPACE, harness

ROOT = Path(__file__).parents[2]
SUPPRESSED = "org.apache.flink.runtime.JobException: Recovery is suppressed by NoRestartBackoffTimeStrategy\n"


NO_SLOTS = "org.apache.flink.NoResourceAvailableException: Could not acquire the minimum resources.\n"


def resource_of(flink, ref):
    """What the API server has."""
    return flink.cluster.get(FLINK, NAMESPACE, ref.path[1])


@pytest.fixture
def flink(tmp_path):
    """A namespace with the operator."""
    with harness(tmp_path) as made:
        yield made


@pytest.fixture
def ref(flink):
    """A job that runs."""
    platform = flink.platform()
    made = platform.submit(platform.render(flink.job(), flink.identity()))
    flink.until_running(made)
    return made


def exceptions(flink, ref, *traces):
    """What the job manager answers, the last failure first."""
    entries = [{"stacktrace": trace} for trace in traces]
    where = f"{ref.path[1]}-rest/jobs/{JOB_ID}/exceptions"
    flink.server.proxied[where] = {"exceptionHistory": {"entries": entries}}


def tell(flink, name, reason, message, kind="Pod"):
    """An event about an object by its name."""
    about = {"kind": kind, "namespace": NAMESPACE, "name": name}
    event = {"metadata": {"generateName": name}, "involvedObject": about, "reason": reason, "message": message}
    flink.cluster.create(EVENTS, NAMESPACE, event | {"lastTimestamp": flink.cluster.moment()})


@pytest.mark.parametrize(
    ("cause", "category"),
    [
        ("java.lang.IllegalStateException: number 7 is not welcome", "user_code"),
        ("java.lang.OutOfMemoryError: Java heap space", "oom_executor"),
        ("java.nio.file.AccessDeniedException: s3://acme-state/chk-1", "permission"),
        ("java.net.UnknownHostException: kafka.acme", "network"),
        ("java.lang.ClassNotFoundException: com.acme.Clicks", "dependency"),
        ("org.apache.flink.NoResourceAvailableException: Could not acquire the minimum resources.", "unschedulable"),
        ("java.util.concurrent.TimeoutException: Heartbeat of TaskManager with id 10.0.0.7 timed out.", "platform"),
        ("org.apache.flink.util.FlinkRuntimeException: Exceeded checkpoint tolerable failure threshold.", "platform"),
        ("java.lang.IllegalStateException: Cannot map checkpoint/savepoint state for operator x", "user_code"),
    ],
)
def test_the_exception_history_gives_the_root_cause(flink, ref, cause, category):
    """The innermost cause of the last failure that the job manager keeps, and what kind it is."""
    older = f"{SUPPRESSED}\tat x\nCaused by: java.lang.Exception: an older failure\n"
    exceptions(flink, ref, f"{SUPPRESSED}\tat org.apache.flink\nCaused by: {cause}\n\tat com.acme\n", older)
    flink.fail(ref, "2026-11-29 13:14:06,123 INFO  org.apache.flink.runtime - Job reached terminal state FAILED.\n")
    failure = flink.platform().explain(ref)
    assert (failure.category, failure.message) == (category, cause), failure.evidence
    assert "root cause in what the job itself says" in failure.evidence
    assert failure.log_tail[-1].endswith("terminal state FAILED.")


def test_a_program_that_wants_more_slots_than_its_job_says_is_told_how_many_it_may_have(flink, ref):
    """The bound is what `parallelism` asks for; the way to more stands beside the failure."""
    exceptions(flink, ref, "java.util.concurrent.CompletionException: x\nCaused by: " + NO_SLOTS)
    flink.fail(ref, "")
    assert resource_of(flink, ref)["spec"]["flinkConfiguration"]["slotmanager.number-of-slots.max"] == "1"
    assert flink.platform().explain(ref).evidence[-1].startswith("it may have 1 slots, which its parallelism asks for")


def test_what_befell_the_version_before_is_no_cause(flink):
    """Events from before the stream was sent anew are of pods that were replaced; a log tells of its pod's last run."""
    platform = flink.platform()
    ref = platform.submit(platform.render(flink.job(mode="streaming"), flink.identity()))
    flink.until_running(ref)
    tell(flink, f"{ref.path[1]}-6c-x", "Failed", "Failed to pull image acme/none")
    flink.cluster.now += timedelta(minutes=5)
    flink.clock = replace(flink.clock, now=lambda: flink.cluster.now)
    platform = flink.platform()
    platform.submit(platform.render(flink.job(mode="streaming", parallelism=2), flink.identity()))
    flink.cluster.now += timedelta(minutes=1)
    pod = flink.cluster.get(PODS, NAMESPACE, flink.manager(ref))
    status = pod["status"]["containerStatuses"][0] | {"restartCount": 1}
    flink.cluster.update(PODS, NAMESPACE, flink.manager(ref), {"status": {"containerStatuses": [status]}})
    cause = "java.lang.IllegalStateException: Cannot map checkpoint/savepoint state for operator x"
    noise = "00:15:01 ERROR x - Failed to archive job.\njava.nio.file.FileAlreadyExistsException: x\n\tat a"
    log = f"java.lang.Exception: x\nCaused by: {cause}\n{noise}\n00:15:02 INFO  ended\n"
    flink.server.logs[f"{flink.manager(ref)} before"] = log
    flink.move(ref, "DEPLOYED", "INITIALIZING", "READY")
    failure = flink.platform().explain(ref)
    assert (failure.category, failure.message) == ("user_code", cause), failure


def test_a_stream_that_was_given_up_still_tells_why_once_its_pods_are_gone(flink):
    """What its pods and its operator told before it was suspended stays, and goes when it is deployed anew."""
    platform = flink.platform()
    stream = flink.job(mode="streaming")
    ref = platform.submit(platform.render(stream, flink.identity()))
    flink.until_running(ref)
    flink.move(ref, "DEPLOYED", "RECONCILING", "ERROR", "failed to pull and unpack image: ErrImagePull")
    platform.cancel(ref)
    flink.cluster.remove(*next(key for key in flink.cluster.objects if key[2] == flink.manager(ref)))
    flink.move(ref, "SUSPENDED", "FINISHED", "MISSING", savepointInfo={"lastSavepoint": {"location": "s3://s/1"}})
    failure = flink.platform().explain(ref)
    assert (failure.category, "ErrImagePull" in failure.message) == ("image", True), failure
    assert failure.evidence[-1] == "to go back, deploy what ran before with from: s3://s/1"
    platform.submit(platform.render(stream, flink.identity(run_id="next")))
    flink.move(ref, "FAILED", "FAILED", "MISSING", "another cause")
    assert "another cause" in flink.platform().explain(ref).message


def test_a_job_manager_that_is_gone_leaves_the_operators_word(flink, ref):
    """Neither log nor history: the error of the resource is the cause."""
    flink.cluster.remove(*next(key for key in flink.cluster.objects if key[2] == flink.manager(ref)))
    flink.move(ref, "FAILED", "FAILED", "MISSING", "JobManager deployment is missing: exceeded quota: pods")
    failure = flink.platform().explain(ref)
    assert failure.category == "quota"
    assert "exceeded quota: pods" in failure.message


def test_an_image_that_cannot_be_pulled_is_told_while_it_is_waited_for(flink):
    """The operator's error is the reason of a state that `startup_timeout` limits, and the cause when it is over."""
    platform = flink.platform()
    ref = platform.submit(platform.render(flink.job(), flink.identity()))
    flink.move(ref, "DEPLOYED", "RECONCILING", "ERROR", "Back-off pulling image acme/flink:9.9")
    status = platform.observe(ref)
    assert (status.state, status.is_well) == (JobState.STARTING, False)
    assert "Back-off pulling image acme/flink:9.9" in status.reason
    assert platform.explain(ref).category == "image"


def test_a_task_manager_that_was_killed_explains_a_lost_heartbeat(flink, ref):
    """What befell a pod goes before a job that only says that it lost it."""
    name = f"{ref.path[1]}-taskmanager-1-1"
    exceptions(
        flink, ref, f"{SUPPRESSED}Caused by: java.util.concurrent.TimeoutException: TaskManager {name} timed out."
    )
    flink.end_pod(name, 137, "OOMKilled")
    flink.fail(ref, "")
    failure = flink.platform().explain(ref)
    assert (failure.category, name in failure.message) == ("oom_executor", True)


def test_a_spot_node_that_went_is_told_by_its_event(flink, ref):
    """The pod is gone, its event is not: the name says that it was a task manager."""
    name = f"{ref.path[1]}-taskmanager-1-1"
    tell(flink, name, "TaintManagerEviction", "Marking for deletion Pod sales/x")
    exceptions(flink, ref, f"{SUPPRESSED}Caused by: java.lang.Exception: TaskManager {name} is no longer reachable.")
    flink.fail(ref, "")
    assert flink.platform().explain(ref).category == "spot_loss"


def test_a_stream_that_failed_names_where_its_state_is(flink):
    """An upgrade that does not come up ends with the last savepoint, and how to go back."""
    platform = flink.platform()
    ref = platform.submit(platform.render(flink.job(mode="streaming"), flink.identity()))
    flink.until_running(ref)
    exceptions(flink, ref, "java.lang.IllegalStateException: Cannot map checkpoint/savepoint state for operator x")
    saved = {"lastSavepoint": {"location": "s3://acme-state/savepoint-1"}}
    flink.move(ref, "FAILED", "FAILED", "READY", savepointInfo=saved)
    evidence = platform.explain(ref).evidence
    assert "the stream's state was saved last in s3://acme-state/savepoint-1" in evidence
    assert "to go back, deploy what ran before with from: s3://acme-state/savepoint-1" in evidence


def test_the_documented_role_is_what_was_asked_for(flink):
    """What deploying, stopping, following and explaining ask for stands in the Role of the docs, and no more."""
    page = (ROOT / "docs" / "platforms.md").read_text("utf-8").partition("## Flink on Kubernetes")[2]
    role = yaml.safe_load(re.search(r"```yaml\n(apiVersion: rbac.*?)```", page, re.DOTALL)[1])
    allowed = {f"{verb} {kind}" for rule in role["rules"] for kind in rule["resources"] for verb in rule["verbs"]}
    platform = flink.platform()
    stream = platform.submit(platform.render(flink.job(mode="streaming"), flink.identity()))
    flink.until_running(stream)
    platform.submit(platform.render(flink.job(jar=None, stop="clean"), flink.identity(task_id="stop")))
    bounded = platform.submit(platform.render(flink.job(), flink.identity()))
    flink.until_running(bounded)
    exceptions(flink, bounded, "x")
    platform.find(flink.identity())
    platform.telemetry(bounded)
    platform.explain(bounded)
    flink.succeed(bounded)
    platform.release(bounded)
    other = platform.submit(platform.render(flink.job(), flink.identity(try_number=2)))
    platform.cancel(other)
    asked = {call for call in flink.server.calls if call != "unauthorized"}
    assert asked <= allowed
    by_others = {"create flinkstatesnapshots", "get flinkstatesnapshots", "watch flinkdeployments", "watch pods"}
    of_sessions = {call for call in allowed if call.endswith("flinksessionjobs")}
    assert allowed - asked <= by_others | of_sessions
