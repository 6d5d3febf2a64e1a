"""Rate cards: dated list prices, bundled as YAML or written by hand; no default for a missing price.

The split weights say how a node's price falls on vCPU, memory and GPU; they only matter in proportion.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timezone
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field

from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.noun import Amount, Noun, UtcTime

Price = Annotated[Amount, BeforeValidator(lambda value: str(value) if isinstance(value, float) else value)]

# rule -> (per vCPU, per GiB, per GPU) on a node without and with GPUs.
# aws: AWS "Split cost allocation data" user guide: 9:1; with accelerators GPU 9 : (vCPU 0.9 : GiB 0.1), read Nov 2026.
# opencost: OpenCost configs/aws.json base prices per hour, scaled to the node's price, read November 2026.
WEIGHTS: dict[str, tuple[tuple[Decimal, Decimal, Decimal], tuple[Decimal, Decimal, Decimal]]] = {
    "aws": (
        (Decimal(9), Decimal(1), Decimal(0)),
        (Decimal("0.9"), Decimal("0.1"), Decimal(9)),
    ),
    "opencost": (
        (Decimal("0.031611"), Decimal("0.004237"), Decimal(0)),
        (Decimal("0.031611"), Decimal("0.004237"), Decimal("0.95")),
    ),
}
_ON_DEMAND_LARGE_VCPU = 2
OLD_DAYS = 90  # after so many days a card's prices are called old
_CARDS = Path(__file__).with_name("rate_cards")
_CARD_FILE = re.compile(r"(?P<region>[a-z]+(-[a-z]+)+-\d)\.(?P<as_of>\d{4}-\d\d-\d\d)\.yaml")


class Source(Noun):
    """Where a number was read."""

    title: str
    url: str
    read: date


class Instance(Noun):
    """An instance type: on-demand list price and capacity."""

    usd_per_hour: Price
    vcpu: Price
    memory_gib: Price
    gpu: int = 0


class PodRates(Noun):
    """Prices of a service that bills pods by what they request."""

    usd_per_vcpu_hour: Price
    usd_per_gib_hour: Price
    minimum_seconds: int = 60


class SpotPrice(Noun):
    """A Spot price from an instant on, until the next one of the same zone."""

    since: UtcTime
    usd_per_hour: Price


def _oldest_first(steps: tuple[SpotPrice, ...]) -> tuple[SpotPrice, ...]:
    return tuple(sorted(steps, key=lambda step: step.since))


SpotPrices = Annotated[tuple[SpotPrice, ...], Field(min_length=1), AfterValidator(_oldest_first)]


class RateCard(Noun):
    """Prices of one region on one day.

    Attributes:
        instances: instance type -> on-demand price and capacity.
        spot: instance type -> zone -> steps, oldest first.
        spot_share_of_on_demand: what Spot costs where no Spot price is known; None: such a cost stays unknown.
        discounts: family -> what a savings plan or reservation takes off its on-demand price, 0 to 1.
        earlier: cards of the same folder for the days before this one.
        shared_usd_per_vcpu_hour: the platform team's own figure for control plane and system pods; None: unknown.
        split: how a node's price falls on vCPU, memory and GPU.
    """

    v: Literal[1] = 1
    region: str
    as_of: date
    sources: dict[str, Source] = {}
    instances: dict[str, Instance] = {}
    fargate: PodRates | None = None
    emr_on_eks: PodRates | None = None
    ebs_gp3_usd_per_gib_month: Price | None = None
    cross_zone_usd_per_gb: Price | None = None
    spot: dict[str, dict[str, SpotPrices]] = {}
    spot_share_of_on_demand: Price | None = None
    discounts: dict[str, Annotated[Price, Field(ge=0, lt=1)]] = {}
    earlier: tuple[RateCard, ...] = Field(default=(), exclude=True)
    shared_usd_per_vcpu_hour: Price | None = None
    split: Literal["aws", "opencost"] = "aws"

    @property
    def name(self) -> str:
        """How records cite this card: ``us-east-1 2026-01-19``."""
        return f"{self.region} {self.as_of}"

    def at(self, moment: datetime | None) -> RateCard:
        """The card that held at a moment: the newest that is not younger, else the oldest there is."""
        cards = sorted((self, *self.earlier), key=lambda card: card.as_of)
        if moment is None:
            return cards[-1]
        day = moment.astimezone(timezone.utc).date()
        return next((card for card in reversed(cards) if card.as_of <= day), cards[0])

    def on_demand(self, instance_type: str) -> Decimal | None:
        """USD per hour of a type after its family's discount; None if the card does not list it."""
        found = self.instances.get(instance_type)
        return (
            None if found is None else found.usd_per_hour * (1 - self.discounts.get(instance_type.partition(".")[0], 0))
        )

    def weights(self, *, gpu: bool) -> tuple[Decimal, Decimal, Decimal]:
        """Weights of (vCPU, GiB, GPU)."""
        return WEIGHTS[self.split][int(gpu)]


def load_rate_card(
    path: str | Path | None = None, *, region: str | None = None, split: Literal["aws", "opencost"] | None = None
) -> RateCard:
    """The rate card of a file, or the newest bundled one of a region (us-east-1 if none is named).

    Of a folder of dated cards the newest, of the region if one is named, which knows the others as ``earlier``. Raises
    SpecError naming what is missing or wrong.
    """
    if path is not None and Path(path).is_dir():
        card = _newest(Path(path), region)
    else:
        card = _bundled(region or "us-east-1") if path is None else _read(Path(path).read_bytes(), str(path))
    return card if split is None else card.model_copy(update={"split": split})


def bundled_regions() -> dict[str, str]:
    """Region -> file name of its newest bundled card."""
    found = {}
    for name in sorted(entry.name for entry in _CARDS.iterdir()):
        if match := _CARD_FILE.fullmatch(name):
            found[match["region"]] = name
    return found


def stale(card: RateCard, moment: datetime) -> str | None:
    """What to say of a card that was old when something was priced with it; None if it was not."""
    days = (moment.astimezone(timezone.utc).date() - card.as_of).days
    if days <= OLD_DAYS:
        return None
    return f"the prices of rate card {card.name} were {days} days old; `doeks rates refresh` writes a new card"


def _newest(folder: Path, region: str | None) -> RateCard:
    names = sorted(entry.name for entry in folder.iterdir() if _CARD_FILE.fullmatch(entry.name))
    cards = sorted(
        (_read((folder / name).read_bytes(), str(folder / name)) for name in names), key=lambda one: one.as_of
    )
    regions = {card.region for card in cards}
    if region is None and len(regions) > 1:
        msg = f"{folder} has rate cards of {', '.join(sorted(regions))}: name the region beside the folder"
        raise SpecError(msg)
    own = [card for card in cards if region in (None, card.region)]
    if not own:
        msg = f"{folder} has no rate card{f' of {region}' if region else ''}, such as us-east-1.2026-11-01.yaml"
        raise SpecError(msg)
    return own[-1].model_copy(update={"earlier": tuple(own[:-1])})


@lru_cache(maxsize=8)
def _bundled(region: str) -> RateCard:
    names = bundled_regions()
    if region not in names:
        msg = (
            f"no bundled rate card for region {region!r}; bundled: {', '.join(sorted(names))}. "
            "Write one (docs/cost.md shows its form) and name it: rate_card: {file: ...}, or --rate-card."
        )
        raise SpecError(msg)
    return _read((_CARDS / names[region]).read_text(encoding="utf-8"), names[region])


def _read(text: str | bytes, where: str) -> RateCard:
    try:
        data = yaml.load(text, Loader=_ExactLoader)  # noqa: S506 - a SafeLoader
        return RateCard.model_validate(_expand(data))
    except (yaml.YAMLError, ValueError, ArithmeticError, AttributeError, KeyError, TypeError) as error:
        msg = f"{where}: not a rate card: {error}"
        raise SpecError(msg) from error


class _ExactLoader(yaml.SafeLoader):
    """Numbers with a point stay exact: 0.1632 is a Decimal, never the nearest float."""


def _exact(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal:
    return Decimal(str(loader.construct_scalar(node)).replace("_", ""))


_ExactLoader.add_constructor("tag:yaml.org,2002:float", _exact)


def _expand(data: dict[str, Any]) -> dict[str, Any]:
    """The YAML's short forms written out: families become instance types, single-price blocks become fields."""
    card = dict(data)
    instances = dict(card.pop("exact", {}) or {})
    for name, family in (card.pop("instances", {}) or {}).items():
        if "usd_per_hour" in family:
            instances[name] = family
        else:
            instances |= dict(_sizes(name, family))
    card["instances"] = instances
    for block, key in (("ebs_gp3", "usd_per_gib_month"), ("cross_zone", "usd_per_gb")):
        if block in card:
            card[f"{block}_{key}"] = card.pop(block)[key]
    return card


def _sizes(family: str, entry: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    vcpus = {"large": 2} | {"xlarge" if n == 1 else f"{n}xlarge": 4 * n for n in entry["xlarges"]}
    return [
        (
            f"{family}.{size}",
            {
                "usd_per_hour": Decimal(entry["large"]) * vcpu / _ON_DEMAND_LARGE_VCPU,
                "vcpu": vcpu,
                "memory_gib": Decimal(entry["gib_per_vcpu"]) * vcpu,
            },
        )
        for size, vcpu in vcpus.items()
    ]
