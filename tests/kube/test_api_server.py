"""What a real API server says: to every rendered request, and to the documented Role with RBAC on."""

from __future__ import annotations

import json
import os
import re
import time
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
from tests.kube.conftest import IMAGE, NAMESPACE, ROOT, kubectl, listed
from tests.platforms.test_kubernetes_rendered import CASES, rendered

USER = "doeks-test"
RESOURCE = "sparkapplications.sparkoperator.k8s.io"


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


def platform(make=admin):
    """The platform of these tests."""
    row = TYPES["kubeflow_spark"].load()
    entry = {"type": "kubeflow_spark", "namespace": NAMESPACE, "image": IMAGE, "priced_as": "m7g.xlarge"}
    return row.Platform(row.Config.model_validate(entry), "lab", Clients(kubernetes=lambda _: make()))


def request(made, attempt: str):
    """A small job of one attempt."""
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
    return made.render(SparkJob.model_validate(job | small), identity), identity


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
    group = resource["apiVersion"].partition("/")[0]
    if f"sparkapplications.{group}" not in kubectl("get", "crd", "-o", "name"):
        pytest.skip(f"the cluster has no definition sparkapplications.{group}")
    resource["metadata"]["namespace"] = NAMESPACE
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


def test_cancelled_while_it_is_submitted():
    """A job that is cancelled before it has a driver leaves neither resource nor pod, and is told as cancelled."""
    made = platform()
    sent, _ = request(made, "early")
    ref = made.submit(sent)
    assert made.submit(sent) == ref
    made.cancel(ref)
    made.cancel(ref)
    until(lambda: made.observe(ref).state is JobState.CANCELLED)
    until(lambda: not listed("pods", "airflow-doeks/run=early"))
    assert listed(RESOURCE, "airflow-doeks/run=early") == []
    assert made.explain(ref).category == "cancelled"


def test_cancelled_while_it_runs():
    """A running job's pods are gone with its resource: nothing is submitted again, nothing is left."""
    made = platform()
    sent, _ = request(made, "late")
    ref = made.submit(sent)
    until(lambda: made.observe(ref).state is JobState.RUNNING)
    made.cancel(ref)
    until(lambda: made.observe(ref).state is JobState.CANCELLED)
    until(lambda: not listed("pods", "airflow-doeks/run=late"))
    time.sleep(5)
    assert listed(RESOURCE, "airflow-doeks/run=late") == listed("pods", "airflow-doeks/run=late") == []


@pytest.fixture(scope="module")
def role():
    """The documented Role, bound to a service account; gives the role and a client that has it."""
    docs = (ROOT / "docs" / "platforms.md").read_text("utf-8").partition("## Spark operators on Kubernetes")[2]
    made = yaml.safe_load(re.search(r"```yaml\n(apiVersion: rbac.*?)```", docs, re.DOTALL)[1])
    made["metadata"] = {"name": USER, "namespace": NAMESPACE}
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
def limited():
    """The platform as that service account."""
    token = kubectl("-n", NAMESPACE, "create", "token", USER).strip()
    return platform(lambda: as_user(token))


def without(role, verb, resource):
    """The same Role with one verb less."""
    rules = [
        rule | {"verbs": [one for one in rule["verbs"] if one != verb]} if resource in rule["resources"] else rule
        for rule in role["rules"]
    ]
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
        assert "nodes may not be read" in " ".join(limited.telemetry(ref).why)
    finally:
        limited.cancel(ref)
    until(lambda: limited.observe(ref).state is JobState.CANCELLED)


@pytest.mark.parametrize("verb", ["create", "list", "get"])
def test_with_one_verb_less_the_message_names_it(role, limited, verb):
    """Whoever lacks a right is told verb, resource and namespace, by the API server's own words."""
    kubectl("apply", "-f", "-", text=json.dumps(role))
    sent, identity = request(limited, f"no-{verb}")
    ref = None if verb == "create" else limited.submit(sent)
    acts = {
        "create": lambda: limited.submit(sent),
        "list": lambda: limited.find(identity),
        "get": lambda: limited.observe(ref),
    }
    without(role, verb, "sparkapplications")
    try:
        with pytest.raises(PlatformError, match=f'cannot {verb} resource "sparkapplications".*"{NAMESPACE}"'):
            acts[verb]()
    finally:
        kubectl("apply", "-f", "-", text=json.dumps(role))
        if ref is not None:
            limited.cancel(ref)


def test_a_token_nobody_knows_is_refused(role):
    """A token that expired or never was is refused in one line that says where to look."""
    del role
    with pytest.raises(Refusal, match=r"401.*look at the platform's `connection`"):
        list(platform(lambda: as_user("no-such-token")).living("test-api-server"))
