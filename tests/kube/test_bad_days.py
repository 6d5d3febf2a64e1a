"""Bad days of a real control plane: parts of it die, refuse or forget, and every job is told as it is.

Stories that kill parts of the cluster run on the lab only, whose processes are on this machine.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.kubernetes.server import PODS
from airflow_doeks.platforms.patience import Refusal
from tests.kube import lab
from tests.kube.conftest import NAMESPACE, OPERATORS, SESSION, kubectl, listed, mounts
from tests.kube.test_api_server import RESOURCE, as_user, platform, request, until

ON_THE_LAB = pytest.mark.skipif(not lab.is_here(), reason="the processes of this cluster are not on this machine")
HELD = """\
import pathlib, sys, time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
spark.range(10).count()
came_up, may_end = map(pathlib.Path, sys.argv[1:])
came_up.touch()
deadline = time.monotonic() + 600
while not may_end.exists() and time.monotonic() < deadline:
    time.sleep(0.2)
spark.stop()
"""


@dataclass(frozen=True)
class Held:
    """A job that has its executors, says so, and runs until it may end."""

    request: Any
    came_up: Path
    may_end: Path


def held(made, folder, attempt):
    """A job that ends when it is told to, ten minutes later at most."""
    program = folder / "code" / "held.py"
    program.write_text(HELD)
    marks = [folder / "code" / f"{attempt}.{mark}" for mark in ("came-up", "may-end")]
    changes = {"main": f"local://{program}", "args": [str(mark) for mark in marks], "conf": mounts(folder)}
    return Held(request(made, f"{attempt}-{SESSION}", **changes)[0], *marks)


def left(kind, attempt):
    """What the namespace holds of an attempt."""
    return listed(kind, f"airflow-doeks/run={attempt}-{SESSION}")


def living(attempt):
    """Its pods that have not ended."""
    return [pod for pod in left("pods", attempt) if pod["status"]["phase"] not in ("Succeeded", "Failed")]


async def follow(made, ref, told):
    """Collect the states that a feed tells of a job until its end."""
    async with aclosing(made.feed(made.scope(ref), {ref})) as feed:
        async for status in feed:
            state = getattr(status, "state", None)
            if state and told[-1:] != [state]:
                told.append(state)
            if state and state.is_terminal:
                return


async def comes(is_true, seconds=240):
    """The same as until, beside a feed."""
    await asyncio.wait_for(asyncio.to_thread(until, is_true, seconds), seconds + 10)


@ON_THE_LAB
async def test_a_job_outlives_the_death_of_all_that_watch_over_it(operator, shared_folder):
    """API server, kubelet and operator are killed one after the other: each job is one, its end is told, none lost.

    While the operator is dead and the driver has ended, the job is STALLED; it recovers with its operator.
    """
    if not lab.has(lab.OPERATORS[operator]):
        pytest.skip("the operator is no process of this machine")
    made, told = platform(type=operator, no_progress_seconds=4), []
    job = held(made, shared_folder, attempt := f"outlives-{operator}")
    ref = made.submit(job.request)
    following = asyncio.create_task(follow(made, ref, told))
    await comes(lambda: JobState.RUNNING in told and job.came_up.exists())
    told.clear()
    other, _ = request(made, f"meanwhile-{operator}-{SESSION}")
    with ThreadPoolExecutor(1) as pool:
        with lab.killed("kube-apiserver"):
            submitting = pool.submit(made.submit, other)
            await asyncio.sleep(3)
        second = await asyncio.to_thread(submitting.result, 120)
    assert made.submit(other) == second
    await asyncio.to_thread(made.cancel, second)
    with lab.killed("kubelet"):
        await asyncio.sleep(1)
    with lab.killed(lab.OPERATORS[operator]):
        job.may_end.touch()
        await comes(lambda: JobState.STALLED in told)
        assert not following.done()
    await asyncio.wait_for(following, 240)
    states = [state for state in told if state is not JobState.RUNNING]
    why = made.explain(ref) if JobState.FAILED in states else None
    assert set(states[:-1]) == {JobState.STALLED}, why  # twice where an operator that is back takes its time
    assert states[-1] is JobState.SUCCEEDED, why
    assert len(left(OPERATORS[operator], attempt)) == 1
    until(lambda: not left(OPERATORS[operator], f"meanwhile-{operator}") and not living(f"meanwhile-{operator}"))


@ON_THE_LAB
def test_a_webhook_that_is_away_holds_a_job_up_and_loses_none():
    """Its refusal is one line with what to do, and is asked again: once it answers there is one job."""
    made = platform()
    sent, _ = request(made, f"webhook-{SESSION}")
    path, resource = made.operator.kind.path(NAMESPACE), sent.body["resource"]
    with ThreadPoolExecutor(1) as pool:
        with lab.killed("spark-operator-webhook"):
            with pytest.raises(Refusal, match=r"failed calling webhook.*A webhook of the cluster does not") as caught:
                made.calls.once("POST", path, resource)
            assert caught.value.retryable
            assert left(RESOURCE, "webhook") == []
            submitting = pool.submit(made.submit, sent)
            time.sleep(1)
        ref = submitting.result(120)
    try:
        assert len(left(RESOURCE, "webhook")) == 1
        assert made.submit(sent) == ref
    finally:
        made.cancel(ref)


@contextmanager
def quota(**hard: str) -> Iterator[None]:
    """A quota of the namespace that holds once its status says so."""
    item = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "doeks-test", "namespace": NAMESPACE}}
    kubectl("apply", "-f", "-", text=json.dumps(item | {"spec": {"hard": hard}}))
    try:
        until(lambda: (listed("resourcequota")[0].get("status") or {}).get("hard") == hard)
        yield
    finally:
        kubectl("-n", NAMESPACE, "delete", "resourcequota", "doeks-test")


def test_a_full_quota_is_told_as_such(operator):
    """Of jobs: nothing is made, and the refusal names the quota. Of pods: the job fails, and the quota is why."""
    made, resources = platform(type=operator), OPERATORS[operator]
    sent, _ = request(made, f"quota-{SESSION}")
    with (
        quota(**{f"count/{resources}": "0"}),
        pytest.raises(Refusal, match=r"exceeded quota: doeks-test.*Wait for other jobs to end") as caught,
    ):
        made.submit(sent)
    assert (caught.value.kind, left(resources, "quota")) == ("quota", [])
    with quota(pods="0"):
        ref = made.submit(sent)
        until(lambda: made.observe(ref).state is JobState.FAILED)
        failure = made.explain(ref)
    assert (failure.category, "exceeded quota" in failure.message) == ("quota", True), failure


def test_a_name_that_another_has_is_left_alone():
    """A resource of the job's name without our labels is named and not touched."""
    made = platform()
    sent, _ = request(made, f"foreign-{SESSION}")
    foreign = json.loads(json.dumps(sent.body["resource"]))
    foreign["metadata"]["labels"] = {"team": "others"}
    foreign["spec"]["suspend"] = True
    kubectl("create", "-f", "-", text=json.dumps(foreign))
    try:
        with pytest.raises(PlatformError, match=r"is not of this task \(team=others, made by kubectl.*left alone"):
            made.submit(sent)
        assert listed(RESOURCE, "team=others")[0]["spec"]["suspend"]
    finally:
        kubectl("-n", NAMESPACE, "delete", RESOURCE, "-l", "team=others")


def test_a_token_that_ends_is_renewed_from_the_connection():
    """A token that the API server no longer takes costs one call: the connection is read again, nobody is told."""
    names, clients = [f"doeks-token-{number}" for number in (1, 2)], []
    account = f"--serviceaccount={NAMESPACE}:spark"
    kubectl("-n", NAMESPACE, "create", "rolebinding", names[0], "--clusterrole=admin", account)
    try:
        for name in names:
            kubectl("-n", NAMESPACE, "create", "secret", "generic", name)
        bound = ("--bound-object-kind=Secret", "--bound-object-name")
        tokens = [kubectl("-n", NAMESPACE, "create", "token", "spark", *bound, name).strip() for name in names]

        def connect():
            clients.append(as_user(tokens[len(clients)]))
            return clients[-1]

        made = platform(connect)
        made.calls.get(PODS, NAMESPACE, "none")
        kubectl("-n", NAMESPACE, "delete", "secret", names[0])
        until(lambda: made.calls.get(PODS, NAMESPACE, "none") is None and len(clients) == 2, 60)
    finally:
        kubectl("-n", NAMESPACE, "delete", "secret", *names, "--ignore-not-found")
        kubectl("-n", NAMESPACE, "delete", "rolebinding", names[0])


def test_a_driver_that_is_deleted_is_a_failure_and_never_starts_again(operator, shared_folder):
    """Somebody deletes the driver's pod: the job failed, its executors are gone, and nothing is submitted anew."""
    made, attempt = platform(type=operator), f"deleted-{operator}"
    ref = made.submit(held(made, shared_folder, attempt).request)
    until(lambda: made.observe(ref).state is JobState.RUNNING)
    (driver,) = listed("pods", f"airflow-doeks/run={attempt}-{SESSION},spark-role=driver")
    kubectl("-n", NAMESPACE, "delete", "pod", driver["metadata"]["name"], "--grace-period=1")
    until(lambda: made.observe(ref).state is JobState.FAILED)
    until(lambda: not living(attempt))
    assert made.explain(ref).message
    time.sleep(5)
    assert len(left(OPERATORS[operator], attempt)) == 1
    assert (made.observe(ref).state, living(attempt)) == (JobState.FAILED, [])
