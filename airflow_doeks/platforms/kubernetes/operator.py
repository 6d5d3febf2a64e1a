"""What a Kubernetes operator calls things: the resource of a job, the words of its states, the labels of its pods.

A platform type whose jobs are custom resources gives one of these; everything else is shared.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_doeks.model.identity import PREFIX
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.platforms.kubernetes.server import Kind

if TYPE_CHECKING:
    from airflow_doeks.model.telemetry import Role

log = logging.getLogger(__name__)

Json = Mapping[str, Any]
TOKEN = f"{PREFIX}token"  # annotation of a resource; no label holds 64 characters
CHANGED = f"{PREFIX}changed"  # annotation: when it was sent last, of a resource that outlives what sent it
_warned: set[tuple[str, str]] = set()


class Told(NamedTuple):
    """What the status of a resource says."""

    word: str
    reason: str = ""
    state: JobState | None = None  # where the word alone does not tell
    ended: datetime | None = None
    attempts: int | None = None
    started: datetime | None = None
    is_well: bool = True
    savepoint: str = ""


@dataclass(frozen=True)
class PodNames:
    """How an engine's pods are known.

    Attributes:
        role_label: label of a pod that holds its role's word; ``roles``: those words -> ours.
        containers: role -> the container that does the work.
        lead: the role of the one pod whose life is the job's.
        named: pattern of a pod's name -> its role, where only an event tells of it; the first match holds.
        number_label: label that holds the engine's own number of a pod, if any.
        is_emr: all of their images are EMR's, which asks its price for them.
    """

    role_label: str
    roles: Mapping[str, Role]
    containers: Mapping[str, str]
    lead: Role
    named: Mapping[str, Role]
    number_label: str = ""
    is_emr: bool = False

    def role(self, pod: Json) -> Role | None:
        """The role of a pod as the API shows it; None for one of no job."""
        return self.roles.get((pod["metadata"].get("labels") or {}).get(self.role_label, ""))

    def role_of_name(self, name: str) -> Role | None:
        """The role of a pod of which nothing but its name is left."""
        return next((role for pattern, role in self.named.items() if re.search(pattern, name)), None)


@dataclass(frozen=True)
class Operator:
    """An operator of Kubernetes, in data.

    Attributes:
        type: the platform type, first word of its jobs' refs.
        title: how people call the operator.
        states: its words -> ours; a word that is not here is still running, with one warning.
        read: what a resource's status says.
        column: the printed column that holds the state's word; ``ended_column``: the one of the end, if any. Without
            ``column`` whole resources are watched, where printed columns do not tell enough.
        must_look: last words that carry no outcome; it stands in the resource, and in the verdict seen before them.
        verdicts: words that tell the outcome before the last one does.
        job_label: label of a job's pods that holds the resource's name.
        pods: how its pods are known.
        conf: the Spark properties that a resource asks for, its own fields among them.
        driver_status: what a resource keeps of its driver's pod, whose status it is; None where nothing is kept.
        end_events: reasons of the operator's events about a resource -> how the job ended; they outlive it by an hour.
    """

    type: str
    title: str
    kind: Kind
    states: Mapping[str, JobState]
    read: Callable[[Json], Told]
    conf: Callable[[Json], Mapping[str, str]]
    job_label: str
    pods: PodNames
    column: str = ""
    ended_column: str = ""
    attempts_column: str = ""
    must_look: frozenset[str] = frozenset()
    verdicts: Mapping[str, JobState] = field(default_factory=dict)
    driver_status: Callable[[Json], Json | None] | None = None
    end_events: Mapping[str, JobState] = field(default_factory=dict)

    def state(self, word: str) -> JobState:
        """Our word for the operator's."""
        found = self.states.get(word)
        if found is None:
            if (self.type, word) not in _warned:
                _warned.add((self.type, word))
                text = "the %s gives state %r, which this version does not know; it is taken as still running"
                log.warning(text, self.title, word)
            return JobState.RUNNING
        return found

    def ref(self, host: str, resource: Json) -> JobRef:
        """The ref of a job, from its resource."""
        metadata = resource["metadata"]
        return JobRef(f"{self.type}://{host}/{metadata['namespace']}/{metadata['name']}/{metadata['uid']}")

    def status(self, host: str, resource: Json) -> JobStatus:
        """A resource as the API shows it; a deletion that has begun is a cancel."""
        told, metadata = self.read(resource), resource["metadata"]
        labels, full = metadata.get("labels") or {}, metadata.get("annotations") or {}
        return JobStatus(
            ref=self.ref(host, resource),
            state=told.state or self.state(told.word),
            native_state=told.word,
            reason=told.reason,
            tags={key: full.get(key, value) for key, value in labels.items() if key.startswith(PREFIX)},
            is_cancelling="deletionTimestamp" in metadata,
            submitted=moment(metadata.get("creationTimestamp")),
            started=told.started,
            ended=told.ended,
            attempts=told.attempts,
            name=metadata["name"],
            token=full.get(TOKEN, ""),
            is_well=told.is_well,
            savepoint=told.savepoint,
            changed=moment(full.get(CHANGED)),
        )

    @property
    def as_table(self) -> bool:
        """True if the printed columns of its resources are watched, not whole resources."""
        return bool(self.column)

    def row(self, host: str, item: Json) -> dict[str, Any]:
        """What is kept of a watched item: its printed columns, or the status of a whole resource."""
        if self.as_table:
            return {key: value for key, value in item.items() if key != "Age"}
        return {"Name": item["metadata"]["name"], "status": self.status(host, item)}

    def word(self, row: Json) -> str:
        """The operator's word in the printed columns."""
        return text_of(row.get(self.column))

    def status_of_row(self, ref: JobRef, row: Json, verdict: str = "") -> JobStatus | None:
        """The status behind the printed columns of a resource; None where the resource itself must be looked at.

        ``verdict`` is the last word seen of it that told an outcome.
        """
        if not self.as_table:
            found: JobStatus = row["status"]
            return found if found.ref == ref else None  # another has its name by now
        word = self.word(row)
        if word in self.must_look:
            state = self.verdicts.get(verdict)
            return JobStatus(ref, state, word, verdict) if state else None
        attempts = text_of(row.get(self.attempts_column))
        return JobStatus(
            ref=ref,
            state=self.state(word),
            native_state=word,
            ended=moment(text_of(row.get(self.ended_column))),
            attempts=int(attempts) if attempts.isdigit() else None,
        )


def moment(text: object) -> datetime | None:
    """An aware time from Kubernetes' text; None for what is no time (a column without a value)."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None
    except ValueError:
        return None


def text_of(cell: object) -> str:
    """A cell of a printed column as text; Kubernetes prints a missing value as null or ``<no value>``."""
    return "" if cell in (None, "<no value>", "<none>") else str(cell)
