"""What the pages read of Airflow's own tables, in a real database."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from airflow_doeks import compat
from airflow_doeks.cli import main
from airflow_doeks.ui import metadata
from airflow_doeks.ui.pages.airflow_facts import Missed

NOW = datetime.now(timezone.utc).replace(microsecond=0)
DUE = NOW - timedelta(hours=2)


@pytest.mark.skipif(compat.AIRFLOW_VERSION < (3, 3), reason="rows of deadlines are written as Airflow 3.3 has them")
def test_a_deadline_is_missed_when_its_run_ended_later_or_not_yet(tmp_path: Path) -> None:
    """A run that ended before its deadline missed none; another DAG's deadlines are not this one's."""
    from airflow.models.callback import Callback
    from airflow.models.dagbundle import DagBundleModel
    from sqlalchemy import insert

    compat.initdb()
    ends = {"late": NOW - timedelta(hours=1), "early": NOW - timedelta(hours=3), "running": None}
    with compat.create_session() as session:
        session.add(DagBundleModel(name="deadlines"))
        session.flush()
        session.add(compat.DagModel(dag_id="sales", fileloc="/x.py", is_paused=False, bundle_name="deadlines"))
        session.flush()
        for number, (run_id, end) in enumerate(ends.items()):
            at = NOW - timedelta(hours=4 + number)
            run = compat.DagRun(dag_id="sales", run_id=run_id, run_type="manual", run_after=at, logical_date=at)
            run.end_date, key = end, uuid.uuid4()
            session.add(run)
            session.flush()
            callback = {"id": key, "type": "triggerer", "fetch_method": "import_path", "data": {}, "state": "pending"}
            session.execute(insert(Callback).values(**callback, priority_weight=1, created_at=NOW))
            row = {"dagrun_id": run.id, "deadline_time": DUE, "missed": True, "callback_id": key}
            session.execute(insert(compat.Deadline).values(id=uuid.uuid4(), **row))
    day = timedelta(days=1)
    found = metadata.missed_deadlines("sales", NOW - day, NOW + day)
    assert sorted(found, key=str) == [Missed("late", DUE, ends["late"], "sales"), Missed("running", DUE, None, "sales")]
    assert metadata.missed_deadlines(None, NOW - day, NOW + day) == found
    assert metadata.missed_deadlines("sales", NOW - day, DUE) == []
    assert metadata.missed_deadlines("other", NOW - day, NOW + day) == []
    told = report_of_deadlines(tmp_path)
    assert sorted((one["dag_id"], one["run_id"]) for one in told) == [("sales", "late"), ("sales", "running")]


def report_of_deadlines(ledger: Path) -> list[dict[str, str]]:
    """What `doeks report --sla --airflow` tells of them."""
    arguments = ["report", "--sla", "--airflow", "--ledger", str(ledger), "--since", "7d", "--json"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    told: list[dict[str, str]] = json.loads(done.stdout)["missed_deadlines"]
    return told


@pytest.mark.skipif(compat.AIRFLOW_VERSION >= (3, 1), reason="this Airflow has deadlines")
def test_an_older_airflow_has_no_deadlines_to_miss() -> None:
    """It is unknown, not none."""
    assert metadata.missed_deadlines("sales", DUE, NOW) is None
