"""What docs/ shows is so: its files are valid, its commands run and print what the page says."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from airflow_doeks.cli import main
from airflow_doeks.cost.rates import load_rate_card
from airflow_doeks.hooks.stores import open_store
from airflow_doeks.language import check_file, check_project
from airflow_doeks.ledger import Ledger
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times, Usage
from airflow_doeks.model.status import JobState
from tests.doc_pages import difference, fences, play
from tests.fakes.cur import HOUR, Held, Machine, later, split_rows, uplift, write_cur

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
STORIES = [page for page in PAGES if any(fence.language == "console" or fence.title for fence in fences(page))]


def write_ledger(folder: Path) -> None:
    """Three jobs of two teams; the cost of one is unknown."""
    book = Ledger(open_store(str(folder)))
    jobs = [
        ("sales.orders", "clean", "sales", "clean/orders", "4.20"),
        ("sales.orders", "rollup", "sales", "mart/orders_daily", "1.30"),
        ("growth.clicks", "count", "growth", "mart/clicks", None),
    ]
    for number, (dag_id, task_id, team, dataset, usd) in enumerate(jobs):
        begun = datetime(2026, 11, 20, 3, tzinfo=timezone.utc) + timedelta(days=number)
        cost = Cost(usd_total=usd and Decimal(usd), usd_compute=usd and Decimal(usd))
        book.write(
            JobRecord(
                record_id=f"{number:032x}",
                attempt=Attempt(dag_id=dag_id, run_id="r", task_id=task_id, try_number=1),
                settled_by_try=1,
                job=JobFacts(
                    ref=f"emr_on_eks://1.us-east-1/vc/{number}",
                    platform="lake",
                    type="emr_on_eks",
                    engine="spark",
                    name=task_id,
                    state=JobState.SUCCEEDED,
                ),
                times=Times(submitted=begun, started=begun, ended=begun + timedelta(hours=1)),
                usage=Usage(vcpu_seconds=72_000, memory_gib_seconds=288_000),
                cost=cost,
                lineage=Lineage(
                    outputs=(Dataset(namespace="s3://acme", name=dataset, rows=1_000_000, usd=usd and Decimal(usd)),)
                ),
                cost_tags={"team": team},
            )
        )


def write_bill(folder: Path) -> None:
    """The bill of the first of these jobs, with EMR's row, and of the second, without it."""
    rows = []
    for number, usd in ((0, 3.9), (1, 1.25)):
        begun = datetime(2026, 11, 20 + number, 3, tzinfo=timezone.utc)
        labels = {"user_emr_containers_amazonaws_com_job_id": str(number)}
        pod = Held(f"00000000-0000-4000-8000-00000000000{number}", f"i-{number}", 4, 16, begun, begun + HOUR, labels)
        rows += split_rows([Machine(f"i-{number}", "m5.xlarge", 4, 16, usd)], [pod])
    rows += [
        uplift("0", 0.1, datetime(2026, 11, 20, 3, tzinfo=timezone.utc)),
        later(datetime(2026, 11, 25, tzinfo=timezone.utc)),
    ]
    write_cur(folder, rows)


@pytest.mark.parametrize("page", STORIES, ids=lambda page: page.stem)
def test_a_page_is_so(page, tmp_path, monkeypatch):
    """Files of the page are written into a fresh project, its commands run there, and print what it says."""
    monkeypatch.chdir(tmp_path)
    for name in ("DOEKS_ENV", "AIRFLOW_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path
    if "$ doeks init" not in page.read_text("utf-8"):
        assert CliRunner().invoke(main, ["init", "flows"]).exit_code == 0
        folder = tmp_path / "flows"
        monkeypatch.chdir(folder)
    write_ledger(tmp_path / "ledger")
    if "--cur" in page.read_text("utf-8"):
        pytest.importorskip("duckdb")
        write_bill(tmp_path / "bill")
    monkeypatch.setenv("DOEKS_LEDGER", str(tmp_path / "ledger"))
    assert [told for step in play(page, folder) if (told := difference(*step))] == []


# Command of a page that the tests of pages do not run -> where it is run, or why it is not.
ELSEWHERE = {
    "doeks apply": "tests/airflow/cli/test_apply.py",
    "make run": "tests/e2e/test_example.py",
    "make ui": "tests/airflow/cli/test_ui.py",
    "make test-kube": ".ci/run",
    "doeks run": "tests/e2e/test_example.py",
    "doeks ui": "tests/airflow/cli/test_ui.py",
    "doeks report --ledger": "tests/cli/test_report_command.py",
    "doeks rates refresh": "tests/airflow/cli/test_rates.py",
    "doeks reconcile": "tests/airflow/attempt/test_reconciling.py",
    "doeks lineage --event-log s3://": "tests/cli/test_event_log_commands.py",
    "doeks init flows --mwaa": "tests/cli/test_init.py",
    "doeks lint flows": "tests/cli/test_init.py",
    "doeks render flows/pipelines/first.yaml --env prod": "tests/cli/test_init.py",
    "docker-compose": "tests/compose/README.md",
    "make wheel": "tests/test_packaging.py",
    "pip install": "tests/test_packaging.py",
    "python -m tests.fakes.doeks_fake_emr": "tests/fakes/doeks_fake_emr.py",
    "airflow": "Airflow's own",
    "aws": "needs an AWS account",
    "kubectl": "needs a cluster",
    "kind": "needs Docker",
    "export": "only sets variables",
    ".": "only sets variables",
    "rm": "only removes a file",
}
_STARTS = re.compile(rf"(?:doeks|make|{'|'.join(sorted({re.escape(one.split()[0]) for one in ELSEWHERE}))}) ")
_UNTOLD = [
    (page, fence) for page in PAGES for fence in fences(page) if fence.title is None and fence.language != "console"
]


_DOEKS = "platforms: {lake: {type: local}}\n"  # of a pipeline whose page shows none


def _named(pair: object) -> str:
    return pair.stem if isinstance(pair, Path) else ""


@pytest.mark.parametrize(("page", "fence"), _UNTOLD, ids=_named)
def test_what_a_page_does_not_play_is_run_elsewhere(page, fence):
    """A command outside of a console is one that another test runs, or that cannot run here, with the reason."""
    lines = fence.text.splitlines() if fence.language in {"", "sh", "bash"} else []
    for line in lines:
        if _STARTS.match(line):
            where = next((where for start, where in ELSEWHERE.items() if line.startswith(start)), None)
            assert where, f"{page.name}: {line}: write it in a console, or say in ELSEWHERE which test runs it"
            assert " " in where or "'" in where or (DOCS.parent / where).exists(), where


@pytest.mark.parametrize(
    ("page", "fence"), [one for one in _UNTOLD if one[1].language == "yaml" and one[0].name != "errors.md"], ids=_named
)
def test_yaml_is_what_it_looks_like(page, fence, tmp_path, monkeypatch):
    """YAML without a name is a pipeline (of the doeks.yaml above it), a doeks.yaml, a rate card or a Role; valid."""
    monkeypatch.chdir(tmp_path)
    data = yaml.safe_load(fence.text)
    if "apiVersion" in data:
        assert data["kind"] == "Role"
        assert all(rule.keys() == {"apiGroups", "resources", "verbs"} for rule in data["rules"])
    elif "instances" in data:
        Path("rates.yaml").write_text(fence.text, "utf-8")
        assert load_rate_card(Path("rates.yaml")).region == data["region"]
    elif "tasks" in data:
        before = fences(page)[: fences(page).index(fence)]
        shown = [one.text for one in before if one.language == "yaml" and "\nplatforms:" in f"\n{one.text}"]
        Path("doeks.yaml").write_text([_DOEKS, *shown][-1], "utf-8")
        for name in ("pipelines/p.yaml", *re.findall(r"\.\./([\w./-]+)", fence.text)):  # and the code that it names
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()
        Path("pipelines/p.yaml").write_text(fence.text, "utf-8")
        assert check_file("pipelines/p.yaml") == []
    else:
        Path("doeks.yaml").write_text(fence.text, "utf-8")
        assert check_project(Path("doeks.yaml")) == []


@pytest.mark.parametrize(
    ("page", "fence"), [one for one in _UNTOLD if one[1].language in {"json", "python"}], ids=_named
)
def test_json_and_python_can_be_read(page, fence):
    """JSON is JSON; Python compiles."""
    if fence.language == "json":
        json.loads(fence.text)
    else:
        compile(fence.text, str(page), "exec")
