"""Streams on a fake API server: one resource a task, whoever deploys it and however often; never an unasked stop."""

import json
import threading
from datetime import datetime, timedelta, timezone

import pytest

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.apache_flink.savepoints import POLL_SECONDS
from airflow_doeks.platforms.flink.operator import SAVED
from airflow_doeks.platforms.patience import Time
from tests.fakes.cluster import EVENTS, FLINK, Resource
from tests.platforms.harness_apache_flink import JOB_ID, NAMESPACE, harness

STREAM = {"mode": "streaming", "jar": "local:///opt/clicks.jar"}
SNAPSHOTS = Resource("flink.apache.org", "v1beta1", "flinkstatesnapshots", "FlinkStateSnapshot")


@pytest.fixture
def flink(tmp_path):
    """A namespace with an operator before 1.10."""
    with harness(tmp_path) as made:
        yield made


def deploy(flink, identity=None, **changes):
    """One attempt of the deploying task."""
    platform = flink.platform()
    return platform.submit(platform.render(flink.job(**STREAM | changes), identity or flink.identity()))


def act(flink, kind, **changes):
    """The request of a task that does something to the stream of task `clean`."""
    return flink.platform().render(flink.job(jar=None, **{kind: "clean"}), flink.identity(task_id="act", **changes))


def resource(flink, ref):
    """What the API server has."""
    return flink.cluster.get(FLINK, NAMESPACE, ref.path[1])


def stopped(flink, ref, path="s3://acme-state/savepoint-1"):
    """The operator suspended it."""
    flink.move(ref, "SUSPENDED", "FINISHED", "MISSING", savepointInfo={"lastSavepoint": {"location": path}})


def sent(flink):
    """Calls that change something."""
    return {
        call: count for call, count in flink.server.calls.items() if call.split()[0] not in ("get", "list", "watch")
    }


def test_a_stream_has_one_resource_whatever_the_run(flink):
    """Runs, tries and clears of a task, two of them at once, deploy one resource, and equal work sends nothing more."""
    ref = deploy(flink)
    flink.until_running(ref)
    again = [flink.identity(run_id="other"), flink.identity(try_number=2), flink.identity(instance="prod")]
    refs = []
    threads = [threading.Thread(target=lambda one=one: refs.append(deploy(flink, one))) for one in again]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(refs) == {ref}
    assert flink.applications() == 1
    assert sent(flink) == {"patch flinkdeployments": 1}
    assert deploy(flink, flink.identity(task_id="other")) != ref


def test_a_changed_stream_is_sent_whole_to_the_same_resource(flink):
    """A change is applied to the resource; what the new spec leaves out is gone, its upgrade is the one asked for."""
    ref = deploy(flink, args=["--old"], upgrade="last-state")
    flink.until_running(ref)
    assert deploy(flink, flink.identity(run_id="next"), parallelism=2) == ref
    spec = resource(flink, ref)["spec"]
    assert spec["job"] == {
        "jarURI": "local:///opt/clicks.jar",
        "parallelism": 2,
        "state": "running",
        "upgradeMode": "savepoint",
    }
    status = flink.platform().observe(ref)
    assert (status.state, status.is_well) == (JobState.RUNNING, False)  # it is the old spec that runs well
    flink.move(ref, "UPGRADING", "FINISHED", "MISSING")
    assert flink.platform().observe(ref).state is JobState.QUEUED
    flink.move(ref, "STABLE", "RUNNING", "READY")
    assert flink.platform().observe(ref).is_well
    assert flink.platform().observe(ref).tags["airflow-doeks/run"] == "next"


def test_pods_of_a_stream_carry_no_key_of_a_run(flink):
    """A run that deploys equal work replaces no pod: labels of pods are the task's alone."""
    first = flink.platform().render(flink.job(**STREAM), flink.identity())
    other = flink.platform().render(flink.job(**STREAM), flink.identity(run_id="other", try_number=3))
    assert first.body["resource"]["spec"] == other.body["resource"]["spec"]
    assert first.name == other.name


def test_a_long_name_is_one_that_the_operator_takes(flink):
    """A FlinkDeployment has at most 45 characters; a stream has one name for who deploys, saves and stops it."""
    long = {"dag_id": "analytics.customer_lifetime", "task_id": "value"}
    identity, other = flink.identity(**long), flink.identity(**long | {"task_id": "act"})
    ref = deploy(flink, identity)
    assert ref.path[1] == f"analytics-customer-lifetime-valu-{identity.lasting_key[:12]}"
    assert len(ref.path[1]) == 45
    platform = flink.platform()
    for kind in ("stop", "savepoint"):
        request = platform.render(flink.job(jar=None, **{kind: "value"}), other)
        assert request.body[kind]["name"] == ref.path[1]
    bounded = platform.render(flink.job(), identity)
    assert bounded.name == bounded.body["resource"]["metadata"]["name"]
    assert (len(bounded.name), bounded.name.endswith(f"-{identity.token[:12]}")) == (45, True)


def test_an_answer_that_is_lost_changes_nothing_twice(flink):
    """The connection is cut after the server applied: the call is repeated and one resource is there."""
    flink.server.drops = 1
    ref = deploy(flink)
    assert (flink.applications(), resource(flink, ref)["metadata"]["generation"]) == (1, 1)


def test_the_resource_of_somebody_else_is_left_alone(flink):
    """A resource of that name with other labels is refused and not touched."""
    ref = deploy(flink)
    flink.cluster.update(FLINK, NAMESPACE, ref.path[1], {"metadata": {"labels": {"airflow-doeks/instance": "staging"}}})
    before = resource(flink, ref)
    with pytest.raises(PlatformError, match=r"not of this task.*left alone"):
        deploy(flink, parallelism=3)
    with pytest.raises(PlatformError, match="not of this task"):
        flink.platform().submit(act(flink, "stop"))
    assert resource(flink, ref) == before


def test_a_stop_suspends_with_a_savepoint_that_it_names(flink):
    """Stop asks for a savepoint; its path is in the status, the stream is ended, and a second stop changes nothing."""
    ref = deploy(flink, upgrade="last-state")
    flink.until_running(ref)
    assert flink.platform().submit(act(flink, "stop")) == ref
    job = resource(flink, ref)["spec"]["job"]
    assert (job["state"], job["upgradeMode"]) == ("suspended", "savepoint")
    assert not flink.platform().observe(ref).state.is_terminal  # not before the operator did it
    stopped(flink, ref)
    status = flink.platform().observe(ref)
    assert (status.state, status.savepoint) == (JobState.SUCCEEDED, "s3://acme-state/savepoint-1")
    assert flink.platform().submit(act(flink, "stop", try_number=2)) == ref
    assert flink.server.calls["patch flinkdeployments"] == 2
    assert [*flink.platform().living("prod")] == []


def test_a_stopped_stream_is_resumed_by_its_task(flink):
    """Deploying equal work again after a stop lets it run on, from the state that the stop saved."""
    ref = deploy(flink)
    flink.until_running(ref)
    flink.platform().submit(act(flink, "stop"))
    stopped(flink, ref)
    assert deploy(flink) == ref
    assert resource(flink, ref)["spec"]["job"]["state"] == "running"
    assert flink.platform().observe(ref).state is JobState.QUEUED  # the stop's end is none of this


def test_what_was_never_deployed_cannot_be_stopped(flink):
    """Stop of a stream that is not there names it."""
    with pytest.raises(PlatformError, match=r"there is no stream .*has not run here"):
        flink.platform().submit(act(flink, "stop"))


def test_a_stop_that_could_save_nothing_is_refused_first(flink):
    """Without a folder of savepoints the operator would refuse later and in silence."""
    flink.entry = {"state": None}
    deploy(flink, upgrade="stateless")
    with pytest.raises(PlatformError, match="no folder of savepoints"):
        flink.platform().submit(act(flink, "stop"))


def test_a_stream_that_died_is_sent_again(flink):
    """Equal work is sent once more, as a restart, where the job came to an end that nobody asked for."""
    ref = deploy(flink)
    flink.until_running(ref)
    flink.fail(ref, "")
    assert deploy(flink) == ref
    assert resource(flink, ref)["spec"]["restartNonce"] > 0
    assert flink.platform().observe(ref).state is JobState.QUEUED


def test_a_cancel_never_deletes_a_stream(flink):
    """A stream that runs is left alone by a time-out of its task; one that does not is suspended, state kept."""
    ref = deploy(flink)
    flink.until_running(ref)
    flink.platform().cancel(ref)
    assert resource(flink, ref)["spec"]["job"]["state"] == "running"
    flink.move(ref, "DEPLOYED", "RECONCILING", "ERROR", "image pull failed")
    flink.platform().cancel(ref)
    job = resource(flink, ref)["spec"]["job"]
    assert (job["state"], job["upgradeMode"]) == ("suspended", "last-state")
    stopped(flink, ref)  # what the operator says, though the new version never ran
    status = flink.platform().observe(ref)
    assert (status.state, status.savepoint) == (JobState.CANCELLED, "s3://acme-state/savepoint-1")
    assert status.reason.startswith("it did not come up and was suspended; its state is in s3://")
    deploy(flink)
    flink.move(ref, "STABLE", "RUNNING", "READY")
    assert flink.platform().observe(ref).is_well


def test_a_stream_that_comes_up_while_it_is_explained_is_left(flink):
    """What is suspended is what was looked at last: explaining takes seconds, in which an operator goes on."""
    ref = deploy(flink)
    flink.move(ref, "DEPLOYED", "RECONCILING", "ERROR", "image pull failed")
    looks = []

    def come_up():
        looks.append(flink.move(ref, "STABLE", "RUNNING", "READY"))
        return datetime.now(timezone.utc)

    flink.clock = Time(now=come_up)
    flink.platform().cancel(ref)
    assert looks
    assert resource(flink, ref)["spec"]["job"]["state"] == "running"


def test_a_version_that_never_ran_and_cannot_be_suspended_is_let_go(flink):
    """Operator 1.7 waits for ever for state that a version has not that could not start from a savepoint.

    It is ended without, its pods go, and the next deployment starts from the savepoint of the version before.
    """
    ref = deploy(flink)
    flink.until_running(ref)
    deploy(flink, args=["--incompatible"])
    path = "s3://acme-state/savepoint-1"
    flink.move(ref, "DEPLOYED", "INITIALIZING", "READY", savepointInfo={"lastSavepoint": {"location": path}})
    seconds = iter(range(0, 100, 20))
    flink.clock = Time(sleep=lambda _: None, monotonic=lambda: next(seconds))
    for jobs, how in (([{"state": "RUNNING"}], "last-state"), ([], "stateless")):  # what runs is never let go
        flink.server.proxied[f"{ref.path[1]}-rest/jobs/overview"] = {"jobs": jobs}
        seconds = iter(range(0, 10_000, 20))
        flink.platform().cancel(ref)
        job = resource(flink, ref)["spec"]["job"]
        assert (job["state"], job["upgradeMode"]) == ("suspended", how)
        flink.move(ref, "DEPLOYED", "INITIALIZING", "READY", savepointInfo={"lastSavepoint": {"location": path}})
    flink.move(ref, "SUSPENDED", "FINISHED", "MISSING")
    assert flink.platform().observe(ref).savepoint == path
    assert deploy(flink) == ref
    job = resource(flink, ref)["spec"]["job"]
    assert (job["initialSavepointPath"], job["state"], job["upgradeMode"]) == (path, "running", "savepoint")
    flink.move(ref, "STABLE", "RUNNING", "READY")
    calls = sent(flink)
    assert deploy(flink) == ref
    assert sent(flink) == calls


@pytest.mark.parametrize("upgrade", ["savepoint", "stateless"])
def test_a_version_without_high_availability_that_never_came_up_loses_no_state(flink, upgrade):
    """Only a stateless stop ends it, after which the operator starts it empty: it goes on from the last savepoint.

    Not where its task says that this version takes no state.
    """
    flink.entry = {"state": None}
    ref = deploy(flink, state={"savepoints": "s3://acme-state/"})
    flink.until_running(ref)
    deploy(flink, state={"savepoints": "s3://acme-state/"}, upgrade=upgrade, args=["--of-no-image"])
    path = "s3://acme-state/savepoint-1"
    flink.move(ref, "DEPLOYED", "RECONCILING", "ERROR", "pull", savepointInfo={"lastSavepoint": {"location": path}})
    seconds = iter(range(0, 10_000, 20))
    flink.clock = Time(sleep=lambda _: None, monotonic=lambda: next(seconds))
    flink.platform().cancel(ref)
    job = resource(flink, ref)["spec"]["job"]
    assert (job["state"], job["upgradeMode"]) == ("suspended", "stateless")
    flink.move(ref, "SUSPENDED", "FINISHED", "MISSING", savepointInfo={"lastSavepoint": {"location": path}})
    deploy(flink, state={"savepoints": "s3://acme-state/"})
    job = resource(flink, ref)["spec"]["job"]
    assert (job["state"], job.get("initialSavepointPath")) == ("running", path if upgrade == "savepoint" else None)


def test_a_stream_that_was_let_go_starts_empty_where_its_task_says_so(flink):
    """`upgrade: stateless` is how one goes on whose new version takes no state of the one before."""
    ref = deploy(flink)
    saved = {
        "metadata": {"annotations": {SAVED: "s3://acme-state/savepoint-1"}},
        "spec": {"job": {"state": "suspended"}},
    }
    flink.cluster.update(FLINK, NAMESPACE, ref.path[1], saved)
    deploy(flink, upgrade="stateless")
    job = resource(flink, ref)["spec"]["job"]
    assert (job["state"], job["upgradeMode"], job.get("initialSavepointPath")) == ("running", "stateless", None)
    assert not resource(flink, ref)["metadata"]["annotations"][SAVED]


@pytest.mark.parametrize(("then", "path"), [("savepoint-0", "savepoint-1"), ("savepoint-7", "savepoint-7")])
def test_a_stream_that_was_let_go_goes_on_also_where_its_task_says_from(flink, then, path):
    """Where it began once is older than what it saved since; another place is what its task wants now."""
    ref = deploy(flink, **{"from": "s3://acme-state/savepoint-0"})
    saved = {
        "metadata": {"annotations": {SAVED: "s3://acme-state/savepoint-1"}},
        "spec": {"job": {"state": "suspended"}},
    }
    flink.cluster.update(FLINK, NAMESPACE, ref.path[1], saved)
    deploy(flink, **{"from": f"s3://acme-state/{then}"})
    assert resource(flink, ref)["spec"]["job"]["initialSavepointPath"] == f"s3://acme-state/{path}"


def test_a_version_whose_pods_never_ran_is_let_go_once_the_operator_says_so(flink):
    """No job manager answers; the operator's own event, of after the stop was asked for, is what tells."""
    ref = deploy(flink)
    flink.until_running(ref)
    deploy(flink, image="acme/none:1.20")
    saved_in = {"savepointInfo": {"lastSavepoint": {"location": "s3://acme-state/savepoint-1"}}}
    flink.move(ref, "DEPLOYED", "RECONCILING", "ERROR", "ErrImagePull", **saved_in)
    about = {"kind": "FlinkDeployment", "name": ref.path[1], "uid": ref.path[2], "namespace": NAMESPACE}
    text = "JobManager deployment is missing and HA data is not available to make stateful upgrades."
    event = {"metadata": {"generateName": "x"}, "involvedObject": about, "reason": "UpgradeFailed", "message": text}
    for later, how in ((-3600, "last-state"), (3600, "stateless")):
        seconds = iter(range(0, 10_000, 20))
        now = flink.cluster.now
        flink.clock = Time(sleep=lambda _: None, monotonic=lambda: next(seconds), now=lambda: now)  # noqa: B023
        at = (now + timedelta(seconds=later)).isoformat()
        flink.cluster.create(EVENTS, NAMESPACE, event | {"lastTimestamp": at})
        flink.platform().cancel(ref)
        assert resource(flink, ref)["spec"]["job"]["upgradeMode"] == how
        flink.move(ref, "DEPLOYED", "RECONCILING", "ERROR", "ErrImagePull", **saved_in)


def test_a_change_that_no_operator_takes_up_stops_nothing(flink):
    """The operator is away: what ran before runs on, whatever times out, and the change waits for it.

    What the operator failed at is told.
    """
    ref = deploy(flink)
    flink.until_running(ref)
    deploy(flink, parallelism=2)
    before = resource(flink, ref)
    flink.platform().cancel(ref)
    assert resource(flink, ref) == before
    status = flink.platform().observe(ref)
    assert (status.state, status.is_well) == (JobState.RUNNING, False)
    assert status.reason == "the operator has not taken up the change yet"
    text = {"type": "x.StopWithSavepointException", "message": "IO-problem detected."}
    flink.cluster.update(FLINK, NAMESPACE, ref.path[1], {"status": {"error": json.dumps(text)}})
    assert flink.platform().observe(ref).reason.endswith("yet: StopWithSavepointException: IO-problem detected.")


def test_a_bounded_job_of_the_same_task_is_found_beside_its_stream(flink):
    """`find` tells jobs of the attempt's run and the task's stream."""
    ref = deploy(flink)
    platform = flink.platform()
    bounded = platform.submit(platform.render(flink.job(), flink.identity()))
    assert {status.ref for status in platform.find(flink.identity(try_number=2))} == {ref, bounded}
    assert [status.ref for status in platform.find(flink.identity(run_id="other"))] == [ref]


def test_an_older_operator_starts_from_a_savepoint_what_was_stopped(flink):
    """Where no redeploy is known a running stream is refused with what to do, a stopped one is made anew."""
    ref = deploy(flink)
    flink.until_running(ref)
    start = {"from": "s3://acme-state/savepoint-1"}
    flink.server.unknown_fields.add("savepointRedeployNonce")
    with pytest.raises(PlatformError, match="Stop the stream with a task"):
        deploy(flink, **start)
    flink.platform().submit(act(flink, "stop"))
    stopped(flink, ref)
    flink.cluster.holds_deletion = False
    made = deploy(flink, **start)
    assert made != ref
    assert resource(flink, made)["spec"]["job"]["initialSavepointPath"] == "s3://acme-state/savepoint-1"
    assert deploy(flink, **start) == made


def test_a_newer_operator_redeploys_from_a_savepoint(flink):
    """A stream is started from another savepoint in place."""
    ref = deploy(flink)
    flink.until_running(ref)
    assert deploy(flink, **{"from": "s3://acme-state/savepoint-1"}) == ref
    job = resource(flink, ref)["spec"]["job"]
    assert (job["initialSavepointPath"], job["savepointRedeployNonce"] > 0) == ("s3://acme-state/savepoint-1", True)


def saved(flink, request, then):
    """The path that a savepoint task gives; ``then`` plays the operator once it was asked."""
    flink.clock = Time(sleep=lambda seconds: then() if seconds == POLL_SECONDS else None)
    return flink.platform().save(request, 60)


def test_a_savepoint_by_a_number_in_the_spec(flink):
    """Older operators: the savepoint of our number is the one that is returned, and asking again takes no second."""
    ref = deploy(flink)
    flink.until_running(ref)
    request = act(flink, "savepoint")

    def operator():
        nonce = resource(flink, ref)["spec"]["job"]["savepointTriggerNonce"]
        info = {"lastSavepoint": {"location": "s3://acme-state/savepoint-2", "triggerNonce": nonce}}
        flink.move(ref, "STABLE", "RUNNING", "READY", savepointInfo=info)

    assert saved(flink, request, operator) == "s3://acme-state/savepoint-2"
    generation = resource(flink, ref)["metadata"]["generation"]
    assert saved(flink, request, operator) == "s3://acme-state/savepoint-2"
    assert resource(flink, ref)["metadata"]["generation"] == generation


def test_a_savepoint_that_an_older_operator_tries_for_ever_fails_once(flink):
    """Operator 1.7 repeats a savepoint that fails without an end: its event ends the task, and the wish is taken back.

    The message is the job manager's.
    """
    ref = deploy(flink)
    flink.until_running(ref)
    where = f"{ref.path[1]}-rest/jobs/{JOB_ID}/checkpoints"
    flink.server.proxied[where] = {"latest": {"failed": {"failure_message": "IO-problem detected."}}}

    def operator():
        found = resource(flink, ref)
        about = {
            "kind": "FlinkDeployment",
            "name": ref.path[1],
            "uid": found["metadata"]["uid"],
            "namespace": NAMESPACE,
        }
        nonce = found["spec"]["job"]["savepointTriggerNonce"]
        text = f"Savepoint failed for savepointTriggerNonce: {nonce}"
        event = {
            "metadata": {"generateName": "x"},
            "involvedObject": about,
            "reason": "SavepointError",
            "message": text,
        }
        flink.cluster.create(EVENTS, NAMESPACE, event | {"lastTimestamp": flink.cluster.moment()})

    with pytest.raises(PlatformError, match=r"failed, and the stream runs on: IO-problem detected\.$"):
        saved(flink, act(flink, "savepoint"), operator)
    assert "savepointTriggerNonce" not in {k for k, v in resource(flink, ref)["spec"]["job"].items() if v is not None}


def test_a_status_that_is_written_meanwhile_fails_no_task(flink):
    """An operator writes its status between our look and our word, here twice: the word is said again."""
    ref = deploy(flink)
    flink.until_running(ref)
    flink.server.meanwhile = [
        lambda text=text: flink.cluster.update(FLINK, NAMESPACE, ref.path[1], {"status": {"error": text}})
        for text in ("one", "two")
    ]
    flink.platform().submit(act(flink, "stop"))
    assert resource(flink, ref)["spec"]["job"]["state"] == "suspended"
    assert sent(flink)["patch flinkdeployments"] == 4


def test_a_spec_that_somebody_changes_meanwhile_ends_the_task(flink):
    """What was changed by another hand since it was looked at is not touched."""
    ref = deploy(flink)
    flink.until_running(ref)
    changed = {"spec": {"job": {"parallelism": 7}}}
    flink.server.meanwhile = [lambda: flink.cluster.update(FLINK, NAMESPACE, ref.path[1], changed)]
    with pytest.raises(PlatformError, match="changed by somebody else just now"):
        flink.platform().submit(act(flink, "stop"))
    assert resource(flink, ref)["spec"]["job"].get("state") != "suspended"


def test_a_savepoint_by_a_resource_of_its_own(flink):
    """Newer operators: a FlinkStateSnapshot, one a token, that is not disposed of with its resource."""
    flink.cluster.resources += (SNAPSHOTS,)
    ref = deploy(flink)
    flink.until_running(ref)
    request = act(flink, "savepoint")

    def operator():
        (snapshot,) = flink.cluster.select(SNAPSHOTS, NAMESPACE, {})
        assert snapshot["spec"]["savepoint"]["disposeOnDelete"] is False
        status = {"state": "COMPLETED", "path": "s3://acme-state/savepoint-3"}
        flink.cluster.update(SNAPSHOTS, NAMESPACE, snapshot["metadata"]["name"], {"status": status})

    for _ in range(2):
        assert saved(flink, request, operator) == "s3://acme-state/savepoint-3"
    assert "savepointTriggerNonce" not in resource(flink, ref)["spec"]["job"]


def test_a_savepoint_that_fails_is_told_and_the_stream_runs_on(flink):
    """A snapshot that failed ends the task with the operator's words; the stream is not touched."""
    flink.cluster.resources += (SNAPSHOTS,)
    ref = deploy(flink)
    flink.until_running(ref)

    def operator():
        (snapshot,) = flink.cluster.select(SNAPSHOTS, NAMESPACE, {})
        status = {"state": "FAILED", "error": "the bucket is gone"}
        flink.cluster.update(SNAPSHOTS, NAMESPACE, snapshot["metadata"]["name"], {"status": status})

    with pytest.raises(PlatformError, match="FAILED: the bucket is gone"):
        saved(flink, act(flink, "savepoint"), operator)
    assert flink.platform().observe(ref).is_well
