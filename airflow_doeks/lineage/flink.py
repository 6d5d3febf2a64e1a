"""Lineage of Flink jobs: the tables that our SQL runner names in a job's parameters, with Flink's own counters.

What comes in is what Flink's REST API and a job's archive tell, plain JSON; Flink 1.18 to 2.3, read November 2026.
"""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_doeks.lineage.flink_tables import NOTHING, table_names
from airflow_doeks.lineage.names import Name
from airflow_doeks.lineage.reasons import Reasons
from airflow_doeks.model.lineage import Dataset, Lineage

TABLES = "doeks.tables"  # key of the global job parameters that SqlRunner.java writes
_OPERATOR = re.compile(r"(?:Source: |Sink: )?(?P<table>.+?)\[\d+\](?:: (?P<part>\w+))?")
_NODE = re.compile(r"(?P<indent>[: ]*)(?:\+- )?(?:\[\d+\]:)?(?P<text>.*)")
_RESTARTED = "the job restarted, and what was done twice is counted twice"
_WRITERS = ("Writer", None)  # of what a sink is made of, the part that records go into


@dataclass(frozen=True)
class Counted:
    """The last value of one counter of one operator's subtask, in one attempt."""

    job_id: str
    vertex: str
    operator: str
    name: str
    subtask: str
    attempt: int
    value: int


@dataclass(frozen=True)
class SeenJob:
    """What a job manager tells of one job.

    Attributes:
        job: of ``jobs/<id>``; ``config``: of ``jobs/<id>/config``; ``plan``: of ``jobs/<id>/plan``.
        counters: of all of its operators; None where nobody kept them.
        restored: how often it began from a checkpoint or savepoint, its job manager's own restarts among them.
    """

    job: Mapping[str, Any]
    config: Mapping[str, Any]
    plan: Mapping[str, Any]
    counters: Sequence[Counted] | None = None
    restored: int = 0


@dataclass
class _Table:
    name: Name
    format: str | None
    rows: list[int | None] = field(default_factory=list)
    bytes: list[int | None] = field(default_factory=list)
    why: str = ""
    slot_ms: float = 0


def flink_lineage(jobs: Iterable[SeenJob]) -> tuple[Lineage, tuple[str, ...]]:
    """The datasets of an application's jobs, and why they are not complete, if so."""
    inputs: dict[Name, _Table] = {}
    outputs: dict[Name, _Table] = {}
    why = Reasons()
    slot_ms = 0
    for seen in jobs:
        reading = _Reading(seen, inputs, outputs, why)
        reading.read()
        slot_ms += sum(reading.slots().values())
    if not inputs and not outputs and not list(why):
        why.add("it ran no Flink job that told of its data")
    shares = {table.name: table.slot_ms / slot_ms if slot_ms else None for table in outputs.values()}
    lineage = Lineage(
        inputs=tuple(_dataset(table, most=True) for table in inputs.values()),
        outputs=tuple(
            _dataset(table).model_copy(update={"slot_share": shares[table.name]}) for table in outputs.values()
        ),
        complete=not list(why),
    )
    return lineage, tuple(why)


class _Reading:
    """One job, on its way into the datasets of its application."""

    def __init__(self, seen: SeenJob, inputs: dict[Name, _Table], outputs: dict[Name, _Table], why: Reasons) -> None:
        self.seen, self.inputs, self.outputs, self.why = seen, inputs, outputs, why
        self.title = str(seen.job.get("name") or seen.job.get("jid"))

    def read(self) -> None:
        """Its tables, with what was counted of each."""
        told = (self.seen.config.get("execution-config") or {}).get("user-config") or {}
        try:
            tables = json.loads(told[TABLES])
            options, reads, writes = tables["options"], tables["reads"], tables["writes"]
        except (KeyError, TypeError, ValueError):
            self.why.add(f"job {self.title!r} does not say what it reads and writes: declare it under reads and writes")
            return
        for table in reads:
            self._add(self.inputs, table, options.get(table) or {}, *self._read_of(table, reads))
        ends: dict[str, list[_Table]] = {}
        for table, input_ in writes:
            counts, why, vertices = self._written_to(table, input_, writes)
            for known in self._add(self.outputs, table, options.get(table) or {}, counts, why):
                for vertex in vertices:
                    ends.setdefault(vertex, []).append(known)
        self._spend(ends)

    def _add(
        self, into: dict[Name, _Table], table: str, options: Mapping[str, str], counts: tuple[int | None, ...], why: str
    ) -> list[_Table]:
        connector = options.get("connector") or options.get("catalog-type")
        if connector in NOTHING:
            return []
        names = table_names(table, options)
        for name in names:
            known = into.setdefault(name, _Table(name, options.get("format") or connector))
            alone = len(names) == 1
            known.rows.append(counts[0] if alone else None)
            known.bytes.append(counts[1] if alone else None)
            known.why = known.why or (why if alone else "several datasets of one table are counted together")
        return [into[name] for name in names]

    def slots(self) -> dict[str, int]:
        """Vertex -> the time that its subtasks held slots."""
        vertices = self.seen.job.get("vertices") or ()
        return {one["id"]: max(one.get("duration") or 0, 0) * (one.get("parallelism") or 1) for one in vertices}

    def _spend(self, ends: Mapping[str, Sequence[_Table]]) -> None:
        """The slot time of each vertex goes, in equal parts, to what it leads to."""
        nodes = (self.seen.plan.get("plan") or self.seen.plan).get("nodes") or ()
        fed_by = {node["id"]: [one["id"] for one in node.get("inputs") or ()] for node in nodes}
        leads_to: dict[str, list[_Table]] = {}
        for end, tables in ends.items():
            waiting, met = [end], {end}
            while waiting:
                at = waiting.pop()
                leads_to.setdefault(at, []).extend(tables)
                new = [one for one in fed_by.get(at, ()) if one not in met]
                met.update(new)
                waiting += new
        slots = self.slots()
        for vertex, tables in leads_to.items():
            for table in tables:
                table.slot_ms += slots.get(vertex, 0) / len(tables)

    def _read_of(self, table: str, reads: Sequence[str]) -> tuple[tuple[int | None, int | None], str]:
        short = table.rpartition(".")[2]
        if sum(one.rpartition(".")[2] == short for one in reads) > 1:
            return (None, None), f"two tables named {short} are counted together"
        operators = {
            key: values
            for key, values in self._operators().items()
            if (match := _OPERATOR.fullmatch(key[1])) and match["table"] == short and "numRecordsIn" in values
        }
        if not operators:
            return self._vertex_of(short)
        if lost := self._uncounted(operators):
            return (None, None), lost
        rows = max(self._sum(values, "numRecordsOut") for values in operators.values())
        taken = max(self._sum(values, "numBytesIn") for values in operators.values())
        return self._exact(rows, taken)

    def _vertex_of(self, short: str) -> tuple[tuple[int | None, int | None], str]:
        """Where counters were not kept: a vertex that begins with the source counts what the source took."""
        vertices = [one for one in self.seen.job.get("vertices") or () if f"{short}[" in str(one.get("name"))]
        rows = [
            one["metrics"]["read-records"]
            for one in vertices
            if str(one["name"]).startswith(f"Source: {short}[") and one["metrics"].get("read-records-complete")
        ]
        if not rows or len(rows) != len(vertices) or not max(rows):
            return (None, None), "Flink's counters of it were not seen"
        if self._has_restarted():
            return (None, None), _RESTARTED
        return self._exact(max(rows), 0)

    def _written_to(
        self, table: str, input_: str, writes: Sequence[Sequence[str]]
    ) -> tuple[tuple[int | None, int | None], str, set[str]]:
        """What was counted of it, why not if not, and the vertices that write it."""
        short = table.rpartition(".")[2]
        sinks = {key: values for key, values in self._operators().items() if _is_sink(key[1])}
        mine = {
            key: values
            for key, values in sinks.items()
            if (match := _OPERATOR.fullmatch(key[1])) and match["table"] == short and match["part"] in _WRITERS
        }
        if not mine:
            fed = {vertex for vertex, text in _before_sinks(self.seen.plan) if text == input_}
            mine = {key: values for key, values in sinks.items() if key[0] in fed and not _OPERATOR.fullmatch(key[1])}
        if not mine and len(writes) == 1:
            mine = sinks
        vertices = {vertex for vertex, _ in mine} or {
            vertex for vertex, text in _before_sinks(self.seen.plan) if text == input_
        }
        if self.seen.job.get("state") == "FAILED":
            return (None, None), "the job failed, and what it had counted may not be there", vertices
        if len(mine) != 1:
            return (None, None), "Flink's counters of it were not seen", vertices
        if lost := self._uncounted(mine):
            return (None, None), lost, vertices
        (values,) = mine.values()
        rows, moved = self._sum(values, "numRecordsIn"), self._sum(values, "numBytesSend", "numBytesOut")
        return *self._exact(rows, moved), vertices

    def _exact(self, rows: int, moved: int) -> tuple[tuple[int | None, int | None], str]:
        """Counts that are told only where no restart has counted records twice."""
        is_stream = str(self.seen.job.get("job-type") or self.seen.plan.get("type")).upper() != "BATCH"
        if is_stream and (self._has_restarted() or any(one.attempt for one in self.seen.counters or ())):
            return (None, None), _RESTARTED
        return (rows, moved or None), "" if moved else "its connector counts no bytes"

    def _has_restarted(self) -> bool:
        return bool(self.seen.restored or (self.seen.job.get("timestamps") or {}).get("RESTARTING"))

    def _uncounted(self, operators: Mapping[tuple[str, str], Mapping[str, Mapping[str, tuple[int, int]]]]) -> str:
        """Why counters of operators are not all there are: a task manager that is killed leaves none of its own."""
        width = {str(one["id"]): int(one.get("parallelism") or 0) for one in self.seen.job.get("vertices") or ()}
        for (vertex, _), values in operators.items():
            kept = len({subtask for subtasks in values.values() for subtask in subtasks})
            if kept < width.get(vertex, 0):
                return f"counters of {kept} of its {width[vertex]} subtasks were kept: a task manager was lost"
        return ""

    def _operators(self) -> dict[tuple[str, str], dict[str, dict[str, tuple[int, int]]]]:
        """(vertex, operator) -> counter -> subtask -> its last attempt, and the value."""
        found: dict[tuple[str, str], dict[str, dict[str, tuple[int, int]]]] = {}
        for one in self.seen.counters or ():
            if one.job_id == self.seen.job.get("jid"):
                subtasks = found.setdefault((one.vertex, one.operator), {}).setdefault(one.name, {})
                subtasks[one.subtask] = max(subtasks.get(one.subtask, (-1, 0)), (one.attempt, one.value))
        return found

    @staticmethod
    def _sum(values: Mapping[str, Mapping[str, tuple[int, int]]], *names: str) -> int:
        """A counter of all subtasks; of several names the first that is not 0."""
        sums = (sum(value for _, value in values.get(name, {}).values()) for name in names)
        return next((one for one in sums if one), 0)


def _is_sink(operator: str) -> bool:
    match = _OPERATOR.fullmatch(operator)
    return operator.startswith("Sink: ") or operator in _FILE_WRITERS or bool(match and match["part"] == "Writer")


_FILE_WRITERS = frozenset({"StreamingFileWriter", "streaming-writer", "compact-coordinator"})


def _before_sinks(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(vertex, text of the operator that feeds a sink in it) of a plan."""
    for node in (plan.get("plan") or plan).get("nodes") or ():
        lines = [line for line in re.split(r"<br\s*/?>", html.unescape(str(node.get("description")))) if line.strip()]
        texts = [match["text"] for line in lines if (match := _NODE.fullmatch(line))]
        for before, text in itertools.pairwise(texts):
            if _is_sink(text):
                yield str(node["id"]), before


def _dataset(table: _Table, *, most: bool = False) -> Dataset:
    """Reads of the same data count once, writes add up; one that is unknown makes the whole unknown."""

    def together(values: Sequence[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        if len(known) < len(values) or not known:
            return None
        return max(known) if most else sum(known)

    rows, size = together(table.rows), together(table.bytes)
    return Dataset(
        namespace=table.name.namespace,
        name=table.name.name,
        rows=rows,
        bytes=size,
        format=table.format,
        why_unknown=table.why or None if rows is None or size is None else None,
    )
