"""Where the link "Cost and lineage" of a task leads."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_doeks import compat
from airflow_doeks.operators import links

KEY = SimpleNamespace(dag_id="a.b", run_id="manual__2026-11-20T00:00:00+00:00", task_id="t", map_index=-1)


@pytest.mark.skipif(
    not compat.HAS_EXTERNAL_VIEWS and not compat.HAS_FLASK_VIEWS, reason="Airflow 3.0 has links only, no pages"
)
def test_the_link_leads_to_the_page_below_the_path_of_the_web_server(monkeypatch):
    """Below a path, too; what stands in a run's id is written as a URL wants it."""
    monkeypatch.setattr(links, "web_root", lambda: "/air")
    query = "dag_id=a.b&run_id=manual__2026-11-20T00%3A00%3A00%2B00%3A00&task_id=t&map_index=-1"
    assert links.CostLink().get_link(None, ti_key=KEY) == f"/air/doeks/task?{query}"


def test_where_there_are_no_pages_it_leads_to_the_record(monkeypatch):
    """Airflow 3.0 shows the record on the task's XCom page."""
    monkeypatch.setattr(links, "HAS_EXTERNAL_VIEWS", False)
    monkeypatch.setattr(links, "HAS_FLASK_VIEWS", False)
    assert links.CostLink().get_link(None, ti_key=KEY).startswith("/dags/a.b/")
