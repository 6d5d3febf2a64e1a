"""The arguments of every operator: what the language says of each, on the Airflow that is installed."""

from __future__ import annotations

import inspect
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_doeks import compat
from airflow_doeks.dag_builder import build_dag
from airflow_doeks.language import compile_file
from airflow_doeks.language.operators import owned_arguments
from airflow_doeks.model.plan import ARGUMENTS

pytestmark = pytest.mark.airflow

PIPELINE = """\
defaults: {depends_on_past: true, retry_exponential_backoff: true, queue: small, retries: 1}
tasks:
  list_days: {uses: empty, queue: null, do_xcom_push: true}
  t:
    needs: [list_days]
    uses: empty
    wait_for_downstream: true
    ignore_first_depends_on_past: false
    wait_for_past_depends_before_skipping: true
    max_retry_delay: 1h
    pool_slots: 2
    max_active_tis_per_dag: 3
    max_active_tis_per_dagrun: 4
    weight_rule: absolute
    run_as_user: airflow
    do_xcom_push: false
    task_display_name: Everything
  mapped:
    uses: empty
    expand: [{}, {}]
    map_name: "{{ ti.map_index }}"
    max_active_tis_per_dagrun: 1
"""
# Of the newest Airflow; an older one lacks some.
OF_A_VERSION = {"retry_policy", "render_template_as_native_obj", "task_concurrency", "sla"}


def test_every_argument_of_airflows_operator_has_a_word():
    """The language takes an argument, says it in its own words, or names it and tells what to write instead."""
    taken = set(inspect.signature(compat.BaseOperator.__init__).parameters) - {"self", "args", "kwargs"}
    said = {*ARGUMENTS, *owned_arguments()}
    assert taken - said == set()
    assert said - taken <= OF_A_VERSION
    assert not set(ARGUMENTS) & OF_A_VERSION


def test_arguments_reach_the_operator(tmp_path: Path):
    """Each is Airflow's own attribute of the task, from its defaults too, and null takes one away."""
    file = tmp_path / "pipelines" / "p.yaml"
    file.parent.mkdir()
    file.write_text(PIPELINE, "utf-8")
    compiled = compile_file(file)
    assert compiled.diagnostics == ()
    dag = build_dag(compiled.plan, tmp_path / "dags.py")
    first, task, mapped = (dag.get_task(task_id) for task_id in ("list_days", "t", "mapped"))
    assert (first.queue, first.depends_on_past) == ("default", True)
    assert (task.queue, task.wait_for_downstream, task.ignore_first_depends_on_past) == ("small", True, False)
    assert task.retry_exponential_backoff == (2.0 if compat.AIRFLOW_VERSION >= (3, 2) else True)
    assert (task.max_retry_delay, task.pool_slots) == (timedelta(hours=1), 2)
    assert (task.max_active_tis_per_dag, task.max_active_tis_per_dagrun, task.run_as_user) == (3, 4, "airflow")
    assert (task.do_xcom_push, task.task_display_name) == (False, "Everything")
    assert task.wait_for_past_depends_before_skipping
    assert "absolute" in str(task.weight_rule).lower()
    assert (mapped.max_active_tis_per_dagrun, mapped.partial_kwargs["map_index_template"]) == (1, "{{ ti.map_index }}")
    dag.validate()
