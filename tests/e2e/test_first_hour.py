"""A stranger's first hour, replayed: wheel, init, slips, a run in a terminal, the UI, a project of dag-factory."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.airflow.processes.running import free_port, within
from tests.e2e.terminal import in_terminal

pytestmark = [pytest.mark.spark, pytest.mark.airflow, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
CATALOGUE = ROOT / "tests" / "language" / "faulty"
EMPTY = "airflow.providers.standard.operators.empty.EmptyOperator"
BASH = "airflow.providers.standard.operators.bash.BashOperator"

ENDED_WELL = """\
Running first with Airflow in HOME
Task            State  Elapsed
make_orders     done  # s
orders_by_day   done  # s
Tasks
Task            State   Duration   vCPU-h   GiB-h   USD if on m#g.xlarge   Rows in   Rows out   Bytes in   Bytes out
"""
BY_HAND = """\
schedule: null
tasks:
  extract: {uses: bash, with: {bash_command: "echo one"}}
  load: {needs: [extract], uses: bash, with: {bash_command: "echo deep trouble; exit 7"}}
  report: {needs: [load], uses: empty}
"""
# dag-factory's file -> its DAG's cron, and its tasks with what they depend on.
OLD: dict[str, tuple[str | None, dict[str, list[str]]]] = {
    f"team_{number:02}": (cron, shape)
    for number, (cron, shape) in enumerate(
        [
            ("0 3 * * *", {"a": []}),
            ("@daily", {"a": [], "b": ["a"]}),
            ("@hourly", {"a": [], "b": [], "c": ["a", "b"]}),
            ("*/15 * * * *", {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}),
            (None, {"start": [], "end": ["start"]}),
            ("@weekly", {"x": [], "y": ["x"], "z": ["y"]}),
            ("0 0 1 * *", {"one": [], "two": ["one"], "three": ["one", "two"]}),
            ("@monthly", {"only": []}),
            ("30 6 * * 1-5", {"a": [], "b": [], "c": [], "d": ["a", "b", "c"]}),
            ("0 */2 * * *", {"a": [], "b": ["a"], "c": ["b"], "d": ["c"], "e": ["a", "d"]}),
            ("@yearly", {"left": [], "right": [], "both": ["right", "left"]}),
            ("5 4 * * sun", {"a": [], "b": ["a"]}),
        ]
    )
}
GRAPH = """\
import json, sys
from airflow_doeks import load_dags
found = {"__file__": sys.argv[1]}
load_dags("pipelines", found)
found.pop("__file__")
print(json.dumps({name: [getattr(dag.timetable, "expression", None),
    {task: sorted(dag.get_task(task).upstream_task_ids) for task in dag.task_ids}] for name, dag in found.items()}))
"""
PRESETS = {
    "@daily": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}


@dataclass(frozen=True)
class Stranger:
    """A folder with nothing but the wheel, installed beside what it needs."""

    folder: Path
    wheel: Path

    @property
    def environment(self) -> dict[str, str]:
        """An empty HOME, and nothing of another Airflow."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DOEKS_"))}
        path = f"{self.folder / 'venv' / 'bin'}{os.pathsep}{kept['PATH']}"
        return kept | {"HOME": str(self.folder / "home"), "PATH": path, "AIRFLOW_VAR_ORDERS_DATA": str(self.data)}

    @property
    def data(self) -> Path:
        """Where the first pipeline writes."""
        return self.folder / "data"

    def doeks(self, *arguments: str, below: str = ".") -> subprocess.CompletedProcess[str]:
        """What the installed command says."""
        return subprocess.run(
            ["doeks", *arguments],
            executable=self.folder / "venv" / "bin" / "doeks",
            cwd=self.folder / below,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    """Builds the wheel as README says and installs it; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("stranger")
    here = Path(sys.executable).parents[1]
    subprocess.run(["make", "-s", "wheel", f"DIST={folder}", f"VENV={here}"], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    (folder / "home").mkdir()
    python = folder / "venv" / "bin" / "python"
    uv = [str(here / "bin" / "uv")]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(folder / "venv")], check=True)
    subprocess.run([*uv, "pip", "install", "-q", "--no-deps", "--python", str(python), str(wheel)], check=True)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (packages / "needed.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n", encoding="utf-8")
    assert Stranger(folder, wheel).doeks("init", "flows").returncode == 0
    return Stranger(folder, wheel)


def test_the_wheel_goes_with_the_project(stranger: Stranger) -> None:
    """CI and MWAA install the very wheel that `pip install` was given once; the project lints without a fault."""
    ci = yaml.safe_load((stranger.folder / "flows/.github/workflows/pipelines.yml").read_text("utf-8"))
    install = next(step["run"] for step in ci["jobs"]["lint"]["steps"] if "pip install" in step.get("run", ""))
    assert install == f'pip install "./wheels/{stranger.wheel.name}"'
    assert (stranger.folder / "flows" / "wheels" / stranger.wheel.name).read_bytes() == stranger.wheel.read_bytes()
    linted = stranger.doeks("lint", "flows")
    assert (linted.returncode, linted.stdout) == (0, "2 pipelines: 0 errors\n")
    assert 'did you mean "lint"?' in stranger.doeks("lnit").stderr


def test_every_usual_slip_is_answered_with_its_hint(stranger: Stranger) -> None:
    """The installed command tells for more than twenty slips the place and what to write, all in one run."""
    slips = sorted(CATALOGUE.glob("pipelines/slip_*.yaml"))
    project = stranger.folder / "slips"
    (project / "pipelines").mkdir(parents=True)
    shutil.copy(CATALOGUE / "doeks.yaml", project)
    shutil.copytree(CATALOGUE / "jobs", project / "jobs")
    expected = []
    for slip in slips:
        shutil.copy(slip, project / "pipelines")
        expected += [line[3:] for line in slip.read_text("utf-8").splitlines() if line.startswith("#> ")]
    answer = json.loads(stranger.doeks("lint", "--json", below="slips").stdout)

    told = {(Path(one["file"]).name, one["line"], one["code"], one["help"] or "") for one in answer}
    wanted = set()
    for line, hint in zip(expected[::2], expected[1::2], strict=True):
        place, code = line.split(" ")[:2]
        file, number, _column = place.rstrip(":").split(":")
        wanted.add((Path(file).name, int(number), code, hint.removeprefix("  help: ").strip()))
    assert len(slips) >= 20
    assert wanted - told == set()


def test_the_first_run_fills_a_terminal_with_its_accounts_alone(stranger: Stranger) -> None:
    """200 columns, in colour: the table of tasks, then the accounts; no line of Airflow's log, which is in its file."""
    seen = in_terminal(
        ["doeks", "run", "flows/pipelines/first.yaml"],
        columns=200,
        cwd=stranger.folder,
        environment=stranger.environment,
    )
    home = stranger.folder / "flows" / ".airflow"
    text = "\n".join(seen.lines)

    assert (seen.code, seen.is_coloured) == (0, True), text
    told = [line.replace(re.sub(r"\d[\d,]*(?:\.\d+)?", "#", str(home)), "HOME") for line in seen.plain()]
    head = [re.sub(r"\s{2,}", "  ", line) for line in ENDED_WELL.strip().splitlines()]
    assert told[: len(head)] == head
    assert [line.split("  ")[:2] for line in told[len(head) + 1 : len(head) + 3]] == [
        ["make_orders", "done"],
        ["orders_by_day", "done"],
    ]
    assert not re.search(r"INFO|WARN|\[info|loc=|Traceback|DAG TEST", text)
    assert "starting task_id" not in text
    logs = list(home.glob("logs/dag_id=first/*/task_id=make_orders/attempt=1.log"))
    assert [("Submitted local://" in log.read_text("utf-8")) for log in logs] == [True]


def test_a_narrow_terminal_without_colour_shows_whole_words(stranger: Stranger) -> None:
    """80 columns, NO_COLOR: states as words, the reason and exit code of what failed, and no word is broken."""
    folder = stranger.folder / "by_hand"
    folder.mkdir()
    (folder / "doeks.yaml").write_text("policies: {allowed_uses: [bash]}\n", encoding="utf-8")
    (folder / "p.yaml").write_text(BY_HAND, encoding="utf-8")
    environment = stranger.environment | {"NO_COLOR": "1", "AIRFLOW_HOME": str(stranger.folder / "flows" / ".airflow")}
    seen = in_terminal(["doeks", "run", "by_hand/p.yaml"], columns=80, cwd=stranger.folder, environment=environment)
    text = "\n".join(seen.lines)

    assert (seen.code, seen.is_coloured) == (1, False), text
    told = [tuple(line.split("  ")[:2]) for line in seen.plain()]
    table = [("extract", "done"), ("load", "failed"), ("report", "not run")]
    assert [line for line in told if line in table] == [*table, *table]  # while it ran, and in the accounts
    assert re.search(r"load failed: .*exit code\s7", " ".join(line.strip() for line in seen.lines)), text
    assert "deep trouble" not in text


def test_the_ui_says_when_it_is_ready_and_ends(stranger: Stranger) -> None:
    """Two lines and no log: where it is, and how to log in; Ctrl-C ends it."""
    out, port = stranger.folder / "ui.txt", free_port()
    with out.open("w") as sink:
        ui = subprocess.Popen(
            ["doeks", "ui", "flows", "--port", str(port)],
            executable=stranger.folder / "venv" / "bin" / "doeks",
            cwd=stranger.folder,
            env=stranger.environment,
            stdout=sink,
            stderr=sink,
        )
    try:
        assert within(300, lambda: "ready:" in out.read_text() or ui.poll() is not None)
        lines = out.read_text().splitlines()
        assert lines[-1].startswith(f"ready: http://127.0.0.1:{port}  log in as admin with password "), lines
        assert len(lines) == 2
    finally:
        ui.send_signal(signal.SIGINT)
        assert ui.wait(60) == 0


def test_a_project_of_dag_factory_moves_over(stranger: Stranger) -> None:
    """Twelve files, each converted by the command, make DAGs with the same tasks, edges and schedules."""
    old, new = stranger.folder / "old", stranger.folder / "new"
    old.mkdir()
    new.mkdir()
    (new / "doeks.yaml").write_text("policies: {allowed_uses: [bash]}\n", encoding="utf-8")
    for number, (name, (cron, tasks)) in enumerate(OLD.items()):
        written = [
            {"task_id": task, "operator": EMPTY}
            | ({"operator": BASH, "bash_command": "date"} if task == "a" else {})
            | ({"dependencies": needs} if needs else {})
            for task, needs in tasks.items()
        ]
        body = written if number % 2 else {one.pop("task_id"): one for one in written}
        key = "schedule" if number % 3 else "schedule_interval"
        dag = {"default_args": {"owner": "data", "start_date": "2026-01-01"}, key: cron, "tasks": body}
        (old / f"{name}.yml").write_text(yaml.safe_dump({name: dag}, sort_keys=False), encoding="utf-8")
        done = stranger.doeks("convert", f"old/{name}.yml", "--out", "new/pipelines")
        assert (new / "pipelines" / f"{name}.yaml").is_file(), done.stdout + done.stderr
    linted = stranger.doeks("lint", "new")
    assert linted.returncode == 0, linted.stdout
    done = subprocess.run(
        [str(stranger.folder / "venv" / "bin" / "python"), "-c", GRAPH, str(new / "pipelines.py")],
        env=stranger.environment | {"AIRFLOW_HOME": str(stranger.folder / "flows" / ".airflow")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    expected = {
        name: [PRESETS.get(cron or "", cron), {task: sorted(needs) for task, needs in tasks.items()}]
        for name, (cron, tasks) in OLD.items()
    }
    assert len(expected) == 12
    assert {name: graph for name, (_, graph) in found.items()} == {name: graph for name, (_, graph) in expected.items()}
    assert {name: cron for name, (cron, _) in found.items() if expected[name][0]} == {
        name: cron for name, (cron, _) in expected.items() if cron
    }
