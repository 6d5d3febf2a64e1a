"""What a converted file says of `doeks.yaml`: platforms that its jobs ran on, and operators that it uses."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_doeks.dialects.dag_factory.notes import Note, lost
from airflow_doeks.language.operators import aliases, is_allowed
from airflow_doeks.language.rules import rule_of
from airflow_doeks.model.engine import SPARK
from airflow_doeks.model.plan import FUNCTIONS
from airflow_doeks.platforms.registry import EMBEDDED

_TYPE = "emr_on_eks"
_NO_REGION = "TODO-region"
_ID = "virtual_cluster"


@dataclass(frozen=True)
class Needs:
    """What a pipeline asks of doeks.yaml: platforms by name, operators that must be allowed, and if it has jobs."""

    platforms: Mapping[str, Mapping[str, Any]]
    uses: frozenset[str]
    has_jobs: bool


@dataclass(frozen=True)
class Converted:
    """One pipeline: its DAG id, its file's text with the notes as comments, and the notes.

    ``has_todo`` is true if a person must do something; ``needs`` are those of this pipeline.
    """

    dag_id: str
    text: str
    notes: tuple[str, ...]
    has_todo: bool
    needs: Needs

    def with_todos(self, texts: Iterable[str]) -> Converted:
        """The same with more to do, told at the head of the file."""
        texts = tuple(texts)
        head, _, rest = self.text.partition("\n")
        lines = "".join(f"# TODO {' '.join(text.split())}\n" for text in texts)
        return replace(self, text=f"{head}\n{lines}{rest}", notes=(*self.notes, *texts), has_todo=True)


class Platforms:
    """The platforms of a file's jobs, each told once."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}  # name -> entry of doeks.yaml

    def add(self, facts: Mapping[str, Any]) -> tuple[str | None, list[Note]]:
        """The name of the platform that has these facts; None if they do not make one."""
        entry = {"type": _TYPE, "region": _NO_REGION, **facts}
        notes = []
        for key in _refused(entry):
            notes.append(lost(key, entry[key], "a platform of doeks.yaml has a fixed value of another form"))
            del entry[key]
        if _ID not in entry:
            notes += [
                lost(key, value, "write a platform in doeks.yaml") for key, value in facts.items() if key in entry
            ]
            return None, notes
        where = {key: value for key, value in entry.items() if key != "release"}
        for name, other in self.found.items():
            if where == {key: value for key, value in other.items() if key != "release"}:
                return name, notes
        name = "emr" if not self.found else f"emr_{len(self.found) + 1}"
        self.found[name] = entry
        if "region" not in facts:
            notes.append(Note("the source names no region: write that of the platform in doeks.yaml"))
        return name, notes


def _refused(entry: Mapping[str, Any]) -> list[str]:
    """Keys of a platform whose value doeks.yaml would not take."""
    faults = rule_of("doeks")({"platforms": {"emr": entry}}) or []
    keys = (fault.path[2] for fault in faults if len(fault.path) > 2 and fault.path[2] in entry)  # noqa: PLR2004
    return list(dict.fromkeys(keys))


def needs_of(
    tasks: Iterable[Mapping[str, Any]], platforms: Mapping[str, Mapping[str, Any]], used: Container[str]
) -> Needs:
    """What tasks of a pipeline ask of doeks.yaml; ``used`` are the names of their platforms."""
    tasks = list(tasks)
    names = {task["uses"] for task in tasks if "uses" in task}
    paths = {name: aliases()[name].path if name in aliases() else name for name in names}
    refused = {name for name, path in paths.items() if not is_allowed(name, path, ())}
    refused |= {FUNCTIONS[0] for task in tasks if any(kind in task for kind in FUNCTIONS)}
    named = {name: entry for name, entry in platforms.items() if name in used}
    return Needs(named, frozenset(refused), any(SPARK.name in task for task in tasks))


def project_text(needs: Iterable[Needs]) -> str:
    """The text of a doeks.yaml for converted pipelines; empty if they need none."""
    needs = list(needs)
    platforms = {name: entry for one in needs for name, entry in one.platforms.items()}
    uses = sorted({name for one in needs for name in one.uses})
    has_jobs = any(one.has_jobs for one in needs)
    if not has_jobs and not uses:
        return ""
    lines = ["# What the converted pipelines need; the platform team decides."]
    if has_jobs:
        lines.append("platforms:")
    if has_jobs and not platforms:
        lines += ["  # TODO the source does not say where its jobs ran", f"  laptop: {{type: {EMBEDDED}}}"]
    for name, entry in platforms.items():
        lines.append(f"  {name}:")
        for key, value in entry.items():
            todo = "  # TODO the source names none" if value == _NO_REGION else ""
            lines.append(f"    {key}: {json.dumps(value, ensure_ascii=False)}{todo}")
    if uses:
        lines += ["policies:", f"  allowed_uses: {json.dumps(uses)}"]
    return "\n".join(lines) + "\n"
