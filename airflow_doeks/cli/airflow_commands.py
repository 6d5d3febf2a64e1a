"""`doeks run`: a pipeline end to end with Airflow in this process."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from airflow_doeks.cli.airflow_home import home_of, interrupt_on_signals, settle_home
from airflow_doeks.cli.figures import console
from airflow_doeks.cli.run_options import RunOptions, capacity, moment, part_of, values
from airflow_doeks.cli.run_view import print_report, say
from airflow_doeks.model.plan import Plan

if TYPE_CHECKING:
    from airflow_doeks.cli.pipeline_run import PipelineRun


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--env", "environment", help="Environment of doeks.yaml.")
@click.option("--task", help="Run this task alone; what it needs is taken as done.")
@click.option("--from", "start", help="Run this task and all that come after it.")
@click.option("--date", help="The run's date, such as 2026-01-31; now if left out.")
@click.option("--params", multiple=True, metavar="KEY=VALUE", help="Another value for a param of the pipeline.")
@click.option("--conf", multiple=True, metavar="KEY=VALUE", help="A value of the run's conf, {{ dag_run.conf.KEY }}.")
@click.option(
    "--parallel",
    type=click.IntRange(min=1),
    help="Tasks at a time; if left out what this machine holds: one a core, with 4 GiB of memory each.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the run and its records as JSON.")
def run(  # noqa: PLR0917 - an argument an option
    file: Path,
    environment: str | None,
    task: str | None,
    start: str | None,
    date: str | None,
    params: tuple[str, ...],
    conf: tuple[str, ...],
    parallel: int | None,
    as_json: bool,
) -> None:
    """Run a pipeline here, end to end: Airflow in this process, a process a task, then what it cost.

    AIRFLOW_HOME is the variable's, else `.airflow` beside doeks.yaml. Exit code 1 if the run failed. Ctrl-C cancels
    what still runs, and exits 130.
    """
    gc.disable()  # until tasks run: nearly all that Airflow allocates while it starts stays
    file = file.absolute()
    whole, root = _plan(file, environment)
    plan = part_of(whole, task, start)
    options = RunOptions(
        parallel or capacity(), moment(date, plan.timezone) if date else None, values(plan, params, conf)
    )
    home = home_of(file, root.parent if root else file.parent)
    caller = _dag_file(plan, file, root, home)
    settle_home(home, caller.parent)
    if environment:
        os.environ["DOEKS_ENV"] = environment
    interrupt_on_signals()
    log = home / "doeks" / "runs" / f"{plan.dag_id}.log"
    with _output_to(log, as_json) as out:
        say(out, "Running ", (plan.dag_id, "bold"), f" with Airflow in {home}")
        result = _run(plan, caller, options, out, log)
        ledger = _ledger_path()
        if not as_json:
            print_report(out, result.tasks, result.records, state=result.state, ledger=ledger, home=str(home))
            say(out, f"Log: {log}\nUI: AIRFLOW_HOME={home} doeks ui {caller.parent}")
    if as_json:
        click.echo(json.dumps(result.to_json() | {"ledger": ledger, "airflow_home": str(home), "log": str(log)}))
    raise SystemExit(result.exit_code)


def _run(plan: Plan, caller: Path, options: RunOptions, out: Console, log: Path) -> PipelineRun:
    """The run that was; where Airflow cannot work, a line on the console, the traceback in the log, exit code 1."""
    try:
        from airflow_doeks.cli.pipeline_run import PipelineRun

        result = PipelineRun(plan, caller)
        result.run(out, options)
    except KeyboardInterrupt as interrupt:  # before anything ran
        say(out, "Interrupted")
        raise SystemExit(128 + (interrupt.args[0] if interrupt.args else signal.SIGINT)) from interrupt
    except Exception as error:
        traceback.print_exc()  # into the log
        say(out, ("Airflow stopped:", "red"), f" {error}\nLog: {log}")
        raise SystemExit(1) from error
    return result


def _plan(file: Path, environment: str | None) -> tuple[Plan, Path | None]:
    """The checked pipeline and its `pipelines/` folder, if it lies in one beside a DAG file."""
    from airflow_doeks.language import compile_file

    root = next((parent for parent in file.parents if _loads(parent.parent / f"{parent.name}.py")), None)
    compiled = compile_file(file, environment=environment, root=root)
    for diagnostic in compiled.diagnostics:
        click.echo(str(diagnostic), err=True)
    if compiled.plan is None:
        raise SystemExit(1)
    return compiled.plan, root


def _loads(caller: Path) -> bool:
    """True of a DAG file that makes DAGs of a folder; a script that happens to be named like the folder does not."""
    return caller.is_file() and "load_dags" in caller.read_text("utf-8", errors="replace")


def _dag_file(plan: Plan, file: Path, root: Path | None, home: Path) -> Path:
    """The DAG file Airflow finds the pipeline in: the project's own, or one written for this run."""
    if root is not None:
        return root.parent / f"{root.name}.py"
    folder = home / "doeks" / "dags" / plan.dag_id
    folder.mkdir(parents=True, exist_ok=True)
    caller = folder / "pipelines.py"
    caller.write_text(
        f'"""An Airflow DAG written by `doeks run`."""\n'
        f"from airflow_doeks.cli.airflow_commands import build\n\n"
        f"dag = build({str(file)!r}, __file__)\n",
        encoding="utf-8",
    )
    return caller


def build(file: str, caller: str) -> Any:
    """The DAG of one pipeline file, for the DAG file that `doeks run` writes."""
    from airflow_doeks.dag_builder import build_dag

    return build_dag(_plan(Path(file), os.environ.get("DOEKS_ENV"))[0], Path(caller))


def _ledger_path() -> str:
    from airflow_doeks.hooks.settings import load_settings

    return load_settings().ledger_path


@contextlib.contextmanager
def _output_to(log: Path, as_json: bool) -> Iterator[Console]:
    """A console for the reader, while all that Airflow and Spark print goes to the file ``log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    with log.open("w", encoding="utf-8") as sink, os.fdopen(saved[1 if as_json else 0], "w", closefd=False) as reader:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield console(reader)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            reader.flush()
            for number, descriptor in enumerate(saved, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)
