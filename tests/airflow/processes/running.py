"""A whole Airflow on this machine: scheduler, executor, triggerer, DAG processor and API server as real processes."""

from __future__ import annotations

import base64
import functools
import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

from airflow_doeks.compat import AIRFLOW_VERSION, IS_AIRFLOW_3

T = TypeVar("T")
NO_RETRY_AFTER_SIGKILL = pytest.mark.skipif(
    AIRFLOW_VERSION == (3, 0),
    reason="Airflow 3.0 fails a task whose process was killed, whatever its retries; test_lost_worker.py has retries",
)
AIRFLOW = str(Path(sys.executable).with_name("airflow"))


_MARK_2 = """
import sys
from airflow.api.common.mark_tasks import set_state
from airflow.models import DagBag
dag_id, task_id, run_id, state = sys.argv[1:]
dag = DagBag(read_dags_from_db=True).get_dag(dag_id)
set_state(tasks=[dag.get_task(task_id)], run_id=run_id, state=state, commit=True)
"""


_DELETE_2 = """
import sys
from airflow.models import DagRun
from airflow.utils.session import create_session
with create_session() as session:
    assert session.query(DagRun).filter_by(dag_id=sys.argv[1], run_id=sys.argv[2]).delete() == 1
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def within(seconds: float, look: Callable[[], T]) -> T:
    """What ``look`` gives once that is true, or what it gives at last."""
    until = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.5)
    return found


@functools.cache
def _migrated() -> Path:
    """A metadata database as `airflow db migrate` leaves it; made once for all tests, which copy it."""
    home = Path(tempfile.mkdtemp(prefix="doeks-airflow-migrated-"))
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    environment = clean | {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    subprocess.run([AIRFLOW, "db", "migrate"], env=environment, check=True, capture_output=True)
    return home / "airflow.db"


def migrate(home: Path) -> None:
    """Give an AIRFLOW_HOME its metadata database."""
    home.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(_migrated())) as source, closing(sqlite3.connect(home / "airflow.db")) as target:
        source.backup(target)


class Airflow:
    """One AIRFLOW_HOME with its processes; everything it knows is read from its metadata database.

    ``database`` is the SQLAlchemy URL of a PostgreSQL; None: SQLite in the home.
    """

    def __init__(
        self, home: Path, dags: Path, extra: Mapping[str, str] | None = None, database: str | None = None
    ) -> None:
        self.is_airflow_3 = IS_AIRFLOW_3
        self.database = database
        self.home, self.port = home, free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        settings = {
            "CORE__DAGS_FOLDER": str(dags),
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__EXECUTOR": "LocalExecutor" if IS_AIRFLOW_3 else "SequentialExecutor",
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "API__PORT": str(self.port),
            "API__HOST": "127.0.0.1",
            "API__BASE_URL": f"http://127.0.0.1:{self.port}",
            "API__WORKERS": "1",
            "API_AUTH__JWT_SECRET": secrets.token_urlsafe(32),
            "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            # A file is read again when it changes; while SQLite is busy Airflow 3.0 would take its DAGs for gone.
            "DAG_PROCESSOR__STALE_DAG_THRESHOLD": "3600",
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            "SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "3600",
            "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
            "LOGGING__LOGGING_LEVEL": "INFO",
            "DOEKS__INSTANCE": "tests",
            "API__SECRET_KEY": secrets.token_urlsafe(16),
            "WEBSERVER__SECRET_KEY": secrets.token_urlsafe(16),
            "CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
        # Airflow 2 starts tasks as `airflow tasks run`, by name.
        clean["PATH"] = f"{Path(AIRFLOW).parent}{os.pathsep}{clean['PATH']}"
        named = {f"AIRFLOW__{key}": value for key, value in settings.items()}
        if database:
            named["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = database
            named["AIRFLOW__CORE__EXECUTOR"] = "LocalExecutor"
        self.env = clean | named | {"AIRFLOW_HOME": str(home)} | dict(extra or {})

    def start(self) -> None:
        """Make the database and start every process."""
        if self.database:
            self.home.mkdir(parents=True, exist_ok=True)
            subprocess.run([AIRFLOW, "db", "migrate"], env=self.env, check=True, capture_output=True)
        else:
            migrate(self.home)
        (self.home / "airflow.cfg").write_text("[core]\n")  # else each process writes one, all at once
        names = ["scheduler", "triggerer"]
        if self.is_airflow_3:
            names = ["api-server", "dag-processor", *names]
        for name in names:
            self.start_one(name)
            if name == "api-server":  # tasks that start before it listens fail without a try
                self._until_it_listens()

    def _until_it_listens(self, seconds: float = 180) -> None:
        until = time.monotonic() + seconds
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            self._all_alive()
            assert time.monotonic() < until, f"the API server does not listen after {seconds} s"
            time.sleep(0.5)

    def start_one(self, name: str, **settings: str) -> None:
        """Start one process, in a process group of its own, its output in the home; ``settings`` are its own."""
        log = (self.home / f"{name}.out").open("ab")
        self.processes[name] = subprocess.Popen(
            [AIRFLOW, name], env=self.env | settings, stdout=log, stderr=log, start_new_session=True
        )

    def stop_one(self, name: str, kind: signal.Signals = signal.SIGTERM) -> None:
        """End one process and its children."""
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):  # it ended by itself
            os.killpg(process.pid, kind)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> None:
        """End every process."""
        for name in list(self.processes):
            self.stop_one(name, signal.SIGTERM)

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Rows of the metadata database, read as they stand on disk."""
        if self.database:
            from tests.airflow.processes.postgresql import rows

            return rows(self.database, query, values)
        with closing(sqlite3.connect(f"file:{self.home}/airflow.db?mode=ro", uri=True, timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, values)]

    def task(self, dag_id: str, task_id: str = "job") -> dict[str, Any]:
        """State and tries of a task's newest instance; empty while there is none."""
        found = self.rows(
            "select ti.*, run.start_date as run_start from task_instance ti join dag_run run using (dag_id, run_id) "
            "where ti.dag_id = ? and ti.task_id = ? order by run.id desc limit 1",
            dag_id,
            task_id,
        )
        return found[0] if found else {}

    def wait_for(self, dag_id: str, *states: str, task_id: str = "job", seconds: float = 180) -> dict[str, Any]:
        """The task once it is in one of these states; says what it was in otherwise."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            task = self.task(dag_id, task_id)
            if task.get("state") in states:
                return task
            self._all_alive()
            time.sleep(0.5)
        msg = f"{dag_id}.{task_id} is {self.task(dag_id, task_id).get('state')}, not {states}, after {seconds} s"
        raise AssertionError(msg)

    def _all_alive(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                tail = (self.home / f"{name}.out").read_text()[-2000:]
                msg = f"{name} ended with {process.returncode}: {tail}"
                raise AssertionError(msg)

    def log(self, dag_id: str, lines: int = 40) -> str:
        """The end of the newest task log of a DAG, for the message of a failed assertion."""
        found = sorted(self.home.glob(f"logs/dag_id={dag_id}/**/*.log*"), key=lambda place: place.stat().st_mtime)
        return "\n".join(found[-1].read_text(errors="replace").splitlines()[-lines:]) if found else "no log"

    def xcom(self, dag_id: str, key: str, task_id: str = "job") -> Any:
        """An XCom value of a task in its DAG's newest run that has one, or None."""
        query = "select value from xcom where dag_id = ? and task_id = ? and key = ? order by dag_run_id desc"
        rows = self.rows(query, dag_id, task_id, key)
        value = rows[0]["value"] if rows else None
        value = value.decode() if isinstance(value, bytes) else value
        while isinstance(value, str) and value[:1] in '{["':
            value = json.loads(value)
        return value

    def trigger(self, dag_id: str) -> None:
        """Start a run by hand, once the DAG is known; on Airflow 3 it has no logical date."""
        until = time.monotonic() + 120
        while not self.rows("select 1 from dag where dag_id = ?", dag_id):
            self._all_alive()
            assert time.monotonic() < until, f"no DAG {dag_id} after 120 s"
            time.sleep(0.5)
        if self.is_airflow_3:
            while not self._starts(dag_id):
                assert time.monotonic() < until, f"no run of {dag_id} after 120 s"
                time.sleep(1)
        else:
            subprocess.run([AIRFLOW, "dags", "trigger", dag_id], env=self.env, check=True, capture_output=True)

    def _starts(self, dag_id: str) -> bool:
        """False if the server could not: on a busy machine a database in a file is locked for more than its 5 s."""
        try:
            self.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None})
        except AssertionError as error:
            if ": 500 " not in str(error):
                raise
            return False
        return True

    def mark(self, dag_id: str, state: str, task_id: str = "job") -> None:
        """What "Mark as failed" or "Mark as success" in the UI does."""
        run_id = self.task(dag_id, task_id)["run_id"]
        if self.is_airflow_3:
            path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
            self.call("PATCH", path, {"new_state": state})
        else:
            self.python(_MARK_2, dag_id, task_id, run_id, state)

    def finish(self, dag_id: str) -> None:
        """Wait until the run is over: a clear in the moment when a run ends leaves a task that Airflow forgets."""
        assert within(120, lambda: self.rows("select 1 from dag_run where dag_id = ? and state = 'success'", dag_id))

    def clear(self, dag_id: str, task_id: str = "job") -> None:
        """What "Clear" in the UI does."""
        if self.is_airflow_3:
            run_id = self.task(dag_id, task_id)["run_id"]
            body = {"dry_run": False, "task_ids": [task_id], "dag_run_id": run_id, "only_failed": False}
            self.call("POST", f"/dags/{dag_id}/clearTaskInstances", body)
        else:
            command = [AIRFLOW, "tasks", "clear", "--yes", "--task-regex", task_id, dag_id]
            subprocess.run(command, env=self.env, check=True, capture_output=True)

    def delete_run(self, dag_id: str) -> None:
        """What "Delete" of a run in the UI does; Airflow 3.3 refuses it for one that is not failed first."""
        run_id = self.task(dag_id)["run_id"]
        if self.is_airflow_3:
            self.call("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", {"state": "failed"})
            self.call("DELETE", f"/dags/{dag_id}/dagRuns/{run_id}")
        else:
            self.python(_DELETE_2, dag_id, run_id)

    def doeks(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """The `doeks` command beside this Airflow."""
        command = [str(Path(AIRFLOW).with_name("doeks")), *arguments]
        return subprocess.run(command, env=self.env | settings, capture_output=True, text=True, check=False)

    def token(self) -> str:
        """A bearer token of an administrator of Airflow 3."""
        return str(self._request("GET", "/auth/token")["access_token"])

    def links(self, dag_id: str, task_id: str = "job") -> dict[str, str | None]:
        """Name -> URL of the extra links that the UI of Airflow 3 shows at a task."""
        run_id = self.task(dag_id, task_id)["run_id"]
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/links"
        found: dict[str, str | None] = self.call("GET", path)["extra_links"]
        return found

    def python(self, text: str, *arguments: str) -> None:
        """Run a few lines of Python beside the metadata database, as the web server of Airflow 2 does."""
        subprocess.run([sys.executable, "-c", text, *arguments], env=self.env, check=True, capture_output=True)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The public REST API of Airflow 3, as an administrator."""
        return self._request(method, f"/api/v2{path}", body, self.token())

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None, token: str = "") -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            msg = f"{method} {path}: {error.code} {error.read()[:500]!r}"
            raise AssertionError(msg) from error


@contextmanager
def running_airflow(
    home: Path, dags: Path, extra: Mapping[str, str] | None = None, database: str | None = None
) -> Iterator[Airflow]:
    """An Airflow that runs for as long as the block; nothing of it is left behind."""
    airflow = Airflow(home, dags, extra, database)
    try:
        airflow.start()
        yield airflow
    finally:
        airflow.stop()
