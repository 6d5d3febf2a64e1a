"""Who sees what: every route of the pages, asked by nobody, viewers of one DAG, a stranger and an administrator."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_doeks import compat

WALK = Path(__file__).with_name("walk.py")
OF_ONE_DAG = ("task", "run", "dag")
LISTS = ("costs", "costs csv", "dataset")
HAS_FAB = importlib.util.find_spec("flask_appbuilder") is not None
MANAGERS = ["fab"] if compat.HAS_FLASK_VIEWS else ["simple", "fab"]

pytestmark = pytest.mark.skipif(
    not compat.HAS_EXTERNAL_VIEWS and not compat.HAS_FLASK_VIEWS, reason="Airflow 3.0 has links only, no pages"
)


@pytest.fixture(scope="module", params=MANAGERS)
def walked(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What each person got of each page, with an auth manager."""
    if request.param == "fab" and not HAS_FAB:
        pytest.skip("apache-airflow-providers-fab is not installed")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    command = [sys.executable, str(WALK), *([request.param] if request.param == "fab" else [])]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_route_was_walked_and_only_reads(walked: dict[str, Any]) -> None:
    """A route that nobody asked here would be one that nobody checked; each takes GET alone."""
    asked = {f"/{page.split()[0].split('/')[0]}" for page in walked["seen"]["ada"]}
    assert {f"/{path.split('/')[1]}" for path in walked["routes"]} == asked
    assert {method for methods in walked["routes"].values() for method in methods} <= {"GET", "HEAD"}


def test_nobody_sees_nothing(walked: dict[str, Any]) -> None:
    """Without a login no route answers, styles and scripts included."""
    assert {got["status"] for got in walked["seen"]["nobody"].values()} <= {302, 401, 403}


def test_who_may_read_one_dag_sees_that_one(walked: dict[str, Any]) -> None:
    """Its pages, and lists in which no other DAG's name or dollars stand."""
    seen = walked["seen"]["vera"]
    for page in OF_ONE_DAG:
        assert (seen[f"{page} sales"]["status"], seen[f"{page} sales"]["sales"]) == (200, True), page
        assert seen[f"{page} secret_dag"]["status"] in {302, 403}, page
    for page in LISTS:
        assert (seen[page]["status"], seen[page]["sales"]) == (200, True), page
    assert [page for page, got in seen.items() if got["secret"] or got["both"]] == []


def test_who_may_read_no_logs_sees_no_page_that_shows_them(walked: dict[str, Any]) -> None:
    """A failed task's page holds the end of its log; runs, the DAG and lists are as for others who may read it."""
    seen = walked["seen"]["lea"]
    assert seen["task sales"]["status"] in {302, 403}
    for page in ("run sales", "dag sales", *LISTS):
        assert (seen[page]["status"], seen[page]["sales"]) == (200, True), page


def test_a_stranger_sees_no_dag(walked: dict[str, Any]) -> None:
    """A login that may read no DAG gets no page of one, and lists are refused or empty."""
    seen = walked["seen"]["sam"]
    assert {seen[f"{page} {dag}"]["status"] for page in OF_ONE_DAG for dag in ("sales", "secret_dag")} <= {302, 403}
    assert [page for page, got in seen.items() if got["sales"] or got["secret"] or got["both"]] == []


def test_an_administrator_sees_everything(walked: dict[str, Any]) -> None:
    """Every page of every DAG, and lists whose total is the ledger's."""
    seen = walked["seen"]["ada"]
    assert {got["status"] for got in seen.values()} == {200}
    assert [seen[page]["both"] for page in ("costs", "dataset")] == [True, True]
    assert [seen[f"{page} secret_dag"]["secret"] for page in OF_ONE_DAG] == [True] * 3
