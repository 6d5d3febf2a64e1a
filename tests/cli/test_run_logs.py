"""The log of a run in one process, told apart by try."""

from __future__ import annotations

from datetime import datetime, timezone

from airflow_doeks.cli.run_logs import lines_by_try
from airflow_doeks.ui.pages.tasks_of_run import TaskTimes

LOG_OF_3 = """\
2026-11-29T12:59:39.700000Z [info     ] Created dag run. [airflow.models.dagrun] loc=dagrun.py:2464
2026-11-29T13:00:01.100000Z [info     ] Task started     [airflow.api_fastapi.execution_api.routes.task_instances]
2026-11-29T13:00:01.200000Z [info     ] Submitted local://vm/a [airflow_doeks.lifecycle.submission] loc=94
2026-11-29T13:00:44.800000Z [error    ] it failed [airflow_doeks.attempt.attempt] loc=attempt.py:9
Traceback (most recent call last):
ValueError: no
2026-11-29T13:00:44.900000Z [info     ] Task instance state updated [airflow.api_fastapi.execution_api.routes.x]
  continued
2026-11-29T13:01:00.500000Z [info     ] Submitted local://vm/b [airflow_doeks.lifecycle.submission] loc=94
"""
LOG_OF_2 = """\
[2026-11-29T13:00:01.200+0000] {submission.py:94} INFO - Submitted local://vm/a
[2026-11-29T13:01:00.500+0000] {submission.py:94} INFO - Submitted local://vm/b
"""


def tries():
    """The first try from 13:00:00, the second from 13:01:00."""
    at = [datetime(2026, 11, 29, 13, minute, tzinfo=timezone.utc) for minute in (0, 1)]
    return [TaskTimes("clean", -1, number + 1, "failed", started) for number, started in enumerate(at)]


def test_a_line_belongs_to_the_try_in_whose_time_it_was_written():
    """Tracebacks stay with their line; what the API server says in the same process is no try's."""
    first, second = tries()
    found = lines_by_try(LOG_OF_3.splitlines(keepends=True), [second, first])
    assert "".join(found[first]).splitlines() == [
        "2026-11-29T13:00:01.200000Z [info     ] Submitted local://vm/a [airflow_doeks.lifecycle.submission] loc=94",
        "2026-11-29T13:00:44.800000Z [error    ] it failed [airflow_doeks.attempt.attempt] loc=attempt.py:9",
        "Traceback (most recent call last):",
        "ValueError: no",
    ]
    assert len(found[second]) == 1


def test_the_times_of_airflow_2_are_read_too():
    """Its lines begin with a bracket and an offset without a colon."""
    first, second = tries()
    found = lines_by_try(LOG_OF_2.splitlines(keepends=True), [first, second])
    assert [len(found[one]) for one in (first, second)] == [1, 1]


def test_a_task_that_never_started_has_no_lines():
    """A skipped task has no start; nothing is said of it."""
    skipped = TaskTimes("later", -1, 0, "skipped")
    assert lines_by_try(LOG_OF_3.splitlines(keepends=True), [skipped])[skipped] == []
