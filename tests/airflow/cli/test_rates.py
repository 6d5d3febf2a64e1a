"""`doeks rates refresh` against servers that answer as AWS and Karpenter do."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from airflow_doeks.cli import main, rates_commands
from airflow_doeks.cost import load_rate_card
from airflow_doeks.cost.card_file import card_text
from airflow_doeks.cost.rates import Instance
from tests.airflow.cli.runner import runner
from tests.fakes.aws_http import serving
from tests.fakes.cur import TYPES, row, write_cur
from tests.fakes.prices import FakePrices, machine, product

pytestmark = pytest.mark.airflow
NOW = datetime.now(timezone.utc).replace(microsecond=0)
TODAY = NOW.date()
PRODUCTS = [
    machine("m7g.xlarge", "0.1819000000", "4", "16 GiB"),
    machine("r7g.2xlarge", "0.4794000000", "8", "64 GiB"),
    machine("g5.xlarge", "1.1230000000", "4", "16 GiB", gpu="1"),
    machine("u-24tb1.metal", "0.0000000000", "448", "24,576 GiB"),  # sold otherwise: 0 is no price
    machine("m7g.xlarge", "9.99", "4", "16 GiB", tenancy="Dedicated"),
    machine("m7g.xlarge", "8.88", "4", "16 GiB", regionCode="us-east-1"),
    product(
        "AmazonEKS",
        "0.04048",
        productFamily="Compute",
        regionCode="eu-west-1",
        usagetype="EU-Fargate-vCPU-Hours:perCPU",
    ),
    product("AmazonEKS", "0.004445", productFamily="Compute", regionCode="eu-west-1", usagetype="EU-Fargate-GB-Hours"),
    product(
        "AmazonEKS", "0.10", productFamily="Compute", regionCode="eu-west-1", usagetype="EU-AmazonEKS-Hours:perCluster"
    ),
    product("AmazonEC2", "0.088", productFamily="Storage", regionCode="eu-west-1", volumeApiName="gp3"),
    *(
        product(
            "ElasticMapReduce",
            usd,
            productFamily="EMR Containers",
            regionCode="eu-west-1",
            operation="StartJobRun",
            computeprovider=who,
            meterunit=unit,
        )
        for who, unit, usd in (
            ("EC2", "CPUHours", "0.0112"),
            ("EC2", "GBHours", "0.00123"),
            ("FARGATE", "CPUHours", "0.02"),
        )
    ),
]


class Still(datetime):
    """A clock that stands, so that no midnight comes between a card and what a test says of its day."""

    @classmethod
    def now(cls, tz=None):
        return NOW.astimezone(tz)


@pytest.fixture
def server(monkeypatch):
    """AWS's and Karpenter's prices, which boto3 finds by its own environment; their day is `TODAY`."""
    monkeypatch.setattr(rates_commands, "datetime", Still)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with serving(FakePrices(list(PRODUCTS))) as prices:
        monkeypatch.setenv("AWS_ENDPOINT_URL", prices.url)
        yield prices


def refresh(*arguments):
    """Exit code and standard output of `doeks rates refresh`; what it says in trouble instead."""
    done = runner().invoke(main, ["rates", "refresh", *map(str, arguments)])
    return done.exit_code, done.stderr if done.exit_code else done.stdout


def test_a_card_of_all_prices_is_written_with_its_sources(server, tmp_path):
    """Page by page, of the region only; a price of 0 and other tenancies are none; cross-zone is the bundled card's."""
    code, said = refresh("--region", "eu-west-1", "--out", tmp_path, "--json")
    assert (code, json.loads(said)) == (
        0,
        {
            "file": f"{tmp_path}/eu-west-1.{TODAY}.yaml",
            "dry_run": False,
            "changed": True,
            "card": f"eu-west-1 {TODAY}",
            "instances": 3,
            "changed_prices": 0,
            "spot": {},
            "discounts": {},
            "kept": ["cross_zone_usd_per_gb"],
            "missing": [],
        },
    )
    card = load_rate_card(tmp_path, region="eu-west-1")
    gpu = card.instances["g5.xlarge"]
    assert (card.as_of, card.instances["m7g.xlarge"].usd_per_hour, gpu.gpu, gpu.memory_gib) == (
        TODAY,
        Decimal("0.1819"),
        1,
        16,
    )
    assert (card.fargate.usd_per_vcpu_hour, card.emr_on_eks.usd_per_gib_hour) == (
        Decimal("0.04048"),
        Decimal("0.00123"),
    )
    assert (card.ebs_gp3_usd_per_gib_month, card.cross_zone_usd_per_gb) == (Decimal("0.088"), Decimal("0.02"))
    assert set(card.sources) == {"ec2", "fargate", "emr", "ebs", "transfer"}
    assert server.calls["AmazonEC2"] >= 3
    code, said = refresh("--region", "eu-west-1", "--out", tmp_path)
    assert (code, "Unchanged: " in said) == (0, True)


def test_spot_history_is_kept_per_zone_as_steps(server, tmp_path):
    """The step that held when the span begins is in it; a step to the same price is none."""
    start = NOW - timedelta(days=2)
    for hours, usd in ((-300, "0.06"), (1, "0.06"), (5, "0.07"), (30, "0.065")):
        server.spot.append(("m7g.xlarge", "eu-west-1a", start + timedelta(hours=hours), usd))
    server.spot.append(("m7g.xlarge", "eu-west-1b", start, "0.05"))
    assert refresh("--region", "eu-west-1", "--out", tmp_path, "--spot", "m7g.xlarge")[0] == 0
    zones = load_rate_card(tmp_path, region="eu-west-1").spot["m7g.xlarge"]
    assert [(step.since, step.usd_per_hour) for step in zones["eu-west-1a"]] == [
        (start + timedelta(hours=hours), Decimal(usd)) for hours, usd in ((-300, "0.06"), (5, "0.07"), (30, "0.065"))
    ]
    assert len(zones["eu-west-1b"]) == 1


def test_karpenter_tells_prices_without_a_right_in_aws(server, tmp_path):
    """Its 0 is no price, nor has a GPU type none; what it does not know stays as the card before has it."""
    name = "karpenter_cloudprovider_instance_type"
    server.denies = True
    server.metrics = f"""# HELP {name}_offering_price_estimate Instance type offering estimated hourly price.
{name}_offering_price_estimate{{capacity_type="on-demand",instance_type="m7g.xlarge",zone="us-east-1a"}} 0.1632
{name}_offering_price_estimate{{capacity_type="spot",instance_type="m7g.xlarge",zone="us-east-1a"}} 0.0581
{name}_offering_price_estimate{{capacity_type="spot",instance_type="m7g.xlarge",zone="us-east-1b"}} 6.2e-02
{name}_offering_price_estimate{{capacity_type="reserved",instance_type="m7g.xlarge",zone="us-east-1a"}} 0
{name}_offering_price_estimate{{capacity_type="on-demand",instance_type="m9g.xlarge",zone="us-east-1a"}} 0
{name}_offering_price_estimate{{capacity_type="on-demand",instance_type="p9.xlarge",zone="us-east-1a"}} 1.006
{name}_cpu_cores{{instance_type="m7g.xlarge"}} 4
{name}_cpu_cores{{instance_type="p9.xlarge"}} 4
{name}_memory_bytes{{instance_type="p9.xlarge"}} 1.7179869184e+10
{name}_memory_bytes{{instance_type="m7g.xlarge"}} 1.7179869184e+10
"""
    code, _ = refresh("--region", "us-east-1", "--out", tmp_path, "--karpenter", f"{server.url}/metrics")
    card = load_rate_card(tmp_path, region="us-east-1")
    assert (code, set(card.instances), card.instances["m7g.xlarge"].memory_gib) == (0, {"m7g.xlarge"}, 16)
    assert {zone: steps[0].usd_per_hour for zone, steps in card.spot["m7g.xlarge"].items()} == {
        "us-east-1a": Decimal("0.0581"),
        "us-east-1b": Decimal("0.062"),
    }
    assert card.fargate == load_rate_card().fargate
    assert not server.calls
    before = card.model_copy(
        update={"instances": {"p9.xlarge": Instance(usd_per_hour=1, vcpu=4, memory_gib=16, gpu=1)}}
    )
    (tmp_path / f"us-east-1.{TODAY}.yaml").write_text(card_text(before, "By hand."), "utf-8")
    refresh("--region", "us-east-1", "--out", tmp_path, "--karpenter", f"{server.url}/metrics")
    gpu = load_rate_card(tmp_path, region="us-east-1").instances["p9.xlarge"]
    assert (gpu.gpu, gpu.usd_per_hour) == (1, Decimal("1.006"))


def test_discounts_of_families_come_from_the_bill(server, tmp_path):
    """Covered and uncovered hours together against the list; families that pay the list have none."""
    pytest.importorskip("duckdb", reason="the extra `report` is not installed")
    bill = [
        ("SavingsPlanCoveredUsage", "m5.xlarge", 1.0, 0.6, None),
        ("SavingsPlanCoveredUsage", "m5.xlarge", 1.0, None, None),  # no price: not free
        ("Usage", "m5.xlarge", 1.0, None, 1.0),
        ("Usage", "c5.large", 2.0, None, 2.0),
    ]
    extra = ("pricing_public_on_demand_cost", "reservation_effective_cost", "savings_plan_savings_plan_effective_cost")
    rows = [
        row(
            NOW,
            line_item_line_item_type=kind,
            line_item_product_code="AmazonEC2",
            line_item_usage_type=f"BoxUsage:{machine_}",
            product_instance_type=machine_,
            line_item_unblended_cost=cost,
        )
        | {
            "pricing_public_on_demand_cost": by_list,
            "savings_plan_savings_plan_effective_cost": plan,
            "reservation_effective_cost": None,
        }
        for kind, machine_, by_list, plan, cost in bill
    ]
    write_cur(tmp_path / "bill", rows, types=TYPES | dict.fromkeys(extra, "DOUBLE"))
    code, _ = refresh("--region", "eu-west-1", "--out", tmp_path / "rates", "--cur", tmp_path / "bill")
    card = load_rate_card(tmp_path / "rates", region="eu-west-1")
    assert (code, card.discounts) == (0, {"m5": Decimal("0.2")})
    assert "discounts" in card.sources
    listed = [one | {"savings_plan_savings_plan_effective_cost": one["pricing_public_on_demand_cost"]} for one in rows]
    write_cur(tmp_path / "list", listed, types=TYPES | dict.fromkeys(extra, "DOUBLE"))
    code, said = refresh("--region", "eu-west-1", "--out", tmp_path / "rates", "--cur", tmp_path / "list", "--json")
    assert (code, json.loads(said)["discounts"], "discounts" in json.loads(said)["kept"]) == (0, {}, False)


def test_a_refusal_writes_nothing_and_says_who_refused(server, tmp_path):
    """Exit code 1: a card without what was refused would make costs unknown."""
    server.denies = True
    code, said = refresh("--region", "eu-west-1", "--out", tmp_path / "rates")
    assert (code, "the Price List of AmazonEKS could not be read" in said, "pricing:GetProducts" in said) == (
        1,
        True,
        True,
    )
    assert not (tmp_path / "rates").exists()
    code, said = refresh("--region", "mars-1", "--out", tmp_path / "rates", "--karpenter", f"{server.url}/metrics")
    assert (code, "has no karpenter_cloudprovider_instance_type_offering_price_estimate" in said) == (1, True)


def test_a_dry_run_prints_the_card_that_would_be_written(server, tmp_path):
    """The text is a card, equal when it is read back."""
    code, said = refresh("--region", "eu-west-1", "--out", tmp_path / "rates", "--families", "m7g", "--dry-run")
    (tmp_path / "card.yaml").write_text(said, "utf-8")
    card = load_rate_card(tmp_path / "card.yaml")
    assert (code, set(card.instances), (tmp_path / "rates").exists()) == (0, {"m7g.xlarge"}, False)
    assert card_text(card, "Written by `doeks rates refresh`. USD; what no source told is left out.") == said
