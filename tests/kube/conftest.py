"""Tests on a real Kubernetes with the Kubeflow Spark Operator: whatever KUBECONFIG points to; skipped without one.

`make test-kube` runs them. What differs between clusters is asked by environment variables: DOEKS_KUBE_NAMESPACE
(spark-jobs), DOEKS_KUBE_IMAGE (of the lab), DOEKS_KUBE_FOLDER (a folder that the nodes see under the same path),
DOEKS_KUBE_APACHE_OPERATOR (1 where the Apache Spark Kubernetes Operator watches that namespace, too),
DOEKS_KUBE_YUNIKORN (1 where Apache YuniKorn schedules pods that ask for it).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
NAMESPACE = os.environ.get("DOEKS_KUBE_NAMESPACE", "spark-jobs")
IMAGE = os.environ.get("DOEKS_KUBE_IMAGE", "kubelab.test/spark:4.0.2")
WAIT_SECONDS = 30
OPERATORS = {  # platform type -> what its resources are called to kubectl
    "kubeflow_spark": "sparkapplications.sparkoperator.k8s.io",
    "apache_spark": "sparkapplications.spark.apache.org",
}
DONE = {"COMPLETED", "ResourceReleased"}  # their words for a job that is over, Kubeflow's for one that succeeded
NO_APACHE = pytest.mark.skipif(
    not os.environ.get("DOEKS_KUBE_APACHE_OPERATOR"),
    reason="DOEKS_KUBE_APACHE_OPERATOR says where the Apache Spark Kubernetes Operator runs",
)
EACH_OPERATOR = [pytest.param(name, marks=[NO_APACHE] * (name == "apache_spark"), id=name) for name in OPERATORS]
SESSION = uuid.uuid4().hex[:8]  # what earlier tests left on the cluster, which time-to-live keeps, is not of this one


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a cluster these tests are skipped, each with the reason."""
    here = [item for item in items if Path(item.fspath).is_relative_to(Path(__file__).parent)]
    reason = why_not() if here else None
    for item in here:
        item.add_marker(pytest.mark.kube)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


def why_not() -> str | None:
    """Why there is no cluster; None where there is one."""
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG names no cluster (make test-kube, docs/platforms.md)"
    try:
        kubectl("get", "--raw", "/readyz")
    except (OSError, subprocess.SubprocessError) as error:
        return f"the cluster of KUBECONFIG does not answer: {error}"
    return None


def kubectl(*words: str, text: str | None = None) -> str:
    """What kubectl prints."""
    command = ["kubectl", "--request-timeout", f"{WAIT_SECONDS}s", *words]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=60).stdout


def listed(kind: str, selector: str = "") -> list[dict[str, Any]]:
    """Objects of the namespace."""
    found = kubectl("-n", NAMESPACE, "get", kind, "-o", "json", *(("-l", selector) if selector else ()))
    items: list[dict[str, Any]] = json.loads(found)["items"]
    return items


def said_of(resource: dict[str, Any]) -> str:
    """The operator's word for how a job stands; empty before it has one."""
    status = resource.get("status") or {}
    state = (status.get("applicationState") or {}).get("state")
    return str(state or (status.get("currentState") or {}).get("currentStateSummary") or "")


@pytest.fixture(scope="module", params=EACH_OPERATOR)
def operator(request: pytest.FixtureRequest) -> str:
    """The platform type of the Spark operator that runs the jobs."""
    return str(request.param)


@pytest.fixture(scope="session")
def shared_folder() -> Iterator[Path]:
    """A folder that pods see under the same path and may write as whatever user they are."""
    made = Path(tempfile.mkdtemp(prefix="doeks-kube-", dir=os.environ.get("DOEKS_KUBE_FOLDER")))
    for folder in (made, made / "data", made / "code", made / "events"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def mounts(folder: Path) -> dict[str, str]:
    """Spark properties that show pods a folder of their node."""
    conf = {}
    for role in ("driver", "executor"):
        volume = f"spark.kubernetes.{role}.volumes.hostPath.shared"
        conf |= {f"{volume}.options.path": str(folder), f"{volume}.mount.path": str(folder)}
    return conf


def entry(folder: Path, **changes: Any) -> dict[str, Any]:
    """The platform's entry of doeks.yaml."""
    return {
        "type": "kubeflow_spark",
        "connection": "kube_lab",
        "namespace": NAMESPACE,
        "image": IMAGE,
        "code": (folder / "code").as_uri(),
        "event_logs": (folder / "events").as_uri(),
        "priced_as": "m7g.xlarge",
    } | changes


def instance_of(home: Path) -> str:
    """The name of an Airflow that no other test's is called."""
    return f"test-{home.name.replace('_', '-')[:30]}-{SESSION}"


@dataclass(frozen=True)
class Said:
    """What `doeks run --json` said, and where."""

    code: int
    said: dict[str, Any]
    home: Path
    data: Path
    log: str

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """Records by task."""
        return {record["attempt"]["task_id"]: record for record in self.said["records"]}

    @property
    def selector(self) -> str:
        """What resources and pods of this run are labelled with."""
        return f"airflow-doeks/instance={instance_of(self.home)}"


def run_flights(folder: Path, home: Path, **changes: Any) -> Said:
    """`doeks run --env kube` of the shipped example, its raw data landed before as a feed would."""
    shutil.copytree(ROOT / "dags", home / "dags", dirs_exist_ok=True)
    land = "import sys, raw_data; [raw_data.land(table, sys.argv[1]) for table in ('flights', 'weather', 'airlines')]"
    subprocess.run([sys.executable, "-c", land, str(folder / "data")], cwd=ROOT / "dags" / "jobs", check=True)
    return run(home / "dags" / "pipelines" / "flights.yaml", folder, home, **changes)


def run(pipeline: Path, folder: Path, home: Path, **changes: Any) -> Said:
    """`doeks run --env kube` of a pipeline in a project that has no such environment yet."""
    project = pipeline.parents[1] / "doeks.yaml"
    settings = yaml.safe_load(project.read_text()) if project.exists() else {}
    settings.setdefault("platforms", {})["lab"] = entry(folder, **changes)
    kube = {"platform": "lab", "defaults": {"spark": {"conf": mounts(folder)}}}
    settings.setdefault("environments", {})["kube"] = kube
    project.write_text(yaml.safe_dump(settings))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DOEKS_"))}
    extra = {"kube_config_path": os.environ["KUBECONFIG"]}
    environment |= {
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW_VAR_FLIGHTS_DATA": str(folder / "data"),
        "AIRFLOW_CONN_KUBE_LAB": json.dumps({"conn_type": "kubernetes", "extra": extra}),
        "AIRFLOW__DOEKS__INSTANCE": instance_of(home),
    }
    command = [str(Path(sys.executable).with_name("doeks")), "run", str(pipeline), "--env", "kube", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    return Said(done.returncode, json.loads(done.stdout), home, folder / "data", done.stderr)
