"""Waiting for EMR jobs: this package's trigger beside the amazon provider's, against the same fake service.

    python benchmarks/emr.py [--jobs 400 1000] [--peer-path FOLDER]

The service is a process of its own; each measure is a process of its own, with Airflow and the provider imported before
it starts. The provider's trigger needs aiobotocore, which pins another botocore: it is installed apart, into
build/aiobotocore, unless --peer-path names a folder that has it; where that fails the peer is "not run". Missed bars
are told at the end. Plain HTTP and one machine: the peer is flattered, AWS itself is not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLUSTER = "abcdef0123456789abcdef012"
ENTRY = {
    "name": "lake",
    "type": "emr_on_eks",
    "connection": "aws_default",
    "region": "us-east-1",
    "virtual_cluster": CLUSTER,
    "execution_role": "arn:aws:iam::123456789012:role/sales-jobs",
    "release": "emr-7.9.0-latest",
}
HOLD_SECONDS, SPREAD_SECONDS = 45, 10  # jobs end one after the other between 45 and 55 s
SCALE = 20  # a ten-minute job of the calls count takes 30 s, and every interval is a twentieth
BARS = {"connections": 2, "rss_mb": 150, "lag_p99_ms": 100, "latency_max_s": 15, "calls_per_job": 4, "cpu_s": 0.5}


def serve(jobs: int, hold: float, spread: float) -> None:
    """The fake, with jobs whose size is that of real requests; prints its URL."""
    sys.path.insert(0, str(ROOT))
    from airflow_doeks.model.identity import JobIdentity
    from airflow_doeks.model.job import SparkJob
    from airflow_doeks.platforms.clients import Clients
    from airflow_doeks.platforms.emr_on_eks.platform import Config, Platform
    from tests.fakes.aws_http import FakeAws, serving
    from tests.fakes.emr_containers import FakeEmr, Step

    def now():
        return datetime.now(timezone.utc)

    class Watched(FakeAws):
        def answer(self, handler, body):
            if handler.path == "/_bench":
                said = {"open_most": self.open_most, "connections": self.connections, "calls": dict(self.emr.calls)}
                said["created"] = [job.created.timestamp() for job in self.emr.jobs.values()]
                return 200, {}, json.dumps(said).encode()
            return super().answer(handler, body)

    emr = FakeEmr(clock=now)
    config = Config.model_validate({key: value for key, value in ENTRY.items() if key != "name"})
    identity = JobIdentity("bench", "d", "r", "t", -1, 1, now(), "a", {"team": "sales"})
    request = Platform(config, "lake", Clients()).render(SparkJob(main="s3://c/m.py"), identity).body["start_job_run"]
    with serving(Watched(emr)) as aws:
        emr.script = lambda _: (Step(0, "RUNNING"), Step(hold + spread * len(emr.jobs) / max(jobs, 1), "COMPLETED"))
        for number in range(jobs):
            emr._new_job(request | {"clientToken": str(number)})  # noqa: SLF001 - no call
        print(aws.url, flush=True)
        sys.stdin.read()


def measure(who: str, url: str, jobs: int, delay: float, rate: float) -> None:  # noqa: C901 - one story
    """Wait for all jobs in one event loop; prints what it took as JSON."""
    os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(
        {
            "conn_type": "aws",
            "login": "a",
            "password": "b" * 8,
            "extra": {"region_name": "us-east-1", "endpoint_url": url},
        }
    )
    refs = [f"emr_on_eks://123456789012.us-east-1/{CLUSTER}/{number:019d}" for number in range(jobs)]
    from airflow.providers.amazon.aws.triggers.emr import EmrContainerTrigger

    import airflow_doeks.triggers.job
    from airflow_doeks.hooks.platforms import connect
    from airflow_doeks.triggers.job import JobTrigger

    entry = ENTRY | {"list_seconds": delay, "calls_per_second": rate}

    def trigger(number):
        if who == "peer":
            return EmrContainerTrigger(CLUSTER, f"{number:019d}", waiter_delay=delay, region_name="us-east-1")
        now = datetime.now(timezone.utc).isoformat()
        budgets = {"queue_timeout": None, "startup_timeout": None, "run_timeout": None, "deadline": None}
        return JobTrigger(refs[number], now, entry, budgets)

    async def wait(number, fired):
        async for event in trigger(number).run():
            fired[number] = (time.time(), event.payload)
            return

    async def run():
        fired, lags, rss = {}, [], [_rss()]
        before, cpu = _rss(), time.process_time()
        tasks = [asyncio.create_task(wait(number, fired)) for number in range(jobs)]
        while not all(task.done() for task in tasks):
            at = time.perf_counter()
            await asyncio.sleep(0.01)
            lags.append((time.perf_counter() - at - 0.01) * 1000)
            if len(lags) % 10 == 0:
                rss.append(_rss())
        for task in tasks:
            task.result()
        return fired, sorted(lags), max(rss) - before, time.process_time() - cpu

    fired, lags, rss, cpu = asyncio.run(run())
    if who == "ours" and jobs <= 100:  # the count of calls holds those of settling too
        for ref in refs:
            connect(entry).telemetry(airflow_doeks.triggers.job.JobRef(ref))
    facts = {"rss_mb": rss / 1e6, "lag_p99_ms": lags[int(len(lags) * 0.99)], "lag_max_ms": lags[-1], "cpu_s": cpu}
    print(json.dumps(facts | {"fired": {number: moment for number, (moment, _) in fired.items()}}))


def worker(url: str) -> None:
    """CPU of submitting one job and of coming back to it, Airflow and the amazon hook already imported."""
    os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(
        {
            "conn_type": "aws",
            "login": "a",
            "password": "b" * 8,
            "extra": {"region_name": "us-east-1", "endpoint_url": url},
        }
    )
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

    from airflow_doeks import compat

    assert compat.BaseOperator
    AwsGenericHook(aws_conn_id="aws_default", client_type="s3").get_client_type(region_name="us-east-1")
    start = time.process_time()
    from airflow_doeks.hooks.platforms import connect
    from airflow_doeks.lifecycle import submit
    from airflow_doeks.model.identity import JobIdentity
    from airflow_doeks.model.job import SparkJob

    identity = JobIdentity("bench", "d", "w", "t", -1, 1, datetime.now(timezone.utc), "w")
    submission = submit(connect(ENTRY), SparkJob(main="s3://c/m.py"), identity)
    connect(ENTRY).telemetry(submission.ref)
    print(json.dumps({"cpu_s": time.process_time() - start}))


def _rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Service:
    """The fake as a process."""

    def __init__(self, jobs: int, hold: float, spread: float) -> None:
        command = [sys.executable, __file__, "serve", str(jobs), str(hold), str(spread)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.process.communicate("")

    def look(self) -> dict:
        with urllib.request.urlopen(f"{self.url}/_bench") as answer:
            return json.load(answer)


def run(*arguments: object, peer_path: Path | None = None) -> dict:
    """A measure in a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"AIRFLOW_HOME": home, "PYTHONPATH": str(peer_path or "")}
        environment |= {
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "compiled"),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, __file__, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def waiting(who: str, jobs: int, peer_path: Path | None) -> dict:
    """One triggerer full of jobs."""
    with Service(jobs, HOLD_SECONDS, SPREAD_SECONDS) as service:
        delay = 30 if who == "peer" else 15  # both defaults
        facts = run("measure", who, service.url, jobs, delay, 5, peer_path=peer_path)
        seen = service.look()
    ends = [made + HOLD_SECONDS + SPREAD_SECONDS * number / jobs for number, made in enumerate(seen["created"])]
    late = [moment - ends[int(number)] for number, moment in facts.pop("fired").items()]
    return facts | {"connections": seen["open_most"], "latency_max_s": max(late), "calls": sum(seen["calls"].values())}


def calls_per_job(who: str, jobs: int, peer_path: Path | None) -> float:
    """Ten-minute jobs, scaled: submit, wait, settle."""
    with Service(jobs, 600 / SCALE, 0) as service:
        delay = (30 if who == "peer" else 15) / SCALE
        run("measure", who, service.url, jobs, delay, 5 * SCALE, peer_path=peer_path)
        calls = service.look()["calls"]
    return 1 + sum(calls.values()) / jobs  # 1: StartJobRun, which made the jobs


def has_peer(folder: Path) -> bool:
    """What the provider's trigger needs is in the folder, installed now if it was not."""
    if not (folder / "aiobotocore").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(folder), "aiobotocore"], check=False, stderr=subprocess.DEVNULL)
    return (folder / "aiobotocore").is_dir()


def main() -> None:
    """All measures, as a table; exit code 1 and their names if bars were missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, nargs="*", default=[400, 1000])
    parser.add_argument("--peer-path", type=Path, default=ROOT / "build" / "aiobotocore")
    options = parser.parse_args()
    sides: list[tuple[str, Path | None]] = [("ours", None)]
    missed: list[str] = []
    if has_peer(options.peer_path):
        sides.append(("peer", options.peer_path.absolute()))
    else:
        print(f"peer: not run, aiobotocore could not be installed into {options.peer_path}")
    for jobs in options.jobs:
        for who, path in sides:
            facts = waiting(who, jobs, path)
            text = (
                "{connections:5d} connections  {rss_mb:5.0f} MB  loop lag p99 {lag_p99_ms:5.0f} ms, "
                "max {lag_max_ms:6.0f} ms  {cpu_s:5.1f} CPU s  ends told within {latency_max_s:4.1f} s  {calls} calls"
            )
            print(f"{jobs:5d} jobs  {who}  " + text.format(**facts), flush=True)
            if who == "ours":
                missed += [
                    f"{jobs} jobs: {name} {facts[name]:.1f}, bar {BARS[name]}"
                    for name in ("connections", "rss_mb", "lag_p99_ms", "latency_max_s")
                    if facts[name] > BARS[name]
                ]
    for who, path in sides:
        count = 100 if who == "ours" else 10  # peers share nothing; 100 at this speed would keep each other from asking
        calls = calls_per_job(who, count, path)
        print(f"{count:5d} jobs  {who}  {calls:.1f} API calls for a 10-minute job", flush=True)
        if who == "ours" and calls > BARS["calls_per_job"]:
            missed.append(f"calls of a job: {calls:.1f}, bar {BARS['calls_per_job']}")
    with Service(0, 60, 0) as service:
        # Compiled modules, as a worker has them, are there from the second run on.
        cpu = min(run("worker", service.url)["cpu_s"] for _ in range(3))
    print(f"    1 job   ours  {cpu:.2f} CPU s on the worker for submit and resume, Airflow and amazon hook imported")
    if cpu >= BARS["cpu_s"]:
        missed.append(f"CPU of submit and resume: {cpu:.2f} s, bar {BARS['cpu_s']}")
    sys.exit("\n".join(["MISSED", *missed]) if missed else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
    elif sys.argv[1:2] == ["measure"]:
        measure(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), float(sys.argv[6]))
    elif sys.argv[1:2] == ["worker"]:
        worker(sys.argv[2])
    else:
        main()
