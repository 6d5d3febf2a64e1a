"""Flink on this machine: what its cluster is given, what it leaves, and why it failed; the last test is real."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import zipfile
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.flink import FlinkJob
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.local import flink_cluster, flink_job
from airflow_doeks.platforms.local.platform import Config, Platform, check_job
from tests.platforms.harness_local import until
from tests.platforms.harness_local_flink import harness as flink_harness

IDENTITY = JobIdentity("localhost", "clicks", "run 1", "count", -1, 1, datetime.now(timezone.utc), "attempt", {})


@pytest.fixture
def jobs(tmp_path):
    """A folder of run directories."""
    with flink_harness(tmp_path) as made:
        yield made


@pytest.fixture
def big(monkeypatch):
    """A machine that is large enough."""
    monkeypatch.setattr(flink_job, "cpu_count", lambda: 16)
    monkeypatch.setattr(flink_job, "memory_mib", lambda: 65536)


def submit(jobs, **changes):
    """Submit a job and let it start; its ref and its request."""
    platform = jobs.platform()
    ref = platform.submit(platform.render(jobs.job(**changes), jobs.identity()))
    jobs.until_running(ref)
    return ref, json.loads((jobs.run(ref) / "request.json").read_text())


def test_one_task_manager_stands_for_all(jobs, big):
    """Five slots' worth of work on task managers of two is one process with six slots and the size of three."""
    ref, request = submit(jobs, parallelism=5, task_manager={"slots": 2, "cpu": 2, "memory": "3Gi"})
    assert request["launch"]["granted"] == {
        "job_manager": {"vcpu": "1.000", "memory_mib": 2048},
        "task_manager": {"vcpu": "6.000", "memory_mib": 9216},
    }
    conf = request["launch"]["cluster"]["conf"]
    assert (conf["taskmanager.numberOfTaskSlots"], conf["parallelism.default"]) == ("6", "5")
    assert conf["taskmanager.memory.process.size"] == "9216m"
    jobs.succeed(ref)
    pods = jobs.platform().telemetry(ref).requested
    assert sorted((pod.role, pod.vcpu, pod.memory_gib) for pod in pods) == [
        ("jobmanager", Decimal(1), Decimal(2)),
        ("taskmanager", Decimal(6), Decimal(9)),
    ]
    assert all(pod.started and pod.ended for pod in pods)


def test_more_than_the_machine_is_cut_in_proportion(jobs, monkeypatch):
    """Job manager and task manager share what there is as they asked for it, and the record says so."""
    monkeypatch.setattr(flink_job, "cpu_count", lambda: 2)
    monkeypatch.setattr(flink_job, "memory_mib", lambda: 4096)
    ref, request = submit(jobs, parallelism=3)
    assert request["launch"]["granted"] == {
        "job_manager": {"vcpu": "0.500", "memory_mib": 1024},
        "task_manager": {"vcpu": "1.500", "memory_mib": 3072},
    }
    assert jobs.platform().telemetry(ref).why[0] == (
        "capped to the machine: 4 vCPU were asked for and the machine has 2; "
        "8192 MiB were asked for and the machine has 4096"
    )


def test_a_task_manager_that_dies_comes_back(jobs, big):
    """As on Kubernetes; each is paid for as long as it lived."""
    ref, _ = submit(jobs)
    jobs.kill_task_manager(ref)
    jobs.succeed(ref)
    roles = [pod.role for pod in jobs.platform().telemetry(ref).requested]
    assert sorted(roles) == ["jobmanager", "taskmanager", "taskmanager"]
    assert "the task manager ended with -9; it is started again" in (jobs.run(ref) / "driver.log").read_text()


def test_a_task_manager_that_never_stays_ends_the_job(jobs, big):
    """Three short lives, and the job fails with the task manager's own words instead of waiting for slots."""
    ref, _ = submit(jobs)
    for _ in range(2):
        jobs.kill_task_manager(ref)
    pid = jobs.run(ref) / "task_manager.pid"
    (jobs.run(ref) / "task_manager.log").write_text("java.lang.OutOfMemoryError: Direct buffer memory\n")

    os.kill(int(pid.read_text()), 9)
    until(lambda: jobs.platform().observe(ref).state.is_terminal)
    assert jobs.platform().observe(ref).state is JobState.FAILED
    assert "Direct buffer memory" in jobs.platform().explain(ref).message


def test_a_job_manager_that_is_killed_says_so(jobs, big):
    """The kernel kills it when memory runs out: the job ends as any job that is killed."""
    ref, _ = submit(jobs)
    os.kill(int(jobs._started.read_text()), 9)
    until(lambda: jobs.platform().observe(ref).state.is_terminal)
    status = jobs.platform().observe(ref)
    assert (status.state, status.native_state) == (JobState.FAILED, "ended by SIGKILL")
    assert "when memory runs out" in jobs.platform().explain(ref).message


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (
            {"jar": "/a.jar", "class": "A", "args": ["x y"], "from": "/s"},
            "--fromSavepoint /s --jars /a.jar --job-classname A x y",
        ),
        ({"sql": "/q.sql"}, "--job-classname airflow_doeks.SqlRunner bounded /q.sql"),
        ({"jar": "/my jobs/żółć.jar", "class": "A"}, "--jars program.jar --job-classname A"),
    ],
)
def test_a_program_is_started_with_its_words(jobs, big, job, words):
    """Jar and SQL run in application mode; every argument arrives by itself."""
    platform = jobs.platform()
    request = platform.render(FlinkJob.model_validate(job), jobs.identity())
    planned = flink_job.plan(request.body, str(jobs._java))
    assert " ".join(planned["cluster"]["main"][1:]) == words


def test_paths_reach_flink_as_they_are(jobs, big):
    """Flink escapes nothing, so neither do we: a space in a path is a space; its jar has a name that is no matter."""
    jar = jobs.local_dir.parent / "my jobs" / "a.jar"
    jar.parent.mkdir()
    jar.touch()
    ref, request = submit(jobs, jar=str(jar))
    assert (jobs.run(ref) / "program.jar").resolve() == jar
    conf, run = request["launch"]["cluster"]["conf"], jobs.run(ref)
    assert conf["jobmanager.archive.fs.dir"] == f"file://{run}/archive"
    assert conf["execution.checkpointing.dir"] == f"file://{jobs.local_dir}/.state/{run.name}/checkpoints"
    platform = jobs.platform()
    job = FlinkJob(sql="q.sql", sql_text="SELECT 1")
    rendered = platform.render(job, jobs.identity(attempt_id="sql"))
    words = flink_job.plan(rendered.body, str(jobs._java))["cluster"]["main"]
    assert words[-1] == f"file://{jobs.local_dir}/{rendered.name}/query.sql"


@pytest.mark.parametrize(("lives", "is_given_up"), [((5, 5, 5), True), ((5, 5, 100, 5, 5, 100), False)])
def test_a_task_manager_that_lived_long_in_between_is_started_again(tmp_path, monkeypatch, lives, is_given_up):
    """Three short lives one after the other end a job; a stream may see any number of them over the years."""
    now, left = [0.0], list(lives)
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: now.__setitem__(0, now[0] + 1), time=lambda: 0.0)
    monkeypatch.setattr(flink_cluster, "time", clock)
    cluster = flink_cluster.Cluster(tmp_path, {"conf": {}, "main": []})
    ends = {"jobmanager": sum(lives) + 50}

    def start(role, *_):
        cluster.history.append({"role": role, "ended": None})
        at = ends.get(role) or now[0] + (left.pop(0) if left else 1000)
        ended = lambda: 0 if now[0] >= at or (role == "jobmanager" and cluster.stop.is_set()) else None  # noqa: E731
        return SimpleNamespace(poll=ended, terminate=int, wait=int, kill=int, returncode=0)

    monkeypatch.setattr(cluster, "start", start)
    monkeypatch.setattr(cluster, "sizes", lambda: dict.fromkeys(("taskmanager", "jobmanager")))
    monkeypatch.setattr(cluster, "look", int)
    assert cluster.follow() == int(is_given_up)
    assert cluster.stop.is_set() is is_given_up


def test_python_needs_pyflink_and_says_how_to_get_it(jobs, big):
    """PyFlink's pins exclude Airflow's: another environment's Python will do."""
    platform = jobs.platform()
    job = FlinkJob(main="/jobs/a.py")
    with pytest.raises(PlatformError, match=r"pip install apache-flink==2\.3\.0 into an environment of its own"):
        platform.submit(platform.render(job, jobs.identity()))
    named = {"python.client.executable": "/venv/bin/python", "python.executable": "/venv/bin/python"}
    request = platform.render(job.model_copy(update={"conf": named}), jobs.identity())
    planned = flink_job.plan(request.body, str(jobs._java))
    assert planned["env"]["FLINK_OPT_DIR"].endswith("/pyflink/opt")  # where Flink looks for its Python jar
    jobs.until_running(platform.submit(request))


def test_without_flink_one_line_says_what_to_install(tmp_path, monkeypatch):
    """Nothing is left behind, and the next submit may work."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    platform = Platform(Config(type="local"), "laptop", Clients(local_dir=str(tmp_path / "runs")))
    with pytest.raises(PlatformError, match=r"apache-flink-libraries, .*: pip install 'airflow-doeks\[local-flink\]'$"):
        platform.submit(platform.render(FlinkJob(jar="/a.jar"), IDENTITY))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"conf": {"parallelism.default": 2}}, "conf.parallelism.default"),
        ({"conf": {"metrics.reporters": "x"}}, "conf.metrics.reporters"),
        ({"packages": ["a:b:1"]}, "packages"),
        ({"jars": ["s3://acme/kafka.jar"]}, "jars[0]"),
        ({"secrets": {"KEY": {"k8s": "a/b"}}}, "secrets.KEY"),
        ({"parallelism": "{{ params.n }}", "jars": ["{{ params.jar }}"]}, None),
    ],
)
def test_what_cannot_run_here_is_told_before(changes, path):
    """Properties that we set, files elsewhere, packages and Kubernetes secrets."""
    values = FlinkJob.model_validate({"sql": "q.sql"} | changes).plain()
    assert [one.path for one in check_job(Config(type="local"), values)] == ([path] if path else [])


def test_the_jar_is_built_from_its_sources():
    """Whoever changes a Java file builds the jar anew: python tools/build_flink_jar.py."""
    tools = str(Path(__file__).parents[2] / "tools")
    sys.path.insert(0, tools)
    try:
        from build_flink_jar import DIGEST, JAR, digest

        assert zipfile.ZipFile(JAR).read(DIGEST).decode() == digest()
    finally:
        sys.path.remove(tools)


BROKEN = """\
SET 'table.local-time-zone' = 'UTC';
-- one row; and a name that is not there
CREATE TABLE numbers (n INT) WITH ('connector' = 'datagen', 'number-of-rows' = '10');
CREATE TABLE nowhere (n INT) WITH ('connector' = 'blackhole');
INSERT INTO nowhere SELECT n FROM numbers;

INSERT INTO nowhere SELECT m FROM numbers;
"""


@pytest.mark.flink
@pytest.mark.timeout(600)
def test_real_flink_says_which_statement_failed(tmp_path):
    """The first statements run; the failure is the user's, with Flink's words and the statement's line in the log."""
    pytest.importorskip("pyflink", reason="extra local-flink is not installed")
    folder = tmp_path / "runs"
    platform = Platform(Config(type="local"), "laptop", Clients(local_dir=str(folder)))
    job = FlinkJob(sql="numbers.sql", sql_text=BROKEN)
    ref = platform.submit(platform.render(job, IDENTITY))
    until(lambda: platform.observe(ref).state.is_terminal)
    assert platform.observe(ref).state is JobState.FAILED
    failure = platform.explain(ref)
    assert (failure.category, "Column 'm' not found" in failure.message) == ("user_code", True), failure
    log = (folder / ref.path[0] / "driver.log").read_text()
    assert "SQL query.sql:5: INSERT INTO nowhere SELECT n FROM numbers" in log
    assert "SQL query.sql:7: failed" in log
    shutil.rmtree(folder)


PYTHON = """\
import sys
from pyflink.common import Types
from pyflink.datastream import StreamExecutionEnvironment
environment = StreamExecutionEnvironment.get_execution_environment()
numbers = environment.from_collection([1, 2, 3], type_info=Types.INT()).map(lambda n: n * 10, output_type=Types.INT())
with open(sys.argv[1], "w") as file:
    file.write(str(sorted(numbers.execute_and_collect())))
"""


@pytest.mark.flink
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_real_program_in_python_runs_with_the_python_that_its_conf_names(tmp_path):
    """PyFlink of another environment; DOEKS_PYFLINK names its Python, since PyFlink's pins exclude Airflow's."""
    pytest.importorskip("pyflink", reason="extra local-flink is not installed")
    python = os.environ.get("DOEKS_PYFLINK")
    if not python:
        pytest.skip("DOEKS_PYFLINK names no Python with apache-flink")
    (tmp_path / "job.py").write_text(PYTHON)
    conf = {"python.client.executable": python, "python.executable": python}
    job = FlinkJob(main=str(tmp_path / "job.py"), args=(str(tmp_path / "out"),), conf=conf)
    platform = Platform(Config(type="local"), "laptop", Clients(local_dir=str(tmp_path / "runs")))
    ref = platform.submit(platform.render(job, IDENTITY))
    until(lambda: platform.observe(ref).state.is_terminal)
    assert platform.observe(ref).state is JobState.SUCCEEDED, platform.explain(ref)
    assert (tmp_path / "out").read_text() == "[10, 20, 30]"


COUNTING = """\
CREATE TABLE numbers (n INT) WITH (
  'connector' = 'filesystem', 'path' = '{folder}/in', 'format' = 'csv', 'source.monitor-interval' = '1s'
);
CREATE TABLE seen (n INT) WITH ('connector' = 'filesystem', 'path' = '{folder}/out', 'format' = 'csv');
INSERT INTO seen SELECT n FROM numbers;
"""


@pytest.mark.flink
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_real_stream_counts_every_event_once(tmp_path):
    """Deployed, deployed again, upgraded with a savepoint, stopped and resumed: one stream, each event once."""
    pytest.importorskip("pyflink", reason="extra local-flink is not installed")
    source, sink = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    platform = Platform(Config(type="local"), "laptop", Clients(local_dir=str(tmp_path / "runs")))

    def request(**changes):
        conf = {"execution.checkpointing.interval": "1s", **changes.pop("conf", {})}
        values = {"sql": "seen.sql", "mode": "streaming", "conf": conf, **changes}
        job = FlinkJob.model_validate(values).model_copy(update={"sql_text": COUNTING.format(folder=tmp_path)})
        return platform.render(job, IDENTITY)

    def act(**what):
        return platform.render(FlinkJob.model_validate(what), replace(IDENTITY, attempt_id=f"{what}"))

    def is_well():
        status = platform.observe(ref)
        assert not status.state.is_terminal, (status, platform.explain(ref))
        return status.state is JobState.RUNNING and status.is_well

    def arrive(name, first, last):
        (tmp_path / name).write_text("".join(f"{n}\n" for n in range(first, last)))
        (tmp_path / name).rename(source / name)  # whole, as Flink looks
        until(lambda: len(numbers()) >= last)
        assert sorted(numbers()) == list(range(last))

    def numbers():
        return [int(line) for file in sink.glob("part-*") for line in file.read_text().split()]

    ref = platform.submit(request())
    until(is_well)
    arrive("a.csv", 0, 100)
    assert platform.submit(request()) == ref  # equal: nothing is done
    assert len(platform.telemetry(ref).pods) == 2
    saved = platform.save(act(savepoint="count"), 120)
    assert Path(saved.removeprefix("file:"), "_metadata").exists()

    assert platform.submit(request(conf={"table.exec.resource.default-parallelism": 1})) == ref
    until(is_well)
    arrive("b.csv", 100, 150)
    platform.cancel(ref)  # as a task that is killed: what runs well is left
    assert is_well()

    assert platform.submit(act(stop="count")) == ref
    status = platform.observe(ref)
    assert (status.state, status.savepoint.startswith("file:")) == (JobState.SUCCEEDED, True)
    platform.submit(request())
    until(is_well)
    arrive("c.csv", 150, 160)

    platform.submit(act(stop="count"))
    pods = platform.telemetry(ref).pods
    assert [pod.role for pod in pods].count("jobmanager") == 3
    assert all(pod.ended for pod in pods)
