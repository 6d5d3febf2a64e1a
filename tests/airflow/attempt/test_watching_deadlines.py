"""Deadlines before Airflow 3.1: a pass of `doeks reconcile` tells of runs that missed theirs, each once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from airflow_doeks import compat
from airflow_doeks.attempt.late_runs import deadlines_of, tell_of_late_runs, watch_deadlines
from airflow_doeks.hooks.runs import runs_from_database, runs_from_rest_api
from airflow_doeks.hooks.settings import load_settings
from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.model.errors import PlatformError

NOW = datetime.now(timezone.utc).replace(microsecond=0)
PIPELINE = """\
deadline: 1h
on_missed_deadline: {webhook: {connection: alerts, endpoint: late}}
tasks: {a: {uses: empty}}
"""


class Server(ThreadingHTTPServer):
    """Airflow's REST API of one version, and the place that is told."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.version, self.status = "3.0.6", 200
        queued = {"slow": NOW - timedelta(hours=2), "quick": NOW - timedelta(hours=3), "new": NOW}
        ended = {"quick": NOW - timedelta(hours=2.5)}
        self.runs = [
            {
                "dag_run_id": run_id,
                "queued_at": moment.isoformat(),
                "logical_date": None,
                "end_date": ended[run_id].isoformat() if run_id in ended else None,
            }
            for run_id, moment in queued.items()
        ]
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers as Airflow does, and takes what is posted."""

    server: Server

    def do_GET(self) -> None:
        is_version = self.path == "/api/v2/version"
        runs = self.server.runs if self.path.startswith("/api/v2/dags/orders/dagRuns?") else []
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"version": self.server.version} if is_version else {"dag_runs": runs}).encode())

    def do_POST(self) -> None:
        self.server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep silent."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server, with the connection that leads to it."""
    found = Server()
    threading.Thread(target=found.serve_forever, daemon=True).start()
    monkeypatch.setenv("AIRFLOW_CONN_ALERTS", found.url)
    yield found
    found.shutdown()


@pytest.fixture
def pipelines(tmp_path: Path) -> Path:
    """A pipeline with a deadline, one without, and one that is broken."""
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "orders.yaml").write_text(PIPELINE, "utf-8")
    (folder / "free.yaml").write_text("tasks: {a: {uses: empty}}\n", "utf-8")
    return folder


def test_a_late_run_is_told_of_once(server: Server, pipelines: Path, tmp_path: Path):
    """The one that goes on too long; not one that was in time, nor one that has time left. A dry run tells nobody."""
    store, runs = LocalStore(tmp_path / "ledger"), runs_from_rest_api(server.url, None)

    def told(*, is_dry: bool = False) -> list[tuple[str, str | None]]:
        found = tell_of_late_runs(deadlines_of(pipelines, None, None), runs, store, "prod", now=NOW, is_dry=is_dry)
        return [(one.what, one.trouble) for one in found]

    assert (told(is_dry=True), server.posted) == ([("orders (run slow)", None)], [])
    assert told() == [("orders (run slow)", None)]
    assert told() == []
    assert server.posted == [{"text": "orders has not met its deadline in slow"}]


def test_who_cannot_be_told_is_told_by_the_next_pass(server: Server, pipelines: Path, tmp_path: Path):
    """And the pass says so, as it does of a pipeline that is broken."""
    store, runs = LocalStore(tmp_path / "ledger"), runs_from_rest_api(server.url, None)
    (pipelines / "broken.yaml").write_text("on_missed_deadline: {slak: {}}\n", "utf-8")
    server.status = 500
    broken, late = tell_of_late_runs(deadlines_of(pipelines, None, None), runs, store, "prod", now=NOW)
    assert "its deadline is not watched" in str(broken.trouble)
    assert "WebhookNotifier" in str(late.trouble)
    server.status = 200
    _, late = tell_of_late_runs(deadlines_of(pipelines, None, None), runs, store, "prod", now=NOW)
    assert late.trouble is None


def test_one_pipeline_whose_runs_nobody_tells_silences_no_other(server: Server, pipelines: Path, tmp_path: Path):
    """A user may not read every DAG."""
    known, store = runs_from_rest_api(server.url, None), LocalStore(tmp_path / "ledger")
    (pipelines / "hidden.yaml").write_text(PIPELINE, "utf-8")

    def runs(dag_id: str, since: datetime):
        if dag_id == "hidden":
            msg = "403 Forbidden"
            raise PlatformError(msg)
        return known(dag_id, since)

    found = tell_of_late_runs(deadlines_of(pipelines, None, None), runs, store, "prod", now=NOW)
    assert [(one.what, one.trouble) for one in found] == [
        ("hidden", "its runs are not known: 403 Forbidden"),
        ("orders (run slow)", None),
    ]


def test_an_airflow_that_keeps_deadlines_is_left_to_itself(server: Server, pipelines: Path):
    """From 3.1 on Airflow tells; nothing is asked or told by us."""
    server.version = "3.1.0"
    assert runs_from_rest_api(server.url, None) is None
    assert list(watch_deadlines(pipelines, None, None, load_settings())) == []


def test_the_metadata_tells_the_same(server: Server, pipelines: Path, tmp_path: Path):
    """Runs of a real metadata database, on an Airflow that keeps no deadlines."""
    runs = runs_from_database()
    if compat.DeadlineAlert is not None:
        assert runs is None
        return
    compat.initdb()
    common = {"dag_id": "orders", "run_type": "manual"}
    names = {"run_after": NOW} if compat.IS_AIRFLOW_3 else {}
    with compat.create_session() as session:
        session.query(compat.DagRun).filter_by(dag_id="orders").delete()
        for entry in server.runs:
            queued = datetime.fromisoformat(entry["queued_at"])
            ended = entry["end_date"] and datetime.fromisoformat(entry["end_date"])
            dated = {compat.LOGICAL_DATE: queued}
            row = compat.DagRun(run_id=entry["dag_run_id"], queued_at=queued, **common, **names, **dated)
            row.end_date = ended
            session.add(row)
    store = LocalStore(tmp_path / "ledger")
    found = list(tell_of_late_runs(deadlines_of(pipelines, None, None), runs, store, "prod", now=NOW))
    assert [one.what for one in found] == ["orders (run slow)"]
    assert server.posted == [{"text": "orders has not met its deadline in slow"}]
