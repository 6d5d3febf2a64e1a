"""Waiting for jobs on Kubernetes: this package's trigger beside `SparkKubernetesOperator`'s, on a real API server.

    KUBECONFIG=... python benchmarks/kubernetes.py [--jobs 100 1000] [--no-peer]
    KUBECONFIG=... python benchmarks/kubernetes.py --jobs 10000 --triggerers 4 --no-peer --per-second 40 --writers 4

Needs a cluster with the definition of SparkApplication spark.apache.org/v1 and without its operator: this script moves
the states of the resources itself, at most twenty jobs a second, and those of the drivers' pods, which no scheduler
takes and which the peer follows. Each measure is a process of its own with Airflow imported before it starts.

An event is late by the time from the API server's answer to the last status write until the trigger fired. Beside it
stand how long that write took, and when a bare watch saw it: a process that does nothing but read lines. Requests are
all that a triggerer sent, its lists and watches among them. Without KUBECONFIG nothing is run. Missed bars are told at
the end.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
NAMESPACE = "doeks-bench"
KIND = f"/apis/spark.apache.org/v1/namespaces/{NAMESPACE}/sparkapplications"
ENTRY = {"type": "apache_spark", "connection": "kube_bench", "namespace": NAMESPACE, "image": "acme/spark:4.0.2"}
READY_SECONDS, LISTED_PER_SECOND = 15, 250  # no event is told in the first ten seconds; what is listed before
BARS = {"sockets": 2, "rss_mb": 150, "lag_p99_ms": 100, "late_p99_ms": 200}  # of each triggerer
WORKER_BARS = {"calls": 3, "submit_s": 2}
TOLD = {"sockets": "connections", "rss_mb": "extra MB", "lag_p99_ms": "loop lag p99 ms", "lag_max_ms": "longest ms"}
TOLD |= {"late_p50_ms": "event after ms p50", "late_p99_ms": "p99", "late_max_ms": "most", "requests": "requests"}
TOLD |= {"cpu_s": "CPU s", "cpu_ms_a_job": "CPU ms a job"}


def platform() -> Any:
    """The platform, for setting up."""
    from kubernetes.config import new_client_from_config

    from airflow_doeks.platforms.apache_spark.platform import Config, Platform
    from airflow_doeks.platforms.clients import Clients

    config = Config.model_validate(ENTRY | {"calls_per_second": 1000})
    return Platform(config, "bench", Clients(kubernetes=lambda _: new_client_from_config(os.environ["KUBECONFIG"])))


def kubectl(*words: str, text: str | None = None) -> str:
    """What kubectl prints."""
    return subprocess.run(["kubectl", *words], input=text, capture_output=True, text=True, check=False).stdout


def fill(made: Any, jobs: int) -> list[str]:
    """Running jobs: resources as they are really sent, and a pod for each driver; gives their refs."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda number: _job(made, number), range(jobs)))


def request(made: Any, number: int) -> Any:
    """What is sent for one job."""
    from airflow_doeks.model.identity import JobIdentity
    from airflow_doeks.model.job import SparkJob

    started = datetime.now(timezone.utc)
    job = SparkJob(main="s3://c/m.py", conf={f"spark.bench.key{number}": "x" * 40 for number in range(20)})
    return made.render(job, JobIdentity("bench", "d", "r", "t", number, 1, started, f"{started} {number}"))


def _job(made: Any, number: int) -> str:
    sent = request(made, number)
    ref = made.submit(sent)
    _patch(made, "sparkapplications", ref.path[1], _status("RunningHealthy"))
    labels = sent.body["resource"]["metadata"]["labels"]
    labels |= {"spark-role": "driver", "spark.operator/spark-app-name": ref.path[1]}
    container = {"name": "spark-kubernetes-driver", "image": "acme/spark:4.0.2"}
    spec = {"containers": [container], "schedulingGates": [{"name": "doeks/bench"}], "terminationGracePeriodSeconds": 0}
    pod = {"metadata": {"name": f"{ref.path[1]}-driver", "labels": labels}, "spec": spec}
    made.calls.patiently("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", body=pod)
    _patch(made, "pods", f"{ref.path[1]}-driver", _pod("Running", {"running": {"startedAt": _now()}}))
    return str(ref)


def move(made: Any, who: str, ref: str) -> tuple[float, float]:
    """Let one job end as its follower sees it; gives when the last write was sent, and when it was answered."""
    name, at = ref.split("/")[-2], time.time()
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": _now(), "finishedAt": _now()}}
    _patch(made, "pods", f"{name}-driver", _pod("Succeeded", ended))
    if who != "peer":
        _patch(made, "sparkapplications", name, _status("Succeeded"))  # as the operator: one after the other
        at = time.time()
        _patch(made, "sparkapplications", name, _status("Succeeded", "ResourceReleased"))
    return at, time.time()


def _status(*words: str) -> dict[str, Any]:
    states = [{"currentStateSummary": word, "lastTransitionTime": _now()} for word in words]
    history = {str(number): state for number, state in enumerate(states)}
    return {"status": {"currentState": states[-1], "stateTransitionHistory": history}}


def _pod(phase: str, state: dict[str, Any]) -> dict[str, Any]:
    container = {"name": "spark-kubernetes-driver", "image": "a", "imageID": "a", "ready": phase == "Running"}
    return {"status": {"phase": phase, "containerStatuses": [container | {"restartCount": 0, "state": state}]}}


def _patch(made: Any, plural: str, name: str, body: dict[str, Any]) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/pods" if plural == "pods" else KIND
    made.calls.patiently("PATCH", f"{path}/{name}/status", body=body)


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def bare(file: str) -> None:
    """When a process that only reads the lines of one watch sees the last word of each job; prints it as JSON."""
    import urllib3

    server, left, seen = platform().calls.server, {ref.split("/")[-2] for ref in json.loads(Path(file).read_text())}, {}
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    pool = urllib3.PoolManager(ssl_context=server.tls)
    where = f"{server.url}{KIND}?watch=true&includeObject=None&timeoutSeconds=3600"
    answer = pool.request("GET", where, headers=accept | server.headers(), preload_content=False)
    print("ready", flush=True)
    while left:
        line = answer.readline()
        at, row = time.time(), line and json.loads(line)["object"]["rows"][0]["cells"]
        if not row:
            break
        if "ResourceReleased" in row and row[0] in left:
            left.remove(row[0])
            seen[row[0]] = at
    print(json.dumps(seen))


def measure(who: str, file: str) -> None:
    """Wait for all jobs in one event loop; prints what it took as JSON."""
    refs, seconds, sent = *json.loads(Path(file).read_text()), [0]
    from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger

    from airflow_doeks.triggers.job import JobTrigger

    def trigger(ref: str) -> Any:
        now = datetime.now(timezone.utc)
        if who == "ours":
            budgets = {"queue_timeout": None, "startup_timeout": None, "run_timeout": None, "deadline": None}
            return JobTrigger(ref, now.isoformat(), ENTRY | {"name": "bench"}, budgets)
        pod = f"{ref.split('/')[-2]}-driver"
        where = {"pod_name": pod, "pod_namespace": NAMESPACE, "base_container_name": "spark-kubernetes-driver"}
        return KubernetesPodTrigger(**where, trigger_start_time=now, kubernetes_conn_id="kube_bench", get_logs=False)

    async def wait(ref: str, fired: dict[str, float]) -> None:
        async for _ in trigger(ref).run():
            fired[ref] = time.time()
            return

    async def run() -> dict[str, Any]:
        fired, lags = {}, []
        before, sockets, cpu = _rss(), _sockets(), time.process_time()
        most_rss, most_sockets = before, sockets
        tasks = [asyncio.create_task(wait(ref, fired)) for ref in refs]
        asyncio.get_running_loop().call_later(seconds, lambda: print("ready", flush=True))
        while not all(task.done() for task in tasks):
            at = time.perf_counter()
            await asyncio.sleep(0.01)
            lags.append((time.perf_counter() - at - 0.01) * 1000)
            if len(lags) % 20 == 0:
                most_rss, most_sockets = max(most_rss, _rss()), max(most_sockets, _sockets())
        for task in tasks:
            task.result()
        lags.sort()
        facts = {"rss_mb": (most_rss - before) / 1e6, "sockets": most_sockets - sockets, "lag_max_ms": lags[-1]}
        facts |= {"lag_p99_ms": lags[int(len(lags) * 0.99)], "cpu_s": time.process_time() - cpu}
        return facts | {"fired": fired, "requests": sent[0]}

    _count(sent)
    print(json.dumps(asyncio.run(run())))


def worker(_: str) -> None:
    """Calls and CPU of submitting a job and of coming back to it, Airflow and its Kubernetes hook imported before."""
    from airflow_doeks import compat

    assert compat.BaseOperator
    sent, begun = [0], time.process_time()
    from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

    assert KubernetesHook
    _count(sent)
    cpu, at = time.process_time(), time.perf_counter()
    from airflow_doeks.hooks.platforms import connect

    ref = connect(ENTRY | {"name": "bench"}).submit(request(platform(), -1))
    submit_s = time.perf_counter() - at
    connect(ENTRY | {"name": "bench"}).telemetry(ref)
    facts = {"hook_cpu_s": cpu - begun, "submit_s": submit_s, "cpu_s": time.process_time() - cpu, "calls": sent[0]}
    print(json.dumps(facts))


def _count(sent: list[int]) -> None:
    """Count every request of this process, whoever sends it."""
    import aiohttp
    import urllib3.connectionpool

    def counted(real: Any) -> Any:
        def call(*words: Any, **more: Any) -> Any:
            sent[0] += 1
            return real(*words, **more)

        return call

    for where, name in ((aiohttp.ClientSession, "_request"), (urllib3.connectionpool.HTTPConnectionPool, "urlopen")):
        setattr(where, name, counted(getattr(where, name)))


def _rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _sockets() -> int:
    return sum("socket:" in os.path.realpath(file) for file in Path("/proc/self/fd").iterdir())


@contextmanager
def part(home: Path, *words: str, facts: Any) -> Iterator[subprocess.Popen[str]]:
    """A part of this script as a process of its own, with a connection to the cluster."""
    home.mkdir()
    file, extra = home / "facts.json", {"kube_config_path": os.environ["KUBECONFIG"]}
    file.write_text(json.dumps(facts))
    environment = os.environ | {"AIRFLOW_HOME": str(home), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    environment |= {"AIRFLOW_CONN_KUBE_BENCH": json.dumps({"conn_type": "kubernetes", "extra": extra})}
    environment |= {"AIRFLOW__DOEKS__INSTANCE": "bench"}
    command = [sys.executable, __file__, *words, str(file)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> Any:
    """What a part printed last."""
    return json.loads(process.communicate()[0].splitlines()[-1])


def waiting(made: Any, who: str, options: argparse.Namespace, jobs: int) -> list[dict[str, Any]]:
    """Triggerers full of jobs that end, as many at a time as there are writers: facts of each and of the whole."""
    refs, seconds = fill(made, jobs), READY_SECONDS + jobs / LISTED_PER_SECOND
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        mine = {str(number): [refs[number :: options.triggerers], seconds] for number in range(options.triggerers)}
        running = [stack.enter_context(part(Path(home, no), "measure", who, facts=mine[no])) for no in mine]
        beside = [stack.enter_context(part(Path(home, "bare"), "bare", facts=refs))] if who == "ours" else []
        for process in [*running, *beside]:
            process.stdout.readline()  # it is ready
        sent, answered = {}, {}

        def end(ref: str) -> None:
            began = time.monotonic()
            sent[ref], answered[ref] = move(made, who, ref)
            time.sleep(max(0.0, options.writers / options.per_second - (time.monotonic() - began)))

        began = time.monotonic()
        with ThreadPoolExecutor(options.writers) as pool:
            list(pool.map(end, refs))
        seconds = time.monotonic() - began
        found = [said(process) for process in running]
        bare_saw = said(beside[0]) if beside else {}
    for facts in found:
        fired = facts.pop("fired")
        late = sorted((at - answered[ref]) * 1000 for ref, at in fired.items())
        facts |= {"late_p50_ms": late[len(late) // 2], "late_p99_ms": _p99(late), "late_max_ms": late[-1]}
        facts |= {"jobs": len(fired), "cpu_ms_a_job": facts["cpu_s"] * 1000 / len(fired)}
        seen = [(fired[ref] - bare_saw[ref.split("/")[-2]]) * 1000 for ref in fired if ref.split("/")[-2] in bare_saw]
        facts["after_bare_p99_ms"] = _p99(sorted(seen)) if seen else None
    wrote = sorted((answered[ref] - at) * 1000 for ref, at in sent.items())
    saw = sorted((bare_saw[ref.split("/")[-2]] - at) * 1000 for ref, at in answered.items()) if bare_saw else []
    whole = {
        "ended_per_second": jobs / seconds,
        "write_p99_ms": _p99(wrote),
        "bare_p50_ms": saw[len(saw) // 2] if saw else None,
    }
    whole["bare_p99_ms"] = _p99(saw) if saw else None
    return [facts | whole for facts in found]


def _p99(ordered: list[float]) -> float:
    return ordered[int(len(ordered) * 0.99)]


def show(jobs: int, who: str, facts: dict[str, Any]) -> list[str]:
    """Print one triggerer's line; gives the bars that it missed."""
    line = f"{jobs} jobs, {who}, {facts['jobs']} told: "
    line += ", ".join(f"{text} {facts[key]:.{int(key.endswith('job'))}f}" for key, text in TOLD.items())
    if facts["bare_p99_ms"] is not None:
        line += "; a bare watch p50 {bare_p50_ms:.0f}, p99 {bare_p99_ms:.0f}, ours after it p99 {after_bare_p99_ms:.0f}"
        line += "; the write itself p99 {write_p99_ms:.0f} ms"
    line += "; {ended_per_second:.0f} jobs ended a second"
    print(line.format(**facts) + f"; load {os.getloadavg()[0]:.1f}", flush=True)
    over = [key for key, bar in BARS.items() if who == "ours" and facts[key] > bar]
    return [f"{jobs} jobs: {TOLD[key]} {facts[key]:.0f} > {BARS[key]}" for key in over]


def main() -> None:
    """All measures, a line each; exit code 1 and their names if bars were missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--triggerers", type=int, default=1, help="processes that share the jobs")
    parser.add_argument("--per-second", type=float, default=20, help="jobs that end in a second, at most")
    parser.add_argument("--writers", type=int, default=1, help="jobs that end at the same time")
    options = parser.parse_args()
    if not os.environ.get("KUBECONFIG"):
        print("Kubernetes: not run, KUBECONFIG names no cluster")
        return
    made, missed = platform(), []
    try:
        for jobs in options.jobs:
            for who in ("ours",) if options.no_peer else ("ours", "peer"):
                kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
                kubectl("create", "namespace", NAMESPACE)
                for facts in waiting(made, who, options, jobs):
                    missed += show(jobs, who, facts)
        with tempfile.TemporaryDirectory() as home, part(Path(home, "worker"), "worker", facts=None) as one:
            facts = said(one)
        text = "1 job, ours: {calls} calls, {submit_s:.2f} s of a worker until it defers, {cpu_s:.2f} CPU s in all"
        print((text + " after {hook_cpu_s:.2f} for Airflow's own Kubernetes hook").format(**facts), flush=True)
        missed += [f"1 job: {key} {facts[key]:.1f} > {bar}" for key, bar in WORKER_BARS.items() if facts[key] > bar]
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    for line in missed:
        print(f"missed: {line}")
    sys.exit(bool(missed))


PARTS = {"measure": measure, "bare": bare, "worker": worker}

if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # this file's own folder would hide the package of its name
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
    else:
        main()
