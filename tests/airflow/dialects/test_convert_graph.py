"""A pipeline of dag-factory and its conversion are the same graph in Airflow."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_doeks import load_dags
from airflow_doeks.dialects.dag_factory.document import convert

STANDARD = "airflow.providers.standard.operators"
# The shapes of dag-factory's own examples: chains, fan-in, nested groups, groups as dependencies, mapping, Python.
EXAMPLE = f"""\
default:
  default_args: {{owner: data, retries: 1, retry_delay_sec: 300, start_date: 2024-01-01}}
  schedule: "0 3 * * *"
as_list:
  task_groups:
    - {{group_name: clean, tooltip: Cleaning, dependencies: [extract]}}
    - {{group_name: deep, parent_group_name: clean}}
    - {{group_name: load, dependencies: [clean]}}
  tasks:
    - {{task_id: extract, operator: {STANDARD}.bash.BashOperator, bash_command: echo 1}}
    - {{task_id: a, operator: {STANDARD}.empty.EmptyOperator, task_group_name: deep}}
    - {{task_id: b, operator: {STANDARD}.empty.EmptyOperator, task_group_name: deep, dependencies: [a]}}
    - {{task_id: c, operator: {STANDARD}.python.PythonOperator, python_callable: json.dumps, task_group_name: clean}}
    - {{task_id: d, operator: {STANDARD}.empty.EmptyOperator, task_group_name: load, dependencies: [b]}}
    - task_id: each
      operator: {STANDARD}.bash.BashOperator
      expand: {{bash_command: [echo 1, echo 2]}}
      dependencies: [load, extract]
as_mapping:
  tasks:
    one: {{operator: {STANDARD}.bash.BashOperator, bash_command: echo 1}}
    two: {{operator: {STANDARD}.bash.BashOperator, bash_command: echo 2, dependencies: [one]}}
    three: {{operator: {STANDARD}.empty.EmptyOperator, dependencies: [one, two], trigger_rule: all_done}}
"""
GRAPH = """
import json, sys
from dagfactory import load_yaml_dags
dags = {}
load_yaml_dags(dags, config_filepath=sys.argv[1])
print(json.dumps({name: {task: sorted(dag.get_task(task).upstream_task_ids) for task in sorted(dag.task_ids)}
                  for name, dag in dags.items() if hasattr(dag, "task_ids")}))
"""


@pytest.fixture(scope="module")
def dag_factory() -> str:
    """A Python that has dag-factory: this one, or the one that `make bench` made."""
    here = sys.executable if importlib.util.find_spec("dagfactory") else ""
    made = Path(__file__).parents[3] / ".venvs" / "dag-factory" / "bin" / "python"
    found = os.environ.get("DOEKS_DAG_FACTORY_PYTHON") or here or (str(made) if made.exists() else "")
    if not found:
        pytest.skip("dag-factory is not installed; set DOEKS_DAG_FACTORY_PYTHON, or let `make bench` install it")
    return found


def test_a_converted_example_builds_the_same_graph(tmp_path, dag_factory):
    """dag-factory's DAGs and ours have the same tasks and the same edges, in both dialects."""
    old = tmp_path / "old.yml"
    old.write_text(EXAMPLE)
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [dag_factory, "-c", GRAPH, str(old)], env=env, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    expected = json.loads(done.stdout.splitlines()[-1])
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "doeks.yaml").write_text("platforms: {laptop: {type: local}}\npolicies: {allowed_uses: [bash]}\n")
    for pipeline in convert(EXAMPLE):
        (tmp_path / "pipelines" / f"{pipeline.dag_id}.yaml").write_text(pipeline.text)
    dags: dict = {"__file__": str(tmp_path / "pipelines.py")}
    load_dags("pipelines", dags)
    del dags["__file__"]
    found = {
        name: {task: sorted(dag.get_task(task).upstream_task_ids) for task in sorted(dag.task_ids)}
        for name, dag in dags.items()
    }
    assert found == expected
    assert set(expected) == {"as_list", "as_mapping"}
