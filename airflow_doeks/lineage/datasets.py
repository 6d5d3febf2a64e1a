"""Input and output datasets with their counts, as they add up over the SQL executions of an application."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from airflow_doeks.lineage.counts import Counts, total
from airflow_doeks.lineage.names import Name, is_within, without_partitions
from airflow_doeks.lineage.plans import Scan, Write
from airflow_doeks.lineage.reasons import Reasons
from airflow_doeks.lineage.slices import FILTERED, Slice, fold
from airflow_doeks.model.lineage import Column, Dataset

_TOGETHER = "one scan read several datasets, which the log counts together"
_TABLE_CHANGED = "its table was dropped, emptied, moved or renamed: the log does not tell what is left"
_IN_PLACE = "rows were changed in place (MERGE, UPDATE, DELETE): the log does not tell what it holds now"


@dataclass
class _Known:
    """What input and output datasets have in common. ``why`` tells why a count is not known."""

    format: str | None = None
    tables: dict[str, None] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)
    why: str = ""

    def named(self, name: Name, table: Name | None) -> None:
        """It goes by another name, too."""
        if table is not None and table != name:
            self.tables[str(table)] = None


@dataclass
class _Input(_Known):
    parts: dict[Slice, Counts] = field(default_factory=dict)
    by_query: dict[str, Counts] = field(default_factory=dict)  # of a stream: readers of one read the same data

    def counts(self) -> tuple[Counts, str]:
        """All of it; why it is not known, where its parts overlap."""
        most, why = fold(self.parts)
        for counts in self.by_query.values():
            most = most.most(counts)
        return most, why


@dataclass
class _Output(_Known):
    parts: dict[str, Counts] = field(default_factory=dict)  # by partition, "" for the whole
    flat: set[str] = field(default_factory=set)  # parts without partitions below them
    slot_ms: float = 0

    def wrote(self, write: Write, counts: Counts) -> str:
        """Put a write in the place of what it replaced; why what is left cannot be known, if so."""
        if write.mode in ("dynamic", "partition") and counts.rows == 0:
            self.parts.setdefault(write.into, counts)
            return ""  # no partition was touched
        region = write.into if write.mode in ("dynamic", "partition") else write.part
        inside = [] if write.mode == "append" else [part for part in self.parts if _is_within(part, region)]
        wider = [] if write.mode == "append" else [p for p in self.parts if p != region and _is_within(region, p)]
        doubtful = [part for part in wider if self.parts[part].rows != 0 and part not in self.flat]
        if write.mode in ("dynamic", "unsure"):
            doubtful += [part for part in inside if self.parts[part].rows != 0]
        else:
            for part in inside:
                del self.parts[part]
        self.parts |= dict.fromkeys(doubtful, Counts())
        if write.is_flat and (write.into in self.flat or write.into not in self.parts):
            self.flat.add(write.into)
        else:
            self.flat.discard(write.into)
        self.parts[write.into] = self.parts[write.into].plus(counts) if write.into in self.parts else counts
        return "a part of it was overwritten: the log does not tell what that part held" if doubtful else ""


@dataclass
class Datasets:
    """What was read and written. ``why`` tells what is missing; anything in it makes the lineage incomplete."""

    inputs: dict[Name, _Input] = field(default_factory=dict)
    outputs: dict[Name, _Output] = field(default_factory=dict)
    why: Reasons = field(default_factory=Reasons)
    looked_at: dict[Name, tuple[Scan, Counts]] = field(default_factory=dict)  # text that a scan may read as data

    def read(self, scan: Scan, counts: Counts) -> None:
        """A scan. The same part of the same data read twice counts once; several datasets share no counts."""
        if not scan.is_whole:
            self.why.add(
                "paths of an input were cut off in the log; set spark.sql.maxMetadataStringLength=100000 to see all"
            )
        if scan.looks_for and scan.is_whole:
            self.looked_at |= dict.fromkeys(scan.names, (scan, counts))
            return
        for name in scan.names:
            known = self._input(name, scan)
            is_alone = len(scan.names) == 1 and scan.is_whole
            mine = counts if is_alone else Counts()
            known.why = known.why or (scan.unseen if is_alone else _TOGETHER)
            known.parts[scan.part] = known.parts[scan.part].most(mine) if scan.part in known.parts else mine

    def read_more(self, name: Name, query: str, counts: Counts, scan: Scan | None = None) -> None:
        """New data of a stream: counts add up within a query; queries read the same data."""
        known = self._input(name, scan) if scan else self.inputs.setdefault(name, _Input())
        known.by_query[query] = known.by_query[query].plus(counts) if query in known.by_query else counts

    def wrote(self, write: Write, counts: Counts, columns: Sequence[Column] = ()) -> None:
        """A write that succeeded; an overwrite takes the place of what was written before."""
        write = self._resolved(write)
        known = self._output(write)
        names = write.columns if len(write.columns) == len(columns) else [column.name for column in columns]
        for name, column in zip(names, columns, strict=True):
            known.columns[name] = column.model_copy(update={"name": name})
        why = known.wrote(write, Counts() if write.mode == "rewrite" else counts)
        if why:
            self.why.add(f"{write.name}: {why}")
        known.why = why or (_IN_PLACE if write.mode == "rewrite" else known.why or write.unseen)

    def changed(self, old: Name, new: Name | None) -> None:
        """A table was dropped, emptied or renamed: of what the job wrote to it nobody knows what is left."""
        known = self.outputs.get(self.place_of(old))
        for one in [known, self.outputs.setdefault(new, _Output()) if new else None] if known else ():
            if one is not None:
                one.parts, one.why = {"": Counts()}, _TABLE_CHANGED
                one.flat.clear()

    def failed(self, write: Write, why: str) -> None:
        """A write that left nothing to count on."""
        known = self._output(self._resolved(write))
        known.why = why
        if write.mode != "append":
            known.parts |= {part: Counts() for part in known.parts if _is_within(part, write.part)}
        self.why.add(why)

    def spent(self, names: list[Name], slot_ms: int) -> None:
        """Slot time that went into these outputs, in equal parts."""
        for name in names:
            self.outputs[self.place_of(name)].slot_ms += slot_ms / len(names)

    def called(self, name: Name, table: Name) -> None:
        """A written dataset is the table of that name."""
        place = self.place_of(name)
        if place in self.outputs:
            self.outputs[place].named(place, table)

    def place_of(self, name: Name) -> Name:
        """The name that a written table goes by: its path, where that was seen."""
        return name if name in self.outputs else self._path_of(name) or name

    def _resolved(self, write: Write) -> Write:
        """The write under the one name of its dataset: of a table and its path, the path."""
        for table in [name for name in self.outputs if name != write.name and self._is_called(write.table, name)]:
            self._place(table, write.name)
        return write._replace(name=self.place_of(write.name))

    @staticmethod
    def _is_called(table: Name | None, name: Name) -> bool:
        """True if ``name`` is a table's, or as much of it as stands without its database."""
        if table is None or name.namespace != table.namespace:
            return False
        return name == table or ("." not in name.name and table.name.endswith(f".{name.name}"))

    def _input(self, name: Name, scan: Scan) -> _Input:
        known = self.inputs.setdefault(name, _Input())
        known.format = known.format or scan.format
        known.named(name, scan.table)
        for column, kind in scan.schema:
            known.columns.setdefault(column, Column(name=column, type=kind))
        return known

    def _output(self, write: Write) -> _Output:
        known = self.outputs.setdefault(write.name, _Output())
        known.format = write.format or known.format
        known.named(write.name, write.table)
        for column in write.columns:
            known.columns.setdefault(column, Column(name=column))
        return known

    def listed(self, slot_ms: int | None) -> tuple[tuple[Dataset, ...], tuple[Dataset, ...]]:
        """(inputs, outputs); shares are of ``slot_ms``, the slot time of the whole application."""
        self._look()
        for name in list(self.outputs):
            path = self._path_of(name)
            if path is not None:
                self._place(name, path)
        inputs = []
        for name, known in self.inputs.items():
            counts, why = known.counts()
            known.why = why or known.why
            if why and why != FILTERED:  # of which bytes and files are known
                self.why.add(f"{name}: {why}")
            inputs.append(_dataset(name, known, counts))
        outputs = []
        for name, written in self.outputs.items():
            counts = total(written.parts.values())
            if written.why == _TABLE_CHANGED and None in counts:
                self.why.add(f"{name}: {_TABLE_CHANGED}")
            share = written.slot_ms / slot_ms if slot_ms else None
            outputs.append(_dataset(name, written, counts, share))
        return tuple(inputs), tuple(outputs)

    def _look(self) -> None:
        """What was only looked at for its header or schema is the dataset that was read as data, or its folder."""
        for name, (scan, counts) in self.looked_at.items():
            if any(is_within(name, known) for known in self.inputs):
                continue
            if scan.looks_for == "header":
                folder = Name(name.namespace, without_partitions(name.name.rpartition("/")[0]) or "/")
                self._input(folder, scan._replace(format="csv")).why = "only its header or schema was read"
            else:
                self.read(scan._replace(names=(name,), looks_for=""), counts if len(scan.names) == 1 else Counts())

    def _path_of(self, table: Name) -> Name | None:
        """Where a table that was written under its name was seen with its path; one without a database matches any."""
        known = [*self.inputs.items(), *self.outputs.items()]
        paths = {alias: name for name, k in known for alias in k.tables if name != table}
        exact = paths.get(str(table))
        if exact is not None or "." in table.name:
            return exact
        alike = {path for alias, path in paths.items() if alias.endswith(f".{table.name}")}
        return alike.pop() if len(alike) == 1 and is_within(table, Name(table.namespace, "")) else None

    def _place(self, table: Name, path: Name) -> None:
        """A table that was written under its name and elsewhere seen with its path goes by its path."""
        known = self.outputs.pop(table)
        other = self.outputs.get(path)
        if other is None:
            if "." in table.name:
                known.tables[str(table)] = None
            self.outputs[path] = known
            return
        other.slot_ms += known.slot_ms
        for part, counts in known.parts.items():
            other.parts[part] = other.parts[part].plus(counts) if part in other.parts else counts

    @property
    def attributed_ms(self) -> float:
        """Slot time that outputs claim."""
        return sum(known.slot_ms for known in self.outputs.values())


def _is_within(part: str, other: str) -> bool:
    """True of a partition and those below it; all is within the whole."""
    return not other or f"{part}/".startswith(f"{other}/")


def _dataset(name: Name, known: _Known, counts: Counts, share: float | None = None) -> Dataset:
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
        why_unknown=(known.why or _NOT_TOLD) if None in counts else None,
    )


_NOT_TOLD = "the log does not hold it"
