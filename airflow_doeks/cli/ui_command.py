"""`doeks ui`: Airflow on the DAGs of a folder, for the one person at this machine; nothing of it without a login."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from airflow_doeks.cli.airflow_home import home_of, interrupt_on_signals, settle_home

_STOP_SECONDS = 8.0
_LOOK_SECONDS = 0.5
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what listens there is found here
_MAKE_ADMIN = (
    "import os; from airflow_doeks.hooks.flask_users import make_admin; make_admin(os.environ['DOEKS_UI_PASSWORD'])"
)


@click.command()
@click.argument("folder", default="dags", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; the default is this machine."
)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Port of the UI.")
def ui(folder: Path, host: str, port: int) -> None:
    """Open Airflow with UI, scheduler and triggerer on the DAGs of FOLDER; Ctrl-C ends all of it.

    Only this machine reaches it unless `--host` says otherwise, and everybody has to log in: as `admin`, with a
    password that is made at the first start, shown once, and kept in a file that only you can read.
    """
    _refuse_a_taken_port(host, port)
    folder = folder.absolute()
    home = home_of(folder / "pipelines.py", folder)
    settle_home(home, folder)
    desk = home / "doeks" / "ui"
    desk.mkdir(parents=True, exist_ok=True, mode=0o700)
    password_file = desk / "password.json"
    password, is_new = _password(password_file)
    from airflow_doeks import compat

    here = _EVERYWHERE.get(host, host)
    url = f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"
    facts = {"host": host, "port": str(port), "url": url, "password_file": str(password_file)}
    os.environ.update({name: value.format_map(facts) for name, value in compat.SETTINGS.items()})
    os.environ.setdefault("AIRFLOW__CORE__PARALLELISM", str(max(2, os.cpu_count() or 1)))  # a job has a JVM
    programs = Path(sys.executable).parent
    os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"  # Airflow 2 starts tasks by name
    airflow = [sys.executable, "-m", "airflow"]
    interrupt_on_signals()
    running = _Processes(desk)
    try:
        click.echo(f"Airflow in {home} starts; Ctrl-C ends it.")
        running.run_to_end("database", [*airflow, "db", "migrate"])  # which writes airflow.cfg, whose secrets all share
        _fill_in_fernet_key(home / "airflow.cfg")
        if not compat.USES_PASSWORD_FILE:
            running.run_to_end("user", [sys.executable, "-c", _MAKE_ADMIN], DOEKS_UI_PASSWORD=password)
        for name, arguments in compat.PROCESSES.items():
            running.start(name, [*airflow, *(argument.format_map(facts) for argument in arguments)])
        running.until(lambda: _listens(here, port))
        shown = f"password {password}" if is_new else "the password"
        click.echo(f"ready: {url}  log in as admin with {shown} (kept in {password_file})")
        running.until(lambda: False)
    except KeyboardInterrupt:
        click.echo("Airflow ends.")
    finally:
        running.end()


@dataclass(frozen=True)
class _Process:
    name: str
    log: Path
    popen: subprocess.Popen[bytes]


class _Processes:
    """What this command started, each in a process group of its own, its output in a file of the folder ``desk``."""

    def __init__(self, desk: Path) -> None:
        self.desk = desk
        self._all: list[_Process] = []

    def start(self, name: str, command: list[str], **environment: str) -> _Process:
        """Start one."""
        log = self.desk / f"{name}.log"
        with log.open("wb") as sink:
            popen = subprocess.Popen(  # noqa: S603 - Airflow of this environment
                command, env=os.environ | environment, stdout=sink, stderr=sink, start_new_session=True
            )
        process = _Process(name, log, popen)
        self._all.append(process)
        return process

    def run_to_end(self, name: str, command: list[str], **environment: str) -> None:
        """Start one and wait for it; a failure is one line and exit code 1."""
        process = self.start(name, command, **environment)
        if process.popen.wait():
            raise _ended(process)
        self._all.remove(process)

    def until(self, is_there: Callable[[], bool]) -> None:
        """Wait for something; a process that ends meanwhile is one line and exit code 1."""
        while not is_there():
            for process in self._all:
                if process.popen.poll() is not None:
                    raise _ended(process)
            time.sleep(_LOOK_SECONDS)

    def end(self) -> None:
        """End all of them with what they started: asked first, then killed. A second Ctrl-C kills at once."""
        for process in self._all:
            _signal_group(process, signal.SIGTERM)
        until = time.monotonic() + _STOP_SECONDS
        with suppress(KeyboardInterrupt):
            for process in self._all:
                with suppress(subprocess.TimeoutExpired):
                    process.popen.wait(max(0.0, until - time.monotonic()))
        for process in self._all:
            _signal_group(process, signal.SIGKILL)
            process.popen.wait()


def _signal_group(process: _Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.popen.pid, number)


def _ended(process: _Process) -> click.ClickException:
    return click.ClickException(f"{process.name} ended with {process.popen.returncode}; log: {process.log}")


def _refuse_a_taken_port(host: str, port: int) -> None:
    """A usage error where the UI could not listen, before anything starts."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        message = f"cannot listen on {host}:{port}: {error.strerror}; end what listens there, or choose another --port"
        raise click.UsageError(message) from error


def _listens(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def _fill_in_fernet_key(settings: Path) -> None:
    """Have connections encrypted. Until Airflow 2 is dropped: 2.10 writes its settings without a key."""
    text = settings.read_text("utf-8") if settings.is_file() else ""  # AIRFLOW_CONFIG names another
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    filled = re.sub(r"^fernet_key =[ \t]*$", f"fernet_key = {key}", text, count=1, flags=re.MULTILINE)
    if filled != text:
        settings.write_text(filled, "utf-8")


def _password(file: Path) -> tuple[str, bool]:
    """The admin's password and whether it is new; the file is readable by its owner only from its first byte on."""
    if file.exists():
        file.chmod(0o600)
        try:
            return str(json.loads(file.read_text("utf-8"))["admin"]), False
        except (ValueError, KeyError, TypeError) as error:  # cut off while it was written, or another's file
            msg = f"{file} holds no password of admin: delete it, and the next start makes one"
            raise click.UsageError(msg) from error
    password = secrets.token_urlsafe(12)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as sink:
        json.dump({"admin": password}, sink)
    return password, True
