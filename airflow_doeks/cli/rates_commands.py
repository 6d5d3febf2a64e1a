"""`doeks rates`: a dated rate card from where prices stand."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from airflow_doeks.cli.figures import console, count
from airflow_doeks.cost.card_file import EMR, card_text, file_name
from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.redaction import public_uri

if TYPE_CHECKING:
    from airflow_doeks.cost.rates import Instance, RateCard

# What a source does not tell stays as the card before has it, with its own source.
_KEPT = ("fargate", EMR, "ebs_gp3_usd_per_gib_month", "cross_zone_usd_per_gb", "discounts")
_HAS_GPUS = re.compile(r"(p|g|gr)\d")  # families with GPUs: AWS, "Amazon EC2 instance types", read November 2026
_SETTINGS = ("spot_share_of_on_demand", "shared_usd_per_vcpu_hour", "split")
_SOURCE_OF = {
    "fargate": ("fargate",),
    EMR: ("emr",),
    "ebs_gp3_usd_per_gib_month": ("ebs", "ec2_and_ebs"),
    "cross_zone_usd_per_gb": ("transfer",),
    "discounts": ("discounts",),
}


@click.group("rates")
def rates() -> None:
    """Keep the prices of your region."""


@rates.command()
@click.option("--region", required=True, help="AWS region of the prices.")
@click.option(
    "--out",
    default="rates",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of dated cards.",
)
@click.option("--connection", metavar="NAME", help="Airflow connection of AWS; boto3's own search if left out.")
@click.option("--families", metavar="LIST", help="Only these families, such as m5,r6i; all if left out.")
@click.option("--spot", metavar="LIST", help="Spot history per zone of these types, such as m5.xlarge,r6i.2xlarge.")
@click.option("--spot-days", default=7, show_default=True, type=click.IntRange(1, 90), help="How far back.")
@click.option("--karpenter", metavar="URL", help="On-demand and Spot prices from Karpenter's metrics, not from AWS.")
@click.option("--cur", metavar="URL", help="Discounts by family from a CUR 2.0 export; one billing period is enough.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Print the card, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def refresh(*, out: Path, is_dry: bool, as_json: bool, **options: Any) -> None:
    """Write today's rate card of a region.

    EC2, Fargate, EMR on EKS and EBS by AWS's Price List API, or instances from Karpenter. What a source does not tell
    is taken from the newest card of the folder, else from the bundled one, with its source. Name the folder in
    doeks.yaml (`rate_card: {file: rates, region: us-east-1}`): each job is priced by the card of its day. Exit code 1
    if a source refuses; nothing is written then.

    \b
    doeks rates refresh --region eu-west-1 --spot m7g.xlarge,r7g.2xlarge
    doeks rates refresh --region us-east-1 --karpenter http://karpenter.kube-system:8080/metrics
    """  # noqa: D301 - click's mark of text that is not wrapped
    now = datetime.now(timezone.utc)
    before = _before(out, options["region"])
    try:
        # What Airflow's hooks tell goes to standard output: there only the answer belongs.
        with console(sys.stderr).status("Asking for prices"), contextlib.redirect_stdout(sys.stderr):
            card, kept = _card(options, before, now)
    except PlatformError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from error
    text = card_text(card, "Written by `doeks rates refresh`. USD; what no source told is left out.")
    path = out / file_name(card)
    is_same = path.is_file() and path.read_text("utf-8") == text
    if not is_dry and not is_same:
        out.mkdir(parents=True, exist_ok=True)
        part = out / f".{path.name}.part"  # whole or not at all: a part of a card would lack prices
        part.write_text(text, "utf-8")
        part.replace(path)
    told = _told(card, before, kept)
    if as_json:
        click.echo(json.dumps({"file": str(path), "dry_run": is_dry, "changed": not is_same, **told}, indent=1))
    elif is_dry:
        click.echo(text, nl=False)
    else:
        _print(told, path, is_same=is_same)


def _before(folder: Path, region: str) -> RateCard | None:
    """The newest card of the folder, else the bundled one; None if there is neither."""
    from airflow_doeks.cost import load_rate_card

    with contextlib.suppress(SpecError):
        if folder.is_dir():
            return load_rate_card(folder, region=region)
    with contextlib.suppress(SpecError):
        return load_rate_card(region=region)
    return None


def _card(options: Mapping[str, Any], before: RateCard | None, now: datetime) -> tuple[RateCard, list[str]]:
    """The new card, and the names of what was taken from the one before."""
    from airflow_doeks.cost.rates import RateCard, Source
    from airflow_doeks.hooks import prices

    today, region = now.date(), options["region"]
    found: dict[str, Any] = {"spot": {}}
    sources: dict[str, Source] = {}

    def source(name: str, title: str, url: str = prices.PRICE_LIST_URL) -> None:
        sources[name] = Source(title=title, url=url, read=today)

    if options["karpenter"]:
        offerings = prices.karpenter(options["karpenter"], now)
        found |= {"instances": _with_gpus(offerings.instances, before), "spot": offerings.spot}
        source("ec2", "Karpenter, instance_type_offering_price_estimate", public_uri(options["karpenter"]))
    else:
        book = prices.PriceList(region, options["connection"])
        pods = book.pods()
        found |= {"instances": book.instances(), "fargate": pods.fargate, EMR: pods.emr_on_eks}
        found["ebs_gp3_usd_per_gib_month"] = book.ebs_gp3()
        for name, title in (
            ("ec2", "AmazonEC2"),
            ("fargate", "AmazonEKS"),
            ("emr", "ElasticMapReduce"),
            ("ebs", "AmazonEC2 storage"),
        ):
            source(name, f"AWS Price List API, {title}, {region}")
    if options["spot"]:
        since = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=options["spot_days"])
        found["spot"] |= prices.spot_history(region, options["connection"], options["spot"].split(","), since, now)
        source("spot", f"EC2 DescribeSpotPriceHistory, {region}, since {since:%Y-%m-%d}")
    if options["cur"]:
        found["discounts"] = _discounts(options["cur"])
        source(
            "discounts",
            "AWS bill (CUR 2.0), effective cost against public on-demand cost",
            public_uri(options["cur"]),
        )
    if options["families"]:
        wanted = set(options["families"].split(","))
        found["instances"] = {kind: one for kind, one in found["instances"].items() if kind.partition(".")[0] in wanted}
    if not found["instances"]:
        msg = f"no price of an instance in {region}: is the region's name right?"
        raise PlatformError(msg)
    # A bill without a discount tells that there is none any more: nothing is kept then.
    kept = [name for name in _KEPT if found.get(name) is None and before is not None and getattr(before, name)]
    for name in kept:
        found[name] = getattr(before, name)
        known = before.sources if before else {}
        sources |= {key: known[key] for key in _SOURCE_OF[name] if key in known}
    if before is not None:
        found |= {name: getattr(before, name) for name in _SETTINGS}
    values = {name: value for name, value in found.items() if value is not None}
    return RateCard(region=region, as_of=today, sources=sources, **values), kept


def _with_gpus(instances: Mapping[str, Instance], before: RateCard | None) -> dict[str, Instance]:
    """Karpenter tells no GPUs: those of the card before; a type of which nobody knows how many it has is left out."""
    known = {} if before is None else before.instances
    found = {}
    for kind, one in instances.items():
        if kind in known and known[kind].gpu:
            found[kind] = one.model_copy(update={"gpu": known[kind].gpu})
        elif not _HAS_GPUS.match(kind):
            found[kind] = one
    return found


def _discounts(url: str) -> Any:
    from airflow_doeks.bill.discounts import discounts
    from airflow_doeks.hooks.stores import open_export
    from airflow_doeks.ledger.parquet import connection

    with TemporaryDirectory(prefix="doeks-") as folder, connection() as database:
        store, parts = open_export(url)
        return discounts(store, database, Path(folder), parts)


def _told(card: RateCard, before: RateCard | None, kept: list[str]) -> dict[str, Any]:
    """What the card holds, what of it is older, what is in none, and how many prices changed."""
    blocks = ("fargate", EMR, "ebs_gp3_usd_per_gib_month", "cross_zone_usd_per_gb")
    old = {} if before is None else before.instances
    both = card.instances.keys() & old.keys()
    return {
        "card": card.name,
        "instances": len(card.instances),
        "changed_prices": sum(card.instances[kind].usd_per_hour != old[kind].usd_per_hour for kind in both),
        "spot": {kind: len(zones) for kind, zones in sorted(card.spot.items())},
        "discounts": {family: format(share, "f") for family, share in card.discounts.items()},
        "kept": kept,
        "missing": [name for name in blocks if getattr(card, name) is None],
    }


def _print(told: Mapping[str, Any], path: Path, *, is_same: bool) -> None:
    out = console()
    zones = sum(told["spot"].values())
    out.print(
        f"{count(told['instances'])} instance types ({count(told['changed_prices'])} prices changed), "
        f"Spot of {count(len(told['spot']))} types in {count(zones)} zones, "
        f"discounts of {count(len(told['discounts']))} families.",
        highlight=False,
    )
    if told["kept"]:
        out.print(f"As in the card before: {', '.join(told['kept'])}.", highlight=False, soft_wrap=True)
    if told["missing"]:
        out.print(f"Not known: {', '.join(told['missing'])}.", highlight=False, soft_wrap=True)
    out.print(f"{'Unchanged' if is_same else 'Written'}: {path}", highlight=False, soft_wrap=True)
