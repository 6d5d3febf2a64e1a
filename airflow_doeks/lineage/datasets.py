"""Input and output datasets with their counts, as they add up over the SQL executions of an application."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from airflow_doeks.lineage.names import Name
from airflow_doeks.lineage.plans import Scan, Write
from airflow_doeks.lineage.reasons import Reasons
from airflow_doeks.model.lineage import Column, Dataset


class Counts(NamedTuple):
    """Rows, bytes and files; None where unknown."""

    rows: int | None = None
    bytes: int | None = None
    files: int | None = None

    def most(self, other: Counts) -> Counts:
        """The same data counted twice."""
        return Counts(
            *(max((n for n in pair if n is not None), default=None) for pair in zip(self, other, strict=True))
        )

    def plus(self, other: Counts) -> Counts:
        """Different data; a sum with an unknown is unknown."""
        pairs = zip(self, other, strict=True)
        return Counts(*(None if a is None or b is None else a + b for a, b in pairs))


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of different data; unknown of nothing."""
    result: Counts | None = None
    for one in counts:
        result = one if result is None else result.plus(one)
    return result or Counts()


@dataclass(slots=True)
class _Known:
    parts: dict[str, Counts] = field(default_factory=dict)
    format: str | None = None
    tables: dict[str, None] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)
    slot_ms: float = 0
    is_stream: bool = False

    @property
    def counts(self) -> Counts:
        """All of it: different parts add up, readers of a stream read the same."""
        if not self.is_stream:
            return total(self.parts.values())
        most = Counts()
        for counts in self.parts.values():
            most = most.most(counts)
        return most


@dataclass
class Datasets:
    """What was read and written. ``why`` tells what is missing; anything in it makes the lineage incomplete."""

    inputs: dict[Name, _Known] = field(default_factory=dict)
    outputs: dict[Name, _Known] = field(default_factory=dict)
    why: Reasons = field(default_factory=Reasons)

    def read(self, scan: Scan, counts: Counts) -> None:
        """A scan. The same part of the same data read twice counts once; several datasets share no counts."""
        if not scan.is_whole:
            self.why.add(
                "paths of an input were cut off in the log; set spark.sql.maxMetadataStringLength=100000 to see all"
            )
        for name in scan.names:
            known = self._input(name, scan)
            mine = counts if len(scan.names) == 1 and scan.is_whole else Counts()
            known.parts[scan.key] = known.parts[scan.key].most(mine) if scan.key in known.parts else mine

    def read_more(self, name: Name, query: str, counts: Counts, scan: Scan | None = None) -> None:
        """New data of a stream: counts add up within a query; queries read the same data."""
        known = self._input(name, scan) if scan else self.inputs.setdefault(name, _Known())
        known.is_stream = True
        known.parts[query] = known.parts[query].plus(counts) if query in known.parts else counts

    def wrote(self, write: Write, counts: Counts, columns: Sequence[Column] = ()) -> None:
        """A write that succeeded; an overwrite takes the place of what was written before."""
        known = self._output(write)
        counts = Counts() if write.mode == "rewrite" else counts
        names = write.columns if len(write.columns) == len(columns) else [column.name for column in columns]
        for name, column in zip(names, columns, strict=True):
            known.columns[name] = column.model_copy(update={"name": name})
        if write.mode in ("overwrite", "rewrite"):
            for part in [part for part in known.parts if _is_within(part, write.part)]:
                del known.parts[part]
            known.parts[write.part] = counts
        else:
            known.parts[write.part] = known.parts[write.part].plus(counts) if write.part in known.parts else counts

    def failed(self, write: Write, why: str) -> None:
        """A write that left nothing to count on."""
        self._output(write)
        self.why.add(why)

    def spent(self, names: list[Name], slot_ms: int) -> None:
        """Slot time that went into these outputs, in equal parts."""
        for name in names:
            self.outputs[name].slot_ms += slot_ms / len(names)

    def _input(self, name: Name, scan: Scan) -> _Known:
        known = self.inputs.setdefault(name, _Known())
        known.format = known.format or scan.format
        if scan.table is not None and scan.table != name:
            known.tables[str(scan.table)] = None
        for column, kind in scan.schema:
            known.columns.setdefault(column, Column(name=column, type=kind))
        return known

    def _output(self, write: Write) -> _Known:
        known = self.outputs.setdefault(write.name, _Known())
        known.format = write.format or known.format
        if write.table is not None and write.table != write.name:
            known.tables[str(write.table)] = None
        for column in write.columns:
            known.columns.setdefault(column, Column(name=column))
        return known

    def listed(self, slot_ms: int | None) -> tuple[tuple[Dataset, ...], tuple[Dataset, ...]]:
        """(inputs, outputs); shares are of ``slot_ms``, the slot time of the whole application."""
        paths = {
            table: name for known in (self.inputs, self.outputs) for name, k in known.items() for table in k.tables
        }
        for name in [name for name in self.outputs if str(name) in paths and paths[str(name)] != name]:
            self._place(name, paths[str(name)])
        inputs = tuple(_dataset(name, known, None) for name, known in self.inputs.items())
        outputs = tuple(
            _dataset(name, known, known.slot_ms / slot_ms if slot_ms else None) for name, known in self.outputs.items()
        )
        return inputs, outputs

    def _place(self, table: Name, path: Name) -> None:
        """A table that was written under its name and elsewhere seen with its path goes by its path."""
        known = self.outputs.pop(table)
        known.tables[str(table)] = None
        other = self.outputs.get(path)
        if other is None:
            self.outputs[path] = known
            return
        other.slot_ms += known.slot_ms
        other.tables[str(table)] = None
        for part, counts in known.parts.items():
            other.parts[part] = other.parts[part].plus(counts) if part in other.parts else counts

    @property
    def attributed_ms(self) -> float:
        """Slot time that outputs claim."""
        return sum(known.slot_ms for known in self.outputs.values())


def _is_within(part: str, other: str) -> bool:
    """True of a partition and those below it; all is within the whole."""
    return not other or f"{part}/".startswith(f"{other}/")


def _dataset(name: Name, known: _Known, share: float | None) -> Dataset:
    counts = known.counts
    return Dataset(
        namespace=name.namespace,
        name=name.name,
        rows=counts.rows,
        bytes=counts.bytes,
        files=counts.files,
        format=known.format,
        slot_share=share,
        symlinks=tuple(known.tables),
        columns=tuple(known.columns.values()),
    )
