"""Owns one local Spark job from start to end; a stand-alone script (standard library only), one process a job.

``python -I -S supervisor.py RUN_DIR`` forks itself away from its caller and then talks through files alone:

* ``request.json`` (read): ``launch`` holds ``argv`` and ``env``; older than START_SECONDS it is not started any more.
* ``state.json`` (written): created exclusively, which is the claim: of any number of supervisors one starts the job.
  ``{"started": UTC, "exit": {"code": int, "ended": UTC, "is_cancelled": bool, "reason": str}}``.
* ``heartbeat`` (touched every 2 s), ``driver.log`` (stdout and stderr of the job), ``cancel`` (its appearance ends it).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

HEARTBEAT_SECONDS = 2.0
START_SECONDS = 60.0  # from the last submit until somebody must have claimed the job
_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 10.0  # between SIGTERM and SIGKILL: Spark's shutdown hooks close the event log
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def claim(run: Path, state: Mapping[str, Any]) -> bool:
    """True for the one caller that may decide about the start of this job."""
    try:
        handle = os.open(run / "state.json", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        json.dump(state, file)
    return True


def utc_now() -> str:
    """Now, ISO 8601."""
    return datetime.now(timezone.utc).isoformat()


def _write_exit(run: Path, state: Mapping[str, Any]) -> None:
    for _ in range(30):  # a full disk may be freed while the heartbeat is still fresh
        with contextlib.suppress(OSError):
            new = run / ".state.json"
            new.write_text(json.dumps(state))
            new.replace(run / "state.json")
            return
        (run / "heartbeat").touch()
        time.sleep(HEARTBEAT_SECONDS)


def _die_with_parent() -> None:
    """In the child: end when the supervisor is killed, so that a job called LOST does not run on (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _start(run: Path, launch: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    with (run / "driver.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - argv list made by the platform, no shell
            launch["argv"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=run,
            env={**os.environ, **launch["env"]},
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has one thread when it forks
        )


def _session(leader: int) -> list[int]:
    """Living processes of the job's session, also those that left its process group (Spark's Python daemon)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


def _signal_all(leader: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(leader, number)
    for pid in _session(leader):
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def _follow(run: Path, job: subprocess.Popen[bytes], stop: threading.Event) -> tuple[int, str]:
    """Exit code of the job, and why it was ended if it was: ``cancel``, ``stopped`` or empty."""
    ended = threading.Event()

    def wait() -> None:
        job.wait()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    beat, why, kill_at = 0.0, "", 0.0
    while not ended.wait(_LOOK_SECONDS):
        now = time.monotonic()
        if now - beat >= HEARTBEAT_SECONDS:
            beat = now
            with contextlib.suppress(OSError):
                (run / "heartbeat").touch()
        if not why and (stop.is_set() or not run.is_dir() or (run / "cancel").exists()):
            why, kill_at = "stopped" if stop.is_set() else "cancel", now + _GRACE_SECONDS
            with contextlib.suppress(OSError):
                os.killpg(job.pid, signal.SIGTERM)
        elif why and now >= kill_at:
            _signal_all(job.pid, signal.SIGKILL)
    _signal_all(job.pid, signal.SIGKILL)  # whatever the job left behind
    return job.returncode, why


def supervise(run: Path) -> None:
    """Claim, start, follow and report the job of a run directory; returns at once if somebody else has it."""
    request = run / "request.json"
    launch = json.loads(request.read_text())["launch"]
    state: dict[str, Any] = {"started": utc_now()}
    if time.time() - request.stat().st_mtime > START_SECONDS or not claim(run, state):
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    (run / "heartbeat").touch()
    try:
        code, why = _follow(run, _start(run, launch), stop)
        reason = (
            "its supervisor was told to stop, as when a container or machine shuts down" if why == "stopped" else ""
        )
    except OSError as error:
        code, why, reason = 127, "", f"could not be started: {error}"
    is_cancelled = why == "cancel" and code != 0
    state["exit"] = {"code": code, "ended": utc_now(), "is_cancelled": is_cancelled, "reason": reason}
    shutil.rmtree(run / "tmp", ignore_errors=True)
    _write_exit(run, state)


def main() -> None:
    """Leave the caller's session and family: killing the worker's process tree must not reach the job."""
    if os.fork():
        os._exit(0)
    os.setsid()
    supervise(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
