"""`doeks advise`: the advice of the last runs as a patch, with dollars and evidence; never applied by itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from airflow_doeks.advice import Advice
from airflow_doeks.cli import main
from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from airflow_doeks.model.record import Attempt, JobFacts, JobRecord, Times
from airflow_doeks.model.status import JobState

PIPELINE = """\
start_date: 2026-01-01
tasks:
  # cleans
  clean:
    platform: laptop
    spark:
      main: s3://code/a.py
      executors: {min: 2, max: 20, memory: 16Gi} # as it was
  other: {platform: laptop, spark: {main: s3://code/b.py}}
"""


def memory(gib: int, usd: str = "0.5") -> Advice:
    """So much is enough."""
    change = {"executors.memory": f"{gib}Gi"}
    return Advice(code="memory", message="m", evidence=(f"peak {gib} GiB",), usd=Decimal(usd), change=change)


def fewer(count: int) -> Advice:
    """So many executors are enough."""
    return Advice(code="idle_executors", message="m", evidence=("idle",), change={"executors.max": str(count)})


SPOT = Advice(code="spot", message="m", evidence=("cheaper",), usd=2, change={"executors.capacity": "spot"})
GRAVITON = Advice(code="graviton", message="m", evidence=("m5 -> m6g",), usd=1, change={"presets": "graviton"})
SKEW = Advice(code="skew", message="m", evidence=("long",), usd=9)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one pipeline, and a ledger."""
    (tmp_path / "doeks.yaml").write_text("platforms: {laptop: {type: local}}\n")
    (tmp_path / "orders.yaml").write_text(PIPELINE)
    (tmp_path / "ledger").mkdir()
    return tmp_path


def ran(project: Path, *runs: Sequence[Advice], state: JobState = JobState.SUCCEEDED) -> None:
    """Records of the task ``clean`` with this advice, an hour apart."""
    book = Ledger(LocalStore(project / "ledger"))
    for number, advice in enumerate(runs, sum(1 for _ in book.records())):
        at = datetime.now(timezone.utc) - timedelta(days=5) + timedelta(hours=number)
        record = JobRecord(
            record_id=f"{number:032x}",
            attempt=Attempt(dag_id="orders", run_id=f"r{number}", task_id="clean", try_number=1),
            settled_by_try=1,
            job=JobFacts(ref=f"x://{number}", platform="laptop", type="local", engine="spark", name="n", state=state),
            times=Times(submitted=at, ended=at),
            detail=f"{number:032x}.detail.json.zst",
        )
        book.write(record, {"advice": [one.model_dump(mode="json") for one in advice]})


def doeks(project: Path, *more: str) -> Result:
    """The command on the pipeline."""
    arguments = ["advise", "orders.yaml", "--ledger", "ledger", *more]
    return CliRunner().invoke(main, arguments, env={"DOEKS_LEDGER": None})


@pytest.fixture(autouse=True)
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in the project."""
    monkeypatch.chdir(project)


def test_the_patch_has_what_every_run_would_have_borne(project: Path) -> None:
    """The largest memory and number of executors that one of them needs, Spot and Graviton; comments stay."""
    ran(project, [memory(4), fewer(5), SPOT, GRAVITON, SKEW], [memory(6, "0.3"), fewer(8), SPOT, GRAVITON])
    result = doeks(project)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[:2] == ["clean: 2 runs", "  executors.capacity: spot, up to 2.00 USD less a run"]
    assert "  executors.memory: 6Gi, up to 0.4000 USD less a run" in lines
    assert "    peak 6 GiB" in lines
    assert "other: no job that succeeded has advice in these days" in lines
    assert lines[lines.index("--- a/orders.yaml") :][3:11] == [
        "   clean:",
        "     platform: laptop",
        "     spark:",
        "+      presets: [graviton]",
        "       main: s3://code/a.py",
        "-      executors: {min: 2, max: 20, memory: 16Gi} # as it was",
        "+      executors: {min: 2, max: 8, memory: 6Gi, capacity: spot} # as it was",
        "   other: {platform: laptop, spark: {main: s3://code/b.py}}",
    ]


def test_nothing_is_applied_and_git_applies_it(project: Path) -> None:
    """The file stays as it is; the output is what `git apply` takes, and lints."""
    ran(project, [memory(4), GRAVITON])
    result = doeks(project)
    assert (project / "orders.yaml").read_text() == PIPELINE
    subprocess.run(["git", "init", "-q"], check=True, cwd=project)
    subprocess.run(["git", "apply", "-"], input=result.stdout, text=True, check=True, cwd=project)
    assert "executors: {min: 2, max: 20, memory: 4Gi} # as it was" in (project / "orders.yaml").read_text()
    assert CliRunner().invoke(main, ["lint", "orders.yaml"]).exit_code == 0
    ran(project, [memory(3)])
    absolute = ["advise", str(project / "orders.yaml"), "--ledger", "ledger", "--runs", "1"]
    assert "--- a/orders.yaml" in CliRunner().invoke(main, absolute).stdout
    assert doeks(project).stdout.splitlines()[1] == "  nothing that all of them would have borne"


def test_what_one_run_does_not_say_is_not_in_it(project: Path) -> None:
    """A run that needed its memory says nothing of it; failed jobs are not asked."""
    ran(project, [memory(4)], [SPOT], [memory(4)])
    ran(project, [SPOT], state=JobState.FAILED)
    assert told(project)["tasks"][0]["changes"] == []
    assert told(project, "--runs", "1")["tasks"][0]["changes"][0]["path"] == "executors.memory"


def told(project: Path, *more: str) -> dict[str, Any]:
    """The JSON."""
    result = doeks(project, "--json", *more)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


@pytest.mark.parametrize(
    ("executors", "advice", "why"),
    [
        ("{min: 9, max: 20}", fewer(5), "executors.max: 5 is not in the patch: min is 9"),
        ("{max: 4}", fewer(5), "executors.max: 5 is not in the patch: 4 are asked for"),
        ('{memory: "{{ params.memory }}"}', memory(4), "executors.memory: 4Gi is not in the patch: it is a template"),
        ("{memory: 2Gi}", memory(4), "executors.memory: 4Gi is not in the patch: 2Gi is asked for"),
        ("{memory: 4Gi}", memory(4), "executors.memory: 4Gi is not in the patch: it says so already"),
    ],
)
def test_what_cannot_be_written_is_told(project: Path, executors: str, advice: Advice, why: str) -> None:
    """With the reason; the diff is empty."""
    text = PIPELINE.replace("{min: 2, max: 20, memory: 16Gi}", executors)
    (project / "orders.yaml").write_text(text)
    ran(project, [advice])
    found = told(project)
    assert found["tasks"][0]["left"] == [why]
    assert found["diff"] == ""
