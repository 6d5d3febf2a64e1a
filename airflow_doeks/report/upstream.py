"""What a dataset cost with everything that it was made from, each part shared among those who read it.

A job pays its own dollars to what it writes. What a dataset cost, its own part and what came down to it, falls on its
readers by the bytes that each read, and through them on what they wrote. So nothing is paid twice: what datasets that
nobody reads cost, with everything upstream, sums to what all datasets cost by themselves.

Datasets that are made from each other are one circle: each of them costs what all of them cost, and readers outside
share that once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from airflow_doeks.model.bill import PLACES
from airflow_doeks.model.noun import Amount, Noun

ZERO, ONE = Decimal(0), Decimal(1)
NO_DATASET = ""  # what a reader writes that wrote no dataset that anybody knows
_PATH = 8  # names of a circle that are told


@dataclass(slots=True)
class Written:
    """A dataset's dollars by the jobs that wrote it; ``unpriced`` of its ``writes`` have no known part."""

    writes: int = 0
    unpriced: int = 0
    usd: Decimal = ZERO


@dataclass(slots=True)
class Read:
    """What of a source went into one target: weighed reads of known size and their bytes, and those of unknown size.

    A job that writes several datasets reads for each of them, in proportion to their dollars.
    """

    bytes: Decimal = ZERO
    known: Decimal = ZERO
    unknown: Decimal = ZERO


@dataclass
class Flows:
    """Who made what of what: what the records of a time, added up, say of their datasets.

    Attributes:
        reads: (source, target) -> how much; ``NO_DATASET`` as target is a reader that wrote nothing known.
        incomplete: label -> jobs that wrote it and whose inputs may be more than those that are known.
    """

    written: dict[str, Written] = field(default_factory=dict)
    reads: dict[tuple[str, str], Read] = field(default_factory=dict)
    incomplete: dict[str, int] = field(default_factory=dict)


class Source(Noun):
    """A dataset that another was made from.

    Attributes:
        usd: its own dollars; None where no job of the time wrote it with a known part.
        share: how much of them, 0 to 1, went into the dataset that was asked for.
        usd_share: these dollars.
    """

    dataset: str
    usd: Amount | None
    share: float
    usd_share: Amount | None


class Upstream(Noun):
    """What a dataset cost; ``usd`` is the sum of the sources' shares, the dataset itself first among them.

    ``unknown`` says what is not in the sum, or only by assumption, a sentence each.
    """

    dataset: str
    usd_own: Amount | None
    usd: Amount | None
    sources: tuple[Source, ...]
    unknown: tuple[str, ...] = ()


class Lines:
    """The flows of a time, weighed once, to be asked for one dataset or for all."""

    def __init__(self, flows: Flows) -> None:
        self._flows = flows
        self._sources: dict[str, set[str]] = defaultdict(set)
        targets: dict[str, set[str]] = defaultdict(set)
        for source, target in flows.reads:
            if target != NO_DATASET:
                self._sources[target].add(source)
                targets[source].add(target)
        names = {*flows.written, *(source for source, _ in flows.reads)}
        self._circles = _circles(sorted(names), targets)  # those who are read before those who read them
        self._circle_of = {name: number for number, circle in enumerate(self._circles) for name in circle}
        self._shares, self._guessed = self._weighed()

    def datasets(self) -> list[str]:
        """What the jobs of the time wrote."""
        return sorted(self._flows.written)

    def upstream(self, label: str) -> Upstream:
        """What one dataset cost; a label that nobody wrote or read has no cost and says so."""
        home = self._circle_of.get(label)
        if home is None:
            return Upstream(
                dataset=label, usd_own=None, usd=None, sources=(), unknown=("No job here wrote or read it.",)
            )
        parts: dict[int, Decimal] = defaultdict(Decimal)
        parts[home] = ONE
        order = self._above(home)
        for number in order:
            for above, share in self._shares[number].items():
                parts[above] += parts[number] * share
        names = [label, *(name for number in order for name in self._circles[number] if name != label)]
        sources = tuple(self._source(name, parts[self._circle_of[name]]) for name in names)
        known = [source.usd_share for source in sources if source.usd_share is not None]
        return Upstream(
            dataset=label,
            usd_own=sources[0].usd,
            usd=sum(known, ZERO) if known else None,
            sources=(sources[0], *sorted(sources[1:], key=lambda one: (-(one.usd_share or ZERO), one.dataset))),
            unknown=tuple(self._unknown(order)),
        )

    def _source(self, name: str, share: Decimal) -> Source:
        written = self._flows.written.get(name)
        usd = None if written is None or written.writes == written.unpriced else written.usd
        part = None if usd is None else (usd * share).quantize(PLACES)
        return Source(dataset=name, usd=usd, share=float(share), usd_share=part)

    def _above(self, home: int) -> list[int]:
        """A circle and all that it was made from, each after every one that was made from it."""
        found, waiting = {home}, [home]
        while waiting:
            for above in self._shares[waiting.pop()]:
                if above not in found:
                    found.add(above)
                    waiting.append(above)
        return sorted(found, reverse=True)

    def _weighed(self) -> tuple[list[dict[int, Decimal]], dict[str, tuple[Decimal, Decimal]]]:
        """For every circle: the circles above it, with the share of each that it pays for. And the reads of no size.

        A read of unknown size counts as the mean of the known ones of the same source (or circle); where none is
        known, or all are empty, each counts the same.
        """
        by_home: dict[int, list[tuple[str, Read]]] = defaultdict(list)
        counts: dict[str, tuple[Decimal, Decimal]] = defaultdict(lambda: (ZERO, ZERO))
        for (source, target), read in self._flows.reads.items():
            home = self._circle_of[source]
            if target == NO_DATASET or self._circle_of[target] != home:
                by_home[home].append((target, read))
                unknown, reads = counts[source]
                counts[source] = unknown + read.unknown, reads + read.known + read.unknown
        weights: list[dict[int, Decimal]] = [defaultdict(Decimal) for _ in self._circles]
        totals: dict[int, Decimal] = defaultdict(Decimal)
        for home, found in sorted(by_home.items()):
            size, known = sum((read.bytes for _, read in found), ZERO), sum((read.known for _, read in found), ZERO)
            for target, read in found:
                weight = read.bytes + read.unknown * size / known if size else read.known + read.unknown
                totals[home] += weight
                if target != NO_DATASET:
                    weights[self._circle_of[target]][home] += weight
        guessed = {source: both for source, both in counts.items() if both[0]}
        shares = [{home: weight / totals[home] for home, weight in paid.items() if totals[home]} for paid in weights]
        return shares, guessed

    def _unknown(self, order: Sequence[int]) -> Iterable[str]:
        for number in order:
            circle = self._circles[number]
            if len(circle) > 1 or circle[0] in self._sources[circle[0]]:
                more = f" and {len(circle) - _PATH} more" if len(circle) > _PATH else ""
                told = f"{', '.join(circle[:_PATH])}{more}"
                yield f"Circle: {told} {'are' if len(circle) > 1 else 'is'} made from {_selves(circle)}; counted once."
            for name in circle:
                yield from self._unknown_of(name)

    def _unknown_of(self, name: str) -> Iterable[str]:
        written = self._flows.written.get(name)
        if written is None:
            yield f"{name}: no job of this time wrote it; what it cost is not in the sum."
        elif written.unpriced:
            yield f"{name}: {written.unpriced} of {written.writes} writes have no known cost and are not in the sum."
        if name in self._flows.incomplete:
            yield f"{name}: {self._flows.incomplete[name]} jobs that wrote it may have read more than is known."
        if name in self._guessed:
            unknown, reads = self._guessed[name]
            even = "each read counts the same" if unknown == reads else "they count as the mean of the others"
            yield f"{name}: the bytes of {_number(unknown)} of {_number(reads)} reads are not known; {even}."


def every_upstream(lines: Lines) -> list[Upstream]:
    """All datasets of a time, dearest first."""
    found = (lines.upstream(label) for label in lines.datasets())
    return sorted(found, key=lambda one: (-(one.usd or ZERO), one.dataset))


def _selves(circle: Sequence[str]) -> str:
    return "each other" if len(circle) > 1 else "itself"


def _number(amount: Decimal) -> str:
    """A count of reads, which may be parts of them."""
    return f"{amount.quantize(Decimal('0.1')).normalize():f}"


def _circles(names: Sequence[str], targets: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Names that reach each other, as one group; groups before all that can be reached from them (Tarjan's order)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    open_names: set[str] = set()
    found: list[list[str]] = []
    for start in names:
        if start in index:
            continue
        walk = [(start, iter(sorted(targets.get(start, ()))))]
        index[start] = low[start] = len(index)
        stack.append(start)
        open_names.add(start)
        while walk:
            name, following = walk[-1]
            after = next(following, None)
            if after is None:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[name])
                if low[name] == index[name]:
                    cut = stack.index(name)
                    found.append(sorted(stack[cut:]))
                    open_names -= set(stack[cut:])
                    del stack[cut:]
            elif after not in index:
                index[after] = low[after] = len(index)
                stack.append(after)
                open_names.add(after)
                walk.append((after, iter(sorted(targets.get(after, ())))))
            elif after in open_names:
                low[name] = min(low[name], index[after])
    return found[::-1]
