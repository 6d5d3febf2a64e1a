"""How a Flink job does, from what the Flink Kubernetes Operator says of it: one row a verdict, the first match holds.

Words of FlinkDeployment and FlinkSessionJob v1beta1 (operator 1.7 to 1.13) and of Flink's JobStatus, November 2026.
"STABLE" means running and stable, not ended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from airflow_doeks.model.status import JobState

ANY = "*"


@dataclass(frozen=True)
class Said:
    """What a resource's status says.

    Attributes:
        lifecycle: ``status.lifecycleState``; ``job``: ``status.jobStatus.state``; ``manager``:
            ``status.jobManagerDeploymentStatus``, empty for a session job; empty while unknown.
        is_stream: the job has no end of its own.
        error: what the operator last failed at, in one line.
    """

    lifecycle: str = ""
    job: str = ""
    manager: str = ""
    is_stream: bool = False
    error: str = ""


class Row(NamedTuple):
    """A verdict; ``is_well`` False: it runs, but not as it should."""

    lifecycle: str
    job: str
    manager: str
    state: JobState
    why: str
    is_well: bool = True
    only_streams: bool = False
    only_errors: bool = False


_UPGRADED = "it is being deployed or replaced"
_FAILED_SPEC = "the operator could not deploy it"
ROWS: tuple[Row, ...] = (
    # A stop, a suspension and an upgrade end the job on purpose: what its own state says then is no verdict.
    Row("SUSPENDED", "FINISHED", ANY, JobState.SUCCEEDED, "it was stopped with a savepoint", only_streams=True),
    Row("SUSPENDED", ANY, ANY, JobState.CANCELLED, "it was suspended"),
    Row("UPGRADING", ANY, ANY, JobState.QUEUED, _UPGRADED, is_well=False),
    Row("ROLLING_BACK", ANY, ANY, JobState.QUEUED, "the operator goes back to the spec before", is_well=False),
    # The job's own end, also where its deployment is gone (MISSING): it is removed some time after the end.
    Row(ANY, "FINISHED", ANY, JobState.SUCCEEDED, ""),
    Row(ANY, "FAILED", ANY, JobState.FAILED, "the job failed"),  # READY only says that the job manager answers
    Row(ANY, "CANCELED", ANY, JobState.CANCELLED, "somebody cancelled the job in Flink"),
    Row("FAILED", ANY, ANY, JobState.FAILED, _FAILED_SPEC),  # refused before it was ever deployed
    # No job manager, or none that answers. An error is told; `startup_timeout` limits how long it may last.
    Row(ANY, ANY, "ERROR", JobState.STARTING, _FAILED_SPEC, is_well=False),
    Row(ANY, ANY, "DEPLOYING", JobState.STARTING, _FAILED_SPEC, is_well=False, only_errors=True),
    Row(ANY, ANY, "DEPLOYING", JobState.QUEUED, "", is_well=False),  # STARTING once the job manager has a node
    Row(ANY, ANY, "DEPLOYED_NOT_READY", JobState.STARTING, "", is_well=False),
    Row(ANY, "RUNNING", "MISSING", JobState.RUNNING, "its job manager is gone", is_well=False),
    Row(ANY, ANY, "MISSING", JobState.STARTING, "its job manager is gone", is_well=False),
    # A job manager that answers.
    Row("ROLLED_BACK", "RUNNING", ANY, JobState.RUNNING, "it runs the spec before: the new one failed", is_well=False),
    Row(ANY, "RUNNING", ANY, JobState.RUNNING, ""),
    Row(ANY, "RESTARTING", ANY, JobState.RUNNING, "it restarts after a failure", is_well=False),
    Row(ANY, "FAILING", ANY, JobState.RUNNING, "it is failing", is_well=False),
    Row(ANY, "CANCELLING", ANY, JobState.RUNNING, "it is being cancelled in Flink", is_well=False),
    Row(ANY, "SUSPENDED", ANY, JobState.QUEUED, "it waits for a job manager", is_well=False),
    Row(ANY, "RECONCILING", ANY, JobState.STARTING, "", is_well=False),  # its job manager is not heard yet, or again
    Row(ANY, "INITIALIZING", ANY, JobState.STARTING, "", is_well=False),
    Row(ANY, "CREATED", ANY, JobState.STARTING, "", is_well=False),
    # Nothing of a job yet.
    Row("CREATED", "", ANY, JobState.QUEUED, "", is_well=False),
    Row("DEPLOYED", "", ANY, JobState.STARTING, "", is_well=False),
    Row("STABLE", "", ANY, JobState.STARTING, "", is_well=False),
    Row("ROLLED_BACK", "", ANY, JobState.STARTING, "", is_well=False),
    Row("", "", ANY, JobState.QUEUED, "", is_well=False),  # the operator has not taken it up
)


def verdict(said: Said) -> Row | None:
    """The row that holds; None for words that this version does not know."""
    return next((row for row in ROWS if _holds(row, said)), None)


def reason(row: Row, said: Said) -> str:
    """Why, in one line: the row's words and the operator's error."""
    return ": ".join(part for part in (row.why, said.error) if part)


def error_line(text: str | None) -> str:
    """The operator's error in one line: the innermost cause of its JSON, or what else it wrote."""
    if not text:
        return ""
    try:
        told = json.loads(text)
    except ValueError:
        return text.strip().splitlines()[0]
    if not isinstance(told, Mapping):
        return str(told)
    causes = [one for one in told.get("throwableList") or () if isinstance(one, Mapping)]
    messages = [_message(one) for one in (told, *causes)]
    return next((message for message in reversed(messages) if message), "")


def _message(error: Mapping[str, Any]) -> str:
    kind, message = str(error.get("type") or "").rpartition(".")[2], str(error.get("message") or "").strip()
    return f"{kind}: {message.splitlines()[0]}" if kind and message else kind or message


def _holds(row: Row, said: Said) -> bool:
    pairs = ((row.lifecycle, said.lifecycle), (row.job, said.job), (row.manager, said.manager))
    matches = all(wanted in (ANY, word) for wanted, word in pairs)
    return matches and (said.is_stream or not row.only_streams) and bool(said.error or not row.only_errors)
