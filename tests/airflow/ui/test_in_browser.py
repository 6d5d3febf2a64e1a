"""The pages as a reader has them: real jobs through real Airflow, its API server, and a real Chromium."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from airflow_doeks import compat
from airflow_doeks.report.figures import usd
from tests.airflow.processes.running import Airflow
from tests.ui import browser

DOEKS = str(Path(sys.executable).with_name("doeks"))
_CHARTS = "[...document.querySelectorAll('figure.chart')]"
DRAWN = f"document.querySelector('main') && {_CHARTS}.every(chart => chart.querySelector('svg'))"
USER = "--username ada --password ada --firstname a --lastname a --role Admin --email ada@example.com"
SIGN_IN = "username.value = 'ada'; password.value = 'ada'; document.querySelector('form[name=login]').submit()"
BROKEN = """
description: A query of a column that is not there.
start_date: 2026-01-01
owner: me
cost_tags: {team: theirs}
tasks:
  fails: {spark: {sql: ../sql/broken.sql}}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.spark,
    pytest.mark.skipif(
        not compat.HAS_EXTERNAL_VIEWS and not compat.HAS_FLASK_VIEWS, reason="Airflow 3.0 has links only, no pages"
    ),
    pytest.mark.skipif(
        browser.PROGRAM is None and not os.environ.get("DOEKS_BROWSER"),
        reason="no Chromium on this machine (apt install chromium)",
    ),
]


class Place:
    """An Airflow with two runs, one of which failed, behind its web server; ``cookies`` are those of its reader."""

    cookies = ""

    def __init__(self, home: Path, airflow: Airflow, runs: list[dict[str, Any]]) -> None:
        self.home, self.airflow, self.runs = home, airflow, runs
        self.url = f"http://127.0.0.1:{airflow.port}"
        self.records = [record for run in runs for record in run["records"]]

    def page(self, route: str, /, **query: str) -> str:
        """The address of a page."""
        return f"{self.url}/doeks/{route}?{urlencode(query)}"

    @property
    def usd(self) -> Decimal:
        """What all jobs cost, as the ledger has it."""
        return sum((Decimal(record["cost"]["usd_total"]) for record in self.records), Decimal(0))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """`doeks init`, two `doeks run`, and the web server on what they left."""
    folder = tmp_path_factory.mktemp("pages")
    dags, home = folder / "flows", folder / "home"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DOEKS_"))}
    env = clean | {"AIRFLOW_HOME": str(home), "AIRFLOW_VAR_ORDERS_DATA": str(folder / "data")}
    subprocess.run([DOEKS, "init", str(dags)], env=env, check=True, capture_output=True)
    (dags / "pipelines" / "broken.yaml").write_text(BROKEN)
    (dags / "sql" / "broken.sql").write_text("select monht from values (1) as t(month)")
    runs = []
    for name in ("first", "broken"):
        command = [DOEKS, "run", str(dags / "pipelines" / f"{name}.yaml"), "--json"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        runs.append(json.loads(done.stdout))
    airflow = Airflow(home, dags)
    of_airflow_2 = {"WEB_SERVER_PORT": str(airflow.port), "WORKERS": "1"}
    of_airflow_2["WORKER_CLASS"] = "gthread"  # threads, because a browser holds connections open that it does not use
    airflow.env |= {f"AIRFLOW__WEBSERVER__{name}": value for name, value in of_airflow_2.items()}
    airflow.env["GUNICORN_CMD_ARGS"] = "--threads 8"
    commands = ["dags reserialize", *([] if compat.IS_AIRFLOW_3 else [f"users create {USER}"])]
    for command in commands:
        program = [str(Path(sys.executable).with_name("airflow")), *command.split()]
        subprocess.run(program, env=airflow.env, check=True, capture_output=True)
    try:
        airflow.start_one("api-server" if compat.IS_AIRFLOW_3 else "webserver")
        airflow._until_it_listens()
        yield Place(home, airflow, runs)
    finally:
        airflow.stop()


@pytest.fixture(scope="module")
def tab(place: Place) -> Iterator[browser.Tab]:
    """A tab of a reader who is logged in."""
    with browser.browser() as pipes:
        tab = browser.Tab(pipes)
        tab.show(width=1300)
        if not compat.IS_AIRFLOW_3:
            tab.open(f"{place.url}/login/", "document.querySelector('form[name=login]')")
            tab.value(SIGN_IN)
        else:
            tab.open(place.url, "document.cookie !== null && document.querySelector('#root')")
        tab.wait("!location.pathname.startsWith('/login') && document.querySelectorAll('a').length > 3")
        place.cookies = tab.cookies()
        tab.forget()  # Airflow 3.2's own page asks for an editor at jsdelivr.net, and for a script that is not there
        yield tab


def keep(tab: browser.Tab, name: str) -> None:
    """A picture of what was seen, where DOEKS_SCREENSHOTS names a folder for them."""
    if folder := os.environ.get("DOEKS_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        version = ".".join(map(str, compat.AIRFLOW_VERSION))
        tab.picture(Path(folder) / f"airflow-{version}-{name}.png")


def rows(place: Place, url: str) -> list[dict[str, str]]:
    """A table of a page as its CSV file."""
    request = urllib.request.Request(url, headers={"Cookie": place.cookies})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return list(csv.DictReader(io.TextIOWrapper(answer, "utf-8")))


def test_numbers_are_those_of_the_ledger(place: Place, tab: browser.Tab) -> None:
    """Dollars of every record stand on its task's, its run's and its DAG's page, to the digit in their tables."""
    for run in place.runs:
        own = {"dag_id": run["dag_id"], "run_id": run["run_id"]}
        spent = sum((Decimal(record["cost"]["usd_total"]) for record in run["records"]), Decimal(0))
        assert Decimal(run["usd_total"]) == spent
        for name in ("run", "dag"):
            tab.open(place.page(name, **own), DRAWN)
            assert usd(spent) in tab.value("document.querySelector('dl').innerText"), name
        tasks = rows(place, place.page("run", **own, csv="tasks"))
        for record in run["records"]:
            task = record["attempt"]["task_id"]
            tab.open(place.page("task", **own, task_id=task, map_index="{MAP_INDEX}"), DRAWN)
            assert usd(Decimal(record["cost"]["usd_total"])) in tab.value("document.querySelector('dl').innerText"), (
                task
            )
            row = next(row for row in tasks if row["Task"] == task)
            assert Decimal(row["USD"]) == Decimal(record["cost"]["usd_total"])
            written = [output["rows"] for output in record["lineage"]["outputs"]]
            assert row["Rows written"] == (str(sum(written)) if written else "")
    keep(tab, "task-failed")
    assert tab.errors == []


def test_data_costs_close(place: Place, tab: browser.Tab) -> None:
    """Each table of Data costs sums to the ledger's dollars, and a dataset's page has its part."""
    tab.open(place.page("costs"), DRAWN)
    keep(tab, "costs")
    assert tab.value("document.querySelectorAll('figure.chart svg.main-svg').length") > 0
    for key in ("datasets", "pipelines", "teams", "platforms"):
        assert sum(Decimal(row["USD"]) for row in rows(place, place.page("costs", csv=key))) == place.usd, key
    written = [output for record in place.records for output in record["lineage"]["outputs"]]
    assert len(written) == 2
    for output in written:
        tab.open(place.page("dataset", name=output["name"]), DRAWN)
        assert usd(Decimal(output["usd"])) in tab.value("document.querySelector('dl').innerText")
    keep(tab, "dataset")
    assert tab.errors == []


def test_filters_change_what_is_shown_and_stand_in_the_url(place: Place, tab: browser.Tab) -> None:
    """A team chosen in the form counts alone, and the address that then stands there gives the same page again."""
    tab.open(place.page("costs"), DRAWN)
    tab.value("document.querySelector('[name=team]').value = 'theirs'; document.querySelector('form').submit()")
    tab.wait(f"location.search.includes('team=theirs') && ({DRAWN})")
    failed = place.runs[1]["records"][0]["cost"]["usd_total"]
    assert usd(Decimal(failed)) in tab.value("document.querySelector('dl').innerText")
    shared = tab.value("location.href")
    tab.open(shared, DRAWN)
    assert tab.value("document.querySelector('[name=team]').value") == "theirs"


def test_a_failure_is_the_first_thing_on_its_page(place: Place, tab: browser.Tab) -> None:
    """The root cause stands on top, with its category and what usually helps."""
    run = place.runs[1]
    query = {"dag_id": run["dag_id"], "run_id": run["run_id"], "task_id": "fails"}
    tab.open(place.page("task", **query), DRAWN)
    first = tab.value("document.querySelector('main section').innerText")
    assert run["records"][0]["failure"]["message"] in first
    assert "What usually helps:" in first
    assert "The end of the driver's log" in first
    assert "UNRESOLVED_COLUMN" in tab.value("document.querySelector('main section pre').innerText")
    assert "broken.yaml:7" in tab.value("document.querySelector('main').innerText")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [800, 1600])
def test_pages_fit_and_follow_the_colours(place: Place, tab: browser.Tab, width: int, dark: bool) -> None:
    """At 800 and 1,600 pixels nothing runs out of the page, and its ground is as light or dark as the reader's."""
    tab.show(width=width, dark=dark)
    run = place.runs[0]
    record = run["records"][0]
    query = {**record["attempt"], "name": record["lineage"]["outputs"][0]["name"]}
    for name in ("task", "run", "dag", "costs", "dataset"):
        tab.open(place.page(name, **{key: value for key, value in query.items() if key != "try_number"}), DRAWN)
        assert tab.value("document.documentElement.scrollWidth <= window.innerWidth"), name
        ground = tab.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        assert (sum(ground) < 300) == dark
        keep(tab, f"{name}-{width}-{'dark' if dark else 'light'}")
    tab.show(width=1300)


def test_nothing_was_asked_of_another_host(place: Place, tab: browser.Tab) -> None:
    """Whatever page of ours was opened before, the browser spoke to Airflow alone, and none logged an error."""
    assert tab.hosts == {f"127.0.0.1:{place.airflow.port}"}
    assert tab.errors == []


@pytest.mark.skipif(not compat.HAS_FLASK_VIEWS, reason="the menu of Airflow 2")
def test_the_menu_of_airflow_2(place: Place, tab: browser.Tab) -> None:
    """Browse, Data costs leads to the page of all costs."""
    tab.open(f"{place.url}/home", "document.querySelector('a[href$=\"/doeks/costs\"]')")
    tab.value("document.querySelector('a[href$=\"/doeks/costs\"]').click()")
    tab.wait(f"location.pathname.endsWith('/doeks/costs') && ({DRAWN})")
    assert usd(place.usd) in tab.value("document.querySelector('dl').innerText")
    keep(tab, "menu-of-airflow-2")


@pytest.mark.skipif(not compat.HAS_EXTERNAL_VIEWS, reason="tabs of Airflow's UI are there from 3.1 on")
def test_the_tab_of_a_task_in_airflow(place: Place, tab: browser.Tab) -> None:
    """Airflow's own page of a task instance has the tab, which shows the job's cost."""
    run = place.runs[0]
    record = run["records"][0]
    task = record["attempt"]["task_id"]
    tab.open(
        f"{place.url}/dags/{run['dag_id']}/runs/{quote(run['run_id'], safe='')}/tasks/{task}",
        "document.querySelector('#root')",
    )
    tab.wait("document.querySelector('a[href$=\"plugin/doeks-task\"]')")
    tab.value("document.querySelector('a[href$=\"plugin/doeks-task\"]').click()")
    inside = "document.querySelector('iframe')?.contentDocument"
    tab.wait(f"{inside}?.querySelector('dl')")
    assert usd(Decimal(record["cost"]["usd_total"])) in tab.value(f"{inside}.querySelector('dl').innerText")
    keep(tab, "tab-of-a-task")
