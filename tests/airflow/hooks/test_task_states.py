"""The state of a task as Airflow's REST API tells it; the metadata is asked in the stories of real processes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_doeks.hooks.task_states import from_rest_api
from airflow_doeks.lifecycle.reconciliation import TaskNow
from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.record import Attempt

RUN = "/api/v2/dags/sales%2Forders/dagRuns/manual__2026-11-20T00%3A00%3A00%2B00%3A00"
ATTEMPT = Attempt(
    dag_id="sales/orders", run_id="manual__2026-11-20T00:00:00+00:00", task_id="clean", map_index=-1, try_number=1
)
ANY = {"/api/v2/dags/~/dagRuns?limit=1": {"dag_runs": [{}], "total_entries": 7}}


@contextmanager
def airflow(answers: dict[str, Any]) -> Iterator[str]:
    """A server with these answers, for one token; 404 for the rest, a number for that status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path, 404)
            if self.headers.get("Authorization") != "Bearer t0ken":
                answer = 401
            self.send_response(answer if isinstance(answer, int) else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_the_state_of_a_task_its_end_and_its_run() -> None:
    """Ids stand in the path as they are; a mapped task has its index."""
    task = {"state": "up_for_retry", "end_date": "2026-11-20T12:00:00.5Z"}
    answers = {
        **ANY,
        RUN: {"state": "failed"},
        f"{RUN}/taskInstances/clean": task,
        f"{RUN}/taskInstances/clean/3": {"state": None, "end_date": None},
    }
    with airflow(answers) as url:
        tasks = from_rest_api(url, "t0ken")
        ended = datetime(2026, 11, 20, 12, 0, 0, 500_000, timezone.utc)
        assert tasks(ATTEMPT) == TaskNow("up_for_retry", ended, "failed")
        assert tasks(ATTEMPT.model_copy(update={"map_index": 3})) == TaskNow(None, None, "failed")
        assert tasks(ATTEMPT.model_copy(update={"task_id": "gone"})) is None


@pytest.mark.parametrize("answer", [403, 500, 302])
def test_what_is_not_told_is_no_deleted_task(answer: int) -> None:
    """A refusal, a fault or a login page ends the pass; only 404 means that the task is gone."""
    with airflow({**ANY, f"{RUN}/taskInstances/clean": answer}) as url, pytest.raises(PlatformError):
        from_rest_api(url, "t0ken")(ATTEMPT)


def test_a_wrong_airflow_or_token_is_refused_at_once() -> None:
    """One without any run would make every job look like one whose run was deleted."""
    with airflow({"/api/v2/dags/~/dagRuns?limit=1": {"dag_runs": [], "total_entries": 0}}) as url:
        with pytest.raises(SpecError, match="has no DAG run at all"):
            from_rest_api(url, "t0ken")
        with pytest.raises(PlatformError, match="401"):
            from_rest_api(url, None)
