"""`doeks ui` with real Airflow processes: who reaches it, who gets in, and that nothing of it stays."""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from airflow_doeks.cli import main
from airflow_doeks.compat import IS_AIRFLOW_3
from tests.airflow.processes.running import free_port, within

ANY = "0.0.0.0"  # noqa: S104 - what is tested
LOOPBACK, EVERYWHERE = "0100007F", "00000000"  # as /proc/net/tcp writes addresses
API = "/api/v2" if IS_AIRFLOW_3 else "/api/v1"


@dataclass(frozen=True)
class Ui:
    """A `doeks ui` that has said where it is."""

    process: subprocess.Popen[str]
    home: Path
    port: int
    said: str

    def status(self, path: str) -> int:
        """The status of a GET without a login."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def logs_in(self, password: str) -> bool:
        """True if `admin` gets in with this password, by the API of Airflow 3 or the form of Airflow 2."""
        there = f"http://127.0.0.1:{self.port}"
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        if IS_AIRFLOW_3:
            body = json.dumps({"username": "admin", "password": password}).encode()
            request = urllib.request.Request(f"{there}/auth/token", body, {"Content-Type": "application/json"})
            try:
                return "access_token" in json.loads(opener.open(request, timeout=60).read())
            except urllib.error.HTTPError:
                return False
        page = opener.open(f"{there}/login/", timeout=60).read().decode()
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        fields = {"username": "admin", "password": password, "csrf_token": found[1] if found else ""}
        after = opener.open(f"{there}/login/", urllib.parse.urlencode(fields).encode(), timeout=60)
        return not after.url.startswith(f"{there}/login")

    def processes(self) -> set[int]:
        """Everything that this command started, at any depth. Airflow names its processes over their environment."""
        parents = {}
        for place in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has ended
                parents[int(place.parent.name)] = int(place.read_text().rpartition(")")[2].split()[1])
        found = {self.process.pid}
        while more := {number for number, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def listens_on(self) -> set[tuple[str, int]]:
        """Address and port of every listening socket of these processes."""
        sockets = set()
        for entry in [entry for number in self.processes() for entry in Path(f"/proc/{number}/fd").glob("*")]:
            with suppress(OSError):
                sockets.add(str(entry.readlink()))
        lines = [
            line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()
        ]
        listening = [cells[1].split(":") for cells in lines if cells[3] == "0A" and f"socket:[{cells[9]}]" in sockets]
        return {(address, int(port, 16)) for address, port in listening}


@contextmanager
def opened(folder: Path, *arguments: str) -> Iterator[Ui]:
    """`doeks ui` on a folder, from its last line on; ended by Ctrl-C at the latest."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DOEKS_"))}
    out = folder / "said.txt"
    command = [str(Path(sys.executable).with_name("doeks")), "ui", str(folder), "--port", str(port), *arguments]
    with out.open("w") as sink:
        process = subprocess.Popen(command, env=environment, stdout=sink, stderr=subprocess.STDOUT, text=True)
    try:
        assert within(300, lambda: "\nready: http://127.0.0.1:" in out.read_text() or process.poll() is not None)
        assert process.poll() is None, out.read_text()
        yield Ui(process, folder / ".airflow", port, out.read_text())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DAG folder as `doeks init` makes it."""
    made = tmp_path_factory.mktemp("ui") / "flows"
    assert CliRunner().invoke(main, ["init", str(made)]).exit_code == 0
    return made


@pytest.mark.slow
def test_airflow_is_for_who_is_at_this_machine_and_logs_in(folder: Path) -> None:
    """One socket, on 127.0.0.1; nobody gets in without the password, which is shown once; Ctrl-C ends all of it."""
    with opened(folder) as ui:
        started = ui.processes()
        kept = ui.home / "doeks" / "ui" / "password.json"
        password = json.loads(kept.read_text())["admin"]
        assert ui.listens_on() == {(LOOPBACK, ui.port)}
        assert (stat.S_IMODE(kept.stat().st_mode), password in ui.said) == (0o600, True)
        assert (ui.status(f"{API}/dags") in {401, 403}, ui.status(f"{API}/connections") in {401, 403}) == (True, True)
        assert (ui.logs_in(password), ui.logs_in("admin")) == (True, False)
        assert re.search(r"^fernet_key = \S{40,}", (ui.home / "airflow.cfg").read_text(), re.MULTILINE)
    assert (ui.process.returncode, len(started) > 4) == (0, True)
    assert within(20, lambda: not [number for number in started if Path(f"/proc/{number}").exists()])


@pytest.mark.slow
def test_other_machines_are_let_in_on_demand_and_log_in_as_well(folder: Path) -> None:
    """`--host 0.0.0.0` opens the UI alone to others; the password is the one of before, and not shown again."""
    kept = folder / ".airflow" / "doeks" / "ui" / "password.json"
    before = kept.read_text() if kept.exists() else None
    with opened(folder, "--host", ANY) as ui:
        password = json.loads(kept.read_text())["admin"]
        assert ui.listens_on() == {(EVERYWHERE, ui.port)}
        assert (kept.read_text() == before, password not in ui.said) == (before is not None, before is not None)
        assert ui.status(f"{API}/dags") in {401, 403}
        assert (ui.logs_in(password), ui.logs_in("")) == (True, False)


def test_a_taken_port_is_a_line_before_anything_starts(tmp_path: Path) -> None:
    """Exit code 2, what to do, and no home was made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(main, ["ui", str(tmp_path), "--port", str(port)])

    assert done.exit_code == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use; end what listens there" in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_is_not_this_machine_is_a_line(tmp_path: Path) -> None:
    """An address of another machine cannot be listened on, which is said before anything starts."""
    done = CliRunner().invoke(main, ["ui", str(tmp_path), "--host", "192.0.2.1"])

    assert (done.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert "cannot listen on 192.0.2.1:8080" in done.output
