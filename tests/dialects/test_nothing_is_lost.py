"""Whatever a dag-factory file says is in the pipeline, in its doeks.yaml or in a note."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import given

from airflow_doeks.dialects.dag_factory.document import convert
from airflow_doeks.dialects.dag_factory.project import Converted, project_text
from airflow_doeks.language.rules import rule_of
from airflow_doeks.language.structure import substitute
from airflow_doeks.language.text import parse
from tests.dialects.dag_factory_files import files

# Leaves that ours says in other words: what must be there instead.
SAID_OTHERWISE = {
    ("operator", "airflow.providers.standard.operators.bash.BashOperator"): ("uses: bash",),
    ("operator", "airflow.operators.bash_operator.BashOperator"): ("uses: bash",),
    ("operator", "airflow.operators.empty.EmptyOperator"): ("uses: empty",),
    ("operator", "airflow.sensors.external_task.ExternalTaskSensor"): ("uses: external_task_sensor",),
    ("operator", "airflow.providers.apache.spark.operators.spark_submit.SparkSubmitOperator"): ("spark:",),
    ("operator", "airflow.providers.amazon.aws.operators.emr.EmrContainerOperator"): ("spark:", "uses: emr_container"),
    ("persistentAppUI", "ENABLED"): ("persistent_ui",),
    ("classification", "spark-defaults"): ("conf",),
    ("schedule", "none"): ("schedule: null",),
}
CLASSES = {"Asset": "", "Dataset": "", "AssetAny": "", "timedelta": "", "Param": "params", "list": ""}
TIMETABLES = {"CronTriggerTimetable": "trigger_time", "CronDataIntervalTimetable": "previous_interval"}


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar with the nearest key above it, and every key that has a number of its own, as a leaf without key."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from [("", name)] if re.search(r"\d{6}", name) else []
            yield from leaves(below, name)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, key)
    elif value is not None:
        yield key, value


def is_said(key: str, value: Any, said: str) -> bool:
    """True if the text holds the leaf: the numbers that mark it, else its words, or the key of a switch."""
    if isinstance(value, bool):
        return key in said or {"catchup": "catchup"}.get(key, key) in said
    marks = re.findall(r"\d{6}|\d{4}-\d\d-\d\d", str(value))
    if marks:
        return all(mark in said for mark in marks)
    if key == "__type__":
        name = value.rpartition(".")[2]
        return value in said or CLASSES.get(name, TIMETABLES.get(name, value)) in said
    if key.endswith("Parameters"):
        return all(f"`{word}: " in said for word in value.split())
    return any(words in said for words in (str(value), *SAID_OTHERWISE.get((key, value), ())))


def everything(pipelines: list[Converted]) -> str:
    """All that a person sees of a conversion, on one line."""
    texts = [*(one.text for one in pipelines), *(note for one in pipelines for note in one.notes)]
    return " ".join(" ".join([*texts, project_text(one.needs for one in pipelines)]).split())


@given(files)
def test_every_leaf_of_the_source_is_carried_or_told(source):
    """Each value, option word and key of one's own appears in the output or in a note."""
    said = everything(convert(yaml.safe_dump(source, sort_keys=False)))
    assert [leaf for leaf in leaves(source) if not is_said(*leaf, said)] == []


@given(files)
def test_what_is_written_is_our_yaml(source):
    """The text of each pipeline is what the schema takes, and none of its texts is a variable of ours."""
    for pipeline in convert(yaml.safe_dump(source, sort_keys=False)):
        document = parse(pipeline.text.encode(), "p.yaml")
        unknown: dict = {}
        assert (document.diagnostics, rule_of("pipeline")(document.data)) == ([], None), pipeline.text
        substitute(document.data, {}, unknown)
        assert unknown == {}


@given(files)
def test_a_note_is_a_comment_where_it_belongs(source):
    """Each note stands once in the file, as TODO or NOTE, so that the file alone tells what to do."""
    for pipeline in convert(yaml.safe_dump(source, sort_keys=False)):
        comments = re.findall(r"^ *# (?:TODO|NOTE) (.*)$", pipeline.text, re.MULTILINE)
        assert len(comments) == len(pipeline.notes)
