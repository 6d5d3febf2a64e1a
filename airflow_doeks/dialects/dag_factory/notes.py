"""What a conversion tells a person, and what a handler of a key gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from airflow_doeks.dialects.dag_factory.text import Tagged


class Note(NamedTuple):
    """One line for a person; ``todo``: something is left to do."""

    text: str
    todo: bool = True


@dataclass(frozen=True)
class Taken:
    """What became of a value of the source.

    Attributes:
        ours: the keys of ours that say the same.
        left: what of the value neither ``ours`` nor ``notes`` holds; whoever called the handler tells it. Null and
            empty collections are nothing.
        notes: what a person must know.
    """

    ours: Mapping[str, Any] = field(default_factory=dict)
    left: Any = None
    notes: tuple[Note, ...] = ()


Handler = Callable[[str, Any], Taken]  # key and value of the source -> what became of them


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True


_Dumper.add_representer(Tagged, lambda dumper, tagged: dumper.represent_data({f"!{tagged.tag}": tagged.value}))


def one_line(value: Any) -> str:
    """A value of the source as a note shows it: whole, and on one line."""
    if not isinstance(value, str):
        value = yaml.dump(
            value, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf")
        ).removesuffix("...\n")
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in " ".join(value.split()))


def lost(key: str, value: Any, why: str = "") -> Note:
    """The note that a key of the source has no place in ours."""
    return Note(f"`{key}: {one_line(value)}` did not carry over{why and ': '}{why}")


def needless(key: str, value: Any, why: str) -> Note:
    """The note that a key of the source needs none of ours."""
    return Note(f"`{key}: {one_line(value)}` has no key here: {why}", todo=False)


def left_over(key: str, taken: Taken) -> tuple[Note, ...]:
    """All notes of a value, with one for what its handler left."""
    return (*taken.notes, lost(key, taken.left)) if taken.left not in (None, {}, []) else taken.notes


def nowhere(why: str) -> Handler:
    """The handler of a key that ours has no place for."""
    return lambda key, value: Taken(notes=(lost(key, value, why),))
