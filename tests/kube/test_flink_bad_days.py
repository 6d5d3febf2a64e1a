"""Bad days of Flink on a real Kubernetes: each ends in one clear state, and the stream's numbers are each there once.

One stream is bereft of its pods, its storage and its savepoints; another is upgraded to what cannot run, its operator
away for the while.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_doeks.lifecycle import Budgets, submit, wait
from airflow_doeks.lifecycle.machine import Goal
from airflow_doeks.model.engine import FLINK
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.flink import FlinkJob
from airflow_doeks.model.status import JobState, JobStatus
from tests.kube import test_flink
from tests.kube.conftest import kubectl
from tests.kube.test_flink import NAMESPACE, RIGHTS, SECONDS, Lab, deploy, stop, things, until

pytestmark = [pytest.mark.slow]
lab = test_flink.lab
OPERATOR = ("-n", "flink-operator", "deployment/flink-operator")
FULL = f"{NAMESPACE}-full"  # a namespace whose quota takes no pod


@contextmanager
def operator_away() -> Iterator[None]:
    """The Flink operator is gone for the block."""
    namespace, name = OPERATOR[1:]
    kubectl("-n", namespace, "scale", name, "--replicas=0")
    until(lambda: not json.loads(kubectl("-n", namespace, "get", "pods", "-o", "json"))["items"])
    try:
        yield
    finally:
        kubectl("-n", namespace, "scale", name, "--replicas=1")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Pods can neither read nor write a folder."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o000)
    try:
        yield
    finally:
        folder.chmod(0o777)


def kill(submission: Any, role: str) -> None:
    """A pod is gone without a word, and Kubernetes has another in its place."""
    selector = f"app={submission.name},component={role}"
    before = {pod["metadata"]["uid"] for pod in things("pods", selector)}
    kubectl("-n", NAMESPACE, "delete", "pods", "-l", selector, "--grace-period=0", "--force", "--wait=false")
    until(lambda: {pod["metadata"]["uid"] for pod in things("pods", selector)} - before, what=f"another {role}")


def seen(lab: Lab, submission: Any, is_so: Any, what: str) -> JobStatus:
    """The status of which something is true, sooner or later."""
    platform, last = lab.platform(), []

    def look() -> bool:
        last[:] = [platform.observe(submission.ref)]
        return bool(is_so(last[0]))

    until(look, what=f"{what}, but {last}")
    found: JobStatus = last[0]
    return found


def is_well(status: JobStatus) -> bool:
    """It runs as it should."""
    return status.state is JobState.RUNNING and status.is_well


def fail(
    lab: Lab, job: FlinkJob, task: str, seconds: float, *, told: list[str] | None = None, **entry: Any
) -> tuple[JobStatus, Any]:
    """How a job ended that cannot run, and why; it has so long to come up. ``told`` gets the reasons of its states."""
    platform = lab.platform(**entry)
    submission = submit(platform, job, lab.identity(task, f"bad {time.time()}"), engine=FLINK)
    budgets = Budgets(startup_timeout=seconds, queue_timeout=SECONDS)
    goal, reasons = Goal(30) if job.is_stream else Goal(), told if told is not None else []
    status, _ = wait(
        platform, submission, budgets, goal=goal, on_change=lambda seen: reasons.append(seen.reason), poll_seconds=1
    )
    return status, platform.explain(submission.ref)


def once(lab: Lab, out: str, labels: set[str]) -> None:
    """Every number up to the last is there once, written by these versions."""
    counted, found = lab.numbers(out)
    assert found == labels
    assert counted == Counter(range(1, max(counted) + 1))


def test_a_stream_outlives_its_pods_its_storage_and_its_savepoints(lab: Lab) -> None:
    """Task manager, job manager and checkpoint storage go and come again, a savepoint fails: it runs on, each told."""
    stream = deploy(lab, lab.job("out/sturdy", mode="streaming"), "sturdy")
    for role in ("taskmanager", "jobmanager"):
        kill(stream, role)
        seen(lab, stream, is_well, f"well without its {role}")
    with locked(lab.folder / "state" / "savepoints"):
        request = lab.platform().render(FlinkJob(savepoint="sturdy"), lab.identity("save"))
        with pytest.raises(PlatformError, match="failed, and the stream runs on"):
            lab.platform().save(request, SECONDS)
    seen(lab, stream, is_well, "well without its savepoint")
    with locked(lab.folder / "state"):
        status = seen(lab, stream, lambda status: not is_well(status), "trouble with its storage")
        assert status.state in (JobState.RUNNING, JobState.STARTING), status
    seen(lab, stream, is_well, "well with its storage")
    _, path = stop(lab, "sturdy")
    assert path.startswith("file:")
    once(lab, "out/sturdy", {"a"})


def test_an_upgrade_that_fails_leaves_a_savepoint_from_which_the_next_goes_on(lab: Lab) -> None:
    """Operator away, broken image, incompatible state: stopped with its savepoint named; the right version goes on."""
    stream = deploy(lab, lab.job("out/changed", mode="streaming"), "changed")
    with operator_away():
        broken = lab.job("out/changed", "--label", "b", mode="streaming", image="kubelab.test/none:1.18.1")
        submit(lab.platform(), broken, lab.identity("changed", "away"), engine=FLINK)
        status = lab.platform().observe(stream.ref)
        assert (status.state, status.is_well, status.reason) == (
            JobState.RUNNING,
            False,
            "the operator has not taken up the change yet",
        )
    status, failure = fail(lab, broken, "changed", 25)
    assert (status.state, failure.category) == (JobState.CANCELLED, "image"), (status, failure)
    saved = status.savepoint
    assert saved.startswith("file:")
    assert f"to go back, deploy what ran before with from: {saved}" in failure.evidence
    other = lab.job("out/changed", "--label", "c", "--uid", "other", mode="streaming")
    status, failure = fail(lab, other, "changed", 90)
    assert status.state.has_failed, status
    assert (failure.category, status.savepoint) == ("user_code", saved), (status, failure)
    assert "Failed to rollback to checkpoint/savepoint" in failure.message
    deploy(lab, lab.job("out/changed", "--label", "d", mode="streaming"), "changed", "right")
    until(lambda: "d" in lab.numbers("out/changed")[1], 90, "output of the right version")
    stop(lab, "changed")
    once(lab, "out/changed", {"a", "d"})


def test_a_wrong_jar_ends_with_its_name_and_the_right_one_goes_on(lab: Lab) -> None:
    """A class that no jar has, a jar that is not there: told by name, and the stream's state is kept."""
    missing = (lab.folder / "nowhere.jar").as_uri()
    status, failure = fail(lab, lab.job("out/classless", **{"class": "NoSuchClass"}), "classless", 60)
    assert (status.state.has_failed, "NoSuchClass" in failure.message) == (True, True), (status, failure)
    deploy(lab, lab.job("out/jars", mode="streaming"), "jars")
    status, failure = fail(lab, lab.job("out/jars", "--label", "b", mode="streaming", jar=missing), "jars", 60)
    assert (status.state.has_failed or status.state is JobState.CANCELLED, "nowhere.jar" in failure.message) == (
        True,
        True,
    ), (status, failure)
    assert status.savepoint.startswith("file:")
    deploy(lab, lab.job("out/jars", "--label", "c", mode="streaming"), "jars", "right")
    until(lambda: "c" in lab.numbers("out/jars")[1], 90, "output of the right version")
    stop(lab, "jars")
    once(lab, "out/jars", {"a", "c"})


def test_an_upgrade_by_the_last_state_counts_once(lab: Lab) -> None:
    """No savepoint is taken: the next version goes on from the last checkpoint, also where the job could not save."""
    before, after = (lab.job("out/last", "--label", label, mode="streaming", upgrade="last-state") for label in "ab")
    deploy(lab, before, "last")
    with locked(lab.folder / "state" / "savepoints"):
        deploy(lab, after, "last", "next")
        until(lambda: "b" in lab.numbers("out/last")[1], 90, "output of the next version")
    stop(lab, "last")
    once(lab, "out/last", {"a", "b"})


def test_a_full_quota_is_told_while_a_job_waits_for_its_pods(lab: Lab) -> None:
    """A namespace whose quota takes no pod: the job is told as held up by it, and ends at its time-out."""
    kubectl("apply", "-f", "-", text=RIGHTS.replace("NAMESPACE", FULL))
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "doeks-test", "namespace": FULL}}
    kubectl("apply", "-f", "-", text=json.dumps(quota | {"spec": {"hard": {"pods": "0"}}}))
    told: list[str] = []
    try:
        status, _ = fail(lab, lab.job("out/full"), "full", 30, told=told, namespace=FULL)
    finally:
        kubectl("delete", "namespace", FULL, "--wait=false")
    assert status.state.has_failed
    assert any("exceeded quota: doeks-test" in reason for reason in told), told
