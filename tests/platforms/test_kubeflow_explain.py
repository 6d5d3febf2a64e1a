"""Why a SparkApplication failed: its resource, its pods, events and the driver's log, each where it tells most."""

import re
from pathlib import Path

import pytest
import yaml

from airflow_doeks.lifecycle.endings import failure_of, over
from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.kubernetes.failure import SECONDS
from tests.fakes.cluster import EVENTS, KUBEFLOW, PODS
from tests.platforms.harness_kubeflow_spark import NAMESPACE, harness

ROOT = Path(__file__).parents[2]
TRACEBACK = """\
Traceback (most recent call last):
  File "/jobs/clean.py", line 7, in <module>
    raise ValueError("no flights in 2013-13")
ValueError: no flights in 2013-13
"""
# What spark-submit said of a busy API server, November 2026.
TOO_BUSY = "The timeout of 10000 ms has been exceeded when getting a connection to 10.96.0.1:443"


@pytest.fixture
def kubeflow(tmp_path):
    """A namespace with the operator."""
    with harness(tmp_path) as made:
        yield made


@pytest.fixture
def ref(kubeflow):
    """A job whose driver runs."""
    platform = kubeflow.platform()
    made = platform.submit(platform.render(kubeflow.job(), kubeflow.identity()))
    kubeflow.until_running(made)
    return made


def tell(kubeflow, name, reason, message, kind="Pod"):
    """An event about an object by its name."""
    about = {"kind": kind, "namespace": NAMESPACE, "name": name}
    event = {"metadata": {"generateName": name}, "involvedObject": about, "reason": reason, "message": message}
    kubeflow.cluster.create(EVENTS, NAMESPACE, event | {"lastTimestamp": kubeflow.cluster.moment()})


def test_a_driver_out_of_memory(kubeflow, ref):
    """The kubelet's OOMKilled goes before whatever the log said last."""
    kubeflow.server.logs[f"{ref.path[1]}-driver"] = "26/11/29 13:14:06 INFO SparkContext: running\n"
    kubeflow.end_driver(ref, 137, "OOMKilled")
    kubeflow.move(ref, "FAILED", "driver container failed with ExitCode: 137, Reason: OOMKilled")
    failure = kubeflow.platform().explain(ref)
    assert failure.category == "oom_driver"
    assert "OOMKilled, exit code 137" in failure.message


def test_a_side_car_that_is_killed_explains_no_driver(kubeflow, ref):
    """A mesh's proxy is killed when the driver is done (137), and has last words of its own: the driver's hold."""
    name = f"{ref.path[1]}-driver"
    kubeflow.server.logs[name] = TRACEBACK
    kubeflow.end_driver(ref, 1, "Error", TRACEBACK)
    ended = {"exitCode": 137, "reason": "Error", "message": "java.lang.OutOfMemoryError: of a proxy"}
    proxy = {"name": "istio-proxy", "state": {"terminated": ended}, "restartCount": 2}
    own = kubeflow.cluster.get(PODS, NAMESPACE, name)["status"]["containerStatuses"]
    kubeflow.cluster.update(PODS, NAMESPACE, name, {"status": {"containerStatuses": [proxy, *own]}})
    kubeflow.move(ref, "FAILED", "driver container failed with ExitCode: 1, Reason: Error")
    failure = kubeflow.platform().explain(ref)
    assert (failure.category, failure.message) == ("user_code", "ValueError: no flights in 2013-13")
    assert not any("137" in line or "proxy" in line for line in failure.evidence)


def test_a_side_car_whose_image_does_not_come_explains_a_driver_that_waits(kubeflow, ref):
    """All containers of a pod must come up."""
    name = f"{ref.path[1]}-driver"
    waits = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image acme/proxy:9"}}
    own = kubeflow.cluster.get(PODS, NAMESPACE, name)["status"]["containerStatuses"]
    statuses = {"containerStatuses": [*own, {"name": "istio-proxy", "state": waits}]}
    kubeflow.cluster.update(PODS, NAMESPACE, name, {"status": statuses})
    assert kubeflow.platform().explain(ref).category == "image"


def test_executors_out_of_memory(kubeflow, ref):
    """Executors that were killed explain a log that only says that they were lost."""
    name = f"{ref.path[1]}-exec-1"
    kubeflow.start_pod(ref, name, "executor")
    kubeflow.end_pod(name, 137, "OOMKilled")
    log = "pyspark.errors.exceptions.captured.SparkException: Job aborted: ExecutorLostFailure (executor 1 exited)\n"
    kubeflow.server.logs[f"{ref.path[1]}-driver"] = "Traceback (most recent call last):\n" + log
    kubeflow.end_driver(ref, 1, "Error")
    kubeflow.move(ref, "FAILED", "driver container failed with ExitCode: 1, Reason: Error")
    assert kubeflow.platform().explain(ref).category == "oom_executor"


@pytest.mark.parametrize(
    ("reason", "message", "category"),
    [
        ("Failed", 'Failed to pull image "acme/spark:9": ErrImagePull', "image"),
        ("FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu.", "unschedulable"),
        ("Evicted", "The node was low on resource: memory.", "eviction"),
        ("Preempted", "Preempted by pod 0123 on node a", "eviction"),
        ("SpotInterrupted", "Spot Interrupted: node a will be gone", "spot_loss"),
        ("FailedCreatePodSandBox", "plugin aws-cni: failed to assign an IP address to container", "network"),
    ],
)
def test_what_befell_a_driver_that_is_gone(kubeflow, ref, reason, message, category):
    """Events about a pod outlive it: they tell image, room, eviction, preemption, Spot and addresses."""
    driver = f"{ref.path[1]}-driver"
    kubeflow.cluster.remove(PODS, NAMESPACE, driver)
    tell(kubeflow, driver, reason, message)
    kubeflow.move(ref, "FAILED", "driver pod not found")
    failure = kubeflow.platform().explain(ref)
    assert failure.category == category
    assert message in failure.message


@pytest.mark.parametrize(
    ("error", "category"),
    [
        ("failed to submit: exceeded quota: pods, requested: pods=1, used: pods=5, limited: pods=5", "quota"),
        ('failed to run spark-submit: pods is forbidden: User "x" cannot create resource "pods"', "permission"),
        ("failed to run spark-submit: java.net.UnknownHostException: kubernetes.default.svc", "network"),
        ("failed to run spark-submit: Error: Missing application resource.", "user_code"),
        (f"failed to run spark-submit: {TOO_BUSY}", "platform"),
    ],
)
def test_a_submission_that_failed(kubeflow, error, category):
    """Before there is any pod the operator's own error tells."""
    platform = kubeflow.platform()
    ref = platform.submit(platform.render(kubeflow.job(), kubeflow.identity()))
    kubeflow.move(ref, "FAILED", error)
    failure = platform.explain(ref)
    assert (failure.category, failure.message) == (category, error)


def test_the_last_words_of_a_driver_without_a_log(kubeflow, ref):
    """Where the log may not be read, the end of it stands in the pod: the termination message."""
    kubeflow.server.denied = {"get pods/log"}
    kubeflow.end_driver(ref, 1, "Error", TRACEBACK)
    kubeflow.move(ref, "FAILED", "driver container failed with ExitCode: 1, Reason: Error")
    failure = kubeflow.platform().explain(ref)
    assert (failure.category, failure.message) == ("user_code", "ValueError: no flights in 2013-13")
    assert any('cannot get resource "pods/log"' in line for line in failure.evidence)


@pytest.mark.parametrize(
    ("node", "denied", "told"),
    [
        ("gone", set(), ("spot_loss", "its node gone is gone")),
        ("ip-10-0-0-1", set(), ("unknown", "driver container status missing")),
        ("gone", {"get nodes"}, ("unknown", 'is not known: .*cannot get resource "nodes"')),
    ],
    ids=["its node is gone", "its node is there", "nodes may not be read"],
)
def test_a_driver_that_went_with_its_node(kubeflow, ref, node, denied, told):
    """A node that was deleted leaves no word but where the driver was; the operator only misses its status."""
    driver = f"{ref.path[1]}-driver"
    tell(kubeflow, driver, "Scheduled", f"Successfully assigned {NAMESPACE}/{driver} to {node}")
    kubeflow.cluster.remove(PODS, NAMESPACE, driver)
    kubeflow.move(ref, "FAILED", "driver container status missing")
    kubeflow.server.denied = denied
    failure = kubeflow.platform().explain(ref)
    assert failure.category == told[0]
    assert re.search(told[1], " ".join([failure.message, *failure.evidence]))


@pytest.mark.parametrize(("denied", "category"), [("events", "oom_driver"), ("pods", "eviction")])
def test_pods_tell_without_events_and_events_without_pods(kubeflow, ref, denied, category):
    """Who may list one of them is told by that one; of pods that nobody may list none is said to be gone."""
    kubeflow.end_driver(ref, 137, "OOMKilled")
    tell(kubeflow, f"{ref.path[1]}-driver", "Evicted", "The node was low on resource: memory.")
    kubeflow.move(ref, "FAILED", "driver container failed")
    kubeflow.server.denied = {f"list {denied}"}
    failure = kubeflow.platform().explain(ref)
    assert failure.category == category
    assert any(f'cannot list resource "{denied}"' in line for line in failure.evidence)
    assert not any("is gone" in line for line in failure.evidence)


def test_a_job_that_was_deleted_says_so(kubeflow, ref):
    """What is gone is told, and that nobody said why; nothing raises."""
    kubeflow.lose(ref)
    failure = kubeflow.platform().explain(ref)
    assert "somebody else deleted it" in failure.message
    assert "the driver's pod is gone, and its log with it" in failure.evidence


def test_a_gang_without_room_is_told_by_its_placeholders(kubeflow):
    """YuniKorn says nothing of a driver that waits for its gang; of what befalls the placeholders only room counts."""
    platform = kubeflow.platform()
    ref = platform.submit(platform.render(kubeflow.job(), kubeflow.identity()))
    kubeflow.move(ref, "SUBMITTED")
    kubeflow.start_driver(ref)
    app, driver = f"spark-{'0' * 32}", f"{ref.path[1]}-driver"
    waits = {"metadata": {"annotations": {"yunikorn.apache.org/app-id": app}}, "spec": {"nodeName": None}}
    kubeflow.cluster.update(PODS, NAMESPACE, driver, waits | {"status": {"phase": "Pending", "containerStatuses": []}})
    place = f"tg-{app[:28]}-spark-executor-a1b2c3d4e5"
    tell(kubeflow, place, "Failed", 'Failed to pull image "registry.k8s.io/pause:3.7"')
    tell(kubeflow, place, "Informational", "Request 'a' does not fit in queue 'root.sales' (requested map[memory:1])")
    tell(kubeflow, f"tg-spark-{'1' * 22}-spark-executor-a1b2c3d4e5", "PodUnschedulable", "another's")
    failure = platform.explain(ref)
    assert failure.category == "unschedulable"
    assert "does not fit in queue 'root.sales'" in failure.message
    assert not [line for line in failure.evidence if "pause" in line or "another" in line]


def test_what_kept_a_job_from_coming_up_outlives_its_cancel(kubeflow):
    """At its start-up time-out a job's pods go, and with them the cause: the event of the cancel has kept it."""
    platform = kubeflow.platform()
    ref = platform.submit(platform.render(kubeflow.job(), kubeflow.identity()))
    driver = f"{ref.path[1]}-driver"
    kubeflow.move(ref, "SUBMITTED")
    tell(kubeflow, driver, "Failed", 'Failed to pull image "acme/spark:9": not found')
    platform.cancel(ref)
    kubeflow.let_cancel_happen(ref)
    status, explained = platform.observe(ref), platform.explain(ref)
    assert (status.state, explained.category) == (JobState.CANCELLED, "cancelled")
    failure = failure_of(over("startup_timeout"), status, explained, "startup_timeout")
    assert failure.category == "timeout"
    assert re.fullmatch(
        r"used up its startup_timeout and was cancelled; before that: image: .*Failed to pull image .*not found.*",
        failure.message,
    )


def test_an_api_server_that_is_away_is_told(kubeflow, ref):
    """An explanation takes its time at most, and says what it could not read."""
    kubeflow.server.outages = 10**6
    failure = kubeflow.platform().explain(ref, 0.5)
    assert SECONDS == 20
    assert failure.category == "unknown"
    assert any("could not be read" in line or "not everything" in line for line in failure.evidence)


def test_the_documented_role_is_what_is_asked(kubeflow, ref):
    """docs/platforms.md lists the verbs that sending, following, ending and explaining jobs need, and no more."""
    docs = (ROOT / "docs" / "platforms.md").read_text("utf-8").partition("## Spark operators on Kubernetes")[2]
    role = yaml.safe_load(re.search(r"```yaml\n(apiVersion: rbac.*?)```", docs, re.DOTALL)[1])
    documented = {f"{verb} {name}" for rule in role["rules"] for name in rule["resources"] for verb in rule["verbs"]}
    platform = kubeflow.platform()
    platform.submit(platform.render(kubeflow.job(), kubeflow.identity()))  # its name is taken: it is read
    platform.find(kubeflow.identity())
    platform.explain(ref)
    platform.cancel(ref)
    asked = set(kubeflow.server.calls) | {"watch sparkapplications", "watch pods"}  # tests of the feed count these
    assert asked == documented
    assert (KUBEFLOW, NAMESPACE, ref.path[1]) in kubeflow.cluster.objects
