"""The protocol that every platform type fits; the conformance suite asks each the same questions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from airflow_doeks.model.errors import SpecError

if TYPE_CHECKING:  # `doeks lint` reads `Finding` here and must not pay for building models
    from airflow_doeks.model.identity import JobIdentity
    from airflow_doeks.model.record import JobFailure
    from airflow_doeks.model.status import JobRef, JobStatus, Request, Scope
    from airflow_doeks.model.telemetry import Node, Pod, Sighting, Telemetry

# A job as plain values by YAML's names, with every key of its engine's schema: what a job leaves out has its default,
# and a scalar may be a template until it is rendered. `doeks lint` fills it from the schema (`rules.with_defaults`),
# since building models takes longer than linting a file; `JobPart.plain` gives the same of a model.
JobValues: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What a platform would refuse of a job, before it is sent; ``path`` is dotted below the job."""

    path: str
    message: str
    help: str = ""


class NodesFound(NamedTuple):
    """Nodes by the name, or else the IP, that a pod tells; ``why``: what is not known, in words a user understands."""

    nodes: Mapping[str, Node]
    why: tuple[str, ...] = ()


class LogPart(NamedTuple):
    """Lines of a job's log, and the mark from which the next part goes on."""

    lines: tuple[str, ...]
    upto: str


class Platform(Protocol):
    """A named entry of doeks.yaml, connected. All methods but ``feed`` block; triggers call them in a thread.

    Every method may raise PlatformError (``retryable`` or not).
    """

    def render(self, job: Any, identity: JobIdentity) -> Request:
        """Exactly what would be sent of a job of one of its engines; pure: no I/O, the same answer every time."""

    def submit(self, request: Request) -> JobRef:
        """Send the request; the same token gives the same job, however often it is sent."""

    def find(self, identity: JobIdentity) -> list[JobStatus]:
        """Jobs of this task (all tries, living and ended) with their identity tags, newest first."""

    def living(self, instance: str) -> Iterator[JobStatus]:
        """Every job that lives and carries this Airflow's ``instance`` (any form of it), with its identity tags."""

    def observe(self, ref: JobRef) -> JobStatus:
        """One look; never waits. A job that nobody knows is LOST."""

    def scope(self, ref: JobRef) -> Scope:
        """The feed that covers this job."""

    def feed(self, scope: Scope, wanted: AbstractSet[JobRef]) -> AsyncIterator[JobStatus | Sighting]:
        """ONE watch, or one paged list, for all jobs of a scope: present states first, then every change, for ever.

        ``wanted`` lives: refs come and go while the feed runs, on its own event loop. Each is told its present state
        soon after it came, ended or not, and every change; a feed may tell of other jobs and may repeat itself. One
        odd entry of an answer hides no other. Pods seen while they live are told as sightings between the states.
        """

    def cancel(self, ref: JobRef) -> None:
        """Ask for the end of the job and remove its resource; idempotent; an ended or unknown job is fine."""

    def links(self, ref: JobRef) -> dict[str, str]:
        """Name -> URL of what a person may look at while it runs: ``Spark UI``, ``Driver log``, ``Job console``."""

    def log(self, ref: JobRef, upto: str = "") -> LogPart:
        """What its driver printed since the mark of an earlier part; nothing where that is not told while it runs."""

    def telemetry(self, ref: JobRef) -> Telemetry:
        """Facts only: pods, nodes, times, where the event log is."""

    def nodes(self, pods: Sequence[Pod]) -> NodesFound:
        """The machines behind pods whose node nobody saw, from what their event log tells; may find none."""

    def release(self, ref: JobRef) -> None:
        """Its record is written: what was kept of an ended job to make it, and costs, may go; idempotent."""

    def explain(self, ref: JobRef) -> JobFailure:
        """Why it failed; best effort, never raises, at most 20 seconds."""


@runtime_checkable
class SavesState(Protocol):
    """A platform that can save the state of a job that runs on."""

    def checkpoints(self, ref: JobRef) -> int:
        """How many checkpoints a job completed since it was started last."""

    def save(self, request: Request, seconds: float) -> str:
        """Take the savepoint that a rendered request asks for, within so many seconds; gives its path. Blocks.

        The same token takes one, however often it is called.
        """


@runtime_checkable
class AsksPods(Protocol):
    """A platform whose rendered request says what pods a job will have, so that it can be priced before it runs."""

    def asks(self, request: Request) -> Telemetry:
        """The pods that the request asks for, as many as it may have; pure, nothing is sent."""


@runtime_checkable
class TellsJobs(Protocol):
    """A platform that can be asked how the engine's own jobs inside a living job do."""

    def inner_jobs(self, ref: JobRef) -> tuple[Mapping[str, Any], ...]:
        """For a record's detail: id, name, state, restarts, checkpoints, records, lag; None for what is not told."""


def saving(platform: Platform) -> SavesState:
    """The same platform; SpecError if it cannot save the state of a job."""
    if isinstance(platform, SavesState):
        return platform
    msg = f"platform {getattr(platform, 'name', '')!r} takes no savepoints"
    raise SpecError(msg)
