"""DK1xx: what the JSON Schema rejects, as diagnostics, and the values that are left without what was rejected."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from yaml import ScalarNode

from airflow_doeks.language.diagnostics import MAX_FAULTS, Diagnostic, more_faults, suggestion
from airflow_doeks.language.layers import VARIABLE, Layer, as_written, origin, variables_in
from airflow_doeks.language.leaf_rules import Fault, shown
from airflow_doeks.language.rules import rule_of
from airflow_doeks.language.text import Document

MAX_FILLED = 4 * 1024**2  # characters of a file's texts with variables; eight times what the largest file holds
_ROUNDS = 8  # what is cut can leave its parent incomplete; the language is five levels deep


def check_structure(
    document: Document,
    kind: str,
    variables: Mapping[str, Any],
    places: tuple[Layer, ...],
    environment: str | None = None,
) -> tuple[list[Diagnostic], dict[str, Any]]:
    """Diagnostics, and the values with variables filled in and everything faulty cut out.

    More than MAX_FAULTS diagnostics are never made; the last one then says how many are missing.
    ``kind`` is ``pipeline`` or ``doeks``; ``variables`` are the values of ``${name}``, set at ``places``.
    """
    data, silent = document.data, set()
    told: list[Callable[[], Diagnostic]] = []
    if "${" in document.text:
        unknown: dict[tuple[tuple[Any, ...], str], None] = {}
        try:
            data = substitute(data, variables, unknown, places)
        except Overfull as error:
            message = f"more than {MAX_FILLED:,} characters once variables are filled in"
            advice = "a long text is repeated by an alias (*name) or a variable; repeat it less"
            return [document.fault("DK103", message, error.path, help=advice)], {}
        for path, name in unknown:
            silent.add(path)
            if kind == "doeks" and path[:1] == ("environments",) and path[1:2] not in ((), (environment,)):
                continue  # another environment's own variable
            told.append(partial(_unset, document, path, name, variables))
    rule = rule_of(kind)
    faults = rule(data)
    told += [
        partial(_diagnose, document, kind, fault, variables, places)
        for fault in _causes(kind, faults or [])
        if fault.path not in silent
    ]
    diagnostics = [make() for make in told[:MAX_FAULTS]]
    if len(told) > MAX_FAULTS:
        diagnostics.append(more_faults(document.file, document.lines, len(told) - MAX_FAULTS))
    if not faults:
        return diagnostics, data
    data = copy.deepcopy(data)
    for _ in range(_ROUNDS):
        for fault in faults:
            whole = fault.code == "DK109" and fault.at_key  # of two kinds neither is known to be meant
            _cut(data, fault.path[:-1] if whole else fault.path)
        faults = rule(data) if isinstance(data, dict) else None
        if not faults or any(not fault.path for fault in faults):
            break
    return diagnostics, data if isinstance(data, dict) else {}


def _unset(document: Document, path: tuple[Any, ...], name: str, variables: Mapping[str, Any]) -> Diagnostic:
    advice = suggestion(name, variables) or "set it under `variables` of the environment, or write $${ for text"
    task = ".".join(_task_of(path)) or None
    return document.fault("DK213", f'variable "{name}" is not set', path, help=advice, task_id=task)


def _causes(kind: str, faults: list[Fault]) -> list[Fault]:
    """The faults without keys that are missing only because they are misspelt, which is told where they are."""
    misspelt: dict[tuple[Any, ...], list[Fault]] = {}
    for fault in faults:
        if fault.code == "DK104":
            misspelt.setdefault(fault.path[:-1], []).append(fault)
    return [fault for fault in faults if not _is_consequence(kind, fault, misspelt.get(fault.path, []))]


def _is_consequence(kind: str, fault: Fault, misspelt: list[Fault]) -> bool:
    if fault.code not in ("DK106", "DK109") or fault.at_key or not misspelt:
        return False
    wanted = (fault.word,) if fault.code == "DK106" else fault.known
    told = {_advice(kind, one) for one in misspelt}
    return any({f"write {key}", f'did you mean "{key}"?'} & told for key in wanted)


def _advice(kind: str, fault: Fault) -> str:
    if fault.help or not fault.word:
        return fault.help
    advice = ""
    if fault.code == "DK104":
        from airflow_doeks.language.slips import key_advice

        advice = key_advice(kind, fault.word, fault.known)
    advice = advice or suggestion(fault.word, fault.known)
    if not advice and fault.code == "DK104" and fault.known:
        advice = f"known keys are {', '.join(sorted(fault.known))}"
    return advice


def _diagnose(
    document: Document, kind: str, fault: Fault, variables: Mapping[str, Any], places: tuple[Layer, ...]
) -> Diagnostic:
    node, found = document.find(fault.path)
    advice = _advice(kind, fault) or (_shape(fault.path, document) if fault.code == "DK105" else "")
    names = variables_in(getattr(node, "value", None)) if found and not fault.at_key else []
    if names and places:
        place = origin(places, (names[0],)) or document.place_of(node)
        fault = _without_secret(fault, variables.get(names[0]))
        message = f"the value of ${{{names[0]}}} does not fit {dotted(fault.path)}: {fault.message}"
        made = Diagnostic("DK214", message, place, help=advice, lines=places[0].document.lines)
        node = places[0].document.find((*places[0].prefix, names[0]))[0]
        return _masked(made, node) if isinstance(node, ScalarNode) and _is_secret(fault.path) else made
    fault = _without_secret(fault, _at(document.data, fault.path))
    if fault.path[:1] == ("tasks",):
        task = _task_of(fault.path)
        name = dotted(fault.path[len(task) * 2 : -1 if fault.at_key else None])
        more = {"task_id": ".".join(task)} if len(fault.path) > 1 else {}
    else:
        name = dotted(fault.path[:-1] if fault.at_key else fault.path)
        more = {}
    message = f"{fault.message} in {name}" if fault.at_key and name else fault.message
    if not fault.at_key and name:
        message = f"{name}: {message}"
    made = document.fault(fault.code, message, fault.path, at_key=fault.at_key, help=advice, **more)
    return _masked(made, node) if isinstance(node, ScalarNode) and _is_secret(fault.path) else made


def _is_secret(path: tuple[Any, ...]) -> bool:
    """True of what is written where a secret is, or where it is kept."""
    from airflow_doeks.model.redaction import names_secret

    return any(names_secret(str(step)) for step in path)


def _without_secret(fault: Fault, value: Any) -> Fault:
    """The fault without the value that it refuses in its words, where that is a secret."""
    if fault.at_key or value is None or not _is_secret(fault.path):
        return fault
    from airflow_doeks.model.redaction import MASK

    return fault._replace(message=fault.message.replace(shown(value), f'"{MASK}"'))


def _masked(made: Diagnostic, node: ScalarNode) -> Diagnostic:
    """The diagnostic without the value that it refuses, in its help and in its excerpt."""
    from airflow_doeks.model.redaction import MASK

    start, end, lines = node.start_mark, node.end_mark, list(made.lines)
    line = lines[start.line]
    lines[start.line] = line[: start.column] + MASK + (line[end.column :] if end.line == start.line else "")
    advice = made.help.replace(node.value, MASK) if node.value else made.help
    return replace(made, help=advice, lines=tuple(lines))


def _shape(path: tuple[Any, ...], document: Document) -> str:
    from airflow_doeks.language.slips import shape_advice

    return shape_advice(path, _at(document.data, path))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step] if _has(value, step) else None
    return value


def _task_of(path: tuple[Any, ...]) -> list[str]:
    """The names of the groups and the task that a path of a pipeline leads into."""
    found: list[str] = []
    while path[:1] == ("tasks",) and len(path) > 1:
        found.append(str(path[1]))
        path = path[2:]
    return found


def dotted(path: tuple[Any, ...]) -> str:
    """A path as people write it: ``tasks.clean.spark.args[1]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _cut(data: Any, path: tuple[Any, ...]) -> None:
    """Take the value at a path out; in a list it becomes harmless rather than shift its neighbours."""
    *parents, last = path or (None,)
    for step in parents:
        if not _has(data, step):
            return
        data = data[step]
    if not _has(data, last):
        return
    if isinstance(data, dict):
        del data[last]
    else:
        data[last] = {} if data[last] == HARMLESS else HARMLESS


def _has(data: Any, step: Any) -> bool:
    if isinstance(data, dict):
        return step in data
    return isinstance(data, list) and isinstance(step, int) and step < len(data)


# Text, name, URI: fits every list of the language but lists of mappings, which get {} instead; nobody writes it.
HARMLESS = "refused://x"


class Overfull(Exception):
    """Values would be longer than MAX_FILLED once variables are filled in; ``path`` is where that was seen."""

    def __init__(self, path: tuple[Any, ...]) -> None:
        super().__init__(path)
        self.path = path


def substitute(
    value: Any,
    variables: Mapping[str, Any],
    unknown: dict[tuple[tuple[Any, ...], str], None],
    places: tuple[Layer, ...] = (),
) -> Any:
    """The value with each ``${name}`` filled in; a scalar that is only ``${name}`` takes the variable's type.

    ``$${`` stands for ``${``. What is not defined gets a key in ``unknown``, its path and name, and stays as it is.
    Within a text a number is as it was written at ``places``. Raises Overfull.
    """
    return _Filling(variables, unknown, places).value(value, ())


@dataclass
class _Filling:
    """Variables on their way into one file's values; every text that holds one is made anew, also behind an alias."""

    variables: Mapping[str, Any]
    unknown: dict[tuple[tuple[Any, ...], str], None]
    places: tuple[Layer, ...] = ()
    made: int = 0  # characters

    def value(self, value: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(value, str):
            return self._text(value, path) if "${" in value else value
        if isinstance(value, dict):
            return {key: self.value(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, (*path, index)) for index, item in enumerate(value)]
        return value

    def _text(self, text: str, path: tuple[Any, ...]) -> Any:
        whole = VARIABLE.fullmatch(text)
        if whole is not None and whole[2] in self.variables:
            return self.variables[whole[2]]

        def word(match: re.Match[str]) -> str:
            if match[1]:
                return "${"
            if match[2] not in self.variables:
                self.unknown[path, match[2]] = None
                return match[0]
            value = as_written(self.variables[match[2]], self.places, (match[2],))
            return self._counted(str(value).lower() if isinstance(value, bool) else str(value), path)

        return VARIABLE.sub(word, self._counted(text, path))

    def _counted(self, text: str, path: tuple[Any, ...]) -> str:
        self.made += len(text)
        if self.made > MAX_FILLED:
            raise Overfull(path)
        return text
