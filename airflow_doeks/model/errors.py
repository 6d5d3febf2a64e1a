"""Errors named by whose fault they are: the author's, the platform's or ours.

Every message says what is wrong, where, what was expected and the next step; the first line stands alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_doeks.model.record import FailureCategory


class DoeksError(Exception):
    """Root of every error this package raises on purpose; never raised itself."""


class SpecError(DoeksError):
    """The author's: YAML, arguments or settings say something that cannot be done."""


class PlatformError(DoeksError):
    """The platform's: an API refused, was unreachable or answered nonsense; what it said is masked here.

    Attributes:
        retryable: True if the same call may succeed later (throttling, 5xx, time-out).
        category: of the failure of a job that never came to be because of it.
    """

    def __init__(self, message: str, *, retryable: bool = False, category: FailureCategory = "platform") -> None:
        from airflow_doeks.model.redaction import redacted  # compiles patterns that no parsing of a DAG needs

        super().__init__(redacted(message))
        self.retryable, self.category = retryable, category


class DoeksBug(DoeksError):
    """Ours: a state the code holds to be impossible; the message asks for a report."""
