"""A folder of YAML files is a folder of DAGs, read no more than needed and the same everywhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_doeks import load_dags, report_dag_errors
from airflow_doeks.language import compiler
from airflow_doeks.model.errors import SpecError

GOOD = """\
description: A day's orders.
schedule: "@daily"
start_date: 2026-01-01
tags: [b, a, c]
tasks:
  extract:
    uses: empty
    writes: ["s3://raw/orders/{{ ds }}"]
  load:
    needs: [extract]
    uses: empty
    reads: [s3://raw/orders]
"""
SPARK = """\
schedule: {cron: "0 3 * * *", timezone: Europe/Berlin}
start_date: 2026-01-01
cost_tags: {team: sales}
tasks:
  days:
    uses: bash
    with: {bash_command: "echo '[1, 2]'"}
  clean:
    expand: {task: days}
    spark: {main: clean.py, args: ["{{ task.item }}"]}
    reads: [s3://raw/orders]
    writes: [s3://clean/orders]
"""
BROKEN = GOOD.replace("schedule:", "schedul:")
DOEKS = "platforms: {laptop: {type: local}}\npolicies: {allowed_uses: [bash, no_such_package.Operator]}\n"
CONTEXT = "_AIRFLOW_PARSING_CONTEXT_DAG_ID"


def write(folder: Path, **pipelines: str) -> dict[str, Any]:
    """A DAG folder with these pipelines (`__` stands for a subfolder) and the globals of its DAG file."""
    (folder / "pipelines").mkdir(parents=True, exist_ok=True)
    (folder / "doeks.yaml").write_text(DOEKS)
    for name, text in pipelines.items():
        file = folder / "pipelines" / f"{name.replace('__', '/')}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        (file.parent / "clean.py").write_text("")
    return {"__file__": str(folder / "pipelines.py")}


def dags_of(namespace: dict[str, Any]) -> set[str]:
    """What the DAG file's globals gained."""
    return set(namespace) - {"__file__"}


def errors_of(folder: Path) -> str:
    """What the errors file of this folder raises, or nothing."""
    namespace = {"__file__": str(folder / "pipelines_errors.py"), "report": report_dag_errors}
    try:
        exec("report('pipelines')", namespace)  # noqa: S102 - a DAG file is run code
    except SpecError as error:
        return str(error)
    return ""


def in_a_process(code: str, folder: Path, **env: str) -> str:
    """Output of a Python of its own that runs a DAG file in ``folder``."""
    code = f"__file__ = {str(folder / 'pipelines.py')!r}\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_every_valid_pipeline_is_a_dag_named_by_its_path(tmp_path, caplog):
    """Broken files are left out, which is logged, and the globals gain nothing but the DAGs."""
    namespace = write(tmp_path, orders=GOOD, sales__daily=GOOD, bad=BROKEN)
    load_dags("pipelines", namespace)
    assert dags_of(namespace) == {"orders", "sales.daily"}
    assert {name: namespace[name].dag_id for name in dags_of(namespace)} == {
        "orders": "orders",
        "sales.daily": "sales.daily",
    }
    assert namespace["orders"].fileloc == namespace["__file__"]
    (told,) = [record.getMessage() for record in caplog.records if record.name == "airflow_doeks.dag_factory"]
    assert re.search(r"left out.*pipelines/bad\.yaml:2:1", told)


def test_the_errors_file_names_every_broken_file_and_line(tmp_path):
    """One error tells of all broken files; a folder without a fault raises nothing."""
    write(tmp_path, orders=GOOD)
    assert errors_of(tmp_path) == ""
    write(tmp_path, bad=BROKEN, worse=GOOD.replace("[extract]", "[extarct]"))
    report = errors_of(tmp_path)
    assert report.startswith("2 of 3 pipelines cannot be loaded:")
    assert "pipelines/bad.yaml:2:1" in report
    assert "pipelines/worse.yaml:10:13" in report


def test_a_task_that_cannot_be_built_is_an_error_too(tmp_path):
    """A fault that only the operator itself can tell is reported with its line, and its pipeline left out."""
    bad = GOOD.replace("  load:\n", "  load:\n    trigger_rule: all_success\n").replace(
        "    uses: empty\n    reads", "    uses: no_such_package.Operator\n    reads"
    )
    namespace = write(tmp_path, orders=GOOD, bad=bad)
    load_dags("pipelines", namespace)
    assert dags_of(namespace) == {"orders"}
    assert "pipelines/bad.yaml:9:" in errors_of(tmp_path)
    assert "ModuleNotFoundError" in errors_of(tmp_path)


def test_a_bug_that_one_pipeline_meets_is_an_error_of_that_one(tmp_path, monkeypatch):
    """The other pipelines of the folder are DAGs, and the errors file names the bug."""
    run = compiler.compiled_document
    monkeypatch.setattr(compiler, "compiled_document", lambda *a: 1 / 0 if a[2] == "ill" else run(*a))
    namespace = write(tmp_path, well=GOOD, ill=GOOD)
    load_dags("pipelines", namespace)
    assert dags_of(namespace) == {"well"}
    report = errors_of(tmp_path)
    assert "ill.yaml:1:1: DK901 a bug of airflow_doeks, not of this file: ZeroDivisionError" in report
    assert "well.yaml" not in report


def test_a_task_reads_only_its_own_pipeline(tmp_path, monkeypatch):
    """Inside a task no other pipeline is opened, and the errors file does nothing."""
    write(tmp_path, orders=GOOD, sales__daily=GOOD, bad=BROKEN)
    code = (
        "import sys; opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "from airflow_doeks import load_dags, report_dag_errors\n"
        "report_dag_errors('pipelines'); load_dags('pipelines', globals())\n"
        "names = sorted({name.rpartition('/')[2] for name in opened if '/pipelines/' in name})\n"
        "print(names, 'sales.daily' in globals())"
    )
    assert in_a_process(code, tmp_path, **{CONTEXT: "sales.daily"}) == "['daily.yaml'] True"
    assert in_a_process(code, tmp_path, **{CONTEXT: "made.by.hand"}) == "[] False"


def test_a_task_of_a_broken_pipeline_fails_with_its_diagnostics(tmp_path, monkeypatch):
    """A pipeline broken after it was scheduled tells its tasks what is wrong with it."""
    namespace = write(tmp_path, orders=GOOD, bad=BROKEN)
    monkeypatch.setenv(CONTEXT, "bad")
    with pytest.raises(SpecError, match=r"pipelines/bad.yaml:2:1"):
        load_dags("pipelines", namespace)


@pytest.mark.parametrize("dag_id", ["a..b", ".", "..pipelines.orders", "ORDERS", "orders.yaml"])
def test_a_dag_id_that_no_pipeline_has_finds_nothing(tmp_path, monkeypatch, dag_id):
    """Only an id that a file's path spells is looked up."""
    namespace = write(tmp_path, orders=GOOD, a__b=GOOD)
    monkeypatch.setenv(CONTEXT, dag_id)
    load_dags("pipelines", namespace)
    assert dags_of(namespace) == set()


def test_shards_divide_a_folder(tmp_path, monkeypatch):
    """Every pipeline is in exactly one of n shards, also when a task looks for it."""
    names = {f"p{number}" for number in range(12)}
    namespaces = [write(tmp_path, **dict.fromkeys(names, GOOD)) for _ in range(3)]
    for part, namespace in enumerate(namespaces):
        load_dags("pipelines", namespace, shard=(part, 3))
    found = [dags_of(namespace) for namespace in namespaces]
    assert all(found)
    assert (set().union(*found), sum(map(len, found))) == (names, 12)
    monkeypatch.setenv(CONTEXT, min(found[1]))
    again = [write(tmp_path) for _ in range(3)]
    for part, namespace in enumerate(again):
        load_dags("pipelines", namespace, shard=(part, 3))
    assert [dags_of(namespace) for namespace in again] == [set(), {min(found[1])}, set()]


@pytest.mark.parametrize("shard", [(3, 3), (-1, 3), (0, 0)])
def test_a_shard_that_does_not_exist_is_refused(tmp_path, shard):
    """A wrong shard would silently lose pipelines; it is an error."""
    with pytest.raises(SpecError, match="names no part"):
        load_dags("pipelines", write(tmp_path, orders=GOOD), shard=shard)


def test_a_missing_folder_is_an_error(tmp_path):
    """A misspelt folder holds no pipelines; both DAG files say so instead of showing none."""
    with pytest.raises(SpecError, match="pipelinse"):
        load_dags("pipelinse", {"__file__": str(tmp_path / "pipelines.py")})


def test_loading_imports_little_and_no_provider(tmp_path):
    """Beyond what a DAG by hand imports, and pydantic and yaml, at most 40 modules come in, and no provider."""
    write(tmp_path, orders=GOOD)
    code = (
        "import json, sys, pydantic, yaml, datetime\n"
        "from airflow_doeks.compat import DAG, TaskGroup, Asset, CronDataIntervalTimetable, STANDARD\n"
        "empty = __import__(STANDARD + 'operators.empty', fromlist=['EmptyOperator'])\n"
        "cron = CronDataIntervalTimetable('0 0 * * *', timezone='UTC')\n"
        "by_hand = DAG('by_hand', schedule=cron, start_date=datetime.datetime(2026, 1, 1))\n"
        "empty.EmptyOperator(task_id='a', dag=by_hand)\n"
        "before = {name for name in sys.modules if not name.startswith('airflow_doeks')}\n"
        "from airflow_doeks import load_dags; load_dags('pipelines', globals()); orders\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    new = json.loads(in_a_process(code, tmp_path))
    assert [name for name in new if name.startswith(("airflow.providers", "boto", "kubernetes", "pyspark"))] == []
    assert len(new) <= 40, new


SERIALIZE = """
import json
from airflow_doeks import load_dags
load_dags('pipelines', globals())
from airflow.serialization import serialized_objects as coders
coder = getattr(coders, 'DagSerialization', coders.SerializedDAG)
dags = {name: coder.to_dict(dag)['dag'] for name, dag in list(globals().items()) if hasattr(dag, 'task_dict')}
for dag in dags.values():  # where this Airflow found the file; no part of its hash of a DAG
    dag.pop('fileloc'), dag.pop('_processor_dags_folder', None)
assert len(dags) == 2
print(json.dumps(dags, sort_keys=True))  # the bytes that Airflow hashes; it walks sets of field names itself
"""


def test_the_same_file_serializes_to_the_same_bytes_everywhere(tmp_path):
    """Hash seed, checkout path, timezone of the host and working folder leave no trace in the serialized DAG."""
    first, second = tmp_path / "first", tmp_path / "some" / "where else"
    write(first, orders=GOOD, sales__spark=SPARK)
    shutil.copytree(first, second)
    found = {
        in_a_process(SERIALIZE, first, PYTHONHASHSEED="1", TZ="UTC"),
        in_a_process(SERIALIZE, first, PYTHONHASHSEED="2", TZ="Asia/Tokyo"),
        in_a_process(SERIALIZE, second, PYTHONHASHSEED="3", HOSTNAME="elsewhere", LC_ALL="C"),
    }
    assert len(found) == 1
    assert "first" not in found.pop()
