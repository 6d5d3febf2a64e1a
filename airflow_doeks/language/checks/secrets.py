"""DK241: a password in a pipeline, where everybody who reads the repository reads it, too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_doeks.language.diagnostics import Finding
from airflow_doeks.language.merging import Facts
from airflow_doeks.model.redaction import redacted

# A name that ends in one of these holds the secret itself; what goes on (`token-file`, `secret.provider`) may not.
_NAME = re.compile(
    r"(pass(word|wd|phrase)|secret|token|(secret[._-])?(access|secret|api|private|account)[._-]?key)$", re.IGNORECASE
)
_OF_JOBS = ("conf", "env", "args")
_OF_TASKS = ("args", "conf", "env")  # of what stands below a kind of task that has words of its own
_FLAG = re.compile(r"--?([\w.-]+)(?:=(.*))?", re.DOTALL)
# A variable, a path, a URL or ARN of where the secret is kept, a switch: not the secret.
_REFERENCE = re.compile(
    r"\$\{?[A-Za-z_]|^(/|\./|[a-z][a-z0-9+.-]*:/|arn:|(true|false|none|null)$)|^\s*$", re.IGNORECASE
)


def plain(facts: Facts) -> list[Finding]:
    """Secrets in plain text among what a job, a function or an operator is given."""
    found = []
    for path, value in _given(facts):
        for inner, name, text in _named(value):
            if _is_secret(name, text):
                message = f"{name or path[-1]} holds a secret in plain text"
                found.append(Finding("DK241", message, (*path, *inner), _advice(facts, (*path, *inner), name)))
    return found


def secret_paths(values: Any) -> set[tuple[Any, ...]]:
    """Paths of the texts within some values that are secrets in plain text."""
    return {path for path, name, text in _named(values) if _is_secret(name, text)}


def _given(facts: Facts) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path and value of the parts of a task that may hold a secret."""
    kind, spec = facts.entry.kind, facts.entry.spec
    if facts.job is not None:
        yield from (((kind, key), facts.job.get(key)) for key in _OF_JOBS)
    elif isinstance(spec.get(kind), Mapping):
        yield from (((kind, key), spec[kind].get(key)) for key in _OF_TASKS)
    else:
        yield ("with",), spec.get("with")
    if facts.job is None and spec.get("expand"):
        yield ("expand",), spec["expand"]


def _advice(facts: Facts, path: tuple[Any, ...], name: str) -> str:
    if facts.job is None:
        return "keep it in a connection of Airflow, and write {{ conn.NAME.password }}, which is rendered when it runs"
    if path[1] == "conf":
        return "keep it in a Kubernetes secret or a credentials provider, and have the job read it there"
    variable = name if path[1] == "env" else "DB_PASSWORD"
    return f"write secrets: {{{variable}: {{k8s: secret/key}}}}, and have the job read the variable"


def _named(value: Any) -> Iterator[tuple[tuple[Any, ...], str, str]]:
    """Path, name and text of each text within; one of a list is named by the flag before it, or by none."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            if isinstance(part, str):
                yield (name,), str(name), part
            else:
                yield from (((name, *path), found, text) for path, found, text in _named(part))
    elif isinstance(value, (list, tuple)):
        yield from _listed(value)


def _listed(values: Sequence[Any]) -> Iterator[tuple[tuple[Any, ...], str, str]]:
    before = ""
    for index, value in enumerate(values):
        if isinstance(value, (Mapping, list, tuple)):
            yield from (((index, *path), name, text) for path, name, text in _named(value))
        flag = _FLAG.fullmatch(value) if isinstance(value, str) else None
        if flag is None and not isinstance(value, (Mapping, list, tuple)):
            yield (index,), before, str(value)
        elif flag is not None and flag[2] is not None:
            yield (index,), flag[1], flag[2]
        before = flag[1] if flag is not None and flag[2] is None else ""


def _is_secret(name: str, value: str) -> bool:
    if "{{" in value or "{%" in value:
        return False
    if name and _NAME.search(name):
        return _REFERENCE.search(value) is None
    return redacted(value) != value
