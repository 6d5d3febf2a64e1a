"""What would have made a job cheaper, with the evidence and the dollars it would have saved at the same run time.

Rules read sizes, times and slot use; never JVM CPU time, which calls PySpark workers idle. A rule that lacks its facts
says nothing. ``usd`` is an upper bound of one measure taken alone; measures overlap, so they are never added up.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from airflow_doeks.model.bill import Line
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.noun import Amount, Noun
from airflow_doeks.model.quantities import GIB, gib
from airflow_doeks.model.telemetry import Node, Pod

HEADROOM = Decimal("1.2")  # of measured peak memory
WORTHWHILE = Decimal("0.8")  # a suggestion below this part of what is held now is worth saying
BUSY_ENOUGH = Decimal("0.5")  # of the executors' slot time
SKEW = 5  # longest Spark task against the median of its stage
SKEW_MS = 30_000
SLOW_START_SECONDS = 60
GC_SHARE = Decimal("0.1")
# x86 family -> Graviton family of the same shape and generation
GRAVITON = {"m5": "m6g", "m6i": "m6g", "m6a": "m6g", "m7i": "m7g", "m7a": "m7g", "c5": "c6g", "c6i": "c6g"}
GRAVITON |= {"c7i": "c7g", "r5": "r6g", "r6i": "r6g", "r7i": "r7g", "m5d": "m6gd", "c5d": "c6gd", "r5d": "r6gd"}


Price = Callable[[Pod, Node], Line]


class Advice(Noun):
    """One measure.

    Attributes:
        code: ``memory``, ``idle_executors``, ``skew``, ``spill``, ``garbage_collection``, ``slow_start``, ``spot``
            or ``graviton``.
        evidence: what was measured, a line each.
        usd: what the measure alone would have saved at most; None if that cannot be known.
        change: dotted path below the job in YAML -> what to write there; empty where no value says it.
    """

    code: str
    message: str
    evidence: tuple[str, ...]
    usd: Amount | None = None
    change: dict[str, str] = {}


@dataclass(frozen=True)
class _Case:
    """A job and the means to price it otherwise.

    ``workers`` are the priced lines of its executors; on platform type `local` the driver does their work.
    """

    summary: EventLogSummary
    pods: Sequence[Pod]
    workers: Sequence[Line]
    price: Price
    card_name: str

    @property
    def has_executors(self) -> bool:
        """True if the work was done by pods whose number and size the job says."""
        return all(line.pod.role == "executor" for line in self.workers)

    def at_once(self) -> int:
        """The most workers that lived at one time."""
        edges = []
        for line in self.workers:
            steps = line.steps or ()
            if steps:
                edges += [(steps[0].start, 1), (steps[-1].end, -1)]
        most = alive = 0
        for _, change in sorted(edges):  # who ends at a moment is gone before who starts at it
            alive += change
            most = max(most, alive)
        return most

    def saved(self, change: Callable[[Pod, Node], tuple[Pod, Node]]) -> Decimal | None:
        """Dollars of compute less if every worker and its node were changed; None if that has no price."""
        before = after = Decimal(0)
        for line in self.workers:
            if line.node is None:
                return None
            priced = self.price(*change(line.pod, line.node))
            if priced.steps is None:
                return None
            before += _usd(line)
            after += _usd(priced)
        return max(before - after, Decimal(0)).quantize(Decimal("1e-6"))


def advise(summary: EventLogSummary, lines: Sequence[Line], price: Price, *, card_name: str = "") -> tuple[Advice, ...]:
    """Measures worth taking, the most dollars first; those without a price last.

    ``lines`` are the job's bill; ``price`` gives the line of a pod on another node, by the rate card of that name.
    """
    priced = [line for line in lines if line.steps is not None]
    workers = [line for line in priced if line.pod.role == "executor"] or priced
    case = _Case(summary, [line.pod for line in lines], workers, price, card_name)
    found = [advice for rule in _RULES for advice in rule(case)]
    return tuple(sorted(found, key=lambda advice: advice.usd or Decimal(-1), reverse=True))


def _memory(case: _Case) -> Iterator[Advice]:
    peaks = {uid: peak for uid, peak in case.summary.peak_memory_bytes.items() if peak > 0}
    held = {line.pod.executor_id or line.pod.uid: line.pod.memory_gib or Decimal(0) for line in case.workers}
    measured = [peak for uid, peak in peaks.items() if uid in held]
    if not measured or len(measured) < len(held):
        return
    peak, most = gib(max(measured)), max(held.values())
    enough = Decimal(math.ceil(peak * HEADROOM))
    if enough > most * WORTHWHILE:
        return
    smaller = case.saved(lambda pod, node: (pod.model_copy(update={"memory_gib": enough}), node))
    yield Advice(
        code="memory",
        message=f"memory: {enough}Gi is enough; {most.normalize():f}Gi was held",
        evidence=(
            f"highest peak of {len(measured)} executors: {peak:.2f} GiB (heap, overhead and Python)",
            f"{HEADROOM} x the peak, rounded up to a GiB",
        ),
        usd=smaller,
        change={"executors.memory": f"{enough}Gi"} if case.has_executors else {},
    )


def _idle(case: _Case) -> Iterator[Advice]:
    slot_ms, workers = case.summary.slot_ms, case.workers
    slots = sum((_slots(case.summary, line.pod) * (line.seconds or 0) * 1000 for line in workers), Decimal(0))
    if not slot_ms or not slots:
        return
    busy = min(Decimal(slot_ms) / slots, Decimal(1))
    most = max(_slots(case.summary, line.pod) for line in workers)
    if busy >= BUSY_ENOUGH:
        return
    compute = sum((_usd(line) for line in workers), Decimal(0))
    enough = max(1, math.ceil(case.at_once() * busy / BUSY_ENOUGH))
    yield Advice(
        code="idle_executors",
        message=f"fewer executors or cores: their slots were busy {busy:.0%} of the time",
        evidence=(
            f"Spark tasks ran for {Decimal(slot_ms) / 1000:.0f} s of {slots / 1000:.0f} s of slot time",
            f"{len(workers)} pods with at most {most.normalize():f} slots",
        ),
        usd=(compute * (1 - busy / BUSY_ENOUGH)).quantize(Decimal("1e-6")),
        change={"executors.max": str(enough)} if case.has_executors else {},
    )


def _skew(case: _Case) -> Iterator[Advice]:
    seconds = sum((line.seconds or 0 for line in case.workers), Decimal(0))
    lived = max((line.seconds or Decimal(0) for line in case.workers), default=Decimal(0))
    rate = sum((_usd(line) for line in case.workers), Decimal(0)) / lived if lived and seconds else None
    for stage in case.summary.stages:
        median, longest = stage.task_ms_median, stage.task_ms_max
        if median is None or longest < SKEW * max(median, 1) or longest - median < SKEW_MS:
            continue
        wait = Decimal(longest - median) / 1000
        yield Advice(
            code="skew",
            message=f"stage {stage.stage_id} waited {wait:.0f} s for its longest Spark task",
            evidence=(
                f"longest {longest / 1000:.0f} s, median {median / 1000:.1f} s of {stage.tasks} Spark tasks",
                "dollars: what all executors cost in that time",
            ),
            usd=None if rate is None else (rate * min(wait, lived)).quantize(Decimal("1e-6")),
        )


def _spill(case: _Case) -> Iterator[Advice]:
    spills = [(stage.spill_disk_bytes or 0, stage.stage_id) for stage in case.summary.stages]
    spilled = sum(spill for spill, _ in spills)
    if spilled < GIB:
        return
    most, worst = max(spills)
    yield Advice(
        code="spill",
        message=f"{gib(spilled):.1f} GiB were spilled to disk: more memory per slot, or more partitions",
        evidence=(f"most in stage {worst}: {gib(most):.1f} GiB",),
    )


def _garbage_collection(case: _Case) -> Iterator[Advice]:
    gc_ms, slot_ms = sum(stage.gc_ms or 0 for stage in case.summary.stages), case.summary.slot_ms
    if not slot_ms or Decimal(gc_ms) / slot_ms < GC_SHARE:
        return
    part = min(Decimal(gc_ms) / slot_ms, Decimal(1))
    yield Advice(
        code="garbage_collection",
        message=f"{part:.0%} of the Spark tasks' time went into garbage collection: more memory per slot",
        evidence=(f"{gc_ms / 1000:.0f} s of {slot_ms / 1000:.0f} s",),
        usd=(sum((_usd(line) for line in case.workers), Decimal(0)) * part).quantize(Decimal("1e-6")),
    )


def _slow_start(case: _Case) -> Iterator[Advice]:
    waits = [
        (pod.started - pod.requested).total_seconds()
        for pod in case.summary.pods or case.pods
        if pod.role == "executor" and pod.started and pod.requested
    ]
    if not waits or statistics.median(waits) < SLOW_START_SECONDS:
        return
    yield Advice(
        code="slow_start",
        message=f"executors came {statistics.median(waits):.0f} s after they were asked for: smaller or cached image, "
        "warm nodes, or fewer executors at once",
        evidence=(f"median of {len(waits)} executors; slowest {max(waits):.0f} s",),
    )


def _spot(case: _Case) -> Iterator[Advice]:
    if any(line.capacity_type != "on_demand" for line in case.workers):
        return

    def on_spot(pod: Pod, node: Node) -> tuple[Pod, Node]:
        update = {"capacity_type": "spot", "usd_per_hour": None}
        return pod.model_copy(update={"capacity_type": "spot"}), node.model_copy(update=update)

    if usd := case.saved(on_spot):
        yield Advice(
            code="spot",
            message="the preset `spot` for executors",
            evidence=(f"the same pods for the same time at Spot prices of rate card {case.card_name}",),
            usd=usd,
            change={"executors.capacity": "spot"} if case.has_executors else {},
        )


def _graviton(case: _Case) -> Iterator[Advice]:
    kinds = sorted({line.node.instance_type or "" for line in case.workers if line.node})
    if not kinds or any(kind.split(".")[0] not in GRAVITON for kind in kinds):
        return

    def on_graviton(pod: Pod, node: Node) -> tuple[Pod, Node]:
        return pod, node.model_copy(update={"instance_type": _graviton_of(node.instance_type), "usd_per_hour": None})

    if usd := case.saved(on_graviton):
        yield Advice(
            code="graviton",
            message="the preset `graviton`",
            evidence=tuple(f"{kind} -> {_graviton_of(kind)} for the same time" for kind in kinds),
            usd=usd,
            change={"presets": "graviton"} if case.has_executors else {},
        )


def _graviton_of(kind: str | None) -> str:
    family, _, size = (kind or "").partition(".")
    return f"{GRAVITON[family]}.{size}"


def _slots(summary: EventLogSummary, pod: Pod) -> Decimal:
    cores = summary.conf.get("spark.executor.cores", "")
    per_task = summary.conf.get("spark.task.cpus", "1")
    known = Decimal(cores) if cores.isdecimal() and pod.role == "executor" else pod.vcpu or Decimal(0)
    return known / max(int(per_task) if per_task.isdecimal() else 1, 1)


def _usd(line: Line) -> Decimal:
    return sum((step.usd for step in line.steps or ()), Decimal(0))


_RULES: tuple[Callable[[_Case], Iterator[Advice]], ...] = (
    _memory,
    _idle,
    _skew,
    _spill,
    _garbage_collection,
    _slow_start,
    _spot,
    _graviton,
)
