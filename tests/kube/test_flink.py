"""Flink on a real Kubernetes with the real Flink operator: bounded jobs, and a stream that counts through it all.

The counting job writes the numbers from 1 on into files; whatever happens to the stream, the files hold each number
exactly once. DOEKS_KUBE_FLINK_LIB names the folder of Flink's jars that it is compiled with.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_doeks.cost import load_rate_card
from airflow_doeks.hooks.stores import LocalStore, open_log
from airflow_doeks.lifecycle import Accounting, Budgets, Followers, settle, submit, wait
from airflow_doeks.lifecycle.machine import Goal
from airflow_doeks.lifecycle.staging import stage
from airflow_doeks.model.engine import FLINK
from airflow_doeks.model.flink import FlinkJob
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.registry import TYPES
from tests.kube.conftest import SESSION, kubectl
from tests.kube.test_api_server import admin
from tests.kube.test_pod_cost import held, kubelet_view

pytestmark = [pytest.mark.slow]
NAMESPACE = os.environ.get("DOEKS_KUBE_FLINK_NAMESPACE", "flink-tests")
IMAGE = os.environ.get("DOEKS_KUBE_FLINK_IMAGE", "kubelab.test/flink:1.18.1")
LIB = Path(os.environ.get("DOEKS_KUBE_FLINK_LIB", "/nowhere"))
DEPLOYMENTS = "flinkdeployments.flink.apache.org"
SECONDS = 240
SMALL = {
    "job_manager": {"cpu": "0.5", "memory": "1Gi"},
    "task_manager": {"cpu": "0.5", "memory": "1Gi"},
}
LIMITS = {f"kubernetes.{role}.cpu.limit-factor": 4 for role in ("jobmanager", "taskmanager")}
RIGHTS = """\
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE, labels: {kube-lab/small-cpu: "true"}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: flink, namespace: NAMESPACE}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: flink, namespace: NAMESPACE}
rules:
- {apiGroups: [""], resources: [pods, configmaps, services], verbs: ["*"]}
- {apiGroups: [apps], resources: [deployments, deployments/finalizers], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: flink, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: flink}
subjects: [{kind: ServiceAccount, name: flink, namespace: NAMESPACE}]
"""


@dataclass(frozen=True)
class Lab:
    """A folder that pods see, with the counting job in it, and a platform."""

    folder: Path

    def platform(self, **entry: Any) -> Any:
        """Connected anew."""
        row = TYPES["apache_flink"].load()
        shared = {"name": "shared", "hostPath": {"path": str(self.folder)}}
        container = {
            "name": "flink-main-container",
            "volumeMounts": [{"name": "shared", "mountPath": str(self.folder)}],
        }
        given = {
            "type": "apache_flink",
            "namespace": NAMESPACE,
            "image": IMAGE,
            "state": (self.folder / "state").as_uri(),
            "priced_as": "m7g.xlarge",
            "pod_template": {"spec": {"volumes": [shared], "containers": [container]}},
        }
        return row.Platform(row.Config.model_validate(given | entry), "lab", Clients(kubernetes=lambda _: admin()))

    def job(self, out: str, *args: str, **changes: Any) -> FlinkJob:
        """The counting job."""
        said = {"jar": (self.folder / "counting.jar").as_uri(), "class": "Counting", **SMALL}
        said["args"] = ["--out", (self.folder / out).as_uri(), *args]
        said["conf"] = {"execution.checkpointing.interval": "3 s"}
        said["conf"] |= LIMITS
        return FlinkJob.model_validate(said | changes)

    def identity(self, task: str, run: str = "first", **changes: Any) -> JobIdentity:
        """An attempt of a task of this session."""
        started = datetime.now(timezone.utc)
        return JobIdentity(f"flink-{SESSION}", "counting", run, task, -1, 1, started, f"{run} {time.time()}", **changes)

    def numbers(self, out: str) -> tuple[Counter[int], set[str]]:
        """How often each number stands in the files that were committed, and under which labels."""
        found: Counter[int] = Counter()
        labels = set()
        for file in (self.folder / out).rglob("*"):
            if file.is_file() and not file.name.startswith("."):
                for line in file.read_text().splitlines():
                    label, _, number = line.partition(",")
                    found[int(number)] += 1
                    labels.add(label)
        return found, labels


@pytest.fixture(scope="module")
def lab(shared_folder: Path) -> Iterator[Lab]:
    """The compiled job, a namespace; afterwards nothing of this session is left in it."""
    if shutil.which("javac") is None or not list(LIB.glob("flink-dist*.jar")):
        pytest.skip("DOEKS_KUBE_FLINK_LIB names no folder of Flink's jars, or there is no javac")
    if DEPLOYMENTS not in kubectl("get", "crd", "-o", "name"):
        pytest.skip("the cluster has no Flink operator")
    kubectl("apply", "-f", "-", text=RIGHTS.replace("NAMESPACE", NAMESPACE))
    for folder in ("state", "out"):
        (shared_folder / folder).mkdir(exist_ok=True)
        (shared_folder / folder).chmod(0o777)
    classes = shared_folder / "classes"
    source = Path(__file__).with_name("Counting.java")
    jars = ":".join(map(str, LIB.glob("*.jar")))
    command = ["javac", "--release", "11", "-cp", jars, "-d", str(classes), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    jar = ["jar", "--create", "--file", str(shared_folder / "counting.jar"), "-C", str(classes), "."]
    subprocess.run(jar, check=True, capture_output=True, text=True)
    try:
        yield Lab(shared_folder)
    finally:
        selector = f"airflow-doeks/instance=flink-{SESSION}"
        kubectl("-n", NAMESPACE, "delete", DEPLOYMENTS, "-l", selector, "--wait=false")
        until(lambda: not things("pods", selector), 120)


def things(kind: str, selector: str) -> list[dict[str, Any]]:
    """Objects of the namespace."""
    items: list[dict[str, Any]] = json.loads(kubectl("-n", NAMESPACE, "get", kind, "-o", "json", "-l", selector))[
        "items"
    ]
    return items


def until(is_true: Any, seconds: float = SECONDS, what: str = "it") -> None:
    """Wait for the cluster."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(1)


def deploy(lab: Lab, job: FlinkJob, task: str, run: str = "first", seconds: float = 5, **entry: Any) -> Any:
    """Submit a stream and wait until it runs well, as its task does; gives the submission."""
    platform = lab.platform(**entry)
    submission = submit(platform, job, lab.identity(task, run), engine=FLINK)
    budgets = Budgets(startup_timeout=SECONDS, queue_timeout=SECONDS)
    status, overdue = wait(platform, submission, budgets, goal=Goal(seconds), poll_seconds=1)
    assert (status.state, overdue) == (JobState.RUNNING, None), (status, platform.explain(submission.ref))
    return submission


def stop(lab: Lab, task: str, **entry: Any) -> tuple[Any, str]:
    """Stop the stream of a task; gives the last status and the savepoint's path."""
    platform = lab.platform(**entry)
    submission = submit(platform, FlinkJob(stop=task), lab.identity("stop"), engine=FLINK)
    status, _ = wait(platform, submission, Budgets(), poll_seconds=1)
    assert status.state is JobState.SUCCEEDED, status
    return status, status.savepoint


def test_bounded_jobs_end_with_their_price_or_their_cause(lab: Lab) -> None:
    """Usage is the containers' by the kubelet within 5 %; pods go, the verdict stays; a failure is its exception."""
    platform, sightings = lab.platform(), []
    identity = lab.identity("bounded")

    async def last(ref: Any) -> Any:
        seen = None
        async with aclosing(Followers().follow(platform, ref, sink=sightings.append)) as statuses:
            async for status in statuses:
                seen = status
        return seen

    with kubelet_view(NAMESPACE) as pods:
        submission = submit(platform, lab.job("out/bounded", "--limit", "900", "--rate", "20"), identity, engine=FLINK)
        failing = lab.job("out/failing", "--limit", "50", "--fail-at", "7")
        failed = submit(platform, failing, lab.identity("failing"), engine=FLINK)
        status = asyncio.run(asyncio.wait_for(last(submission.ref), SECONDS))
        assert status.state is JobState.SUCCEEDED, platform.explain(submission.ref)
        books = Accounting(
            open_log=lambda url: open_log(url, None),
            rate_card=lambda: load_rate_card(None, region="us-east-1"),
            sightings=lambda *_: sightings,
        )
        record = settle(platform, submission, identity, status, books).record
        platform.release(submission.ref)
        until(lambda: not things("pods", f"app={submission.name}"), 90, "the end of its pods")
        time.sleep(2)
    counted, _ = lab.numbers("out/bounded")
    assert counted == Counter(range(1, 901))
    mine = [pod for pod in pods.values() if pod["metadata"]["labels"].get("app") == submission.name]
    ended = [pod for pod in mine if "terminated" in pod["status"]["containerStatuses"][0]["state"]]
    assert len(ended) == len(mine) == 2
    vcpu_seconds, gib_seconds = held(ended)
    assert record.cost.basis == "pods"
    assert float(record.usage.vcpu_seconds) == pytest.approx(vcpu_seconds, rel=0.05)
    assert float(record.usage.memory_gib_seconds) == pytest.approx(gib_seconds, rel=0.05)
    assert platform.observe(submission.ref).state is JobState.SUCCEEDED
    status, _ = wait(platform, failed, Budgets(), poll_seconds=1)
    failure = platform.explain(failed.ref)
    platform.release(failed.ref)
    assert status.state is JobState.FAILED
    assert (failure.category, failure.message) == (
        "user_code",
        "java.lang.IllegalStateException: number 7 is not welcome",
    )


SQL = """\
CREATE TABLE words (word STRING, n INT) WITH (
  'connector' = 'filesystem', 'path' = '{data}/words', 'format' = 'csv'
);
CREATE TABLE totals (word STRING, n INT) WITH (
  'connector' = 'filesystem', 'path' = '{data}/totals', 'format' = 'csv'
);
INSERT INTO totals SELECT word, SUM(n) FROM words GROUP BY word;
"""


def test_sql_on_pods_tells_its_tables_by_what_its_job_manager_leaves(lab: Lab) -> None:
    """The bundled runner runs staged SQL; the archive of its job gives datasets, and rows only where they are known."""
    data = lab.folder / "data"
    (data / "words").mkdir(exist_ok=True)
    (data / "words" / "one.csv").write_text("a,1\nb,2\na,3\n")
    job = FlinkJob.model_validate({"sql": "totals.sql", "conf": LIMITS, **SMALL})
    text = SQL.format(data=data.as_uri())
    job = stage(job.model_copy(update={"sql_text": text}), str(lab.folder), LocalStore(lab.folder / "code"))
    platform, identity = lab.platform(), lab.identity("sql")
    submission = submit(platform, job, identity, engine=FLINK)
    status, _ = wait(platform, submission, Budgets(startup_timeout=SECONDS), poll_seconds=1)
    assert status.state is JobState.SUCCEEDED, platform.explain(submission.ref)
    books = Accounting(
        open_log=lambda url: open_log(url, None), rate_card=lambda: load_rate_card(None, region="us-east-1")
    )
    settled = settle(platform, submission, identity, status, books)
    platform.release(submission.ref)
    lineage = settled.record.lineage
    assert [(one.namespace, one.name) for one in lineage.inputs] == [("file", f"{data}/words")]
    assert [(one.namespace, one.name) for one in lineage.outputs] == [("file", f"{data}/totals")]
    assert {one.rows for one in lineage.inputs} <= {3, None}
    assert {one.rows for one in lineage.outputs} <= {2, None}
    assert [inner["state"] for inner in settled.detail["jobs"]] == ["FINISHED"]
    written = "".join(file.read_text() for file in (data / "totals").rglob("*") if file.is_file())
    assert sorted(written.split()) == ["a,4", "b,2"]


def test_a_stream_counts_once_through_upgrade_savepoint_stop_and_resume(lab: Lab) -> None:
    """Every number once, whatever was done to the stream; equal work of another run sent nothing."""
    first = deploy(lab, lab.job("out/stream", "--label", "a", mode="streaming"), "clicks")
    before = resource(first)
    again = deploy(lab, lab.job("out/stream", "--label", "a", mode="streaming"), "clicks", "second")
    assert again.ref == first.ref
    assert resource(again)["metadata"]["generation"] == before["metadata"]["generation"]
    request = lab.platform().render(FlinkJob(savepoint="clicks"), lab.identity("save"))
    saved = lab.platform().save(request, SECONDS)
    assert saved.startswith("file:")
    upgraded = deploy(lab, lab.job("out/stream", "--label", "b", mode="streaming"), "clicks", "third")
    assert upgraded.ref == first.ref
    until(lambda: "b" in lab.numbers("out/stream")[1], 90, "output of the new version")
    _, path = stop(lab, "clicks")
    assert path.startswith("file:")
    assert path != saved
    counted, labels = lab.numbers("out/stream")
    assert labels == {"a", "b"}
    assert counted == Counter(range(1, max(counted) + 1))
    resumed = deploy(lab, lab.job("out/stream", "--label", "b", mode="streaming"), "clicks", "fourth")
    assert resumed.ref == first.ref
    until(lambda: max(lab.numbers("out/stream")[0]) > max(counted), 90, "output after the resume")
    stop(lab, "clicks")
    more, _ = lab.numbers("out/stream")
    assert more == Counter(range(1, max(more) + 1))


def resource(submission: Any) -> dict[str, Any]:
    """The resource of a job."""
    found: dict[str, Any] = json.loads(kubectl("-n", NAMESPACE, "get", DEPLOYMENTS, submission.name, "-o", "json"))
    return found
