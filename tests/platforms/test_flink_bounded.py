"""What is kept of a bounded Flink job after its end, and what goes when its record is written."""

from datetime import timedelta

import pytest

from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.flink import FlinkJob
from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.apache_flink.checks import SIZES, check_job
from airflow_doeks.platforms.apache_flink.config import Config
from airflow_doeks.platforms.kubernetes import resources
from tests.fakes.cluster import FLINK
from tests.platforms.harness_apache_flink import JOB_ID, NAMESPACE, harness


@pytest.fixture
def flink(tmp_path, monkeypatch):
    """A namespace with the operator, that was not swept yet."""
    monkeypatch.setattr(resources, "_swept", {})
    with harness(tmp_path) as made:
        yield made


def ended(flink, **identity):
    """A job that FINISHED."""
    platform = flink.platform()
    ref = platform.submit(platform.render(flink.job(), flink.identity(**identity)))
    flink.until_running(ref)
    flink.succeed(ref)
    return ref


def conf(flink, ref):
    """The Flink properties of a resource."""
    return flink.cluster.get(FLINK, NAMESPACE, ref.path[1])["spec"]["flinkConfiguration"]


def test_an_ended_jobs_manager_goes_when_its_record_is_written(flink):
    """Suspended, it has no pods and never runs again; its end is noted and stays; asking again is no call."""
    ref = ended(flink)
    before = flink.platform().observe(ref)
    for _ in range(2):
        flink.platform().release(ref)
    assert flink.server.calls["patch flinkdeployments"] == 1
    assert flink.cluster.get(FLINK, NAMESPACE, ref.path[1])["spec"]["job"]["state"] == "suspended"
    flink.move(ref, "SUSPENDED", "SUSPENDED", "MISSING")
    after = flink.platform().observe(ref)
    assert (after.state, after.ended) == (JobState.SUCCEEDED, before.ended)


def test_no_operator_runs_an_ended_job_again(flink):
    """A job manager that is removed after the end is not brought back, nor is it removed by the operator itself."""
    properties = conf(flink, ended(flink))
    assert properties["kubernetes.operator.jm-deployment-recovery.enabled"] == "false"
    assert properties["kubernetes.operator.jm-deployment.shutdown-ttl"] == "3650 d"


def test_a_job_that_lives_is_not_released(flink):
    """Neither a running job nor a stream is touched."""
    platform = flink.platform()
    for job in (flink.job(), flink.job(mode="streaming")):
        ref = platform.submit(platform.render(job, flink.identity()))
        flink.until_running(ref)
        before = flink.cluster.get(FLINK, NAMESPACE, ref.path[1])
        platform.release(ref)
        assert flink.cluster.get(FLINK, NAMESPACE, ref.path[1]) == before


def test_resources_that_ended_a_day_ago_are_removed(flink):
    """Operators know no time-to-live: who releases a job removes what ended long ago, never a stream or another's."""
    old, other = ended(flink), ended(flink, instance="staging")
    platform = flink.platform()
    stream = platform.submit(platform.render(flink.job(mode="streaming"), flink.identity()))
    flink.until_running(stream)
    flink.move(stream, "SUSPENDED", "FINISHED", "MISSING")
    flink.cluster.now += timedelta(days=2)
    new = ended(flink, try_number=2)
    flink.clock = type(flink.clock)(now=lambda: flink.cluster.now, sleep=lambda _: None)
    flink.platform().release(new)
    left = {key[2] for key in flink.cluster.objects if key[0] == FLINK}
    assert left == {ref.path[1] for ref in (other, stream, new)}
    assert old.path[1] not in left


def test_pods_that_may_not_be_listed_hide_no_archive(flink):
    """What is left of an ended job is found without a right to pods; a stream's pods are not taken for gone."""
    ref = ended(flink)
    platform = flink.platform()
    stream = platform.submit(platform.render(flink.job(mode="streaming"), flink.identity()))
    flink.server.denied = {"list pods"}
    telemetry = platform.telemetry(ref)
    assert (telemetry.event_log, telemetry.why) == (
        f"s3://acme-state/archives/{ref.path[1]}",
        ("its pods may not be listed",),
    )
    with pytest.raises(PlatformError, match='cannot list resource "pods"'):
        platform.telemetry(stream)


def test_completed_checkpoints_are_the_job_managers_count(flink):
    """What a sensor waits for."""
    ref = ended(flink)
    where = f"{ref.path[1]}-rest/jobs/{JOB_ID}/checkpoints"
    flink.server.proxied[where] = {"counts": {"completed": 3, "restored": 0}}
    assert flink.platform().checkpoints(ref) == 3


PLAN = {"nodes": [{"id": "in"}, {"id": "out", "inputs": [{"id": "in"}]}]}
VERTICES = [
    {
        "id": "in",
        "metrics": {
            "read-records": 0,
            "read-records-complete": True,
            "write-records": 9,
            "write-records-complete": True,
        },
    },
    {"id": "out", "metrics": {"read-records": 8, "read-records-complete": True}},
]


def test_a_stream_tells_how_its_job_does(flink):
    """Checkpoints, restarts, records of sources and sinks, and how far its sources are behind, where they tell."""
    platform = flink.platform()
    ref = platform.submit(platform.render(flink.job(mode="streaming"), flink.identity()))
    assert platform.inner_jobs(ref) == ()
    flink.until_running(ref)
    jobs = f"{ref.path[1]}-rest/jobs/{JOB_ID}"
    latest = {"completed": {"end_to_end_duration": 120, "state_size": 4096}}
    metrics = f"{jobs}/vertices/in/subtasks/metrics"
    flink.server.proxied |= {
        jobs: {
            "jid": JOB_ID,
            "name": "clicks",
            "state": "RUNNING",
            "duration": 5000,
            "plan": PLAN,
            "vertices": VERTICES,
        },
        f"{jobs}/checkpoints": {"counts": {"completed": 3, "restored": 1}, "latest": latest},
        metrics: [{"id": "Source__clicks.pendingRecords", "sum": 70.0}, {"id": "busyTimeMsPerSecond"}],
    }
    (told,) = flink.platform().inner_jobs(ref)
    assert told | {"id": "", "name": "", "type": ""} == {
        "id": "", "name": "", "type": "", "state": "RUNNING", "duration_ms": 5000, "restarts": 1, "checkpoints": 3,
        "checkpoint_ms": 120, "checkpoint_bytes": 4096, "records_in": 9, "records_out": 8, "lag_records": 70,
        "lag_ms": None,
    }  # fmt: skip


def test_a_jar_that_old_flink_cannot_fetch_is_refused_first(flink):
    """Flink before 1.19 runs jars of its image or of a folder that pods see; a session cluster fetches any."""
    job = flink.job(jar="s3://acme-code/clean.jar")
    with pytest.raises(SpecError, match=r"jar: Flink 1.18 fetches no jar from s3://.*Flink 1.19 or newer"):
        flink.platform(image="acme/flink:1.18.1").render(job, flink.identity())
    for entry in ({"image": "acme/flink:1.19.0"}, {"image": "acme/flink:1.18.1", "session": "shared"}):
        assert (
            flink.platform(**entry).render(job, flink.identity()).body["resource"]["spec"]["job"]["jarURI"] == job.jar
        )


def test_pods_of_a_session_cluster_and_keys_of_ours_are_not_a_jobs_to_set():
    """What a job asks of its pods is refused where they are there before it, and where it would rename the job."""
    words = {"node_selector": {"pool": "flink"}, "volumes": {"data": {"path": "/data"}}, "service_account": "etl"}
    job = FlinkJob.model_validate({"jar": "s3://acme-code/clean.jar", "labels": {"airflow-doeks/run": "x"}} | words)
    entry = {"type": "apache_flink", "namespace": "sales", "image": "acme/flink:1.20.1"}
    found = {
        session: [one.path for one in check_job(Config.model_validate(entry | {"session": session}), job.plain())]
        for session in (None, "shared")
    }
    assert found[None] == ["labels.airflow-doeks/run"]
    assert found["shared"] == [*found[None], "service_account", "node_selector", "volumes", "labels"]
    shared = Config.model_validate(entry | {"session": "shared"})
    for job, path in (({"jar": "local:///opt/a.jar"}, "jar"), ({"main": "s3://acme-code/a.py"}, "main")):
        assert [one.path for one in check_job(shared, FlinkJob.model_validate(job).plain())] == [path]


def test_sizes_of_a_session_clusters_pods_are_not_a_jobs_to_set():
    """They would be ignored, and `slots` would make 32 task managers one where a policy counts them."""
    assert FlinkJob.model_validate({"jar": "s3://acme-code/a.jar"}).plain().items() >= SIZES.items()
    config = Config.model_validate({"type": "apache_flink", "namespace": "sales", "session": "shared"})
    sizes = {"job_manager": {"memory": "4Gi"}, "task_manager": {"cpu": 2, "slots": 32}}
    job = FlinkJob.model_validate({"jar": "s3://acme-code/a.jar", "parallelism": 32} | sizes)
    paths = [one.path for one in check_job(config, job.plain())]
    assert paths == ["job_manager.memory", "task_manager.cpu", "task_manager.slots"]


def test_jars_that_no_pod_would_get_are_refused():
    """The operator fetches the job's own jar only; others would be missing when the job runs."""
    config = Config.model_validate({"type": "apache_flink", "namespace": "sales", "image": "acme/flink:1.20.1"})
    job = FlinkJob.model_validate({"jar": "s3://acme-code/a.jar", "jars": ["s3://acme-code/kafka.jar"]})
    assert [(one.path, "image" in one.help) for one in check_job(config, job.plain())] == [("jars", True)]


@pytest.mark.parametrize(
    ("job", "paths"),
    [
        ({}, ["state.checkpoints", "state.savepoints"]),
        ({"state": {"savepoints": "s3://acme-state/"}}, ["state.checkpoints"]),  # the operator wants both for it
        ({"upgrade": "last-state"}, ["state.checkpoints"]),
        ({"upgrade": "stateless"}, []),
        ({"conf": {"state.checkpoints.dir": "s3://a/c", "execution.checkpointing.savepoint-dir": "s3://a/s"}}, []),
    ],
)
def test_folders_that_the_operator_asks_of_an_upgrade_are_asked_first(job, paths):
    """It would refuse the stream once it is sent, and the task would wait for it in vain."""
    config = Config.model_validate({"type": "apache_flink", "namespace": "sales", "image": "acme/flink:1.20.1"})
    found = check_job(config, FlinkJob.model_validate({"jar": "local:///a.jar", "mode": "streaming"} | job).plain())
    assert [one.path for one in found] == paths
