"""The tasks of one DAG run, each try in a process of its own, as many at a time as are allowed.

`DAG.test` makes the run in the way of this Airflow, and would then run its tasks here, one after the other. At the
first of them we take over: the same scheduling, with forks, so that two jobs run side by side, each task's output is a
file of its own, and whoever watches is never kept waiting. Nothing here starts a thread: a fork copies only one.
"""

from __future__ import annotations

import gc
import inspect
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import object_session

from airflow_doeks import compat
from airflow_doeks.cli.run_logs import log_of
from airflow_doeks.model.redaction import redacted

Key = tuple[str, int]  # task id and map index
_LOOK_SECONDS = 0.1
_SCHEDULE_SECONDS = 1.0  # between two looks at what waits for a time: a retry, a sensor
_REASON_BYTES = 4000  # less than a pipe holds
_LOG_LINE = "[%(asctime)s] {%(filename)s:%(lineno)d} %(levelname)s - %(message)s"


@dataclass(frozen=True)
class _Process:
    pid: int
    reason: int  # the reading end of a pipe on which it says why its task failed


class _BrokenError(BaseException):
    """A fault of ours or of the database, on its way through `DAG.test`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class TaskProcesses:
    """Runs a DAG once; ``reasons`` and ``logs`` then tell of each task why it failed and where it logged.

    ``look`` is called several times a second with the run and its task instances.
    """

    def __init__(self, dag: Any, *, parallel: int, look: Callable[[Any, Sequence[Any]], None]) -> None:
        self.dag = dag
        self.parallel = parallel
        self.look = look
        self.reasons: dict[Key, str] = {}
        self.logs: dict[Key, Path] = {}
        self._running: dict[Key, _Process] = {}
        self._has_begun = False

    def run(self, date: datetime | None = None, conf: Mapping[str, Any] | None = None) -> None:
        """Run to the end, for a date (default: now); whatever interrupts it kills the tasks that still run."""
        name = "logical_date" if "logical_date" in inspect.signature(self.dag.test).parameters else "execution_date"
        original = compat.run_test_task
        module = sys.modules[original.__module__]
        module._run_task = self._take_over  # type: ignore[attr-defined]  # noqa: SLF001 - Airflow has no other door
        try:
            self.dag.test(run_conf=conf, **({} if date is None else {name: date}))
        except _BrokenError as error:
            raise error.cause from error
        finally:
            module._run_task = original  # type: ignore[attr-defined]  # noqa: SLF001
            self._kill()

    def _take_over(self, *, ti: Any, session: Any = None, **_: Any) -> None:
        """Have the whole run done; what else was ready at first is done when `DAG.test` asks for it."""
        if self._has_begun:
            return
        self._has_begun = True
        try:
            session = session or object_session(ti)
            run = session.query(compat.DagRun).filter_by(dag_id=ti.dag_id, run_id=ti.run_id).one()
            if getattr(run, "dag", None) is None:  # Airflow 2 reads it anew
                run.dag = self.dag
            self._drive(run, session)
        except Exception as error:
            raise _BrokenError(error) from error  # `DAG.test` would log it and go on for ever

    def _drive(self, run: Any, session: Any) -> None:
        _prepare_the_api()
        gc.freeze()  # Airflow's code and tables: no child walks them, and their pages stay shared
        gc.enable()
        scheduled_at = time.monotonic()
        while str(run.state) == "running":
            instances = self._instances(run, session)
            self._start_ready(run, instances)
            self.look(run, instances)
            is_due = time.monotonic() - scheduled_at >= _SCHEDULE_SECONDS and self._waits_for_a_time(instances)
            if self._reap(run, session) or is_due:
                scheduled_at = time.monotonic()
                self._schedule(run, session)
            else:
                time.sleep(_LOOK_SECONDS)
        self.look(run, self._instances(run, session))

    def _instances(self, run: Any, session: Any) -> list[Any]:
        session.expire_all()
        found = list(run.get_task_instances(session=session))
        session.commit()  # no connection is in use when the next process forks
        return found

    def _waits_for_a_time(self, instances: Sequence[Any]) -> bool:
        """True where no end of a process tells when to go on; a run that stands still is Airflow's to judge."""
        return not self._running or any(str(ti.state) in {"up_for_retry", "up_for_reschedule"} for ti in instances)

    def _schedule(self, run: Any, session: Any) -> None:
        session.expire_all()
        ready, _ = run.update_state(session=session)
        for ti in ready:
            if str(ti.state) != "up_for_reschedule":
                ti.try_number += 1
            ti.state = "scheduled"
        session.commit()

    def _start_ready(self, run: Any, instances: Sequence[Any]) -> None:
        for ti in instances:
            key = ti.task_id, ti.map_index
            if len(self._running) < self.parallel and str(ti.state) == "scheduled" and key not in self._running:
                self.reasons.pop(key, None)
                self.logs[key] = log_of(run.dag_id, run.run_id, *key, ti.try_number)
                self._running[key] = self._fork(run.run_id, key)

    def _fork(self, run_id: str, key: Key) -> _Process:
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            os.close(writing)
            return _Process(pid, reading)
        code = 0
        try:
            os.setsid()  # Ctrl-C is for the parent, which kills this whole group
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            error = _run_here(self.dag, run_id, key, self.logs[key])
            if error is not None:
                _tell(writing, error)
        except BaseException as error:  # noqa: BLE001 - nothing may return into the parent's code
            code = 1
            traceback.print_exc()
            _tell(writing, error)
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _reap(self, run: Any, session: Any) -> bool:
        """True if a process ended since the last look."""
        has_ended = False
        for key, process in list(self._running.items()):
            pid, status = os.waitpid(process.pid, os.WNOHANG)
            if not pid:
                continue
            has_ended = True
            del self._running[key]
            self._judge(run, session, key, _said(process.reason), os.waitstatus_to_exitcode(status))
        return has_ended

    def _judge(self, run: Any, session: Any, key: Key, said: str, code: int) -> None:
        """Keep why a task failed; one whose process left it half done has failed."""
        (ti,) = (one for one in self._instances(run, session) if (one.task_id, one.map_index) == key)
        is_unbegun = bool(code) and str(ti.state) == "scheduled"  # else it would be begun again and again
        if is_unbegun or str(ti.state) in {"queued", "running", "deferred", "restarting"}:
            ti.state = "failed"
            session.commit()
            said = said or f"its process ended before it did (exit code {code})"
        if said:
            self.reasons[key] = said

    def _kill(self) -> None:
        """End what still runs, with all that it started; local jobs have left these trees, and are cancelled."""
        import psutil

        trees = []
        for process in self._running.values():
            with suppress(psutil.NoSuchProcess):
                top = psutil.Process(process.pid)
                trees += [top, *top.children(recursive=True)]
        for one in trees:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        for process in self._running.values():
            os.waitpid(process.pid, 0)
            os.close(process.reason)
        self._running.clear()


def _prepare_the_api() -> None:
    """Have the API that tasks of Airflow 3 ask set itself up here, once, and not at the first request of each child.

    It takes two seconds of CPU; Airflow keeps it since 3.2. A path that it does not know is enough, without a thread.
    """
    if compat.test_api is None:
        return
    import asyncio

    import httpx

    async def ask() -> None:
        app = compat.test_api().app
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False)) as client:
            await client.get("http://in-process.invalid/none")

    asyncio.run(ask())


def _run_here(dag: Any, run_id: str, key: Key, log: Path) -> BaseException | None:
    """Run one task in this process, a fresh fork, with its output in ``log``; why it failed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if not compat.PRINTS_TASK_LOG:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter(_LOG_LINE))
        logging.getLogger("airflow.task").addHandler(handler)
    with compat.create_session() as session:
        session.get_bind().dispose(close=False)  # those connections are the parent's
        model = compat.TaskInstance
        row = {"dag_id": dag.dag_id, "run_id": run_id, "task_id": key[0], "map_index": key[1]}
        ti = session.query(model).filter_by(**row).one()
        task = dag.task_dict[key[0]]
        ti.task = task
        offered: Mapping[str, Any] = {
            "ti": ti,
            "task": task,
            "session": session,
            "run_triggerer": True,  # as Airflow 3 names it
            "inline_trigger": True,  # as Airflow 2 does
        }
        taken = inspect.signature(compat.run_test_task).parameters
        try:
            result = compat.run_test_task(**{name: value for name, value in offered.items() if name in taken})
        except Exception as error:  # noqa: BLE001 - Airflow 2 raises what the task raised, having written it down
            return error
    return getattr(result, "error", None)


def _tell(pipe: int, error: BaseException) -> None:
    with suppress(OSError):
        os.write(pipe, _words(error).encode()[:_REASON_BYTES])


def _said(pipe: int) -> str:
    """What a process that ended has told; its end is not waited for: what it started may have the pipe open, too."""
    os.set_blocking(pipe, False)
    with os.fdopen(pipe, "rb", buffering=0) as told:
        return (told.read(_REASON_BYTES) or b"").decode(errors="replace")


def _words(error: BaseException) -> str:
    """The first line of an error, behind its class unless that is only Airflow's."""
    first = next(iter(str(error).strip().splitlines()), "")
    name = type(error).__name__
    return redacted(first if name.startswith("Airflow") and first else f"{name}: {first}" if first else name)
