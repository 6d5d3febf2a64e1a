"""YAML text to plain values and places: one strict reading of YAML, without tags, surprises or bombs.

Only true, false, null and decimal numbers are typed; every other plain scalar is text (``no``, ``on``, ``010``,
``12:30`` and dates stay what was written). Nothing is ever executed or expanded.
"""

from __future__ import annotations

import codecs
import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from airflow_doeks.language.diagnostics import MAX_FAULTS, Diagnostic, Place, more_faults
from airflow_doeks.model.code_path import PROJECT_FILE

MAX_BYTES = 512 * 1024
MAX_NODES = 50_000  # after aliases are expanded; the largest honest file seen has 3,000
LINE_LENGTH = 80  # a longer scalar counts as a value a line, or aliases of a long text would be a bomb, too
MAX_DEPTH = 50
MAX_DIGITS = 300  # a longer number stays text; Python refuses to read one above 4,300
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)?\.[0-9]+([eE][-+]?[0-9]{1,3})?|[-+]?[1-9][0-9]*([eE][-+]?[0-9]{1,3}|\.)")
# libyaml's composer recurses in C and overruns its stack near 10,000 levels; a level takes a character at least.
_SHALLOW_LENGTH = 4096
# Of libyaml's parser (since 0.2.3) "... nesting level of 1000", of its scanner (since 0.2.6) "... nesting depth".
_LIMIT = "exceeded maximum nesting"


class _Loader(_BASE):
    """Composes nodes; a plain scalar gets tag ``p``, a quoted one ``s``, so that the reader decides what it means."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:  # noqa: ARG002 - PyYAML's signature
        return "p" if kind is yaml.ScalarNode and implicit[0] else "s"

    def descend_resolver(self, parent: Any, index: Any) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass


class Refused(Exception):
    """The text is not a document of ours; holds the diagnostic."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(str(diagnostic))
        self.diagnostic = diagnostic


@dataclass
class Document:
    """One YAML file that could be read: its values, and on demand where each stands."""

    file: str
    text: str
    data: Any = None
    diagnostics: list[Diagnostic] = field(default_factory=list)
    respells: bool = False  # it holds a number that is printed otherwise than it was written, such as 3.10

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines of the text; all diagnostics of the file share them."""
        return tuple(self.text.splitlines())

    @cached_property
    def root(self) -> Any:
        """The node graph, composed again from the text; only faults, sources and explanations ask for it."""
        return yaml.compose(self.text, Loader=_Loader)

    def find(self, path: tuple[Any, ...], *, at_key: bool = False) -> tuple[Any, bool]:
        """The node at a path, or of its longest start that exists, and whether all of the path exists."""
        node = shown = self.root
        for depth, step in enumerate(path):
            key, below = _child(node, step)
            if below is None:
                return shown, False
            node = below
            shown = key if at_key and depth == len(path) - 1 and key is not None else below
        return shown, True

    def place(self, path: tuple[Any, ...] = (), *, at_key: bool = False) -> Place:
        """Where the value at a path stands, or its key."""
        return self.place_of(self.find(path, at_key=at_key)[0])

    def place_of(self, node: Any) -> Place:
        """Where a node stands."""
        if node is None:
            return self.place_at(None)
        start, end = node.start_mark, node.end_mark
        width = end.column - start.column if end.line == start.line else 1
        return Place(self.file, start.line + 1, start.column + 1, max(width, 1))

    def place_at(self, mark: Any) -> Place:
        """Where a mark of PyYAML stands, one character wide; the start of the file without one."""
        return Place(self.file, mark.line + 1, mark.column + 1, 1) if mark else Place(self.file, 1, 1, 1)

    def fault(
        self, code: str, message: str, path: tuple[Any, ...] = (), *, at_key: bool = False, **more: Any
    ) -> Diagnostic:
        """A diagnostic at a path of this file."""
        return Diagnostic(code, message, self.place(path, at_key=at_key), lines=self.lines, **more)


def _child(node: Any, step: Any) -> tuple[Any, Any]:
    """Key node and value node of a step; explicit keys before merged ones."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key, value
        for key, value in node.value:
            if key.tag == "p" and key.value == "<<":
                for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    found = _child(merged, step)
                    if found[1] is not None:
                        return found
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    return None, None


def read(path: str | Path, name: str | None = None) -> Document:
    """The document in a file; raises Refused with the one diagnostic that says why there is none."""
    file = name or str(path)
    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - half the price of Path
            raw = stream.read()
    except OSError as error:
        raise Refused(Diagnostic("DK112", f"cannot be read: {error.strerror or error}", Place(file, 1, 1))) from error
    return parse(raw, file)


def parse(raw: bytes, file: str) -> Document:
    """The document in some bytes; raises Refused like `read`."""
    if len(raw) > MAX_BYTES:
        message = f"the file has {len(raw):,} bytes; at most {MAX_BYTES:,} are read"
        raise Refused(Diagnostic("DK103", message, Place(file, 1, 1, 1)))
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        lines = tuple(raw.decode("utf-8", "replace").splitlines())
        message = f"not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}"
        place = Place(file, before.count(b"\n") + 1, column, 1)
        raise Refused(Diagnostic("DK102", message, place, help="save the file as UTF-8", lines=lines)) from error
    document = Document(file, text)
    try:
        if len(text) > _SHALLOW_LENGTH:
            _check_depth(document)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise Refused(_not_yaml(document, error)) from error
    if root is None:
        message = "the file is empty; a pipeline starts with keys such as schedule and tasks"
        if Path(file).name == PROJECT_FILE:
            message = "the file is empty; it starts with platforms, as `doeks init` writes them"
        raise Refused(Diagnostic("DK112", message, Place(file, 1, 1, 1), lines=document.lines))
    reader = _Reader(document)
    document.data = reader.value(root, 0)
    if reader.hidden:
        document.diagnostics.append(more_faults(file, document.lines, reader.hidden))
    return document


def _check_depth(document: Document) -> None:
    depth = 0
    for event in yaml.parse(document.text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise Refused(_too_deep(document, event.start_mark))


def _too_deep(document: Document, mark: Any) -> Diagnostic:
    advice = "an alias (*name) that contains itself has no end" if "*" in document.text else "nest less"
    message = f"nested deeper than {MAX_DEPTH} levels"
    return Diagnostic("DK103", message, document.place_at(mark), help=advice, lines=document.lines)


def _not_yaml(document: Document, error: yaml.YAMLError) -> Diagnostic:
    from airflow_doeks.language.syntax import syntax_fault

    if _LIMIT in str(error):
        return _too_deep(document, getattr(error, "problem_mark", None))
    return syntax_fault(document, yaml.scan(document.text, Loader=_Loader), error)


class _Reader:
    """Nodes to plain values, counting what aliases expand to."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes = 0
        self.hidden = 0  # duplicate keys beyond those that are told

    def value(self, node: Any, depth: int) -> Any:
        self.nodes += 1
        if type(node) is yaml.ScalarNode:
            if len(node.value) > LINE_LENGTH:
                self.nodes += len(node.value) // LINE_LENGTH
                self._count(node)
            tag = node.tag
            if tag == "s":
                return node.value
            try:
                found = plain(node.value) if tag == "p" else self._tagged(node)
            except OverflowError as error:
                message = f"{node.value} is out of range; no number here is above 1e308"
                raise Refused(self._fault("DK110", message, node)) from error
            if type(found) is float and str(found) != node.value:
                self.document.respells = True
            return found
        self._count(node)
        if depth > MAX_DEPTH:
            raise Refused(_too_deep(self.document, node.start_mark))
        if node.tag != "s":
            self._tagged(node)
        if type(node) is yaml.MappingNode:
            return self._mapping(node, depth)
        return [self.value(item, depth + 1) for item in node.value]

    def _count(self, node: Any) -> None:
        if self.nodes > MAX_NODES:
            message = f"more than {MAX_NODES:,} values once aliases are expanded"
            advice = "an alias (*name) that repeats aliases, or a long text, grows like a bomb"
            raise Refused(self._fault("DK103", message, node, help=advice))

    def _mapping(self, node: Any, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[Any] = []
        for key, item in node.value:
            if type(key) is not yaml.ScalarNode:
                raise Refused(self._no_key(node, key))
            name = key.value
            if name == "<<" and key.tag == "p":
                merged += item.value if isinstance(item, yaml.SequenceNode) else [item]
                continue
            if name in result:
                self._duplicate(node, key)
            if key.tag not in ("p", "s"):
                self._tagged(key)
            result[name] = self.value(item, depth + 1)
        for item in merged:
            if not isinstance(item, yaml.MappingNode):
                raise Refused(self._fault("DK111", "<< must name a mapping, such as *defaults", item))
            for name, inherited in self.value(item, depth + 1).items():
                result.setdefault(name, inherited)
        return result

    def _no_key(self, node: Any, key: Any) -> Diagnostic:
        from airflow_doeks.language.syntax import unquoted_template

        return unquoted_template(self.document, node) or self._fault("DK111", "a key must be text", key)

    def _duplicate(self, node: Any, key: Any) -> None:
        if len(self.document.diagnostics) >= MAX_FAULTS:
            self.hidden += 1
            return
        first = next(other for other, _ in node.value if other.value == key.value)
        message = f'key "{key.value}" is already set on line {first.start_mark.line + 1}'
        self.document.diagnostics.append(self._fault("DK201", message, key, help="keep one of them"))

    def _tagged(self, node: Any) -> Any:
        if node.tag == "!" or node.tag in _TAGS:
            text = node.tag == "!" or node.tag.endswith(":str")
            return node.value if text or type(node) is not yaml.ScalarNode else plain(node.value)
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        raise Refused(
            self._fault("DK111", f"tag {tag} is not allowed", node, help="write plain values; nothing is executed")
        )

    def _fault(self, code: str, message: str, node: Any, *, help: str = "") -> Diagnostic:  # noqa: A002 - the word of the output
        return Diagnostic(code, message, self.document.place_of(node), help=help, lines=self.document.lines)


def plain(text: str) -> Any:
    """What a plain scalar means; raises OverflowError for a number that only infinity is."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "0123456789+-.":
        if _INT.fullmatch(text) and len(text) <= MAX_DIGITS:
            return int(text)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isinf(number):
                raise OverflowError
            return number
    return text
