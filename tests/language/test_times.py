"""A cron that no date fits is told where it is written; every other one is taken as it is."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from croniter import CroniterBadDateError, croniter

from airflow_doeks.language.times import cron_of

NEVER = [
    "0 0 31 2 *",
    "0 0 30 2 *",
    "0 0 30-31 2 *",
    "0 0 31 4 *",
    "0 0 31 4,6,9,11 *",
    "0 0 31 FEB *",
    "*/5 1-3 30,31 02 *",
    "0 0 31 9/2 ?",
]
SOMETIMES = [
    "0 0 29 2 *",  # in leap years
    "0 0 31 2 1",  # a day and a weekday: either of them
    "0 0 31 * *",
    "0 0 31 1/2 *",
    "0 0 30,31 2,4 *",
    "0 0 L 2 *",
    "0 0 * 2 *",
    "0 0 31 */2 *",
    "0 0 1 2 *",
]


@pytest.mark.parametrize("text", NEVER)
def test_a_date_that_never_comes_is_refused(text):
    """30 and 31 February, 31 April and their like: Airflow would list the DAG and never run it."""
    with pytest.raises(ValueError, match="never comes: none of its months has such a day"):
        cron_of(text)
    with pytest.raises(CroniterBadDateError):
        croniter(text, datetime(2026, 1, 1, tzinfo=timezone.utc)).get_prev()


@pytest.mark.parametrize("text", SOMETIMES)
def test_a_date_that_comes_is_taken(text):
    """Airflow's own library finds a run of it."""
    assert cron_of(text) == text
    croniter(text, datetime(2026, 1, 1, tzinfo=timezone.utc)).get_prev()
