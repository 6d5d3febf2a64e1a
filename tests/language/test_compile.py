"""From YAML to plan: merging, edges, groups, environments and where each value came from."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_doeks.language import compile_file

DAILY = """\
description: Clean and aggregate the day's orders.
schedule: "@daily"
start_date: 2026-01-01
owner: sales-data
tags: [orders]
cost_tags: {team: sales, cost_center: "4711"}
defaults: {platform: lake, retries: 2, spark: {presets: [spot, graviton]}}
tasks:
  clean_orders:
    spark:
      main: ../../jobs/clean.py
      args: ["--run", "{{ run_id }}"]
      driver: {cpu: 1, memory: 4Gi}
      executors: {min: 2, max: 20, cpu: 4, memory: 16Gi, capacity: spot}
    reads: [s3://raw/orders]
    writes: [s3://clean/orders]
    budget_usd: 5
  rollup:
    spark: {sql: ../../sql/rollup.sql, presets: [big_join]}
    reads: [s3://clean/orders]
    writes: [s3://mart/orders_daily]
  notify:
    needs: [rollup]
    uses: bash
    with: {bash_command: "echo done"}
"""


def test_the_example_of_the_design_becomes_a_plan(project):
    """Defaults, cost tags, the cron behind a preset and inferred edges all stand in the plan."""
    compiled = compile_file(project.pipeline(DAILY, "sales/daily"))
    assert compiled.diagnostics == ()
    plan = compiled.plan
    clean, rollup, notify = plan.tasks
    assert plan.dag_id == "sales.daily"
    assert plan.schedule == {"cron": "0 0 * * *", "covers": "previous_interval"}
    assert (plan.catchup, plan.timezone, plan.owner, plan.text) == (False, "UTC", "sales-data", DAILY)
    assert clean.cost_tags == {"cost_center": "4711", "team": "sales"}
    assert clean.job["presets"] == ["spot", "graviton"]
    assert clean.platform["name"] == "lake"
    assert (clean.retries, clean.retry_delay_seconds, clean.budget_usd) == (2, 300.0, "5")
    assert rollup.needs == ("clean_orders",)
    assert (notify.needs, notify.arguments) == (("rollup",), {"bash_command": "echo done"})
    assert notify.operator == "airflow.providers.standard.operators.bash.BashOperator"


@pytest.mark.parametrize(
    ("written", "seconds"), [("retry_delay: 0s", 0.0), ("retry_delay: 0", 0.0), ("retries: 1", 300.0)]
)
def test_a_pause_of_zero_is_no_pause(project, written, seconds):
    """`retry_delay: 0s` retries at once; only a pause that is left out is Airflow's five minutes."""
    plan = compile_file(project.pipeline(f"tasks: {{t: {{uses: empty, {written}}}}}")).plan
    assert plan.tasks[0].retry_delay_seconds == seconds


def test_arguments_of_airflows_operator_are_options_with_their_places(project):
    """What the task and its defaults say of them stands in the plan as Airflow takes it, and where it was written."""
    text = "defaults: {queue: large}\ntasks:\n  t: {uses: empty, max_retry_delay: 90m, depends_on_past: true}\n"
    task = compile_file(project.pipeline(text)).plan.tasks[0]
    assert task.options == {"queue": "large", "max_retry_delay": timedelta(minutes=90), "depends_on_past": True}
    assert task.source["queue"] == f"{project.path}/pipelines/p.yaml:1:19"
    assert task.source["max_retry_delay"] == f"{project.path}/pipelines/p.yaml:3:37"
