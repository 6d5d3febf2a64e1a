"""`doeks run` with real Airflow: side by side, with values of its own, and what it says when something fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.airflow.processes.running import within

PIPELINE = """\
schedule: "@daily"
start_date: 2026-01-01
params: {day: monday}
tasks:
  meets: {uses: bash, with: {bash_command: "touch PLACE/a; until [ -e PLACE/b ]; do sleep 0.1; done"}}
  meets_too: {uses: bash, with: {bash_command: "touch PLACE/b; until [ -e PLACE/a ]; do sleep 0.1; done"}}
  tells:
    needs: [meets, meets_too]
    uses: bash
    with: {bash_command: "echo {{ params.day }} {{ dag_run.conf['n'] + 1 }} {{ ds }} > PLACE/said"}
  fails: {uses: bash, with: {bash_command: "echo deep trouble; exit 3"}}
  follows: {needs: [fails], uses: empty}
"""
PROJECT = "platforms: {laptop: {type: local}}\npolicies: {allowed_uses: [bash]}\n"


def project(folder: Path, pipeline: str) -> list[str]:
    """The command that runs a pipeline which is allowed to use bash."""
    (folder / "doeks.yaml").write_text(PROJECT, encoding="utf-8")
    (folder / "p.yaml").write_text(pipeline.replace("PLACE", str(folder)), encoding="utf-8")
    return [str(Path(sys.executable).with_name("doeks")), "run", "p.yaml"]


def clean_environment() -> dict[str, str]:
    """This process's environment without what belongs to another Airflow."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DOEKS_"))}


def test_a_run_side_by_side_with_values_of_its_own(tmp_path: Path) -> None:
    """Two tasks wait for each other; params, conf and date arrive; a failed one tells its exit code and its log."""
    command = project(tmp_path, PIPELINE)
    asked = ["--parallel", "3", "--params", "day=friday", "--conf", "n=1", "--date", "2026-03-04"]
    done = subprocess.run(
        [*command, *asked],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    assert (done.returncode, (tmp_path / "said").read_text().split()) == (1, ["friday", "2", "2026-03-04"]), done.stdout
    said = re.search(r"^fails failed: (.+)\n  Log: (.+)$", done.stdout, re.MULTILINE)
    assert said, done.stdout
    assert "non-zero exit code 3" in said[1]
    assert "deep trouble" in Path(said[2]).read_text("utf-8")
    states = dict(re.findall(r"^(\w+) +(done|failed|not run)\b", done.stdout, re.MULTILINE))
    assert states == {"meets": "done", "meets_too": "done", "tells": "done", "fails": "failed", "follows": "not run"}


def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    """Exit code 130; what the task started has ended too, and what never started is not called failed."""
    command = project(
        tmp_path,
        "schedule: null\ntasks:\n"
        '  waits: {uses: bash, with: {bash_command: "echo $$ > PLACE/pid; sleep 600"}}\n'
        "  later: {needs: [waits], uses: empty}\n",
    )
    out, pid_file = tmp_path / "out", tmp_path / "pid"
    with out.open("w") as sink:
        run = subprocess.Popen(command, cwd=tmp_path, env=clean_environment(), stdout=sink, stderr=subprocess.STDOUT)
    try:
        assert within(240, lambda: (pid_file.exists() and pid_file.read_text()) or run.poll() is not None)
        pid = int(pid_file.read_text())
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 130
    finally:
        run.kill()
    assert within(10, lambda: not Path(f"/proc/{pid}").exists())
    assert "Interrupted" in out.read_text()
    assert re.search(r"^later +never started", out.read_text(), re.MULTILINE)
