"""A job of a hand-written DAG on a platform of doeks.yaml: checked and merged by what checks and merges the YAML."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_doeks.compat import XComArg
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.plan import TaskPlan

log = logging.getLogger(__name__)

_TASK = "task"  # how the job is called while it is checked; Airflow's ids may hold what ours do not
_OF_FILES = frozenset({"DK224"})  # what a pipeline's file is asked and a DAG's is not


def settled(task: Mapping[str, Any], *, file: str, folder: str, dag_id: str) -> tuple[TaskPlan, Any]:
    """The task as the nearest doeks.yaml makes it, and its rate card; ``task`` holds the keys of a task in YAML.

    Presets, defaults, cost tags and policies are those of a pipeline with this DAG id. Raises SpecError, with all that
    is wrong, where a pipeline would have diagnostics; warnings are logged.
    """
    from airflow_doeks.hooks.platforms import project_of
    from airflow_doeks.language.compilation import compiled_document
    from airflow_doeks.language.text import Document

    setting = project_of(Path(file).parent)
    outputs: dict[str, Any] = {}
    plain = _plain(task, outputs)
    text = json.dumps({"tasks": {_TASK: plain}}, default=str)
    document = Document(str(Path(folder, Path(file).name)), text, {"tasks": {_TASK: plain}})
    plan, diagnostics = compiled_document(document, setting, dag_id)
    told = [one for one in diagnostics if one.code not in _OF_FILES]
    for one in told:
        if not one.is_error:
            log.warning("%s: %s %s", file, one.code, one.message)
    errors = [f"{one.code} {one.message}{f'; {one.help}' if one.help else ''}" for one in told if one.is_error]
    if errors or plan is None:
        raise SpecError("\n".join(errors))
    (found,) = plan.tasks
    if outputs:
        found = _with_outputs(found, outputs)
    return found, plan.rate_card


def _plain(value: Any, outputs: dict[str, Any]) -> Any:
    """Values as YAML has them; what another task returns is a template while it is checked."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item, outputs) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, outputs) for item in value]
    if isinstance(value, XComArg):
        name = f"{{{{ doeks_output_{len(outputs)} }}}}"
        outputs[name] = value
        return name
    return value.replace("${", "$${") if isinstance(value, str) else value


def _with_outputs(found: TaskPlan, outputs: Mapping[str, Any]) -> TaskPlan:
    def back(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: back(item) for key, item in value.items()}
        if isinstance(value, list):
            return [back(item) for item in value]
        return outputs.get(value, value) if isinstance(value, str) else value

    return replace(found, job=back(dict(found.job or {})))
