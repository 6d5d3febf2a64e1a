"""`doeks render`: the exact request a platform would receive, without Airflow and without sending anything."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from airflow_doeks.cli.explain import plan_of, tasks_of
from airflow_doeks.model.plan import Plan, TaskPlan

if TYPE_CHECKING:
    from airflow_doeks.model.status import Request
    from airflow_doeks.platforms.protocol import Platform

_WHEN = datetime(2026, 1, 1, tzinfo=timezone.utc)  # stands for the run's start, so that rendering twice is equal


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--task", help="Only this task.")
@click.option("--env", help="The environment.")
def render(file: str, task: str | None, env: str | None) -> None:
    """Print the request that the platform of each job would receive; templates stay, the run is a placeholder."""
    plan = plan_of(file, env)
    found = {one.task_id: _rendered(plan, one) for one in tasks_of(plan, task)}
    click.echo(json.dumps(found, indent=2, ensure_ascii=False, default=str))
    if any("not_rendered" in shown for shown in found.values()):
        raise SystemExit(1)


def _rendered(plan: Plan, task: TaskPlan) -> dict[str, Any]:
    if task.job is None or task.platform is None:
        return {"operator": task.operator, "arguments": dict(task.arguments), "expand": task.expand}
    from airflow_doeks.model.errors import SpecError

    try:
        request = request_of(plan, task)[1]
    except (SpecError, ValueError) as error:
        return {"platform": task.platform["name"], "not_rendered": str(error)}
    return {"platform": task.platform["name"], "request": asdict(request)}


def request_of(plan: Plan, task: TaskPlan) -> tuple[Platform, Request]:
    """The platform of a job and what it would receive; SpecError or ValueError for what only a run can say."""
    from airflow_doeks.lifecycle.staging import plan_staging
    from airflow_doeks.model.engine import ENGINES, load
    from airflow_doeks.model.identity import JobIdentity
    from airflow_doeks.platforms.clients import Clients
    from airflow_doeks.platforms.registry import TYPES

    identity = JobIdentity(
        instance="placeholder",
        dag_id=plan.dag_id,
        run_id="placeholder",
        task_id=task.task_id,
        map_index=-1 if task.expand is None else 0,
        try_number=1,
        run_started=_WHEN,
        attempt_id="placeholder",
        cost_tags=task.cost_tags,
    )
    entry = dict(task.platform or {})
    module = TYPES[entry["type"]].load()
    config = module.Config.model_validate({key: value for key, value in entry.items() if key != "name"})
    platform: Platform = module.Platform(config, entry["name"], Clients(local_dir=".doeks"))
    job = load(ENGINES[task.kind].noun).model_validate(dict(task.job or {}))
    staged = plan_staging(job, plan.folder, entry.get("code")).job
    return platform, platform.render(staged, identity)
