"""Waiting for jobs on Kubernetes: this package's trigger beside `SparkKubernetesOperator`'s, on a real API server.

    KUBECONFIG=... python benchmarks/kubernetes.py [--jobs 100 1000] [--no-peer]

Needs a cluster with the definition of SparkApplication spark.apache.org/v1 and without its operator: this script moves
the states of the resources itself, twenty a second, and those of the drivers' pods, which no node takes and which the
peer follows. Each measure is a process of its own with Airflow imported before it starts. Without KUBECONFIG nothing
is run. Missed bars are told at the end.
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
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
NAMESPACE = "doeks-bench"
ENTRY = {"type": "apache_spark", "connection": "kube_bench", "namespace": NAMESPACE, "image": "acme/spark:4.0.2"}
MOVES_PER_SECOND, READY_SECONDS = 20, 15  # no event is told in the first ten seconds
BARS = {"sockets": 2, "rss_mb": 150, "lag_p99_ms": 100, "late_p99_ms": 200}
TOLD = {"sockets": "connections", "rss_mb": "extra MB", "lag_p99_ms": "loop lag p99 ms", "lag_max_ms": "longest ms"}
TOLD |= {"late_p50_ms": "event after ms p50", "late_p99_ms": "p99", "late_max_ms": "most", "cpu_s": "CPU s"}


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
    from airflow_doeks.model.identity import JobIdentity
    from airflow_doeks.model.job import SparkJob

    refs, started = [], datetime.now(timezone.utc)
    job = SparkJob(main="s3://c/m.py", conf={f"spark.bench.key{number}": "x" * 40 for number in range(20)})
    for number in range(jobs):
        identity = JobIdentity("bench", "d", f"{started:%H%M%S}", "t", number, 1, started, f"{started} {number}")
        ref = made.submit(made.render(job, identity))
        _patch(made, "sparkapplications", ref.path[1], _status("RunningHealthy"))
        labels = made.resources.resource(ref)["metadata"]["labels"]
        labels |= {"spark-role": "driver", "spark.operator/spark-app-name": ref.path[1]}
        container = {"name": "spark-kubernetes-driver", "image": "acme/spark:4.0.2"}
        spec = {"containers": [container], "nodeSelector": {"doeks": "bench"}, "terminationGracePeriodSeconds": 0}
        pod = {"metadata": {"name": f"{ref.path[1]}-driver", "labels": labels}, "spec": spec}
        made.calls.patiently("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", body=pod)
        _patch(made, "pods", f"{ref.path[1]}-driver", _pod("Running", {"running": {"startedAt": _now()}}))
        refs.append(str(ref))
    return refs


def move(made: Any, who: str, ref: str) -> float:
    """Let one job end as its follower sees it; gives when this was asked for."""
    name, at = ref.split("/")[-2], time.time()
    if who == "peer":
        ended = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": _now(), "finishedAt": _now()}}
        _patch(made, "pods", f"{name}-driver", _pod("Succeeded", ended))
    else:
        _patch(made, "sparkapplications", name, _status("Succeeded"))  # as the operator: one after the other
        at = time.time()
        _patch(made, "sparkapplications", name, _status("Succeeded", "ResourceReleased"))
    return at


def _status(*words: str) -> dict[str, Any]:
    states = [{"currentStateSummary": word, "lastTransitionTime": _now()} for word in words]
    history = {str(number): state for number, state in enumerate(states)}
    return {"status": {"currentState": states[-1], "stateTransitionHistory": history}}


def _pod(phase: str, state: dict[str, Any]) -> dict[str, Any]:
    container = {"name": "spark-kubernetes-driver", "image": "a", "imageID": "a", "ready": phase == "Running"}
    return {"status": {"phase": phase, "containerStatuses": [container | {"restartCount": 0, "state": state}]}}


def _patch(made: Any, plural: str, name: str, body: dict[str, Any]) -> None:
    group = "api/v1" if plural == "pods" else "apis/spark.apache.org/v1"
    made.calls.patiently("PATCH", f"/{group}/namespaces/{NAMESPACE}/{plural}/{name}/status", body=body)


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def measure(who: str, file: str) -> None:
    """Wait for all jobs in one event loop; prints what it took as JSON."""
    refs = json.loads(Path(file).read_text())
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
        asyncio.get_running_loop().call_later(READY_SECONDS, lambda: print("ready", flush=True))
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
        return facts | {"fired": fired}

    print(json.dumps(asyncio.run(run())))


def _rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _sockets() -> int:
    return sum("socket:" in os.path.realpath(file) for file in Path("/proc/self/fd").iterdir())


def waiting(made: Any, who: str, jobs: int) -> dict[str, Any]:
    """One triggerer full of jobs that end one after the other."""
    refs = fill(made, jobs)
    extra = {"kube_config_path": os.environ["KUBECONFIG"]}
    with tempfile.TemporaryDirectory() as home:
        file = Path(home, "refs.json")
        file.write_text(json.dumps(refs))
        environment = os.environ | {"AIRFLOW_HOME": home, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
        environment |= {"AIRFLOW_CONN_KUBE_BENCH": json.dumps({"conn_type": "kubernetes", "extra": extra})}
        environment |= {"AIRFLOW__DOEKS__INSTANCE": "bench"}
        command = [sys.executable, __file__, "measure", who, str(file)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            process.stdout.readline()  # it is ready
            moved = {}
            for ref in refs:
                began = time.monotonic()
                moved[ref] = move(made, who, ref)
                time.sleep(max(0.0, 1 / MOVES_PER_SECOND - (time.monotonic() - began)))
            said = process.communicate()[0]
    facts = json.loads(said.splitlines()[-1])
    late = sorted((at - moved[ref]) * 1000 for ref, at in facts.pop("fired").items())
    facts |= {"late_p50_ms": late[len(late) // 2], "late_p99_ms": late[int(len(late) * 0.99)], "late_max_ms": late[-1]}
    return facts


def main() -> None:
    """All measures, a line each; exit code 1 and their names if bars were missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--no-peer", action="store_true")
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
                facts = waiting(made, who, jobs)
                print(f"{jobs} jobs, {who}: " + ", ".join(f"{TOLD[key]} {facts[key]:.0f}" for key in TOLD), flush=True)
                over = [key for key, bar in BARS.items() if who == "ours" and facts[key] > bar]
                missed += [f"{jobs} jobs: {TOLD[key]} {facts[key]:.0f} > {BARS[key]}" for key in over]
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    for line in missed:
        print(f"missed: {line}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # this file's own folder would hide the package of its name
    if sys.argv[1:2] == ["measure"]:
        measure(*sys.argv[2:])
    else:
        main()
