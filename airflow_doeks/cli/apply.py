"""`doeks apply`: makes the pools of a project in Airflow, and says which connections and variables it lacks."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

from airflow_doeks.cli.figures import console
from airflow_doeks.cli.log_streams import logs_to_stderr
from airflow_doeks.cli.reconcile import TOKEN, settle_home_of

LACKING = 3  # exit code


@click.command()
@click.argument("folder", default=".", metavar="[DIR]", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--env", "environment", help="Environment of doeks.yaml.")
@click.option("--check", "is_check", is_flag=True, help="Change nothing; exit code 3 if something is missing.")
@click.option("--allow-unseen", is_flag=True, help="What a secrets backend may have does not count as missing.")
@click.option("--airflow-url", envvar="DOEKS_AIRFLOW_URL", help=f"Of this Airflow 3; its token is in {TOKEN}.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def apply(
    folder: Path,
    *,
    environment: str | None,
    is_check: bool,
    allow_unseen: bool,
    airflow_url: str | None,
    as_json: bool,
) -> None:
    """Make in Airflow what the pipelines below DIR need: the pools of platforms with `max_jobs`.

    Connections and variables that doeks.yaml and pipelines name are looked for, not made: they hold secrets. Writes to
    the metadata of AIRFLOW_HOME, or to an Airflow 3 by its REST API. May be repeated. Exit code 3 if something is
    missing still, 1 if a pipeline is broken.

    \b
    doeks apply flows/
    doeks apply flows/ --env prod --check
    doeks apply flows/ --env prod --airflow-url https://airflow.example.com
    """  # noqa: D301 - click's mark of text that is not wrapped
    settle_home_of(folder.absolute())
    with logs_to_stderr() as out, out.status("Asking Airflow"):
        from airflow_doeks.attempt.applying import apply as applied
        from airflow_doeks.attempt.applying import plans_below
        from airflow_doeks.compat import conf
        from airflow_doeks.hooks.airflow_objects import OfDatabase, OfRestApi
        from airflow_doeks.hooks.platforms import project_of
        from airflow_doeks.lifecycle.needs import needs_of

        setting = project_of(folder, environment)
        default = conf.get("doeks", "environment", fallback="") or None
        plans, broken = plans_below(folder, environment, default)
        airflow = OfRestApi(airflow_url, os.environ.get(TOKEN)) if airflow_url else OfDatabase()
        found = list(applied(needs_of(setting.known_platforms, plans), airflow, is_check=is_check))
    if as_json:
        click.echo(json.dumps({"check": is_check, "found": [asdict(one) for one in found], "broken": broken}, indent=1))
    else:
        table = Table("What", "Name", "State", "Named by", "Note", box=None)
        for one in found:
            table.add_row(one.kind, one.name, one.state, one.where, one.note)
        console().print(table if found else "Nothing is needed but what every Airflow has.")
        for fault in broken:
            click.echo(fault, err=True)
    lacking = any(one.is_lacking and not (allow_unseen and one.state == "unseen") for one in found)
    raise SystemExit(LACKING if lacking else 1 if broken else 0)
