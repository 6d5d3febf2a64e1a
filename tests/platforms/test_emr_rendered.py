"""Jobs in, whole requests out: what EMR on EKS would receive.

`python -m tests.platforms.test_emr_rendered` writes the requests anew; read the difference before it is committed.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.emr_on_eks.platform import Config, Platform
from tests.fakes.emr_containers import MODEL
from tests.fakes.shapes import violations
from tests.platforms.harness_emr_on_eks import ENTRY

CASES = sorted((Path(__file__).parent / "rendered" / "emr_on_eks").glob("*.yaml"))
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


def rendered(case: Path) -> dict[str, Any]:
    """The request of a case, as plain data."""
    text = yaml.safe_load(case.read_text())
    config = Config.model_validate(ENTRY | text["platform"])
    request = Platform(config, "lake", Clients()).render(SparkJob.of_rendered(text["job"]), IDENTITY)
    return {"name": request.name, "spec_hash": request.spec_hash, **request.body}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_job_renders_to_exactly_this_request(case):
    """A job, a platform and an attempt give the same StartJobRun and uploads, to the letter."""
    assert rendered(case) == yaml.safe_load(case.read_text())["request"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_every_request_fits_the_service_model(case):
    """What is rendered breaks no length, count, pattern or required key of botocore's model."""
    assert violations(rendered(case)["start_job_run"], MODEL.operation_model("StartJobRun").input_shape) == []


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a template reads as one."""

    def represent_text(self, text: str) -> yaml.Node:
        """A block for lines, the usual form otherwise."""
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)


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
