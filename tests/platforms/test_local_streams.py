"""Streams on this machine: one directory a task, whoever deploys it and however often; Java is a stand-in."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.flink import FlinkJob
from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.local import streams
from airflow_doeks.platforms.local.platform import Platform
from airflow_doeks.platforms.protocol import saving
from tests.platforms.harness_local import until
from tests.platforms.harness_local_flink import harness as flink_harness


@pytest.fixture
def jobs(tmp_path):
    """A folder of run directories."""
    with flink_harness(tmp_path) as made:
        yield made


def deploy(jobs, *, instance="prod", **changes):
    """Another run of the task deploys its stream; its ref."""
    platform = jobs.platform()
    identity = jobs.identity(instance=instance, run_id=f"run {changes}", attempt_id=f"attempt {changes}")
    return platform.submit(platform.render(jobs.job(mode="streaming", **changes), identity))


def act(jobs, **what):
    """The request of a task that stops or saves the stream."""
    return jobs.platform().render(FlinkJob.model_validate(what), jobs.identity(task_id="other", attempt_id="other"))


def says(jobs, ref, word):
    """Let Flink say this of the job."""
    (jobs.run(ref) / "job.json").write_text(json.dumps({"id": "1", "state": word}))


def answer(jobs, ref, **told):
    """Answer the savepoint that is asked for, as the owner of the processes does, and end the job if it is to stop."""
    until(lambda: list(jobs.run(ref).glob("ask-*.json")))
    (asked,) = jobs.run(ref).glob("ask-*.json")
    is_stop = json.loads(asked.read_text())["stop"]
    asked.unlink()
    if told.get("location"):
        (jobs.run(ref) / "savepoint.json").write_text(json.dumps(told))
    (jobs.run(ref) / asked.name.replace("ask-", "answer-")).write_text(json.dumps(told))
    if is_stop and told.get("location"):
        jobs.end(ref, 0)


def test_a_sensor_can_wait_for_its_checkpoints(jobs):
    """Those that Flink counted since it was started last; none before it tells."""
    ref = deploy(jobs)
    jobs.until_running(ref)
    assert saving(jobs.platform()).checkpoints(ref) == 0
    (jobs.run(ref) / "job.json").write_text(json.dumps({"id": "1", "state": "RUNNING", "checkpoints": 7}))
    assert saving(jobs.platform()).checkpoints(ref) == 7
    assert jobs.platform().links(ref)["Flink UI"].startswith("http://localhost:")


def test_many_runs_deploy_one_stream(jobs):
    """Four tasks at the same moment, and one later, start one application, which all of them name."""
    with ThreadPoolExecutor(4) as pool:
        refs = set(pool.map(lambda _: deploy(jobs), range(4)))
    (ref,) = refs
    jobs.until_running(ref)
    assert deploy(jobs) == ref
    assert jobs.applications() == 1


def test_a_jar_that_was_built_anew_is_a_change(jobs, tmp_path):
    """Its path is the same and its content is not: the stream goes on with the new one."""
    jar = tmp_path / "a.jar"
    jar.write_text("one")
    ref = deploy(jobs, jar=str(jar), upgrade="stateless")
    jobs.until_running(ref)
    deploy(jobs, jar=str(jar), upgrade="stateless")
    assert jobs.applications() == 1
    jar.write_text("two")
    deploy(jobs, jar=str(jar), upgrade="stateless")
    jobs.until_running(ref)
    assert jobs.applications() == 2


def test_it_is_up_when_flink_says_so(jobs):
    """A cluster that runs is not yet a job that does, and one that restarts is not well."""
    ref = deploy(jobs)
    jobs.until_running(ref)
    assert jobs.platform().observe(ref).state is JobState.STARTING
    says(jobs, ref, "RUNNING")
    assert (jobs.platform().observe(ref).state, jobs.platform().observe(ref).is_well) == (JobState.RUNNING, True)
    says(jobs, ref, "RESTARTING")
    status = jobs.platform().observe(ref)
    assert (status.state, status.is_well, status.reason) == (JobState.RUNNING, False, "its job is restarting")


def test_a_changed_stream_goes_on_from_its_savepoint(jobs):
    """The old job stops with a savepoint, the new one starts from it under the same ref; both are paid for."""
    ref = deploy(jobs)
    jobs.until_running(ref)
    with ThreadPoolExecutor(1) as pool:
        changed = pool.submit(deploy, jobs, args=["new"])
        answer(jobs, ref, location="file:///state/savepoint-1")
        assert changed.result() == ref
    jobs.until_running(ref)
    request = json.loads((jobs.run(ref) / "request.json").read_text())
    words = request["launch"]["cluster"]["main"]
    assert words[words.index("--fromSavepoint") + 1] == "file:///state/savepoint-1"
    assert jobs.applications() == 2
    roles = [pod.role for pod in jobs.platform().telemetry(ref).pods]
    assert sorted(roles) == ["jobmanager", "jobmanager", "taskmanager", "taskmanager"]
    assert jobs.platform().observe(ref).changed > jobs.platform().observe(ref).submitted


def test_a_savepoint_that_fails_leaves_the_old_job(jobs):
    """Nothing was stopped, and the task says why."""
    ref = deploy(jobs)
    jobs.until_running(ref)
    with ThreadPoolExecutor(1) as pool:
        changed = pool.submit(deploy, jobs, args=["new"])
        answer(jobs, ref, error="No space left on device")
        with pytest.raises(PlatformError, match=r"the stream runs on: No space left on device$"):
            changed.result()
    assert not jobs.platform().observe(ref).state.is_terminal
    assert jobs.applications() == 1


def test_a_stream_that_died_goes_on_from_its_last_state(jobs):
    """The newest whole checkpoint or savepoint, none for `stateless`; a checkpoint that is not whole is none."""
    ref = deploy(jobs, upgrade="last-state")
    jobs.until_running(ref)
    state = jobs.local_dir / ".state" / ref.path[0] / "checkpoints" / "f00"
    for name, is_whole in (("chk-1", True), ("chk-2", False)):
        (state / name).mkdir(parents=True)
        if is_whole:
            (state / name / "_metadata").touch()
    jobs.fail(ref, "boom")
    assert deploy(jobs, upgrade="last-state") == ref
    jobs.until_running(ref)
    words = json.loads((jobs.run(ref) / "request.json").read_text())["launch"]["cluster"]["main"]
    assert words[words.index("--fromSavepoint") + 1] == f"file://{state}/chk-1"


def checkpoint(jobs, ref, name):
    """A whole checkpoint that Flink takes now."""
    folder = jobs.local_dir / ".state" / ref.path[0] / "checkpoints" / "f00" / name
    folder.mkdir(parents=True)
    (folder / "_metadata").touch()
    return f"file://{folder}"


def start_of(jobs, ref):
    """The state that what runs now was started with."""
    words = json.loads((jobs.run(ref) / "request.json").read_text())["launch"]["cluster"]["main"]
    return words[words.index("--fromSavepoint") + 1] if "--fromSavepoint" in words else None


def test_a_stream_that_began_anew_never_goes_back_to_what_it_knew_before(jobs):
    """Started without state, or from a path, and dead before its first checkpoint: it starts like that once more."""
    ref = deploy(jobs)
    jobs.until_running(ref)
    checkpoint(jobs, ref, "chk-1")
    jobs.fail(ref, "boom")
    starts = []
    for anew, path in (({"upgrade": "stateless"}, None), ({"from": "file:///state/savepoint-7"}, True)):
        deploy(jobs, args=["new"], **anew)
        jobs.until_running(ref)
        starts.append(start_of(jobs, ref))
        jobs.fail(ref, "boom")
        deploy(jobs, args=["new"], **({"from": anew["from"]} if path else {}))
        jobs.until_running(ref)
        starts.append(start_of(jobs, ref))
        newest = checkpoint(jobs, ref, f"chk-{len(starts)}")
        jobs.fail(ref, "boom")
        deploy(jobs, args=["newer"], **({"from": anew["from"]} if path else {}))
        jobs.until_running(ref)
        assert start_of(jobs, ref) == newest
        jobs.fail(ref, "boom")
    assert starts == [None, None, "file:///state/savepoint-7", "file:///state/savepoint-7"]


def test_a_task_stops_it_and_returns_its_state(jobs):
    """Its end is a success that names the savepoint; stopping twice is stopping once."""
    ref = deploy(jobs)
    jobs.until_running(ref)
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(jobs.platform().submit, act(jobs, stop="clean"))
        answer(jobs, ref, location="file:///state/savepoint-2")
        assert stopped.result() == ref
    assert jobs.platform().submit(act(jobs, stop="clean")) == ref
    status = jobs.platform().observe(ref)
    assert (status.state, status.savepoint) == (JobState.SUCCEEDED, "file:///state/savepoint-2")


def test_a_task_saves_it_and_it_runs_on(jobs):
    """The path is what the task returns."""
    ref = deploy(jobs)
    jobs.until_running(ref)
    with ThreadPoolExecutor(1) as pool:
        saved = pool.submit(jobs.platform().save, act(jobs, savepoint="orders:clean"), 60)
        answer(jobs, ref, location="file:///state/savepoint-3")
        assert saved.result() == "file:///state/savepoint-3"
    assert not jobs.platform().observe(ref).state.is_terminal


def test_a_killed_task_leaves_a_stream_that_runs_well(jobs):
    """One that does not come up is ended."""
    ref = deploy(jobs)
    jobs.until_running(ref)
    says(jobs, ref, "RUNNING")
    jobs.platform().cancel(ref)
    assert not (jobs.run(ref) / "cancel").exists()
    says(jobs, ref, "RESTARTING")
    jobs.platform().cancel(ref)
    jobs.let_cancel_happen(ref)
    assert jobs.platform().observe(ref).state is JobState.CANCELLED


def test_no_stream_is_touched_that_is_not_ours(jobs):
    """A task that deployed nothing has nothing to stop, and another Airflow's stream is refused."""
    with pytest.raises(PlatformError, match="the task that deploys it has not run here"):
        jobs.platform().submit(act(jobs, stop="nobody"))
    ref = deploy(jobs)
    request = json.loads((jobs.run(ref) / "request.json").read_text())
    request["body"]["identity"]["airflow-doeks/instance"] = "theirs"
    (jobs.run(ref) / "request.json").write_text(json.dumps(request))
    with pytest.raises(PlatformError, match="belongs to another Airflow"):
        deploy(jobs, args=["new"])


def test_a_stop_that_nobody_waits_for_any_more_is_not_taken_later(jobs, monkeypatch):
    """A stream that cannot be saved for now runs on: once it can, nobody would start what it was stopped for."""
    monkeypatch.setattr(streams, "STOP_SECONDS", 0)
    ref = deploy(jobs)
    jobs.until_running(ref)
    with pytest.raises(PlatformError, match="it runs on") as refused:
        deploy(jobs, args=["new"])
    assert refused.value.retryable
    assert list(jobs.run(ref).glob("ask-*")) == []


@pytest.mark.parametrize("changes", [{}, {"args": ["new"]}])
def test_a_deploy_whose_worker_died_before_the_start_is_finished_by_the_next(jobs, changes):
    """The same work is started, other work takes its place at once; one application runs."""

    class DiesBeforeSpawn(Platform):
        def _start(self, run):
            raise KeyboardInterrupt

    platform = jobs.platform(DiesBeforeSpawn)
    with pytest.raises(KeyboardInterrupt):
        platform.submit(platform.render(jobs.job(mode="streaming"), jobs.identity()))
    ref = deploy(jobs, **changes)
    jobs.until_running(ref)
    assert (jobs.platform().observe(ref).state, jobs.applications()) == (JobState.STARTING, 1)


def test_folders_that_a_job_names_are_gone_on_from_too(jobs, tmp_path):
    """The newest checkpoint of the job itself, not of another that saves there, and the savepoint of its stop."""
    named = tmp_path / "of all jobs"
    state = {"checkpoints": f"file://{named}", "savepoints": "s3://acme/savepoints"}
    ref = deploy(jobs, state=state)
    jobs.until_running(ref)
    says(jobs, ref, "RUNNING")
    for name in ("1/chk-3", "other/chk-9"):
        (named / name).mkdir(parents=True)
        (named / name / "_metadata").touch()
    jobs.fail(ref, "boom")
    deploy(jobs, state=state)
    jobs.until_running(ref)
    assert start_of(jobs, ref) == f"file://{named}/1/chk-3"
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(jobs.platform().submit, act(jobs, stop="clean"))
        answer(jobs, ref, location="s3://acme/savepoints/savepoint-4")
        stopped.result()
    deploy(jobs, state=state)
    jobs.until_running(ref)
    assert start_of(jobs, ref) == "s3://acme/savepoints/savepoint-4"


def test_a_version_that_died_young_starts_again_where_it_started(jobs):
    """Before its first checkpoint: from the savepoint of its upgrade, never from an older checkpoint."""
    state = {"savepoints": "s3://acme/savepoints"}
    ref = deploy(jobs, state=state)
    jobs.until_running(ref)
    checkpoint(jobs, ref, "chk-1")
    with ThreadPoolExecutor(1) as pool:
        changed = pool.submit(deploy, jobs, args=["new"], state=state)
        answer(jobs, ref, location="s3://acme/savepoints/savepoint-5")
        changed.result()
    jobs.until_running(ref)
    jobs.fail(ref, "boom")
    deploy(jobs, args=["new"], state=state)
    jobs.until_running(ref)
    assert start_of(jobs, ref) == "s3://acme/savepoints/savepoint-5"


@pytest.mark.parametrize(("upgrade", "expected"), [("last-state", "chk-2"), ("stateless", None)])
def test_what_a_stream_saves_while_it_is_ended_is_its_last_state(jobs, monkeypatch, upgrade, expected):
    """It is gone on from; a stream that begins without state never knows it, however soon it dies."""
    ref = deploy(jobs)
    jobs.until_running(ref)
    checkpoint(jobs, ref, "chk-1")
    end, last = streams.Streams._end, []

    def saves_once_more(self, run):
        if not self.look(run).state.is_terminal:
            last.append(checkpoint(jobs, ref, "chk-2"))
        end(self, run)

    with monkeypatch.context() as patch:
        patch.setattr(streams.Streams, "_end", saves_once_more)
        deploy(jobs, args=["new"], upgrade=upgrade)
    jobs.until_running(ref)
    jobs.fail(ref, "boom")
    deploy(jobs, args=["new"])
    jobs.until_running(ref)
    assert start_of(jobs, ref) == (expected and last[0])


def test_a_deploy_while_another_run_gives_the_stream_up_starts_it_again(jobs):
    """It does not take for running what is about to end."""
    ref = deploy(jobs)
    jobs.until_running(ref)
    jobs.platform().cancel(ref)  # it has not come up
    assert jobs.platform().observe(ref).is_cancelling
    assert deploy(jobs) == ref
    jobs.until_running(ref)
    assert not jobs.platform().observe(ref).is_cancelling
    assert jobs.applications() == 2
