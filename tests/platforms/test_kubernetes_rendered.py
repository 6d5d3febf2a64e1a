"""Jobs in, whole requests out: the resources that the operators of Kubernetes would receive.

`python -m tests.platforms.test_kubernetes_rendered` writes the requests anew; read the difference before it is
committed.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_doeks.model.engine import load
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.registry import TYPES
from airflow_doeks.platforms.spark.presets import PRESETS
from tests.fakes.definitions import folder, violations

FOLDER = Path(__file__).parent / "rendered"
OPERATORS = ("apache_flink", "apache_spark", "kubeflow_spark")
CASES = [case for name in OPERATORS for case in sorted((FOLDER / name).glob("*.yaml"))]
_SPARK = {"namespace": "sales", "image": "acme/spark:3.5.9", "event_logs": "s3://acme-logs/spark-events/"}
ENTRIES = {
    "apache_flink": {"namespace": "sales", "image": "acme/flink:1.20.1"},
    "apache_spark": _SPARK,
    "kubeflow_spark": _SPARK,
}
IDENTITY = JobIdentity(
    instance="prod-eu",
    dag_id="sales.daily_orders",
    run_id="scheduled__2026-11-20T00:00:00+00:00",
    task_id="clean_orders",
    map_index=-1,
    try_number=2,
    run_started=datetime(2026, 11, 20, tzinfo=timezone.utc),
    attempt_id="019a9f00-0000-7000-8000-000000000000",
    cost_tags={"team": "sales", "cost_center": "4711"},
)


def _name(case: Path) -> str:
    return f"{case.parent.name}-{case.stem}"


def rendered(case: Path) -> dict[str, Any]:
    """The request of a case, as plain data."""
    text = yaml.safe_load(case.read_text())
    module = TYPES[case.parent.name].load()
    config = module.Config.model_validate({"type": case.parent.name} | ENTRIES[case.parent.name] | text["platform"])
    [engine] = TYPES[case.parent.name].engines
    job = load(engine.noun).of_rendered(text["job"])
    request = module.Platform(config, "sales_k8s", Clients()).render(job, IDENTITY)
    return {"name": request.name, "spec_hash": request.spec_hash, **request.body}


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_a_job_renders_to_exactly_this_request(case):
    """A job, a platform and an attempt give the same resource, to the letter."""
    assert rendered(case) == yaml.safe_load(case.read_text())["request"]


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_every_request_fits_the_definition(case):
    """What is rendered breaks no rule of the operator's own definition and has no field that it does not know."""
    if folder() is None:
        pytest.skip("DOEKS_SHARED names no folder with definitions (crds/)")
    assert violations(rendered(case)["resource"]) == []


@pytest.mark.parametrize("operator", [name for name in OPERATORS if ENTRIES[name] is _SPARK])
def test_every_preset_is_rendered(operator):
    """No preset is left out of the cases, so that each is held against the operator's definition."""
    jobs = [yaml.safe_load(case.read_text())["job"] for case in CASES if case.parent.name == operator]
    assert {name for job in jobs for name in job.get("presets", ())} == set(PRESETS)


class _Dumper(yaml.SafeDumper):
    """Without anchors: a case is read from top to bottom."""

    def ignore_aliases(self, data: Any) -> bool:
        """Every part in full."""
        del data
        return True


def main() -> None:
    """Write what is rendered now into the cases."""
    for case in CASES:
        above = case.read_text().split("request:\n")[0]
        request = yaml.dump(
            {"request": rendered(case)}, Dumper=_Dumper, sort_keys=False, width=2000, allow_unicode=True
        )
        case.write_text(above.rstrip() + "\n" + request)


if __name__ == "__main__":
    main()
