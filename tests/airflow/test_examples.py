"""The examples of docs/examples run, whole, on this Airflow."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from airflow.serialization import serialized_objects

from airflow_doeks import compat
from airflow_doeks.compat import AirflowFailException
from airflow_doeks.dag_builder import build_dag
from airflow_doeks.language import compile_file

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

MODULE = "airflow_doeks.notifications"
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, where a run may write beside them."""
    return shutil.copytree(EXAMPLES, tmp_path_factory.mktemp("examples") / "project")


def run(project: Path, name: str, **variables: str) -> dict[str, str]:
    """Task, with its number if it is mapped -> state, after `doeks run`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "DOEKS_"))}
    environment |= variables
    command = [str(Path(sys.executable).with_name("doeks")), "run", "--json", f"pipelines/{name}.yaml"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return {task["task"]: task["state"] for task in json.loads(done.stdout)["tasks"]}


def test_functions_branches_and_mapped_tasks_run(project: Path):
    """Outputs are expanded, zipped and handed over; a branch leaves one way; what is there is found."""
    states = run(project, "tasks")
    mapped = {"count": 3, "pairs": 3, "crossed": 4, "say": 2}
    single = ["list_days", "list_regions", "worth_it", "way", "after.many", "file_is_there"]
    expected = dict.fromkeys(single, "success") | {"after.few": "skipped"}
    expected |= {f"{name}[{number}]": "success" for name, count in mapped.items() for number in range(count)}
    assert states == expected


def test_groups_roles_and_arguments_run(project: Path):
    """Set-up, work and teardown are done in their order, and rules hold."""
    states = run(project, "arguments")
    assert states == dict.fromkeys(["make", "work.extract", "work.load", "remove", "tell"], "success")


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("pipelines/*.yaml")), ids=lambda file: file.stem)
def test_every_example_is_a_dag(file: Path, aliases_are_known: None):
    """No example has a fault, and Airflow takes and stores each of them."""
    compiled = compile_file(file)
    assert compiled.diagnostics == ()
    dag = build_dag(compiled.plan, file.parents[1] / "dags.py")
    coder = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
    assert set(dag.task_ids) == {task.task_id for task in compiled.plan.tasks}
    assert json.dumps(coder.to_dict(dag))


def test_every_yes_of_the_comparison_has_an_example():
    """Whatever the table says that our YAML can is shown by an example, or by the page of what only we have."""
    page = (EXAMPLES.parent / "language.md").read_text("utf-8").split("## ")[0]
    rows = [line for line in page.splitlines() if line.startswith("| ")][2:]
    ours = [row.rstrip(" |").rpartition(" | ")[2] for row in rows]
    assert len(ours) >= 20
    assert all(re.search(r"\]\((examples/pipelines/\w+\.yaml|\w+\.md(#\w+)?)\)", cell) for cell in ours)


class Alerts(ThreadingHTTPServer):
    """Takes what is posted."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), Taker)

    @property
    def connection(self) -> str:
        """The connection that leads here."""
        return f"http://127.0.0.1:{self.server_port}"


class Taker(BaseHTTPRequestHandler):
    """Keeps path and body."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.path, json.loads(body)))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep silent."""


@pytest.fixture
def alerts() -> Iterator[Alerts]:
    """A server that is told."""
    server = Alerts()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_who_is_to_be_told_is_told(project: Path, alerts: Alerts):
    """A task tells what it says itself or its defaults say, with words of ours where it has none."""
    states = run(project, "notices", AIRFLOW_CONN_ALERTS=alerts.connection)
    assert states == {"good": "success", "bad": "failed"}
    told = {path: body for path, body in alerts.posted if path != "/runs"}
    assert told["/good"] == {"task": "good"}
    assert told["/tasks"]["text"].startswith("notices.bad failed in manual__")
    assert set(told) == {"/good", "/tasks"}


def test_a_run_has_its_notices_and_its_deadline(project: Path, alerts: Alerts, monkeypatch: pytest.MonkeyPatch):
    """They stand in the DAG as Airflow stores it, and each of them reaches who is to be told."""
    monkeypatch.setenv("AIRFLOW_CONN_ALERTS", alerts.connection)
    dag = build_dag(compile_file(project / "pipelines" / "notices.yaml").plan, project / "dags.py")
    callbacks = dag.on_failure_callback
    (failed,) = callbacks if isinstance(callbacks, list) else [callbacks]
    failed({"dag_run": {"dag_id": "notices", "run_id": "r1"}, "dag": dag})
    if compat.DeadlineAlert is not None:
        (deadline,) = dag.deadline
        assert (deadline.interval.total_seconds(), deadline.callback.path) == (7200, f"{MODULE}.tell_missed_deadline")
        tell = importlib.import_module(MODULE).tell_missed_deadline
        asyncio.run(tell(**deadline.callback.kwargs, context={"dag_run": {"dag_id": "notices", "run_id": "r1"}}))
    late = [("/late", {"text": "notices has not met its deadline in r1"})] if compat.DeadlineAlert is not None else []
    assert alerts.posted == [("/runs", {"text": "notices failed in r1"}), *late]
    coder = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)
    assert "tell_missed_deadline" in json.dumps(coder.to_dict(dag)) or compat.DeadlineAlert is None


@pytest.mark.parametrize(
    ("file", "function", "said"),
    [
        ("../secret.py", "f", "outside the project"),
        ("functions/none.py", "f", "does not exist"),
        ("functions/days.py", "list_dayz", "no function 'list_dayz'"),
    ],
)
def test_a_function_is_imported_from_the_project_only(project: Path, file: str, function: str, said: str):
    """The rule of every file of the project also holds on the worker, and what it refuses is not tried again."""
    from airflow_doeks.operators.function import FunctionOperator

    (project.parent / "secret.py").write_text("raise SystemExit('imported')", "utf-8")
    task = FunctionOperator(task_id="t", file=file, function=function, folder=str(project), source={"": "p.yaml:2:3"})
    with pytest.raises(AirflowFailException, match=rf"^p\.yaml:2:3: .*{said}"):
        task.execute({})
