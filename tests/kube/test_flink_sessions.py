"""Jobs of a session cluster on a real Kubernetes: FlinkSessionJobs whose jar the real operator fetches."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_doeks.lifecycle import Budgets, submit, wait
from airflow_doeks.model.engine import FLINK
from airflow_doeks.model.status import JobState
from tests.kube import lab as lab_processes
from tests.kube import test_flink
from tests.kube.conftest import SESSION, kubectl
from tests.kube.test_flink import DEPLOYMENTS, IMAGE, NAMESPACE, SECONDS, SMALL, Lab, deploy, stop, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("DOEKS_KUBE_FLINK_SESSIONS"),
        reason="DOEKS_KUBE_FLINK_SESSIONS asks for it: it takes minutes",
    ),
    pytest.mark.skipif(not lab_processes.is_here(), reason="pods reach no web server of this machine"),
]
lab = test_flink.lab
CLUSTER = f"shared-{SESSION}"


def give_operator_a_folder() -> None:
    """Where the operator keeps the jars that it fetches; the lab's image has none that it may write to."""
    volume = {"name": "artifacts", "emptyDir": {}}
    mount = {"name": "artifacts", "mountPath": "/opt/flink/artifacts"}
    spec = {"volumes": [volume], "containers": [{"name": "operator", "volumeMounts": [mount]}]}
    patch = json.dumps({"spec": {"template": {"spec": spec}}})
    kubectl("-n", "flink-operator", "patch", "deployment", "flink-operator", "--patch", patch)

    def is_there() -> bool:
        found = json.loads(kubectl("-n", "flink-operator", "get", "deployment", "flink-operator", "-o", "json"))
        status = found["status"]
        is_seen = status.get("observedGeneration") == found["metadata"]["generation"]
        return bool(is_seen and status.get("updatedReplicas") == status.get("availableReplicas") == 1)

    until(is_there, what="the operator with a folder")


@contextmanager
def session_cluster(lab: Lab) -> Iterator[None]:
    """A session cluster as a platform team would keep it: it shows its pods the shared folder, and keeps jobs alive."""
    template = lab.platform().config.pod_template
    state = (lab.folder / "state").as_uri()
    conf = {"taskmanager.numberOfTaskSlots": "2", "high-availability.type": "kubernetes"}
    conf |= {f"kubernetes.{role}.cpu.limit-factor": "4" for role in ("jobmanager", "taskmanager")}
    conf["state.checkpoints.dir"] = f"{state}/checkpoints"  # operator 1.7 asks the cluster for it, not the job
    conf |= {"high-availability.storageDir": f"{state}/ha-{CLUSTER}", "state.savepoints.dir": f"{state}/savepoints"}
    size = {"cpu": 0.5, "memory": "1024m"}
    spec: dict[str, Any] = {"image": IMAGE, "imagePullPolicy": "IfNotPresent", "flinkVersion": "v1_18"}
    spec |= {"serviceAccount": "flink", "podTemplate": template, "flinkConfiguration": conf, "mode": "native"}
    spec |= {"jobManager": {"resource": size, "replicas": 1}, "taskManager": {"resource": size}}
    metadata = {"name": CLUSTER, "namespace": NAMESPACE, "labels": {"app": CLUSTER}}
    kind = {"apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment"}
    kubectl("apply", "-f", "-", text=json.dumps(kind | {"metadata": metadata, "spec": spec}))

    def is_up() -> bool:
        found = json.loads(kubectl("-n", NAMESPACE, "get", DEPLOYMENTS, CLUSTER, "-o", "json"))
        return bool((found.get("status") or {}).get("jobManagerDeploymentStatus") == "READY")

    try:
        until(is_up, what="a session cluster")
        yield
    finally:
        jobs = f"airflow-doeks/instance=flink-{SESSION}"
        kubectl("-n", NAMESPACE, "delete", "flinksessionjobs.flink.apache.org", "-l", jobs, "--wait=true")
        kubectl("-n", NAMESPACE, "delete", DEPLOYMENTS, CLUSTER, "--wait=false")


def test_jobs_share_a_session_cluster_and_count_once(lab: Lab) -> None:
    """A bounded one ends; a stream is deployed, upgraded with a savepoint and stopped; 1.7 knows no last-state here."""
    entry = {"session": CLUSTER}
    give_operator_a_folder()
    with lab_processes.web(lab.folder) as address, session_cluster(lab):
        jar = {"jar": f"{address}/counting.jar"} | {key: {} for key in SMALL}
        platform = lab.platform(**entry)
        bounded = lab.job("out/shared", "--limit", "100", "--rate", "50", **jar)
        submission = submit(platform, bounded, lab.identity("bounded-shared"), engine=FLINK)
        status, _ = wait(platform, submission, Budgets(startup_timeout=SECONDS), poll_seconds=1)
        assert status.state is JobState.SUCCEEDED, (status, platform.explain(submission.ref))
        assert lab.numbers("out/shared")[0] == Counter(range(1, 101))
        first = deploy(lab, lab.job("out/tenant", mode="streaming", **jar), "tenant", **entry)
        job = lab.job("out/tenant", "--label", "b", mode="streaming", **jar)
        assert deploy(lab, job, "tenant", "second", **entry).ref == first.ref
        until(lambda: "b" in lab.numbers("out/tenant")[1], 90, "output of the new version")
        _, path = stop(lab, "tenant", **entry)
        assert path.startswith("file:")
        counted, labels = lab.numbers("out/tenant")
        assert labels == {"a", "b"}
        assert counted == Counter(range(1, max(counted) + 1))
