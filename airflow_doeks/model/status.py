"""What is sent to a platform, what runs there, and the eight words for how it is doing."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from airflow_doeks.model.redaction import redacted

BEFORE = "before that: "  # in the reason of a cancelled job: what kept it from coming up
_WORD = re.compile(r"[A-Z][A-Z0-9_]{0,40}")


class JobState(str, enum.Enum):
    """The state of a job in our words; each platform type maps its own words by a table."""

    QUEUED = "QUEUED"  # accepted, waits for a queue, a quota or a node
    STARTING = "STARTING"  # scheduled, its driver is not running yet
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"  # gone without a verdict; nothing will ever report its end
    STALLED = "STALLED"  # its operator no longer reconciles it; may still live

    @classmethod
    def _missing_(cls, value: object) -> JobState | None:
        """A word of a newer version, as it is: not known to be an end."""
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            return None
        newer = str.__new__(cls, value)
        newer._name_ = newer._value_ = value
        return newer

    @property
    def is_terminal(self) -> bool:
        """True if the job will not change state again."""
        return self in _TERMINAL

    @property
    def has_failed(self) -> bool:
        """True if the job ended and did not succeed."""
        return self.is_terminal and self is not JobState.SUCCEEDED


_TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.LOST})


class JobRef(str):
    """The URI of what runs, unique and addressable, e.g. ``emr_on_eks://<account>.<region>/<vc>/<job-run>``."""

    __slots__ = ()

    @property
    def type(self) -> str:
        """The platform type, the part before ``://``."""
        return self.split("://", 1)[0]

    @property
    def authority(self) -> str:
        """The part between ``://`` and the first ``/``: a host, an account and region, a cluster id."""
        return self.split("://", 1)[1].split("/", 1)[0]

    @property
    def path(self) -> tuple[str, ...]:
        """The parts after the authority."""
        return tuple(self.split("://", 1)[1].split("/")[1:])


@dataclass(frozen=True)
class Request:
    """Exactly what would be sent; printable, and enough to submit without the job or the identity.

    Attributes:
        body: JSON-able, in the platform's own words.
        spec_hash: 64 hex over the body without name, token and identity tags; equal for equal work.
        token: idempotency token: the same token gives the same job.
        is_lasting: the job was perhaps there before, and has name, keys and times of its own.
    """

    platform: str
    type: str
    name: str
    token: str
    spec_hash: str
    body: Mapping[str, Any]
    is_lasting: bool = False


@dataclass(frozen=True)
class JobStatus:
    """One look at a job.

    Attributes:
        native_state: the platform's own word.
        reason: why it is in this state, in the platform's words, masked; empty if it gave none.
        tags: identity tags the job carries, by full key (``airflow-doeks/try``); values may be label forms.
        name, token: under which it was submitted; empty where the platform does not tell.
        is_cancelling: a cancel was accepted and the job has not ended; never adopted.
        attempts: how often the platform itself started it; None if it does not say.
        is_well: False while it runs but not as it should: it restarts, or what was sent last is not what runs.
        savepoint: where its state was saved last; empty where nobody tells.
        changed: when what runs was sent last, of a job that is sent more than once.
        engine: by which it runs, where a platform has several and tells.
    """

    ref: JobRef
    state: JobState
    native_state: str = ""
    reason: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    is_cancelling: bool = False
    submitted: datetime | None = None
    scheduled: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    attempts: int | None = None
    name: str = ""
    token: str = ""
    is_well: bool = True
    savepoint: str = ""
    changed: datetime | None = None
    engine: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", redacted(self.reason))

    def __str__(self) -> str:
        """What a task log says when this changes."""
        attempt = f", attempt {self.attempts}" if (self.attempts or 1) > 1 else ""
        cancelling = ", being cancelled" if self.is_cancelling else ""
        return f"{self.ref} is {self.state.value}{attempt}{cancelling}" + (f": {self.reason}" if self.reason else "")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for a trigger's event."""
        moments = {name: getattr(self, name) for name in _MOMENTS}
        return {
            **vars(self),
            **{name: moment and moment.isoformat() for name, moment in moments.items()},
            "ref": str(self.ref),
            "state": self.state.value,
            "tags": dict(self.tags),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> JobStatus:
        """What ``to_json`` gave, here or in another version: a key that this one does not know is ignored."""
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        moments = {
            name: moment and datetime.fromisoformat(moment) for name, moment in known.items() if name in _MOMENTS
        }
        return cls(**{**known, **moments, "ref": JobRef(values["ref"]), "state": JobState(values["state"])})


_MOMENTS = ("submitted", "scheduled", "started", "ended", "changed")


@dataclass(frozen=True)
class Scope:
    """What one feed covers: all jobs behind one endpoint, seen with one set of credentials, in one namespace."""

    type: str
    endpoint: str
    credentials: str
    namespace: str
    kind: str = "job"
