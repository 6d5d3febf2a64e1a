"""Run directories: what stands in ``<local_dir>/<name>`` and what it says about a job.

``request.json`` appears with the directory and never changes. ``state.json``, ``heartbeat``, ``cancel`` and
``driver.log`` are described in ``supervisor``; ``events/`` holds the Spark event log.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

from airflow_doeks.model.engine import SPARK
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobRef, JobState, JobStatus, Request
from airflow_doeks.platforms.local.supervisor import START_SECONDS, claim, utc_now

EVENTS = "events"
LOG = "driver.log"
LOST_SECONDS = 15.0  # a heartbeat older than this has no supervisor behind it
_TAIL_BYTES = 1_000_000


def create(run: Path, request: Request, launch: Mapping[str, Any], now: datetime) -> None:
    """The run directory, whole, by one rename; if another has made it meanwhile, nothing."""
    new = run.parent / f".{run.name}-{uuid4().hex}"
    content = {
        **asdict(request),
        "ref": f"local://{socket.gethostname()}/{run.name}",
        "submitted": now.isoformat(),
        "launch": launch,
    }
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir(mode=0o700)  # the log and the data of a job are its owner's
        (new / EVENTS).mkdir()
        (new / "tmp").mkdir()
        if request.body["sql_text"] is not None:
            _write_for_us(new / "query.sql", request.body["sql_text"])
        _write_for_us(new / "request.json", json.dumps(content, indent=1))
        new.rename(run)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        if not run.exists():
            msg = f"{run} cannot be made: {error}. Check that [doeks] local_dir can be written and is not full."
            raise PlatformError(msg, retryable=True) from error


def _write_for_us(path: Path, text: str) -> None:
    """Readable by nobody else: a job's variables and arguments may be secrets."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def read_request(run: Path) -> dict[str, Any] | None:
    """What was submitted into this directory; None if it is not there, or not ours."""
    found = _read_json(run / "request.json")
    return found if found and "ref" in found else None


def look(run: Path, ref: JobRef, now: datetime) -> JobStatus:
    """The state of a job from its files; PlatformError for files that cannot be read, or hold something else."""
    try:
        return _look(run, ref, now)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"the files of {run} are not those of a job ({type(error).__name__}: {error})"
        raise PlatformError(msg) from error


def _look(run: Path, ref: JobRef, now: datetime) -> JobStatus:
    request = read_request(run)
    if request is None:
        reason = f"there is no run directory {run}; worker and triggerer must share [doeks] local_dir"
        return JobStatus(ref, JobState.LOST, "missing", reason)
    facts = {
        "tags": request["body"]["identity"],
        "submitted": datetime.fromisoformat(request["submitted"]),
        "attempts": 1,
        "name": request["name"],
        "token": request["token"],
        "engine": request["body"].get("engine", SPARK.name),  # that of an earlier version is Spark's
    }
    state = _read_json(run / "state.json")
    if state is None:
        return _unclaimed(run, ref, now, facts)
    if "started" in state:
        started = datetime.fromisoformat(state["started"])
        facts |= {"started": started, "scheduled": started}
    if "exit" in state:
        return _ended(ref, state["exit"], facts)
    beat = _modified(run / "heartbeat") or _modified(run / "state.json") or now
    silent = (now - beat).total_seconds()
    if silent > LOST_SECONDS:
        reason = f"its supervisor gave no sign of life for {silent:.0f} s: it was killed, or the machine restarted"
        return JobStatus(ref, JobState.LOST, "lost", reason, ended=beat, **facts)
    return JobStatus(ref, JobState.RUNNING, "running", is_cancelling=(run / "cancel").exists(), **facts)


def cancel(run: Path) -> None:
    """Ask for the end of a job; may be called again, and for a job that ended or is gone."""
    ended = {"code": -signal.SIGTERM, "ended": utc_now(), "is_cancelled": True, "reason": "before it started"}
    try:
        if (run / "request.json").exists() and not claim(run, {"exit": ended}):
            (run / "cancel").touch()
    except OSError as error:
        msg = f"the job of {run} cannot be told to end: {error}"
        raise PlatformError(msg, retryable=True) from error


def event_log(run: Path) -> tuple[str | None, tuple[str, ...]]:
    """URL of the Spark event log and what to know about it; None if there is none, or more than can be counted."""
    logs = sorted((run / EVENTS).glob("[!.]*"), key=lambda path: path.stat().st_mtime)
    if not logs:
        return None, ()
    several = f"the job made {len(logs)} Spark applications one after another; only the last one's event log is read"
    return logs[-1].as_uri(), (several,) if len(logs) > 1 else ()


def tail(log: Path) -> list[str]:
    """The last lines of a driver's log, at most a megabyte; none if there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - _TAIL_BYTES, 0))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _unclaimed(run: Path, ref: JobRef, now: datetime, facts: Mapping[str, Any]) -> JobStatus:
    asked = _modified(run / "request.json") or now
    if (now - asked).total_seconds() <= START_SECONDS:
        return JobStatus(ref, JobState.QUEUED, "queued", **facts)
    reason = "no supervisor took it: whoever submitted it ended in between"
    return JobStatus(ref, JobState.LOST, "lost", reason, **facts)


def _ended(ref: JobRef, ended: Mapping[str, Any], facts: Mapping[str, Any]) -> JobStatus:
    code, reason = ended["code"], ended["reason"]
    state = JobState.FAILED if code else JobState.SUCCEEDED
    native = f"exit code {code}"
    if code < 0:
        native = f"ended by {_signal_name(-code)}"
        if code == -signal.SIGKILL:
            reason = reason or "SIGKILL from outside; the kernel sends it when memory runs out"
    if ended["is_cancelled"]:
        state, native = JobState.CANCELLED, "cancelled"
    return JobStatus(ref, state, native, reason, ended=datetime.fromisoformat(ended["ended"]), **facts)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have none
        return f"signal {number}"


def _modified(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    except FileNotFoundError:
        return None


def _read_json(path: Path) -> dict[str, Any] | None:
    """None for a file that is not there or is just being written."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except json.JSONDecodeError:
        return {} if path.name == "state.json" else None
    except OSError as error:
        msg = f"{path} cannot be read: {error}"
        raise PlatformError(msg, retryable=True) from error
    return found if isinstance(found, dict) else None
