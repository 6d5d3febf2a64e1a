"""What a run costs before and beside its tasks: `python benchmarks/start_up.py`, `make bench`.

`doeks run` of three bash tasks on a home that exists, in seconds of CPU of all its processes, the median of five; then
where they go, by a clock of CPU at each step of one more run. CPU and not wall time: a busy machine counts for less.
Then what `make run` runs, five Spark jobs, the second time in one home: by the clock, for that is what a user waits.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BAR_SECONDS = 8.0  # of CPU; it was 17
FLIGHTS_BAR_SECONDS = 60.0  # by the clock, on two quiet cores; it was 87
FLIGHTS = Path(__file__).parents[1] / "dags" / "pipelines" / "flights.yaml"
ROUNDS = 5
DOEKS = Path(sys.executable).with_name("doeks")
PIPELINE = """\
schedule: null
tasks:
  a: {uses: bash, with: {bash_command: "echo a"}}
  b: {needs: [a], uses: bash, with: {bash_command: "echo b"}}
  c: {needs: [b], uses: bash, with: {bash_command: "echo c"}}
"""
# Wraps each step of a run and adds up its CPU, without that of the steps inside it.
STEPS = """
import importlib, json, resource, sys, time
spent, inside = {}, []
def timed(name, call):
    def wrapped(*arguments, **named):
        inside.append(0.0)
        began = time.process_time()
        try:
            return call(*arguments, **named)
        finally:
            took = time.process_time() - began
            spent[name] = spent.get(name, 0.0) + took - inside.pop()
            if inside:
                inside[-1] += took
    return wrapped
began = time.process_time()
from airflow_doeks.cli import main
from airflow_doeks.cli import airflow_commands
spent["the command"] = time.process_time() - began
importing = timed("import Airflow", importlib.import_module)
run = airflow_commands._run
def stepped(*arguments):
    importing("airflow_doeks.cli.pipeline_run")
    from airflow_doeks.cli import pipeline_run, task_processes
    pipeline_run.prepare_database = timed("database", pipeline_run.prepare_database)
    pipeline_run.compat.register_dags = timed("DAGs", pipeline_run.compat.register_dags)
    task_processes._prepare_the_api = timed("the API of tasks", task_processes._prepare_the_api)
    task_processes.TaskProcesses.run = timed("DAG.test and scheduling", task_processes.TaskProcesses.run)
    return run(*arguments)
airflow_commands._run = stepped
try:
    main(["run", sys.argv[1], "--json"], standalone_mode=False)
except SystemExit:
    pass
tasks = resource.getrusage(resource.RUSAGE_CHILDREN)
spent["the tasks' processes"] = tasks.ru_utime + tasks.ru_stime
print(json.dumps(spent), file=sys.stderr)
"""


def cpu_seconds() -> float:
    """Of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(command: list[str], folder: Path) -> tuple[float, str]:
    """CPU seconds of one run, and what it said on standard error."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DOEKS_"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's second run finds compiled modules
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    before = cpu_seconds()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if json.loads(done.stdout or "{}").get("state") != "success":
        sys.exit(f"the run failed: {done.stdout}{done.stderr}")
    return cpu_seconds() - before, done.stderr


def main() -> int:
    """Print the table; 1 if the bar is missed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "doeks.yaml").write_text("policies: {allowed_uses: [bash]}\n", encoding="utf-8")
        (folder / "three.yaml").write_text(PIPELINE, encoding="utf-8")
        command = [str(DOEKS), "run", "three.yaml", "--json"]
        first, _ = run(command, folder)
        again = statistics.median(run(command, folder)[0] for _ in range(ROUNDS))
        _, said = run([sys.executable, "-c", STEPS, "three.yaml"], folder)
        os.environ["AIRFLOW_VAR_FLIGHTS_DATA"] = str(folder / "data")
        flights = [str(DOEKS), "run", str(FLIGHTS), "--json"]
        run(flights, folder)
        began = time.monotonic()
        spent, _ = run(flights, folder)
        waited = time.monotonic() - began
    print(f"doeks run of three bash tasks, CPU s: {again:.1f} (bar {BAR_SECONDS:.0f}; the first time {first:.1f})")
    for step, seconds in sorted(json.loads(said.splitlines()[-1]).items(), key=lambda item: -item[1]):
        print(f"  {step:<24} {seconds:5.1f}")
    print(f"five Spark jobs of make run, wall s: {waited:.1f} (bar {FLIGHTS_BAR_SECONDS:.0f}; CPU {spent:.1f})")
    return int(again > BAR_SECONDS or waited > FLIGHTS_BAR_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
