"""One Flink application with a cluster of its own on this machine; a stand-alone script (standard library only).

``python -I -S flink_cluster.py RUN_DIR`` is what the supervisor runs as the job: a job manager that runs the program
(application mode), and one task manager, which is started anew when it dies, as Kubernetes would. What it reads is
``launch.cluster`` of ``request.json``; what it leaves in the run directory:

* ``driver.log`` (its own words and the job manager's), ``task_manager.log``;
* ``archive/``: what the job manager knew of each job at its end, and ``counters.jsonl``, every counter's last value;
* ``processes.json``: ``[{"role": ..., "started": UTC, "ended": UTC or null}]``;
* ``rest``: the URL of Flink's web UI while it runs; ``job.json``: what Flink said last of its job;
* ``ask-<token>.json`` (read): a savepoint is wanted, ``stop`` or not; ``answer-<token>.json``: its ``location``, or the
  ``error``; ``savepoint.json``: the last one.

It ends with 0 if the program and all of its jobs ended well.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

_LOOK_SECONDS = 0.2
_ASK_SECONDS = 1.0
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_SHORT_LIFE_SECONDS = 30.0
_SHORT_LIVES_MAX = 3
_RESULT = "BASH_JAVA_UTILS_EXEC_RESULT:"  # how Flink's own start scripts are told sizes
_JOB = re.compile(r"/jobs/[0-9a-f]{32}")
_LOG4J = """\
rootLogger.level=INFO
rootLogger.appenderRef.console.ref=console
appender.console.type=CONSOLE
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{yyyy-MM-dd HH:mm:ss} %-5p %c{1}: %m%n%throwable
"""


def _utc_now() -> str:
    return datetime.now(timezone.utc).isoformat()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Cluster:
    """The two processes of one application."""

    def __init__(self, run: Path, cluster: Mapping[str, Any]) -> None:
        self.run, self.cluster = run, cluster
        self.conf = run / "conf"
        self.stop = threading.Event()
        self.short_lives = 0
        self.history: list[dict[str, Any]] = list(cluster.get("history") or ())
        self.rest = ""
        self.looked = 0.0
        self.asked: dict[str, tuple[str, str, float]] = {}  # token -> job, trigger, when

    def configure(self) -> None:
        """Flink's configuration folder, with ports that are free now."""
        rest = _free_port()
        conf = {**self.cluster["conf"], "jobmanager.rpc.port": _free_port(), "rest.port": rest, "rest.bind-port": rest}
        self.conf.mkdir(exist_ok=True)
        (self.run / "archive").mkdir(exist_ok=True)
        for name, target in self.cluster.get("links", {}).items():
            (self.run / name).symlink_to(target)
        lines = [f"{json.dumps(key)}: {json.dumps(str(value))}\n" for key, value in sorted(conf.items())]
        handle = os.open(self.conf / "config.yaml", os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w") as file:  # a property may be a secret
            file.writelines(lines)
        (self.conf / "log4j.properties").write_text(_LOG4J)
        self.rest = f"http://localhost:{rest}"
        (self.run / "rest").write_text(self.rest)

    def sizes(self) -> dict[str, tuple[list[str], list[str]]]:
        """Of each process: options of its JVM and properties, as Flink's own tool computes them."""
        asked = {}
        for role, word in (("jobmanager", "GET_JM_RESOURCE_PARAMS"), ("taskmanager", "GET_TM_RESOURCE_PARAMS")):
            tool = [self.cluster["java"], "-XX:TieredStopAtLevel=1", "-cp", self.cluster["tool_path"]]
            words = ["org.apache.flink.runtime.util.bash.BashJavaUtils", word, "--configDir", str(self.conf)]
            asked[role] = subprocess.Popen([*tool, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603 - argv list made by the platform
        found = {}
        for role, process in asked.items():
            text = process.communicate()[0]
            told = [line.partition(_RESULT)[2] for line in text.splitlines() if _RESULT in line]
            if process.returncode or len(told) != 2:  # noqa: PLR2004 - options, and properties
                _say(text)
                sys.exit(f"Flink refuses the sizes of its {role}")
            found[role] = told[0].split(), told[1].split()
        return found

    def start(
        self, role: str, sizes: tuple[Sequence[str], Sequence[str]], main: Sequence[str]
    ) -> subprocess.Popen[bytes]:
        """One of the two; the job manager writes to our own output."""
        options, properties = sizes
        log = f"-Dlog4j.configurationFile=file:{self.conf}/log4j.properties"
        argv = [self.cluster["java"], *options, *self.cluster["options"], log, "-cp", self.cluster["class_path"]]
        where = ["--configDir", str(self.conf), *properties]
        out = None if role == "jobmanager" else (self.run / "task_manager.log").open("ab")
        process = subprocess.Popen([*argv, main[0], *where, *main[1:]], stdout=out, stderr=subprocess.STDOUT)  # noqa: S603 - argv list made by the platform
        if out is not None:
            out.close()
        self.history.append({"role": role, "started": _utc_now(), "ended": None})
        self.note()
        return process

    def ended(self, role: str) -> None:
        """The last process of a role is gone."""
        last = next(one for one in reversed(self.history) if one["role"] == role)
        last["ended"] = _utc_now()
        self.note()

    def note(self) -> None:
        """Keep ``processes.json`` true."""
        self._write("processes.json", self.history)

    def look(self) -> None:
        """Note how the job does, and take the savepoints that are asked for."""
        try:
            jobs = self._call("jobs/overview")["jobs"]
        except (OSError, ValueError, KeyError):
            return
        if jobs:
            states = {job["state"] for job in jobs if job["state"] != "FINISHED"}
            word = states.pop() if len(states) == 1 else "RESTARTING" if states else "FINISHED"
            told = {"id": jobs[0]["jid"], "state": word, "seen": _utc_now(), "checkpoints": None}
            if word == "RUNNING":  # asked earlier, it logs an exception that would be taken for a cause
                with contextlib.suppress(OSError, ValueError, KeyError):
                    told["checkpoints"] = self._call(f"jobs/{told['id']}/checkpoints")["counts"]["completed"]
            self._write("job.json", told)
        for file in self.run.glob("ask-*.json"):
            self._take(file.stem.removeprefix("ask-"), file, jobs)
        for token, (job, trigger, _) in list(self.asked.items()):
            self._follow_up(token, job, trigger)

    def _take(self, token: str, file: Path, jobs: Sequence[Mapping[str, Any]]) -> None:
        living = [job["jid"] for job in jobs if job["state"] == "RUNNING"]
        if not living:
            return  # it may come back
        try:
            wanted = json.loads(file.read_text())
            path = f"jobs/{living[0]}/{'stop' if wanted['stop'] else 'savepoints'}"
            told = self._call(path, {"drain": False} if wanted["stop"] else {"cancel-job": False})
            self.asked[token] = living[0], told["request-id"], time.time()
        except (OSError, ValueError, KeyError) as error:
            self._answer(token, error=f"Flink refuses it: {error}")
        file.unlink(missing_ok=True)  # who asked may have given up

    def _follow_up(self, token: str, job: str, trigger: str) -> None:
        try:
            told = self._call(f"jobs/{job}/savepoints/{trigger}")
            if told["status"]["id"] != "COMPLETED":
                return
            done = told["operation"]
        except (OSError, ValueError, KeyError):
            return
        cause = str((done.get("failure-cause") or {}).get("stack-trace") or "no reason is told")
        self._answer(token, location=done.get("location"), error=None if done.get("location") else cause[:2000])

    def answer_rest(self) -> None:
        """The cluster is gone, perhaps because it was stopped: what was written to disk since is the savepoint."""
        folder = self.cluster["conf"].get("execution.checkpointing.savepoint-dir", "")
        for token, (_, _, asked) in list(self.asked.items()):
            found = Path(folder.removeprefix("file://")).glob("savepoint-*/_metadata")
            whole = [(one.stat().st_mtime, one) for one in found if one.stat().st_mtime >= asked - 1]
            if whole:
                self._answer(token, location=f"file://{max(whole)[1].parent}")
            else:
                self._answer(token, error="the cluster ended before the savepoint was whole")

    def _answer(self, token: str, *, location: str | None = None, error: str | None = None) -> None:
        if location:
            self._write("savepoint.json", {"location": location})
        self._write(f"answer-{token}.json", {"location": location, "error": error})
        self.asked.pop(token, None)

    def _call(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.rest}/{path}", data, {"Content-Type": "application/json"})  # noqa: S310 - our own job manager, on this machine
        with _NO_PROXY.open(request, timeout=5) as answer:
            return json.load(answer)

    def _write(self, name: str, content: object) -> None:
        with contextlib.suppress(OSError):
            new = self.run / f".{name}"
            new.write_text(json.dumps(content))
            new.replace(self.run / name)

    def follow(self) -> int:
        """Exit code of the program, once both processes are gone."""
        sizes, is_task_manager_told = self.sizes(), ["org.apache.flink.runtime.taskexecutor.TaskManagerRunner"]
        worker = self.start("taskmanager", sizes["taskmanager"], is_task_manager_told)
        born = time.monotonic()
        job_manager = self.start("jobmanager", sizes["jobmanager"], self.cluster["main"])
        while job_manager.poll() is None:
            if worker.poll() is not None and not self.stop.is_set():
                self.ended("taskmanager")
                _say(f"the task manager ended with {worker.returncode}; it is started again")
                is_short = time.monotonic() - born < _SHORT_LIFE_SECONDS
                self.short_lives = self.short_lives + 1 if is_short else 0
                if self.short_lives >= _SHORT_LIVES_MAX:
                    self._show_end_of("task_manager.log")
                    _say("the task manager does not stay alive: the job is given up")
                    job_manager.terminate()
                    self.stop.set()
                    continue
                worker = self.start("taskmanager", sizes["taskmanager"], is_task_manager_told)
                born = time.monotonic()
            if time.monotonic() - self.looked >= _ASK_SECONDS:
                self.look()
                self.looked = time.monotonic()
            time.sleep(_LOOK_SECONDS)
        self.ended("jobmanager")
        (self.run / "rest").unlink(missing_ok=True)
        self.answer_rest()
        if worker.poll() is None:
            worker.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(10)
            worker.kill()
        self.ended("taskmanager")
        return job_manager.returncode or self._failed_jobs()

    def _failed_jobs(self) -> int:
        """1 if a job did not end well: the exit code of a job manager does not tell of one that was cancelled."""
        states = [_state(file) for file in (self.run / "archive").rglob("*") if file.is_file()]
        return int(any(state not in (None, "FINISHED") for state in states)) or int(
            self.short_lives >= _SHORT_LIVES_MAX
        )

    def _show_end_of(self, name: str) -> None:
        with contextlib.suppress(OSError):
            _say("\n".join((self.run / name).read_text(errors="replace").splitlines()[-60:]))


def _state(file: Path) -> str | None:
    """How the job of an archive ended; None for what is no job's."""
    try:
        entries = json.loads(file.read_text())["archive"]
        parts = {entry["path"]: entry["json"] for entry in entries}
        state: str = next(json.loads(text)["state"] for path, text in parts.items() if _JOB.fullmatch(path))
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None
    return state


def main() -> None:
    """Run the application of a run directory."""
    run = Path(sys.argv[1])
    cluster = Cluster(run, json.loads((run / "request.json").read_text())["launch"]["cluster"])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: cluster.stop.set())  # both processes were told, too
    cluster.configure()
    code = cluster.follow()
    if code == -signal.SIGKILL and not cluster.stop.is_set():
        os.kill(os.getpid(), signal.SIGKILL)  # ended as the job manager was: the supervisor tells what that means
    sys.exit(143 if cluster.stop.is_set() and not cluster.short_lives else code and 1)


if __name__ == "__main__":
    main()
