"""Sending a SparkApplication: exactly once, and every refusal in one line that says what to do."""

from dataclasses import replace

import pytest

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.kubeflow_spark.states import STATES
from airflow_doeks.platforms.patience import Refusal, Time
from tests.fakes.cluster import KUBEFLOW, Refused
from tests.fakes.definitions import folder
from tests.platforms.harness_kubeflow_spark import NAMESPACE, harness

QUOTA = 'sparkapplications "x" is forbidden: exceeded quota: jobs, requested: count/sparkapplications=1, used: 5'
DENIED = 'admission webhook "v.example" denied the request: node selector cannot be defined at both'
NO_WEBHOOK = 'Internal error occurred: failed calling webhook "v.example": connection refused'
COUNTED = (
    'Operation cannot be fulfilled on resourcequotas "jobs": the object has been modified; please apply your changes'
)


@pytest.fixture
def kubeflow(tmp_path):
    """A namespace with the operator."""
    with harness(tmp_path) as made:
        yield made


def submit(kubeflow, **changes):
    """One attempt."""
    platform = kubeflow.platform()
    return platform.submit(platform.render(kubeflow.job(), kubeflow.identity(**changes)))


def test_an_answer_that_is_lost_makes_no_second_job(kubeflow):
    """The connection is cut after the server made the resource: the call is repeated and finds it."""
    kubeflow.server.drops = 1
    ref = submit(kubeflow)
    assert (kubeflow.applications(), kubeflow.platform().observe(ref).state) == (1, JobState.QUEUED)
    assert kubeflow.server.calls["create sparkapplications"] == 2


def test_a_submit_is_one_call(kubeflow):
    """Nothing is asked before or after."""
    submit(kubeflow)
    assert kubeflow.server.calls == {"create sparkapplications": 1}


@pytest.mark.parametrize(("error", "is_retried"), [(OSError("SlowDown"), True), (PermissionError("denied"), False)])
def test_an_event_log_without_a_place_sends_no_job(kubeflow, error, is_retried):
    """Storage that does not answer is worth another try, one that refuses is not; the line says what is missing."""

    class Store:
        def write(self, *_):
            raise error

    platform = kubeflow.platform(event_logs="s3://acme-logs/spark")
    platform.clients = replace(platform.clients, store=lambda *_: Store())
    request = platform.render(kubeflow.job(), kubeflow.identity())
    with pytest.raises(PlatformError, match=f"^s3://acme-logs/spark/{request.name}, the folder of its") as told:
        platform.submit(request)
    assert told.value.retryable is is_retried
    assert kubeflow.applications() == 0


def test_a_name_of_somebody_else_is_left_alone(kubeflow):
    """A resource of that name with other labels is refused with its owner's labels, and not touched."""
    platform = kubeflow.platform()
    request = platform.render(kubeflow.job(), kubeflow.identity())
    metadata = {"name": request.name, "labels": {"owner": "marketing"}, "managedFields": [{"manager": "kubectl"}]}
    before = kubeflow.cluster.create(KUBEFLOW, NAMESPACE, {"metadata": metadata, "spec": {}})
    with pytest.raises(
        PlatformError, match=r"not of this task \(owner=marketing, made by kubectl\).*left alone"
    ) as told:
        platform.submit(request)
    assert not told.value.retryable
    assert kubeflow.cluster.get(KUBEFLOW, NAMESPACE, request.name) == before


@pytest.mark.parametrize(
    ("refused", "kind", "advice"),
    [
        (Refused(403, "Forbidden", QUOTA), "quota", "Wait for other jobs to end"),
        (Refused(403, "Forbidden", DENIED), "refused", "says what to change in the job"),
        (Refused(400, "BadRequest", DENIED), "refused", "denied the request: node selector"),
        (Refused(422, "Invalid", "spec.mode: Unsupported value"), "refused", "spec.mode: Unsupported value"),
    ],
)
def test_a_refusal_is_one_line(kubeflow, refused, kind, advice):
    """Quota, webhook and definition refuse in their own words, with what to do; a quota has room again later."""
    kubeflow.server.refusals = [refused]
    with pytest.raises(Refusal) as told:
        submit(kubeflow)
    assert (told.value.kind, told.value.retryable) == (kind, kind == "quota")
    assert kubeflow.server.calls == {"create sparkapplications": 1}
    assert refused.message in str(told.value)
    assert advice in str(told.value)
    assert "\n" not in str(told.value)


def test_a_webhook_that_is_away_is_waited_for(kubeflow):
    """A webhook that does not answer for a moment costs a second call."""
    kubeflow.server.refusals = [Refused(500, "InternalError", NO_WEBHOOK)]
    submit(kubeflow)
    assert kubeflow.server.calls["create sparkapplications"] == 2


def test_a_quota_that_counts_another_job_at_the_same_moment_is_no_taken_name(kubeflow):
    """Many jobs start at once in a namespace with a quota: a 409 of the quota made nothing, and costs a second call."""
    kubeflow.server.refusals = [Refused(409, "Conflict", COUNTED)]
    submit(kubeflow)
    assert kubeflow.applications() == 1
    assert kubeflow.server.calls == {"create sparkapplications": 2}


def test_a_missing_right_names_the_verb(kubeflow):
    """Without `create` the message names verb, resource, namespace and where the Role stands."""
    kubeflow.server.denied = {"create sparkapplications"}
    with pytest.raises(Refusal, match=r'cannot create resource "sparkapplications".*"sales".*docs/platforms.md'):
        submit(kubeflow)


def test_an_operator_that_is_not_installed_is_told(kubeflow):
    """Without the definition the server knows no such path."""
    kubeflow.cluster.resources = ()
    with pytest.raises(Refusal, match="The operator is not installed here"):
        submit(kubeflow)


def test_every_fault_of_a_resource_comes_at_once(kubeflow):
    """The server holds the request against the definition: unknown fields and wrong values in one message."""
    if folder() is None:
        pytest.skip("DOEKS_SHARED names no folder with definitions (crds/)")
    platform = kubeflow.platform()
    request = platform.render(kubeflow.job(), kubeflow.identity())
    request.body["resource"]["spec"] |= {"modee": "cluster", "type": "Cobol"}
    with pytest.raises(Refusal) as told:
        platform.submit(request)
    assert "modee" in str(told.value)
    assert "Cobol" in str(told.value)
    assert kubeflow.applications() == 0


@pytest.mark.parametrize("word", [word for word in STATES if word])
def test_every_word_of_the_operator(kubeflow, word):
    """Each of the operator's words is one of ours; only COMPLETED and FAILED end a job."""
    ref = submit(kubeflow)
    kubeflow.move(ref, word)
    status = kubeflow.platform().observe(ref)
    assert (status.state, status.native_state) == (STATES[word], word)
    assert status.state.is_terminal is (word in ("COMPLETED", "FAILED"))


def test_a_word_nobody_knows_is_running(kubeflow, caplog):
    """A state of a newer operator is still running, with one warning."""
    ref = submit(kubeflow)
    kubeflow.move(ref, "HIBERNATING")
    states = {kubeflow.platform().observe(ref).state for _ in range(3)}
    assert states == {JobState.RUNNING}
    told = [record.message for record in caplog.records if "HIBERNATING" in record.message]
    assert len(told) == 1
    assert "taken as still running" in told[0]


def test_a_resource_of_the_same_name_made_anew_is_another_job(kubeflow):
    """A ref names one resource by its uid: what somebody made later under its name is not the job."""
    ref = submit(kubeflow)
    kubeflow.lose(ref)
    metadata = {"name": ref.path[1], "labels": {}}
    kubeflow.cluster.create(KUBEFLOW, NAMESPACE, {"metadata": metadata, "spec": {}})
    assert kubeflow.platform().observe(ref).state is JobState.LOST
    kubeflow.platform().cancel(ref)
    assert (KUBEFLOW, NAMESPACE, ref.path[1]) in kubeflow.cluster.objects


def test_every_page_of_a_list_is_read(kubeflow, monkeypatch):
    """The jobs of earlier tries and all that live are found, however many objects a page holds."""
    monkeypatch.setattr("airflow_doeks.platforms.kubernetes.calls.PAGE_ITEMS", 1)
    refs = {submit(kubeflow, attempt_id=f"try-{number}") for number in range(3)}
    kubeflow.server.calls.clear()
    platform, identity = kubeflow.platform(), kubeflow.identity()
    assert {status.ref for status in platform.find(identity)} == refs
    assert {status.ref for status in platform.living(identity.instance)} == refs
    assert kubeflow.server.calls == {"list sparkapplications": 6}


def test_a_note_that_is_not_taken_holds_up_no_cancel(kubeflow):
    """A webhook or a limit may hold back events alone: a job is deleted within seconds all the same."""
    moment = [0.0]
    kubeflow.clock = Time(monotonic=lambda: moment[0], sleep=lambda seconds: moment.__setitem__(0, moment[0] + seconds))
    ref = submit(kubeflow)
    kubeflow.until_running(ref)
    kubeflow.server.away = {"create events"}
    kubeflow.platform().cancel(ref)
    assert "deletionTimestamp" in kubeflow.cluster.get(KUBEFLOW, NAMESPACE, ref.path[1])["metadata"]
    assert moment[0] <= 10
