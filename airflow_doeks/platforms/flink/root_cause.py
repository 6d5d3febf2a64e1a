"""The root cause in what Flink says or logs: the innermost exception of the last failure, and what kind it is. Pure.

Words of Flink 1.18 to 2.1, November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from airflow_doeks.model.record import FailureCategory
from airflow_doeks.platforms import root_cause as jvm

_CAUSE = re.compile(r"\s*(?:Caused by: |\[?CIRCULAR REFERENCE: ?)(.+)")
_EXCEPTION = re.compile(
    r"(?:Exception in thread \"[^\"]*\" )?((?:[\w$]+\.)+[\w$]*(?:Exception|Error|Throwable)(?::.*)?)$"
)
# What ends a job -> category, before what any JVM's exception means; the first match holds.
_CATEGORIES: tuple[tuple[str, FailureCategory], ...] = (
    (r"OutOfMemoryError", "oom_executor"),  # what Flink tells of failures befell a task, on a task manager
    (r"NoResourceAvailableException|Could not acquire the minimum required resources", "unschedulable"),
    (r"(Task(Manager|Executor)).*(no longer reachable|timed out|lost|terminated|[Cc]onnection reset)", "platform"),
    (r"RemoteTransportException|LocalTransportException|PartitionNotFoundException", "platform"),
    (r"Cannot map checkpoint/savepoint state|StateMigrationException|incompatible", "user_code"),
    (r"Exceeded checkpoint tolerable failure threshold", "platform"),  # its storage, most often
    (r"(Savepoint|[Cc]heckpoint).*(does not exist|[Cc]annot find|not find)", "dependency"),
)


def root_cause(lines: Sequence[str]) -> tuple[FailureCategory, str]:
    """A category and one line; ``("unknown", "")`` where the text does not tell."""
    plain = list(_without_archiving([line.rstrip() for line in lines]))
    category, message = jvm.root_cause(plain)
    message = _innermost(plain) if category == "unknown" else message.removeprefix("Caused by: ")
    if not message:
        return category, message
    own = next((own for pattern, own in _CATEGORIES if re.search(pattern, message)), None)
    return own or jvm.category_of(message), message[: jvm.MESSAGE_MAX]


def _without_archiving(lines: Sequence[str]) -> Iterator[str]:
    """The lines without what went wrong when a job manager archived a job: that is no cause of its end."""
    is_archiving = False
    for line in lines:
        goes_on = line.startswith(("\t", " ", "Caused by:")) or _EXCEPTION.match(line)
        is_archiving = "Failed to archive job" in line or (is_archiving and bool(goes_on))
        if not is_archiving:
            yield line


def _innermost(lines: Sequence[str]) -> str:
    """The last cause of the last exception that names any; else the first exception."""
    causes = [match[1] for line in lines if (match := _CAUSE.match(line))]
    outer = [match[1] for line in lines if (match := _EXCEPTION.match(line))]
    return next(iter(causes[-1:] or outer[-1:]), "")
