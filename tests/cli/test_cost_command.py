"""`doeks cost` on telemetry: tables for people, JSON for programs, one line for what is wrong."""

import json
import re
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from airflow_doeks.cli.cost_commands import cost
from airflow_doeks.cost import load_rate_card
from airflow_doeks.lifecycle.account import account
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.telemetry import Node, Pod, Telemetry

DRIVER = {"uid": "driver", "role": "driver", "vcpu": 4, "memory_gib": 16, "node": "n1", "is_emr_image": True}
HOUR = {"started": "2026-11-20T12:00:00Z", "ended": "2026-11-20T13:00:00Z"}


@pytest.fixture
def doeks(tmp_path):
    """The command on a telemetry file with this content."""

    def run(content, *arguments):
        path = tmp_path / "telemetry.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return CliRunner().invoke(cost, ["--telemetry", str(path), *arguments])

    return run


def test_json_holds_usage_cost_and_minutes(doeks):
    """One m5.xlarge for an hour with EMR's uplift: every component, what is unknown, and the cost of each minute."""
    nodes = [{"uid": "n1", "instance_type": "m5.xlarge"}]
    result = doeks({"pods": [DRIVER | HOUR], "nodes": nodes}, "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert data["usage"]["vcpu_seconds"] == "14400"
    # 0.192 + 4 * 0.01012 + 16 * 0.00111125
    assert (data["cost"]["usd_compute"], data["cost"]["usd_uplift"]) == ("0.1920000000", "0.0582600000")
    assert (data["cost"]["usd_total"], data["cost"]["basis"]) == ("0.2502600000", "pods")
    assert data["cost"]["unknown"] == ["storage", "shared", "idle"]
    assert data["minutes"] == [{"since": "2026-11-20T12:00:00+00:00", "minutes": 60, "usd_per_minute": "0.0041710000"}]


def test_the_table_says_what_the_price_rests_on(doeks):
    """Without a node the job is priced as the instance that was named, and the reader is told."""
    result = doeks({"pods": [DRIVER | HOUR]}, "--priced-as", "m5.2xlarge")
    assert result.exit_code == 0, result.output
    assert "Cost, if on m5.2xlarge (rates of us-east-1 2026-01-19; from pods, confidence medium)" in result.stdout
    assert "Not known: storage: volumes of the pods are not known" in result.stdout


def test_a_cost_that_cannot_be_known_is_exit_code_1(doeks):
    """Telemetry without ends: unknown, with the reason, and never an exception."""
    result = doeks({"pods": [DRIVER | {"started": HOUR["started"]}]})
    assert result.exit_code == 1
    assert "1 driver pods whose end is not known" in result.stdout


def test_a_rate_card_of_ones_own_is_used(doeks, tmp_path):
    """`--rate-card` prices by the file that is given."""
    card = tmp_path / "card.yaml"
    card.write_text("{v: 1, region: x, as_of: 2026-11-01, instances: {b: {usd_per_hour: 2, vcpu: 8, memory_gib: 32}}}")
    result = doeks({"pods": [DRIVER | HOUR]}, "--rate-card", str(card), "--priced-as", "b", "--json")
    assert json.loads(result.stdout)["cost"]["usd_compute"] == "1.0000000000"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not telemetry (`doeks schema telemetry` gives its form): file: Invalid JSON"),
        ({"pods": [{"uid": "a"}]}, "pods.0.role: Field required"),
        ({"pods": [], "nodse": []}, "nodse: Extra inputs are not permitted"),
        ({"pods": [DRIVER | {"started": "2026-11-20T12:00:00"}]}, "pods.0.started: Input should have timezone info"),
    ],
)
def test_wrong_telemetry_is_exit_code_2_with_the_place(doeks, content, words):
    """What is not telemetry is refused with the path of each fault."""
    result = doeks(content)
    assert result.exit_code == 2
    assert words in result.stderr


def test_the_worked_example_of_the_documentation_is_what_the_command_prints(doeks):
    """docs/cost.md shows a telemetry file and the whole output for it; both are run here."""
    page = (Path(__file__).parents[2] / "docs" / "cost.md").read_text()
    telemetry = re.search(r"```json\n(.*?)```", page, re.DOTALL)[1]
    printed = re.search(r"telemetry.json` prints\n```\n(.*?)```", page, re.DOTALL)[1]
    assert doeks(telemetry).stdout == printed
    assert "| total | | 0.041801 |" in page
    assert json.loads(doeks(telemetry, "--json").stdout)["cost"]["usd_total"].startswith("0.041801")


def test_nothing_to_price_is_a_usage_error():
    """Neither a log nor telemetry: exit code 2 and what to give."""
    result = CliRunner().invoke(cost, [])
    assert result.exit_code == 2
    assert "give --event-log PATH, --telemetry FILE or both" in result.stderr


def test_the_best_facts_win_and_the_log_shares_the_cost():
    """Pods of the event log when the platform saw none, else the platform's; the log's slot time spreads dollars."""
    card, assumed = load_rate_card(), Node(uid="x", instance_type="m5.xlarge")
    started, ended = datetime(2026, 11, 20, 12, tzinfo=timezone.utc), datetime(2026, 11, 20, 13, tzinfo=timezone.utc)
    held = {"vcpu": 4, "memory_gib": 16, "started": started, "ended": ended}
    logged = Pod(uid="1", role="executor", **held)
    output = Dataset(namespace="s3://mart", name="daily", rows=10**6, bytes=10**9, slot_share=0.5)
    summary = EventLogSummary(
        app_id="app-1", pods=(logged,), slot_ms=7_200_000, slot_ms_wasted=0, lineage=Lineage(outputs=(output,))
    )
    result = account(Telemetry(), summary, card, assumed_node=assumed)
    assert (result.cost.basis, result.cost.usd_compute) == ("event_log", Decimal("0.192"))
    assert (result.lineage.outputs[0].usd, result.cost.usd_unattributed) == (Decimal("0.096"), Decimal("0.096"))
    assert [advice.code for advice in result.advice] == ["graviton"]
    seen = Pod(uid="p", role="executor", node="n", **held)
    node = Node(uid="n", instance_type="m7g.xlarge", zone="a")
    result = account(Telemetry(pods=(seen,), nodes=(node,)), summary, card, assumed_node=assumed)
    assert (result.cost.basis, result.cost.usd_compute, result.cost.priced_as) == ("pods", Decimal("0.1632"), None)
    assert result.usage.vcpu_seconds == 4 * 3600  # what was seen without a number is the log's executor, not one more
