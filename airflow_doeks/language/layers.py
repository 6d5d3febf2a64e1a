"""Values that come from several places: how they merge, and where each one was written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from airflow_doeks.language.diagnostics import Place
from airflow_doeks.language.text import Document

VARIABLE = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Layer(NamedTuple):
    """A mapping of a document that supplies values; ``variables`` is where that document's ``${name}`` come from."""

    document: Document
    prefix: tuple[Any, ...]
    variables: tuple[Layer, ...] = ()


def merge(lower: Any, upper: Any) -> Any:
    """Mappings merge by key, everything else of the upper replaces. Neither argument is changed."""
    if not isinstance(lower, dict) or not isinstance(upper, dict):
        return upper
    result = dict(lower)
    for key, value in upper.items():
        result[key] = merge(lower[key], value) if key in lower else value
    return result


def without_nulls(values: dict[str, Any]) -> dict[str, Any]:
    """The mapping without keys whose value is null, at every depth."""
    return {
        key: without_nulls(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }


def variables_in(value: Any) -> list[str]:
    """Names of the variables a scalar holds."""
    return [name for _, name in VARIABLE.findall(value) if name] if isinstance(value, str) else []


def origin(layers: tuple[Layer, ...], path: tuple[Any, ...], *, at_key: bool = False) -> Place | None:
    """Where a merged value was written: the highest layer that has it; through a variable, where that is set."""
    for layer in reversed(layers):
        full = (*layer.prefix, *path)
        node, found = layer.document.find(full, at_key=at_key)
        if not found:
            continue
        names = [] if at_key else variables_in(node.value)
        place = origin(layer.variables, (names[0],)) if names and layer.variables else None
        return place or layer.document.place_of(node)
    return None


def as_written(values: Any, layers: tuple[Layer, ...], path: tuple[Any, ...]) -> Any:
    """The values that stand at a path, their numbers with a point as the text that somebody wrote: 3.10 is not 3.1."""
    if isinstance(values, dict):
        return {key: as_written(value, layers, (*path, key)) for key, value in values.items()}
    if isinstance(values, list):
        return [as_written(value, layers, (*path, index)) for index, value in enumerate(values)]
    return _text_of(layers, path) or values if type(values) is float else values


def _text_of(layers: tuple[Layer, ...], path: tuple[Any, ...]) -> str | None:
    """The text of the scalar that counts at a path; through a variable, where that is set."""
    for layer in reversed(layers):
        node, found = layer.document.find((*layer.prefix, *path))
        if found:
            names = variables_in(node.value)
            return _text_of(layer.variables, (names[0],)) if names else str(node.value)
    return None


@dataclass(frozen=True, eq=False)
class Sources(Mapping[str, str]):
    """Dotted path below a task -> ``file:line:col``; looked up in the files' text when asked, free until then.

    ``resolved`` holds the values that the task has.
    """

    layers: Mapping[str, tuple[Layer, ...]]
    resolved: Mapping[str, Any]
    home: str = ""
    _cache: dict[str, str] = field(default_factory=dict, repr=False)

    def relative_to(self, folder: object) -> Sources:
        """The same with files relative to a folder, so that hosts agree."""
        return Sources(self.layers, self.resolved, str(folder))

    def __getitem__(self, dotted: str) -> str:
        if dotted not in self._cache:
            path = next(steps_of(dotted, self.resolved), None)
            if path is None:
                raise KeyError(dotted)
            layers = self.layers[path[0] if path else ""]
            place = origin(layers, path) if path else layers[-1].document.place(layers[-1].prefix, at_key=True)
            if place is None:
                raise KeyError(dotted)
            if self.home:
                place = place._replace(file=os.path.relpath(place.file, self.home))
            self._cache[dotted] = str(place)
        return self._cache[dotted]

    def __iter__(self) -> Iterator[str]:
        yield ""
        for path in leaves(self.resolved):
            if self.get(".".join(map(str, path))):
                yield ".".join(map(str, path))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __deepcopy__(self, memo: Any) -> Sources:
        return self

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def steps_of(dotted: str, values: Any) -> Iterator[tuple[Any, ...]]:
    """The paths that a dotted text can mean in some values; keys may hold dots themselves (Spark properties)."""
    if not dotted:
        yield ()
        return
    if isinstance(values, list):
        head, _, rest = dotted.partition(".")
        if head.isdigit() and int(head) < len(values):
            yield from ((int(head), *steps) for steps in steps_of(rest, values[int(head)]))
    elif isinstance(values, Mapping):
        for key, value in values.items():
            if dotted == key:
                yield (key,)
            elif dotted.startswith(f"{key}."):
                yield from ((key, *steps) for steps in steps_of(dotted[len(key) + 1 :], value))


def leaves(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all scalars and empty collections."""
    children = (
        values.items() if isinstance(values, Mapping) else enumerate(values) if isinstance(values, list) else None
    )
    if children is None or not values:
        if path:
            yield path
        return
    for key, value in children:
        yield from leaves(value, (*path, key))


def texts(values: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Path and value of every text."""
    for path in leaves(values):
        value = values
        for step in path:
            value = value[step]
        if isinstance(value, str):
            yield path, value
