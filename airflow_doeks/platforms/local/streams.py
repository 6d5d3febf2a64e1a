"""Streams on this machine: one run directory a task, deployed, changed and stopped; never two at once.

A stream keeps its ref for all of its life. What is deployed anew takes the directory's place, with the processes of
before in its accounts; checkpoints and savepoints are beside it, in ``.state/<name>``. The script that owns the
processes takes savepoints: it is asked by a file ``ask-<token>.json`` and answers with ``answer-<token>.json``.
"""

from __future__ import annotations

import fcntl
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from airflow_doeks.model.code_path import is_url
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.identity import LASTING, MODE, PREFIX
from airflow_doeks.model.status import JobRef, JobState, JobStatus, Request
from airflow_doeks.platforms.local import runs
from airflow_doeks.platforms.patience import Time

log = logging.getLogger(__name__)

STATE = ".state"
CHECKPOINTS = "execution.checkpointing.dir"  # Flink's property of the folder that a job may name
_SAVED = "savepoint.json"
_BEGUN = "begun"  # file beside a stream's state, as old as the first state that may be gone on from
STOP_SECONDS, END_SECONDS, LOOK_SECONDS = 600.0, 60.0, 0.5
_OLD = 8  # characters that tell what ran before from each other
_INSTANCE = f"{PREFIX}instance"
_STATES = {  # what Flink says of the job of a living cluster -> state, and whether it is well; Flink 2.3's JobStatus
    "RUNNING": (JobState.RUNNING, True),
    "RESTARTING": (JobState.RUNNING, False),
    "FAILING": (JobState.RUNNING, False),
    "CANCELLING": (JobState.RUNNING, False),
}

Plan = Callable[[Mapping[str, Any]], dict[str, Any]]


def is_stream(request: Mapping[str, Any]) -> bool:
    """True for what was submitted into a directory without an end of its own."""
    return bool(request["body"]["identity"].get(MODE) == LASTING)


def seen(run: Path, request: Mapping[str, Any], status: JobStatus) -> JobStatus:
    """The status of a stream's processes with what Flink says of its job."""
    changed = datetime.fromisoformat(request["submitted"])
    first = request["launch"].get("first_submitted")
    facts: dict[str, Any] = {"changed": changed, "savepoint": _last_savepoint(run)}
    if first:
        facts["submitted"] = datetime.fromisoformat(first)
    if status.state is JobState.RUNNING:
        word = str((_read(run / "job.json") or {}).get("state") or "")
        state, is_well = _STATES.get(word, (JobState.STARTING, False))
        facts |= {"state": state, "is_well": is_well, "native_state": word or status.native_state}
        facts["reason"] = "" if is_well else f"its job is {word.lower()}" if word else "its cluster starts"
    elif status.state is JobState.SUCCEEDED and facts["savepoint"]:
        facts["reason"] = f"it was stopped; its state is in {facts['savepoint']}"
    return replace(status, **facts)


def checkpoints(run: Path) -> int:
    """How many checkpoints the job completed, as far as was seen."""
    return int((_read(run / "job.json") or {}).get("checkpoints") or 0)


class Streams:
    """The streams below one ``local_dir``."""

    def __init__(self, local_dir: Path, time: Time, start: Callable[[Path], None]) -> None:
        self.local_dir, self._time, self._start = local_dir, time, start

    def deploy(self, request: Request, plan: Plan) -> JobRef:
        """What the request says is what runs; nothing is done where it is so already."""
        run = self.local_dir / request.name
        with self._alone(request.name):
            self._take_back(run)
            found = runs.read_request(run)
            if found is None:
                self._begin(run.name)
                return self._make(run, request, plan, request.body["from"], {})
            self._refuse_others(run, found, request.body["identity"][_INSTANCE])
            files, ref = plan(request.body)["files"], JobRef(found["ref"])
            is_equal = found["spec_hash"] == request.spec_hash and found["launch"].get("files") == files
            self._finish(run, is_kept=is_equal)
            status = self.look(run)
            if is_equal and not status.state.is_terminal:
                log.info("%s is as this task wants it: nothing is done", ref)
                return ref
            start = self._start_of(run, found, request, status)
            self._end(run)
            first = found["launch"].get("first_submitted") or found["submitted"]
            history = {"first_submitted": first, "history": _read(run / "processes.json") or []}
            old = self.local_dir / f".{run.name}-{uuid4().hex[:_OLD]}"
            run.rename(old)
            log.info("%s starts %s; what ran before is in %s", ref, f"from {start}" if start else "without state", old)
            return self._make(run, request, plan, start, history)

    def stop(self, name: str, instance: str, token: str) -> JobRef:
        """Stop a stream with a savepoint; one that is stopped already is fine."""
        run = self._known(name, instance)
        with self._alone(name):
            if not self.look(run).state.is_terminal:
                self._ask(run, token, STOP_SECONDS, stop=True)
                self._await_end(run)
        return self.look(run).ref

    def save(self, name: str, instance: str, token: str, seconds: float) -> str:
        """The path of a savepoint of a stream that runs on; the same token takes one."""
        return self._ask(self._known(name, instance), token, seconds, stop=False)

    def look(self, run: Path) -> JobStatus:
        """One look at a stream."""
        request = runs.read_request(run)
        ref = JobRef(request["ref"] if request else f"local:///{run.name}")
        status = runs.look(run, ref, self._time.now())
        return seen(run, request, status) if request else status

    def _finish(self, run: Path, *, is_kept: bool) -> None:
        """Bring to its end what somebody began: a start whose worker died, a cancel by another run of the task."""
        if not (run / "state.json").exists():
            self._start(run) if is_kept else runs.cancel(run)
        elif self.look(run).is_cancelling:
            self._await_end(run)

    def _take_back(self, run: Path) -> None:
        """Undo a replacement that got no further than moving what ran before out of the way: it knows the state."""
        if not run.exists():
            before = [
                old for old in self.local_dir.glob(f".{run.name}-{'?' * _OLD}") if (old / "request.json").exists()
            ]
            if before:
                max(before, key=lambda old: (old / "request.json").stat().st_mtime_ns).rename(run)

    def _start_of(self, run: Path, found: Mapping[str, Any], request: Request, status: JobStatus) -> str | None:
        """The path of the state that what is deployed now begins with; takes a savepoint where that is asked for."""
        wanted, how = request.body["from"], request.body["upgrade"]
        is_elsewhere = bool(wanted) and wanted != found["body"]["from"]
        if how == "savepoint" and not is_elsewhere and not status.state.is_terminal:
            return self._ask(run, request.token, STOP_SECONDS, stop=True)
        self._end(run)  # until then it may save once more
        if is_elsewhere or how == "stateless":
            self._begin(run.name)
            return str(wanted) if is_elsewhere else None
        kept = self._kept(run, found)
        return max(kept)[1] if kept else None

    def _begin(self, name: str) -> None:
        """From here on the stream knows nothing of what it had saved before: it starts empty, or from elsewhere."""
        folder = self.local_dir / STATE / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _BEGUN).write_text("")

    def _kept(self, run: Path, made: Mapping[str, Any]) -> list[tuple[int, str]]:
        """(time, path) of each whole state since the stream began, and of the one that what ran last started from.

        Folders beside its run directory are its alone; in those that the job names others save, too: there its own are
        the checkpoints of what ran last, and the savepoint that was taken last.
        """
        own = self.local_dir / STATE / run.name
        files = [*own.glob("checkpoints/*/chk-*/_metadata"), *own.glob("savepoints/savepoint-*/_metadata")]
        named, job = folder_of(made["body"].get("cluster_conf", {}).get(CHECKPOINTS)), _read(run / "job.json") or {}
        if named is not None and job.get("id"):
            files += named.glob(f"{job['id']}/chk-*/_metadata")
        found = [(file.stat().st_mtime_ns, url_of(file.parent)) for file in files]
        if savepoint := _last_savepoint(run):
            found.append(((run / _SAVED).stat().st_mtime_ns, savepoint))
        begun = (own / _BEGUN).stat().st_mtime_ns if (own / _BEGUN).exists() else 0
        start, submitted = made["launch"].get("start"), datetime.fromisoformat(made["submitted"])
        since = [one for one in found if one[0] >= begun]
        return [*since, (int(submitted.timestamp() * 1e9), start)] if start else since

    def _ask(self, run: Path, token: str, seconds: float, *, stop: bool) -> str:
        """The path of a savepoint that the owner of the processes takes."""
        asked, answer = (run / f"{word}-{token[:32]}.json" for word in ("ask", "answer"))
        if not answer.exists():
            new = run / f".ask-{token[:32]}"
            new.write_text(json.dumps({"stop": stop}))
            new.replace(asked)
        try:
            self._await_answer(run, answer, seconds)
        finally:
            asked.unlink(missing_ok=True)  # nobody waits any more: what was not begun is not wanted
        told = _read(answer) or {}
        if not told.get("location"):
            why = told.get("error") or "no reason is told"
            msg = f"the savepoint of {run.name} failed, and the stream runs on: {why}"
            raise PlatformError(msg)
        return str(told["location"])

    def _await_answer(self, run: Path, answer: Path, seconds: float) -> None:
        waited = 0.0
        while not answer.exists():
            if self.look(run).state.is_terminal and not answer.exists():
                msg = f"{run.name} ended before its savepoint was taken; see {run / runs.LOG}"
                raise PlatformError(msg)
            if waited > seconds:
                msg = f"{run.name} took no savepoint within {seconds:.0f} s; it runs on"
                raise PlatformError(msg, retryable=True)
            self._time.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS

    def _end(self, run: Path) -> None:
        if not self.look(run).state.is_terminal:
            runs.cancel(run)
            self._await_end(run)

    def _await_end(self, run: Path) -> None:
        waited = 0.0
        while not self.look(run).state.is_terminal:
            if waited > END_SECONDS:
                msg = f"{run.name} did not end within {END_SECONDS:.0f} s; the task is tried again"
                raise PlatformError(msg, retryable=True)
            self._time.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS

    def _make(self, run: Path, request: Request, plan: Plan, start: str | None, history: Mapping[str, Any]) -> JobRef:
        planned = {**plan({**request.body, "from": start}), "start": start}
        if history:
            planned["first_submitted"] = history["first_submitted"]
            planned["cluster"]["history"] = history["history"]
        runs.create(run, request, planned, self._time.now())
        self._start(run)
        made = runs.read_request(run)
        return JobRef(made["ref"] if made else f"local:///{run.name}")

    def _known(self, name: str, instance: str) -> Path:
        run = self.local_dir / name
        found = runs.read_request(run)
        if found is None:
            msg = f"there is no stream {run}: the task that deploys it has not run here"
            raise PlatformError(msg)
        self._refuse_others(run, found, instance)
        return run

    @staticmethod
    def _refuse_others(run: Path, found: Mapping[str, Any], instance: str) -> None:
        if found["body"]["identity"].get(_INSTANCE) != instance:
            msg = f"{run} belongs to another Airflow; give each its own [doeks] local_dir."
            raise PlatformError(msg)

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """While nobody else changes this stream."""
        folder = self.local_dir / STATE / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def url_of(path: Path) -> str:
    """A file or folder as Flink's own paths name it: nothing is escaped, whatever stands in it."""
    return f"file://{path}"


def folder_of(url: str | None) -> Path | None:
    """The folder of this machine behind one of Flink's paths; None for one elsewhere, and for none."""
    if not url or is_url(url):
        return None
    return Path(f"/{url.removeprefix('file:').lstrip('/')}")


def _last_savepoint(run: Path) -> str:
    return str((_read(run / _SAVED) or {}).get("location") or "")


def _read(path: Path) -> Any:
    """None for a file that is not there or is just being written."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
