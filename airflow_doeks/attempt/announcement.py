"""The XCom that says which job a task has: written right after submit, read by whoever comes later.

Light to import: links, which every DAG file with a job builds, ask it for the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_doeks.attempt.hand import JobInHand

JOB_KEY = "doeks_job"


def push_job(context: Mapping[str, Any], job: JobInHand, **of_task: str | None) -> None:
    """Write it: the ref and where to look, the job's own tags, and the submission as a trigger carries it.

    ``of_task`` is what pages show of the task itself: its place in the YAML, its budget.
    """
    plain = job.submission.to_json()
    told = {key: plain[key] for key in ("ref", "platform", "token", "submitted", "tags")}
    links = job.platform.links(job.submission.ref)
    context["ti"].xcom_push(key=JOB_KEY, value=told | {"submission": plain, "links": links} | of_task)


def pull_job(context: Mapping[str, Any]) -> Any:
    """What was written, or None."""
    ti = context["ti"]
    return ti.xcom_pull(task_ids=ti.task_id, key=JOB_KEY, map_indexes=ti.map_index)
