"""What a real API server says: to every rendered request, and to the documented Role with RBAC on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import time
from contextlib import aclosing
from datetime import datetime, timezone

import pytest
import yaml

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.patience import Refusal
from airflow_doeks.platforms.registry import TYPES
from tests.fakes.definitions import OF_EMR
from tests.kube.conftest import IMAGE, NAMESPACE, OPERATORS, ROOT, kubectl, listed
from tests.platforms.test_kubernetes_rendered import CASES, rendered

USER = "doeks-test"
RESOURCE = OPERATORS["kubeflow_spark"]


def admin():
    """The official client of the cluster's admin."""
    from kubernetes.config import new_client_from_config

    return new_client_from_config(os.environ["KUBECONFIG"])


def as_user(token: str):
    """The official client of whoever has a token."""
    from kubernetes.client import ApiClient

    settings = admin().configuration
    settings.cert_file = settings.key_file = None
    settings.api_key = {"authorization": f"Bearer {token}", "BearerToken": f"Bearer {token}"}
    return ApiClient(settings)


def platform(make=admin, **changes):
    """The platform of these tests; ``changes`` of its entry."""
    entry = {"type": "kubeflow_spark", "namespace": NAMESPACE, "image": IMAGE, "priced_as": "m7g.xlarge"} | changes
    row = TYPES[entry["type"]].load()
    return row.Platform(row.Config.model_validate(entry), "lab", Clients(kubernetes=lambda _: make()))


def request(made, attempt: str, **changes):
    """A small job of one attempt; ``changes`` of the job."""
    job = {"main": "local:///opt/spark/examples/src/main/python/pi.py", "args": ["2"]}
    small = {"driver": {"memory": "1Gi"}, "executors": {"memory": "1Gi"}}
    identity = JobIdentity(
        instance="test-api-server",
        dag_id="api",
        run_id=attempt,
        task_id="pi",
        map_index=-1,
        try_number=1,
        run_started=datetime.now(timezone.utc),
        attempt_id=f"{attempt} {time.time()}",
    )
    return made.render(SparkJob.model_validate(job | small | changes), identity), identity


def until(is_true, seconds=180):
    """Wait for the cluster."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.stem}")
def test_every_request_is_accepted(case):
    """Each rendered resource passes the definition with strict fields and the operator's webhooks: a dry run of all."""
    resource = rendered(case)["resource"]
    definition = f"{resource['kind'].lower()}s.{resource['apiVersion'].partition('/')[0]}"
    if definition not in kubectl("get", "crd", "-o", "name"):
        pytest.skip(f"the cluster has no definition {definition}")
    resource["metadata"]["namespace"] = NAMESPACE
    for name in OF_EMR:  # no operator's definition has them, and each knows the versions of Flink of its day
        resource["spec"].pop(name, None)
    if resource["kind"] == "FlinkDeployment":
        resource["spec"]["flinkVersion"] = "v1_18"
    said = kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", text=json.dumps(resource))
    assert "created (server dry run)" in said


def test_a_field_nobody_knows_is_refused_at_once():
    """The API server tells an unknown field and a wrong value before anything is stored."""
    made = platform()
    sent, _ = request(made, "faults")
    sent.body["resource"]["spec"]["modee"] = "cluster"
    with pytest.raises(Refusal, match=r'unknown field "spec.modee"'):
        made.submit(sent)
    assert listed(RESOURCE, "airflow-doeks/run=faults") == []


def test_cancelled_while_it_is_submitted(operator):
    """A job that is cancelled before it has a driver leaves neither resource nor pod, and is told as cancelled."""
    made = platform(type=operator)
    sent, _ = request(made, "early")
    ref = made.submit(sent)
    assert made.submit(sent) == ref
    made.cancel(ref)
    made.cancel(ref)
    until(lambda: made.observe(ref).state is JobState.CANCELLED)
    until(lambda: not listed("pods", "airflow-doeks/run=early"))
    assert listed(OPERATORS[operator], "airflow-doeks/run=early") == []
    assert made.explain(ref).category == "cancelled"


def test_cancelled_while_it_runs(operator):
    """A running job's pods are gone with its resource: nothing is submitted again, nothing is left."""
    made = platform(type=operator)
    sent, _ = request(made, "late")
    ref = made.submit(sent)
    until(lambda: made.observe(ref).state is JobState.RUNNING)
    made.cancel(ref)
    until(lambda: made.observe(ref).state is JobState.CANCELLED)
    until(lambda: not listed("pods", "airflow-doeks/run=late"))
    time.sleep(5)
    assert listed(OPERATORS[operator], "airflow-doeks/run=late") == listed("pods", "airflow-doeks/run=late") == []


@pytest.fixture(scope="module")
def role(operator):
    """The documented Role, bound to a service account."""
    docs = (ROOT / "docs" / "platforms.md").read_text("utf-8").partition("## Spark operators on Kubernetes")[2]
    made = yaml.safe_load(re.search(r"```yaml\n(apiVersion: rbac.*?)```", docs, re.DOTALL)[1])
    made["metadata"] = {"name": USER, "namespace": NAMESPACE}
    assert made["rules"][0]["apiGroups"] == ["sparkoperator.k8s.io"]
    made["rules"][0]["apiGroups"] = [OPERATORS[operator].partition(".")[2]]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": made["metadata"]}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": made["metadata"],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": USER},
        "subjects": [{"kind": "ServiceAccount", "name": USER, "namespace": NAMESPACE}],
    }
    for item in (account, made, binding):
        kubectl("apply", "-f", "-", text=json.dumps(item))
    yield made
    for kind in ("rolebinding", "role", "serviceaccount"):
        kubectl("-n", NAMESPACE, "delete", kind, USER)


@pytest.fixture
def limited(operator):
    """The platform as that service account."""
    token = kubectl("-n", NAMESPACE, "create", "token", USER).strip()
    return platform(lambda: as_user(token), type=operator)


def without(role, verb, resource):
    """The same Role with one verb less."""
    rules = [
        rule | {"verbs": [one for one in rule["verbs"] if one != verb]} if resource in rule["resources"] else rule
        for rule in role["rules"]
    ]
    rules = [rule for rule in rules if rule["verbs"]]  # a rule without a verb is none
    kubectl("apply", "-f", "-", text=json.dumps(role | {"rules": rules}))


async def first_of(made, ref):
    """The first state that a feed tells of a job."""
    async for told in made.feed(made.scope(ref), {ref}):
        if getattr(told, "state", None):
            return told
    return None


async def test_with_the_documented_role_everything_works(role, limited):
    """Submit, find, living, follow, explain, telemetry and cancel need no verb that the docs leave out."""
    kubectl("apply", "-f", "-", text=json.dumps(role))
    sent, identity = request(limited, "role")
    ref = limited.submit(sent)
    try:
        assert [status.ref for status in limited.find(identity)] == [ref]
        assert ref in {status.ref for status in limited.living("test-api-server")}
        assert (await first_of(limited, ref)).state in (JobState.QUEUED, JobState.STARTING, JobState.RUNNING)
        failure = limited.explain(ref)
        assert not [line for line in failure.evidence if "forbidden" in line]
        until(lambda: limited.observe(ref).state is JobState.RUNNING)
        assert "nodes may not be read" in " ".join(limited.nodes(limited.telemetry(ref).pods).why)
    finally:
        limited.cancel(ref)
    until(lambda: limited.observe(ref).state is JobState.CANCELLED)


# Each verb of the documented Role -> what needs it: whatever it tells, by error, evidence or log, must name the verb.
NEEDS = {
    ("create", "sparkapplications"): lambda made, _, fresh: made.submit(fresh[0]),
    ("get", "sparkapplications"): lambda made, ref, _: made.observe(ref),
    ("list", "sparkapplications"): lambda made, _, fresh: made.find(fresh[1]),
    ("watch", "sparkapplications"): lambda made, ref, _: watched(made, ref),
    ("list", "pods"): lambda made, ref, _: made.telemetry(ref),
    ("watch", "pods"): lambda made, ref, _: watched(made, ref),
    ("get", "pods/log"): lambda made, ref, _: made.explain(ref).evidence,
    ("list", "events"): lambda made, ref, _: made.explain(ref).evidence,
    ("delete", "sparkapplications"): lambda made, ref, _: made.cancel(ref),
    ("create", "events"): lambda made, ref, _: made.cancel(ref),  # the last: it ends the job
}


def watched(made, ref, seconds=6):
    """Follow a job for a moment; its present state is told whatever is refused."""
    told = []

    async def follow():
        async with aclosing(made.feed(made.scope(ref), {ref})) as feed:
            while True:
                told.append(await anext(feed))

    async def for_a_moment():
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(follow(), seconds)

    asyncio.run(for_a_moment())
    assert told
    return told


@pytest.fixture(scope="module")
def running(role, operator):
    """A job that runs while verbs are taken away."""
    made = platform(lambda: as_user(kubectl("-n", NAMESPACE, "create", "token", USER).strip()), type=operator)
    kubectl("apply", "-f", "-", text=json.dumps(role))
    ref = made.submit(request(made, "rights", args=["2000"])[0])
    until(lambda: made.telemetry(ref).started)
    yield ref
    platform(type=operator).cancel(ref)


def test_every_verb_is_tried(role):
    """No verb of the documented Role is left out below."""
    assert {(verb, name) for rule in role["rules"] for name in rule["resources"] for verb in rule["verbs"]} == set(
        NEEDS
    )


@pytest.mark.parametrize("right", NEEDS, ids=" ".join)
def test_with_one_verb_less_the_message_names_it(role, limited, running, caplog, right):
    """Whoever lacks a right is told verb, resource and namespace, by the API server's own words."""
    caplog.set_level("INFO")
    verb, resource = right
    fresh = request(limited, f"no-{verb}")
    without(role, verb, resource)
    try:
        told = str(NEEDS[right](limited, running, fresh))
    except PlatformError as error:
        told = str(error)
    finally:
        kubectl("apply", "-f", "-", text=json.dumps(role))
    assert re.search(f'cannot {verb} resource "{resource}".*"{NAMESPACE}"', told + caplog.text)


def test_a_token_nobody_knows_is_refused(role):
    """A token that expired or never was is refused in one line that says where to look."""
    del role
    with pytest.raises(Refusal, match=r"401.*look at the platform's `connection`"):
        list(platform(lambda: as_user("no-such-token")).living("test-api-server"))
