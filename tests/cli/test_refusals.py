"""What the commands say when they are given something they cannot use: one line and exit code 2, never a traceback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

import pytest
from click.testing import CliRunner

from airflow_doeks.cli import main


@pytest.fixture
def doeks(tmp_path, monkeypatch):
    """The command line in a fresh folder that holds an empty file and an empty folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "bytes.yaml").write_bytes(b"a: \xff")
    (tmp_path / "old.yaml").write_text("{one: &dag {schedule: null, tasks: {a: {operator: x.Y}}}, two: *dag}")

    def run(*arguments: str):
        return CliRunner().invoke(main, list(arguments))

    return run


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("init file/x", "file/x: Not a directory"),
        ("convert old.yaml --out file/x", "file/x: Not a directory"),
        ("convert bytes.yaml", "bytes.yaml: not UTF-8: byte 3 is 0xff"),
        ("report --ledger empty --html none/page.html", "none/page.html: No such file or directory"),
        ("report --ledger empty --since 99999999d", "--since '99999999d': expected a day such as 2026-11-01"),
        ("report --ledger other://place", "'other://place': other:// is not a place for records"),
        (
            "lineage --event-log old.yaml",
            "old.yaml holds no event of Spark: the log does not hold the application's end",
        ),
        ("cost --event-log file", "file holds no event of Spark: the log does not hold the application's end"),
        ("ui empty --port 99999", "Invalid value for '--port': 99999 is not in the range 1<=x<=65535"),
        ("lint empty", "no pipeline below empty: expected files that end in .yaml or .yml"),
        ("explain empty", "empty is neither a diagnostic code such as DK104 nor a pipeline file"),
        ("explain none.yaml", "none.yaml is neither a diagnostic code such as DK104 nor a pipeline file"),
    ],
)
def test_what_cannot_be_used_is_named(doeks, command, said):
    """The error names the path or the option and, where the system does not say it, what was expected."""
    done = doeks(*command.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"Error: {said}" in done.stderr


def test_convert_writes_all_or_nothing(doeks, tmp_path):
    """One file that exists keeps the others from being written."""
    (tmp_path / "two.yaml").touch()
    done = doeks("convert", "old.yaml", "--out", ".")
    assert (done.exit_code, "two.yaml exists" in done.stderr) == (2, True)
    assert not (tmp_path / "one.yaml").exists()


def test_a_code_is_explained_in_json_too(doeks):
    """`--json` holds for both that `explain` explains."""
    told = json.loads(doeks("explain", "dk104", "--json").stdout)
    assert (told["code"], told["text"].startswith("## DK104 Unknown key")) == ("DK104", True)


def test_github_gets_no_empty_line(doeks, tmp_path):
    """Without a finding `--format github` prints nothing."""
    (tmp_path / "p.yaml").write_text("schedule: null\ntasks: {t: {uses: empty}}\n")
    done = doeks("lint", "p.yaml", "--format", "github")
    assert (done.exit_code, done.stdout) == (0, "")


def test_a_request_that_cannot_be_rendered_is_a_finding(doeks, tmp_path):
    """A job whose size stands in a template has no request yet: `render` says why and exits 1."""
    (tmp_path / "job.py").touch()
    memory = "{{ var.value.memory }}"
    (tmp_path / "p.yaml").write_text(
        f"schedule: null\ntasks: {{t: {{spark: {{main: job.py, driver: {{memory: '{memory}'}}}}}}}}\n"
    )
    done = doeks("render", "p.yaml")
    assert "memory" in json.loads(done.stdout)["t"]["not_rendered"]
    assert done.exit_code == 1


def test_what_a_terminal_cannot_show_is_escaped(doeks, tmp_path):
    """A name that the terminal's encoding lacks ends no command."""
    (tmp_path / "p.yaml").write_text("tasks: {\u2713: {uses: empty}}\n", "utf-8")
    done = CliRunner(charset="latin-1").invoke(main, ["lint", "p.yaml"])
    assert (done.exit_code, done.exception.__class__) == (1, SystemExit)
    assert r'"\u2713" is not a name' in done.stdout


def test_ctrl_c_is_no_finding(tmp_path):
    """Whatever command it ends: exit code 130 and one line."""
    pipe = tmp_path / "p.yaml"
    os.mkfifo(pipe)
    command = [sys.executable, "-c", "from airflow_doeks.cli import main; main()", "lint", str(pipe)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as lint, pipe.open("wb"):  # it has opened it, too
        told = None
        while told is None:
            lint.send_signal(signal.SIGINT)  # one that comes just before it begins to read wakes nobody
            with suppress(subprocess.TimeoutExpired):
                told = lint.communicate(timeout=5)[1]
    assert (lint.returncode, told) == (130, "Interrupted.\n")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"admin"'])
def test_a_password_file_that_holds_none_is_a_line(doeks, tmp_path, monkeypatch, text):
    """As a machine leaves it that goes down while it is written; nothing has started by then."""
    settings = {"AIRFLOW_HOME": tmp_path / "home", "AIRFLOW__CORE__DAGS_FOLDER": "", "AIRFLOW__CORE__LOAD_EXAMPLES": ""}
    for name, value in settings.items():  # which the command sets itself
        monkeypatch.setenv(name, str(value))
    file = tmp_path / "home/doeks/ui/password.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = doeks("ui", "empty", "--port", str(port))
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        f"Error: {file} holds no password of admin: delete it, and the next start makes one"
    )
