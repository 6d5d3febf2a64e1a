"""The site of a process, opened with this Airflow's settings."""

from __future__ import annotations

import pytest

from airflow_doeks.ui import opening


@pytest.fixture(autouse=True)
def closed():
    """No site that an earlier test opened, and none left for a later one."""
    opening.site.cache_clear()
    yield
    opening.site.cache_clear()


def test_a_ledger_path_of_no_known_scheme_gives_a_page_that_says_so(monkeypatch):
    """A wrong setting is told, without the address; once it is mended, the next request has its page."""
    monkeypatch.setenv("AIRFLOW__DOEKS__LEDGER_PATH", "gs://somebody/ledger")
    answer = opening.answer("costs", {}, set)
    assert answer.status == 503
    assert "The ledger cannot be opened" in answer.body
    assert "somebody" not in answer.body


def test_the_ledger_of_the_settings_is_read(monkeypatch, tmp_path):
    """An empty folder gives a page without jobs."""
    monkeypatch.setenv("AIRFLOW__DOEKS__LEDGER_PATH", str(tmp_path))
    answer = opening.answer("costs", {}, set)
    assert (answer.status, "No job in this time" in answer.body) == (200, True)
