"""Why a job failed, with what usually helps: a row for each category of failure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_doeks.model.record import FailureCategory, JobFailure
from airflow_doeks.ui.blocks import Notice

HELPS: dict[FailureCategory, tuple[str, str]] = {
    # category -> (its words, what usually helps)
    "user_code": ("the job's own code or SQL", "Read the root cause: a retry runs into the same."),
    "oom_driver": ("the driver ran out of memory", "Give driver.memory more, or collect less in the driver."),
    "oom_executor": (
        "executors ran out of memory",
        "Give executors.memory more, use more shuffle partitions, or fewer cpu per executor.",
    ),
    "spot_loss": (
        "Spot nodes were taken back",
        "A retry often passes; for long jobs use the preset that decommissions.",
    ),
    "eviction": ("a pod was evicted", "Ask for the memory and disk that is used; a retry may pass."),
    "image": ("the image could not be pulled", "Check its name, its tag, and the nodes' right to pull it."),
    "quota": ("a quota is used up", "Ask for less at a time, or have the quota raised."),
    "unschedulable": ("no node took the pods", "Ask for less per pod, or allow more node types and capacity types."),
    "permission": ("something was not permitted", "Give the job's role the right that the evidence names."),
    "dependency": (
        "a package or file was missing",
        "Name it in packages, py_files, jars or files, and see that it exists.",
    ),
    "network": ("the network failed", "Check names, routes and free IP addresses; a retry may pass."),
    "operator_down": ("the operator on the cluster did not act", "See that its pods run; a retry may pass then."),
    "platform": ("the platform failed or refused", "Read its words in the evidence; a retry may pass."),
    "cancelled": ("it was cancelled", "Somebody or a time limit ended it; nothing is wrong with the job itself."),
    "timeout": ("it used up its time", "Raise the limit that the message names, or make the job faster."),
    "budget": (
        "it used up its dollars",
        "Raise the budget_usd that the message names, or make the job cheaper: its advice stands below.",
    ),
    "unknown": ("nobody could tell why", "Read the driver's log: its end says more than the platform did."),
}
_FOLDERS = re.compile(
    r"(?<![\w:/])(?:file:/{0,2})?/(?:[^\s/]+/)+"
)  # of a path on a worker, which is nobody's business; URLs stay

_LOG_LINES = 60  # a page is read, not searched

_NEWER = ("a category of a newer airflow_doeks", "Read the root cause and its evidence.")


def failure_notice(failure: JobFailure, what_follows: str = "", log_tail: Sequence[str] = ()) -> Notice:
    """The root cause on top, then where it was read, what usually helps, what Airflow does next, the log's end."""
    words, help_ = HELPS.get(failure.category, _NEWER)
    lines = [f"Category: {failure.category} ({words})."]
    lines += [f"Evidence: {_FOLDERS.sub('', line)}" for line in failure.evidence]
    lines.append(f"What usually helps: {help_}")
    if what_follows:
        lines.append(what_follows)
    log = tuple(_FOLDERS.sub("", line) for line in (log_tail or failure.log_tail)[-_LOG_LINES:])
    if not log:
        lines.append("The end of the driver's log was not kept: there was none, or it could not be read.")
    return Notice("bad", failure.message or f"Failed: {words}", tuple(lines), log)
