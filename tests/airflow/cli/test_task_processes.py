"""The processes of tasks when they go wrong; Airflow's database and its way to run a task are played."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_doeks import compat
from airflow_doeks.cli.task_processes import TaskProcesses

KEY = ("clean", -1)


class Database:
    """A session and a run of one task instance that waits for its turn."""

    def __init__(self) -> None:
        self.ti = SimpleNamespace(task_id=KEY[0], map_index=KEY[1], state="scheduled", try_number=1)

    def get_task_instances(self, **_: Any) -> list[Any]:
        return [self.ti]

    def __getattr__(self, name: str) -> Any:
        """Whatever is called on a session gives the session."""
        return lambda *_, **__: self

    def one(self) -> Any:
        return self.ti


def ended(processes: TaskProcesses, database: Database) -> bool:
    """True once the process of the task is taken note of, within seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if processes._reap(database, database):
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[TaskProcesses, Database]]:
    """A run whose tasks fail, and leave behind a process that holds all that it was born with."""
    database = Database()

    @contextlib.contextmanager
    def session() -> Iterator[Database]:
        yield database

    def run_task(ti: Any) -> None:
        if not (pid := os.fork()):
            signal.pause()
        (tmp_path / "left").write_text(str(pid))
        msg = "no such file: data.csv"
        raise ValueError(msg)

    monkeypatch.setattr(compat, "create_session", session)
    monkeypatch.setattr(compat, "run_test_task", run_task)
    dag = SimpleNamespace(dag_id="orders", task_dict={KEY[0]: SimpleNamespace()})
    processes = TaskProcesses(dag, parallel=1, look=lambda *_: None)
    processes.logs[KEY] = tmp_path / "task.log"
    yield processes, database
    if (left := tmp_path / "left").is_file():
        os.kill(int(left.read_text()), signal.SIGKILL)


def test_what_a_task_leaves_behind_holds_nobody_up(played: tuple[TaskProcesses, Database]) -> None:
    """Its reason is read though a process that it started has the pipe open, too."""
    processes, database = played
    processes._running[KEY] = processes._fork("r", KEY)

    def late(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(10)
    try:
        assert ended(processes, database)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert processes.reasons == {KEY: "ValueError: no such file: data.csv"}


def test_a_task_whose_process_breaks_before_it_begins_has_failed(
    played: tuple[TaskProcesses, Database], tmp_path: Path
) -> None:
    """It is not begun again and again: here its log has no place."""
    processes, database = played
    (tmp_path / "file").write_text("")
    processes.logs[KEY] = tmp_path / "file" / "task.log"
    processes._running[KEY] = processes._fork("r", KEY)
    assert ended(processes, database)
    assert database.ti.state == "failed"
    assert "File exists" in processes.reasons[KEY]
