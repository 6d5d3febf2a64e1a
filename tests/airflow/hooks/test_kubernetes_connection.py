"""The Kubernetes API through an Airflow connection: the cncf-kubernetes provider's real hook, the real client."""

from __future__ import annotations

import json

from airflow_doeks.hooks.platforms import connect
from airflow_doeks.hooks.settings import load_settings
from airflow_doeks.model.job import SparkJob
from tests.fakes.aws_http import serving
from tests.fakes.emr_containers import Step
from tests.fakes.kubernetes import FakeKubernetes
from tests.platforms.harness_emr_on_eks import ENTRY, world


def test_a_failure_is_explained_through_the_connection_named_in_doeks_yaml(tmp_path, monkeypatch):
    """`kubernetes` names a connection whose kubeconfig is used; nothing is asked before a job failed."""
    with world(tmp_path) as aws, serving(FakeKubernetes()) as kubernetes:
        keys = {"login": "AKIAEXAMPLEEXAMPLE00", "password": "not-a-secret"}
        extra = {"region_name": "us-east-1", "endpoint_url": aws.aws.url}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_FAKE", json.dumps({"conn_type": "aws", **keys, "extra": extra}))
        extra = {"kube_config": json.dumps(kubernetes.kube_config())}
        monkeypatch.setenv("AIRFLOW_CONN_EKS_FAKE", json.dumps({"conn_type": "kubernetes", "extra": extra}))
        entry = ENTRY | {"connection": "aws_fake", "kubernetes": "eks_fake", "namespace": "sales"}
        platform = connect({"name": "lake", **entry}, load_settings())
        aws.emr.script = lambda _: (Step(0, "FAILED", "exit code 1", "USER_ERROR"),)
        ref = platform.submit(platform.render(SparkJob(main="s3://acme-code/m.py"), aws.identity()))
        assert kubernetes.connections == 0
        kubernetes.tell(f"spark-{ref.path[1]}-driver", "Evicted", "The node was low on resource: memory")
        assert platform.explain(ref).category == "eviction"
        assert kubernetes.calls == {"list pods": 1, "list events": 1}
