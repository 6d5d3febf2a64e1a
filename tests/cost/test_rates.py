"""Rate cards: what is bundled, how a file is read, and what a wrong one is answered with."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from airflow_doeks.cost import load_rate_card, stale
from airflow_doeks.cost.rates import bundled_regions
from airflow_doeks.lifecycle.account import account
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.telemetry import Node, Pod, Telemetry
from tests.cost.pricing import price


@pytest.mark.parametrize("region", sorted(bundled_regions()))
def test_every_bundled_card_names_the_source_of_its_numbers(region):
    """Each card is dated, belongs to its region and cites a page and a reading date for every block it has."""
    card = load_rate_card(region=region)
    assert card.region == region
    assert card.name == f"{region} {card.as_of}"
    assert card.sources
    assert all(source.url.startswith("https://") and source.read >= card.as_of for source in card.sources.values())
    assert all(i.usd_per_hour > 0 and i.vcpu > 0 and i.memory_gib > 0 for i in card.instances.values())


@pytest.mark.parametrize(
    ("kind", "usd", "vcpu", "gib"),
    [
        ("m5.24xlarge", "4.608", 96, 384),
        ("m7g.xlarge", "0.1632", 4, 16),
        ("c5.9xlarge", "1.53", 36, 72),
        ("r8g.48xlarge", "11.31072", 192, 1536),
        ("i4i.xlarge", "0.343", 4, 32),
        ("i3.16xlarge", "4.992", 64, 488),
    ],
)
def test_sizes_follow_from_their_family_exactly(card, kind, usd, vcpu, gib):
    """Prices and capacities of sizes, as listed one by one in the sources (us-east-1)."""
    instance = card.instances[kind]
    assert (instance.usd_per_hour, instance.vcpu, instance.memory_gib) == (Decimal(usd), vcpu, gib)


@pytest.mark.parametrize(
    ("kind", "usd"),
    [
        ("c6i.8xlarge", "1.4592"),
        ("c6id.xlarge", "0.2289"),
        ("c6in.12xlarge", "3.0744"),
        ("c7gd.16xlarge", "3.296"),
        ("m6a.48xlarge", "9.2448"),
        ("r6a.24xlarge", "6.0912"),
        ("r6g.12xlarge", "2.7072"),
        ("r6i.32xlarge", "9.024"),
    ],
)
def test_sizes_of_eu_west_1_are_those_of_its_source(kind, usd):
    """A size of each family whose `large` was not the row that was read."""
    assert load_rate_card(region="eu-west-1").instances[kind].usd_per_hour == Decimal(usd)


def test_a_price_that_no_source_gave_is_left_out(pod, node):
    """A card without EMR's uplift prices the machine, and says that the uplift is not known."""
    card = load_rate_card(region="eu-west-1").model_copy(update={"emr_on_eks": None})
    whole = pod(vcpu=4, gib=16, is_emr_image=True)
    _, cost = price([whole], {}, card, basis="pods", assumed_node=node(kind="m7g.xlarge"))
    assert (cost.usd_compute, cost.usd_total) == (Decimal("0.1819"), Decimal("0.1819"))
    assert "uplift" in cost.unknown
    assert "uplift: rate card eu-west-1 2026-11-20 has no EMR on EKS price" in cost.why_unknown


def test_a_price_that_was_derived_says_so():
    """EMR's uplift in eu-west-1 is a quarter of Fargate's rates; its source says that nobody read it."""
    card = load_rate_card(region="eu-west-1")
    assert card.emr_on_eks.usd_per_vcpu_hour * 4 == card.fargate.usd_per_vcpu_hour
    assert card.emr_on_eks.usd_per_gib_hour * 4 == card.fargate.usd_per_gib_hour
    assert card.sources["emr"].title.startswith("derived, not read")


def test_a_card_of_ones_own_may_be_a_file(tmp_path):
    """A file with own prices, Spot steps and settings is read with exact numbers."""
    path = tmp_path / "rates.yaml"
    path.write_text(
        """
v: 1
region: eu-west-1
as_of: 2026-11-01
instances:
  m5: {large: 0.107, gib_per_vcpu: 4, xlarges: [1]}
  own.box: {usd_per_hour: 1, vcpu: 8, memory_gib: 32}
spot:
  m5.xlarge: {eu-west-1a: [{since: "2026-11-01T00:00:00Z", usd_per_hour: 0.08}]}
emr_on_eks: {usd_per_vcpu_hour: 0.01012, usd_per_gib_hour: 0.00111125, minimum_seconds: 0}
shared_usd_per_vcpu_hour: 0.002
split: opencost
"""
    )
    card = load_rate_card(path)
    assert card.instances["m5.xlarge"].usd_per_hour == Decimal("0.214")
    assert card.instances["own.box"].vcpu == 8
    assert card.spot["m5.xlarge"]["eu-west-1a"][0].usd_per_hour == Decimal("0.08")
    assert (card.emr_on_eks.minimum_seconds, card.split, card.fargate) == (0, "opencost", None)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("region: [", "while parsing"),
        ("just text", "not a rate card"),
        ("v: 1\nregion: x\nas_of: yesterday", "as_of"),
        ("v: 1\nregion: x\nas_of: 2026-01-01\nfargate: {usd_per_vcpu_hour: much}", "fargate"),
        ("v: 1\nregion: x\nas_of: 2026-01-01\nprices: {}", "prices"),
    ],
)
def test_a_wrong_card_is_refused_with_its_name_and_the_fault(tmp_path, text, word):
    """A card that is not YAML, not a card, or has an unknown key is refused; the message names the file."""
    path = tmp_path / "rates.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"rates\.yaml") as error:
        load_rate_card(path)
    assert word in str(error.value)


@pytest.mark.parametrize("content", ["région: eu-west-1".encode("latin-1"), b"\x80\x04\x95", b"\xff\xfe\x00"])
def test_a_card_that_is_no_text_is_refused(tmp_path, content):
    """A file that is not UTF-8 is refused by name, like any other that is no rate card."""
    path = tmp_path / "rates.yaml"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"rates\.yaml: not a rate card: "):
        load_rate_card(path)


def test_an_unknown_region_says_which_are_known():
    """No card is invented for a region: the answer names those that exist and how to get another."""
    with pytest.raises(SpecError, match=r"region 'mars-1'; bundled: .*us-east-1.*Write one"):
        load_rate_card(region="mars-1")


def dated(folder, *days, region="us-east-1"):
    """A folder of cards on which m5.xlarge costs as many cents as the day of the month."""
    folder.mkdir(exist_ok=True)
    for day in days:
        price_ = f"0.{int(day[-2:]):02}"
        kind = f"m5.xlarge: {{usd_per_hour: {price_}, vcpu: 4, memory_gib: 16}}"
        text = f"v: 1\nregion: {region}\nas_of: {day}\ninstances:\n  {kind}\n"
        (folder / f"{region}.{day}.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("day", "usd"),
    [
        ("2026-09-30", "0.10"),
        ("2026-10-10", "0.10"),
        ("2026-11-04", "0.10"),
        ("2026-11-05", "0.05"),
        ("2026-12-31", "0.20"),
    ],
)
def test_a_job_is_priced_by_the_card_of_its_day(tmp_path, day, usd):
    """Of a folder the newest card that is not younger than the job; before them all, the oldest."""
    card = load_rate_card(dated(tmp_path / "rates", "2026-11-20", "2026-10-10", "2026-11-05"))
    begun = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    pod = Pod(uid="d", role="driver", vcpu=4, memory_gib=16, node="n", started=begun, ended=begun + timedelta(hours=1))
    facts = Telemetry(pods=(pod,), nodes=(Node(uid="n", instance_type="m5.xlarge"),), started=begun)
    assert account(facts, EventLogSummary(), card).cost.usd_compute == Decimal(usd)
    assert card.name == "us-east-1 2026-11-20"


def test_a_folder_of_several_regions_wants_one_named(tmp_path):
    """And one without a card of the region says so."""
    folder = dated(dated(tmp_path / "rates", "2026-11-05"), "2026-11-06", region="eu-west-1")
    assert load_rate_card(folder, region="eu-west-1").region == "eu-west-1"
    with pytest.raises(SpecError, match="has rate cards of eu-west-1, us-east-1: name the region"):
        load_rate_card(folder)
    with pytest.raises(SpecError, match="has no rate card of ap-south-1"):
        load_rate_card(folder, region="ap-south-1")


def test_prices_are_old_after_ninety_days(card):
    """Told with their age, and how to get new ones."""
    day = datetime(2026, 1, 19, 23, tzinfo=timezone.utc)
    assert stale(card, day + timedelta(days=90)) is None
    words = "the prices of rate card us-east-1 2026-01-19 were 91 days old; `doeks rates refresh` writes a new card"
    assert stale(card, day + timedelta(days=91)) == words


def test_a_discount_of_a_family_is_taken_off_its_on_demand_price_only(card, pod, node):
    """A savings plan covers no Spot hour."""
    card = card.model_copy(update={"discounts": {"m5": Decimal("0.25")}, "spot_share_of_on_demand": Decimal("0.5")})
    whole = pod(vcpu=4, gib=16)
    for capacity, usd in (("on_demand", "0.144"), ("spot", "0.096")):
        _, cost = price([whole], {}, card, basis="pods", assumed_node=node(capacity_type=capacity))
        assert cost.usd_compute == Decimal(usd)
