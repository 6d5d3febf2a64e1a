"""What the Flink Kubernetes Operator calls things: its two kinds of jobs, and how their pods are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from airflow_doeks.model.identity import LASTING, MODE, PREFIX
from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.flink.verdicts import Said, error_line, reason, verdict
from airflow_doeks.platforms.kubernetes.operator import Operator, PodNames, Told, moment
from airflow_doeks.platforms.kubernetes.server import Kind

Json = Mapping[str, Any]
CONTAINER = "flink-main-container"
GIVEN_UP = f"{PREFIX}given-up"  # annotation: why we suspended a stream that did not come up; empty once it is sent anew
WHY = f"{PREFIX}why"  # annotation: category and message of why it did not come up, as its pods told before they went
SAVED = f"{PREFIX}saved"  # annotation: where the next deployment of a stream starts that a stateless stop ended
ENDED = f"{PREFIX}ended"  # annotation: how a bounded job ended, and when, of a resource whose pods we had removed
FLINK_PODS = PodNames(
    role_label="component",
    roles={"jobmanager": "jobmanager", "taskmanager": "taskmanager"},
    containers={"jobmanager": CONTAINER, "taskmanager": CONTAINER},
    lead="jobmanager",
    named={r"-taskmanager-\d+-\d+$": "taskmanager", r"-[a-z0-9]+-[a-z0-9]{5}$": "jobmanager"},
)


def read(resource: Json) -> Told:
    """What the status of a FlinkDeployment or FlinkSessionJob says; of a job that was released, what was noted then."""
    noted = str((resource["metadata"].get("annotations") or {}).get(ENDED) or "")
    if noted and not is_stream(resource):
        state, _, ended = noted.partition(" ")
        return Told(f"released {state}", state=JobState(state), ended=moment(ended))
    status, metadata = resource.get("status") or {}, resource["metadata"]
    job = status.get("jobStatus") or {}
    said = Said(
        lifecycle=str(status.get("lifecycleState") or ""),
        job=str(job.get("state") or ""),
        manager=str(status.get("jobManagerDeploymentStatus") or ""),
        is_stream=is_stream(resource),
        error=error_line(status.get("error")),
    )
    word = f"{said.lifecycle} {said.job}".strip()
    row = verdict(said)
    if row is None:
        return Told(word, said.error)
    state, why, is_well = row.state, reason(row, said), row.is_well
    if said.is_stream and word and is_stale(resource):  # what the status says is of the spec before
        is_well, why = False, ": ".join(filter(None, ("the operator has not taken up the change yet", said.error)))
        state = JobState.QUEUED if state.is_terminal else state
    savepoint = last_savepoint(status) or str((metadata.get("annotations") or {}).get(SAVED) or "")
    given_up = (metadata.get("annotations") or {}).get(GIVEN_UP)
    if given_up and state.is_terminal:  # the operator says FINISHED of what an upgrade replaced before
        state, why = JobState.CANCELLED, str(given_up)
    if state.is_terminal and said.lifecycle == "SUSPENDED":
        why = f"{why}; its state is in {savepoint}" if savepoint else f"{why}; no savepoint is known"
    return Told(
        word=word,
        reason=why,
        state=state,
        started=millis(job.get("startTime")),
        ended=millis(job.get("updateTime")) if state.is_terminal else None,
        is_well=is_well and "deletionTimestamp" not in metadata,
        savepoint=savepoint,
    )


def is_stream(resource: Json) -> bool:
    """True for a job without an end of its own, as it was sent."""
    return (resource["metadata"].get("labels") or {}).get(MODE) == LASTING


def is_stale(resource: Json) -> bool:
    """True while the status is of an earlier generation of the spec; where neither says it, it is taken as of this."""
    status = resource.get("status") or {}
    observed = status.get("observedGeneration")
    if observed is None:  # before operator 1.8: only what was reconciled last tells
        observed = reconciled(status).get("resource_metadata", {}).get("metadata", {}).get("generation")
    return observed is not None and int(observed) < int(resource["metadata"].get("generation") or 0)


def reconciled(status: Json) -> dict[str, Any]:
    """The spec that the operator reconciled last, its own notes in it; empty where there is none."""
    try:
        found = json.loads((status.get("reconciliationStatus") or {}).get("lastReconciledSpec") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def last_savepoint(status: Json) -> str:
    """Where the job's state was saved last, by a person, an upgrade or a stop; empty if nobody says."""
    job = status.get("jobStatus") or {}
    last = (job.get("savepointInfo") or {}).get("lastSavepoint") or {}
    return str(job.get("upgradeSavepointPath") or last.get("location") or "")


def millis(text: object) -> datetime | None:
    """A time from Flink's milliseconds since 1970; None for what is none."""
    return datetime.fromtimestamp(int(str(text)) / 1000, timezone.utc) if str(text).isdigit() else None


def operator(type_: str, *, is_session: bool, is_emr: bool) -> Operator:
    """The row of a platform type: jobs with a cluster of their own, or jobs of a session cluster."""
    plural, kind = ("flinksessionjobs", "FlinkSessionJob") if is_session else ("flinkdeployments", "FlinkDeployment")
    return Operator(
        type=type_,
        title="Flink Kubernetes Operator",
        kind=Kind("flink.apache.org", "v1beta1", plural, kind),
        states={"": JobState.QUEUED},
        read=read,
        conf=lambda resource: (resource.get("spec") or {}).get("flinkConfiguration") or {},
        job_label="app",
        pods=replace(FLINK_PODS, is_emr=is_emr),
    )
