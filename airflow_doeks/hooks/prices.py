"""Prices from where they stand: the Price List API, Spot price history, Karpenter's metrics. Nothing is kept.

Price List: user guide "Finding services and products", attributes as Karpenter (EC2) and emr-advisor (EMR Containers)
ask for them. Karpenter: its metrics page. Read November 2026.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from airflow_doeks.cost.rates import Instance, PodRates, SpotPrice
from airflow_doeks.hooks.clients import aws_client
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.redaction import public_uri, redacted

PRICE_LIST_REGION = "us-east-1"  # one of the three that answer for all regions
PRICE_LIST_URL = "https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/price-changes.html"
_ATTEMPTS = 8
_SECONDS = 30
_EC2 = {
    "productFamily": "Compute Instance",
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}
_EMR = {"productFamily": "EMR Containers", "operation": "StartJobRun", "computeprovider": "EC2"}
_SAMPLE = re.compile(r"karpenter_cloudprovider_instance_type_(?P<what>\w+)\{(?P<labels>[^}]*)\}\s+(?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_GIB = Decimal(1 << 30)


Spot = dict[str, dict[str, tuple[SpotPrice, ...]]]  # type -> zone -> steps


class Product(NamedTuple):
    """A product of the Price List: its attributes and what a unit costs on demand."""

    attributes: Mapping[str, str]
    usd: Decimal


class PodPrices(NamedTuple):
    """Per vCPU-hour and GB-hour; None where the list has none, or several."""

    fargate: PodRates | None
    emr_on_eks: PodRates | None


class Offerings(NamedTuple):
    """What Karpenter knows of instance types and their prices now."""

    instances: dict[str, Instance]
    spot: Spot


class PriceList:
    """The Price List of one region."""

    def __init__(self, region: str, connection: str | None) -> None:
        self.region = region
        self._client = aws_client("pricing", connection=connection, region=PRICE_LIST_REGION, attempts=_ATTEMPTS)

    def instances(self) -> dict[str, Instance]:
        """Types with on-demand Linux price and capacity."""
        found = {}
        for product in self._products("AmazonEC2", _EC2):
            about = product.attributes
            memory = about.get("memory", "").removesuffix(" GiB").replace(",", "")
            if product.usd and (kind := about.get("instanceType")) and _is_number(memory):  # "NA" and 0 are no price
                gpu = about.get("gpu", "0")
                found[kind] = Instance(
                    usd_per_hour=product.usd,
                    vcpu=about["vcpu"],
                    memory_gib=memory,
                    gpu=int(gpu) if gpu.isdigit() else 0,
                )
        return found

    def ebs_gp3(self) -> Decimal | None:
        """Per GB-month of gp3."""
        return _one(self._products("AmazonEC2", {"productFamily": "Storage", "volumeApiName": "gp3"}))

    def pods(self) -> PodPrices:
        """Fargate's (Linux, x86) and EMR's on EC2 nodes."""
        pods = list(self._products("AmazonEKS", {"productFamily": "Compute"}))
        fargate = [
            _one(one for one in pods if one.attributes.get("usagetype", "").endswith(end))
            for end in ("-Fargate-vCPU-Hours:perCPU", "-Fargate-GB-Hours")
        ]
        runs = list(self._products("ElasticMapReduce", _EMR))
        emr = [_one(one for one in runs if one.attributes.get("meterunit") == unit) for unit in ("CPUHours", "GBHours")]
        return PodPrices(_rates(*fargate), _rates(*emr))

    def _products(self, service: str, filters: Mapping[str, str]) -> Iterator[Product]:
        wanted = {**filters, "regionCode": self.region}
        asked = [{"Type": "TERM_MATCH", "Field": key, "Value": value} for key, value in wanted.items()]
        pages = self._client.get_paginator("get_products").paginate(ServiceCode=service, Filters=asked)
        for page in _told(pages, f"the Price List of {service}"):
            for text in page["PriceList"]:
                yield from _product(json.loads(text))


def _product(plain: Mapping[str, Any]) -> Iterator[Product]:
    for term in plain.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term.get("priceDimensions", {}).values():
            if (usd := dimension.get("pricePerUnit", {}).get("USD")) is not None:
                yield Product(plain["product"]["attributes"], Decimal(usd))


def spot_history(
    region: str, connection: str | None, types: Sequence[str], since: datetime, until: datetime
) -> dict[str, dict[str, tuple[SpotPrice, ...]]]:
    """Type -> zone -> steps, oldest first; EC2 tells the price that held at ``since`` with its own, earlier time."""
    client = aws_client("ec2", connection=connection, region=region, attempts=_ATTEMPTS)
    pages = client.get_paginator("describe_spot_price_history").paginate(
        InstanceTypes=list(types), ProductDescriptions=["Linux/UNIX"], StartTime=since, EndTime=until
    )
    found: dict[str, dict[str, dict[datetime, Decimal]]] = {}
    for page in _told(pages, "Spot price history"):
        for one in page["SpotPriceHistory"]:
            steps = found.setdefault(one["InstanceType"], {}).setdefault(one["AvailabilityZone"], {})
            steps[one["Timestamp"]] = Decimal(one["SpotPrice"])
    return {kind: {zone: _steps(steps) for zone, steps in zones.items()} for kind, zones in found.items()}


def _steps(prices: Mapping[datetime, Decimal]) -> tuple[SpotPrice, ...]:
    """In order, without those that change nothing."""
    kept: list[SpotPrice] = []
    for since, usd in sorted(prices.items()):
        if not kept or kept[-1].usd_per_hour != usd:
            kept.append(SpotPrice(since=since, usd_per_hour=usd))
    return tuple(kept)


def karpenter(url: str, now: datetime) -> Offerings:
    """Karpenter's offerings at its metrics' URL: on-demand prices with capacity, and Spot prices of this moment.

    An offering of 0 is one that it knows no price of.
    """
    import requests

    try:
        answer = requests.get(url, timeout=_SECONDS)
        answer.raise_for_status()
    except requests.RequestException as error:
        msg = f"{public_uri(url)}: Karpenter's metrics could not be read: {redacted(str(error))}"
        raise PlatformError(msg) from None
    prices: dict[tuple[str, str], dict[str, Decimal]] = {}
    sizes: dict[str, dict[str, Decimal]] = {"cpu_cores": {}, "memory_bytes": {}}
    for sample in _SAMPLE.finditer(answer.text):
        labels, value = dict(_LABEL.findall(sample["labels"])), Decimal(sample["value"])
        kind = labels.get("instance_type", "")
        if sample["what"] in sizes:
            sizes[sample["what"]][kind] = value
        elif sample["what"] == "offering_price_estimate" and value > 0:
            prices.setdefault((kind, labels.get("capacity_type", "")), {})[labels.get("zone", "")] = value
    instances: dict[str, Instance] = {}
    spot: Spot = {}
    for (kind, capacity), zones in prices.items():
        vcpu, memory = sizes["cpu_cores"].get(kind), sizes["memory_bytes"].get(kind)
        if capacity == "spot":
            spot[kind] = {zone: (SpotPrice(since=now, usd_per_hour=usd),) for zone, usd in zones.items()}
        elif capacity == "on-demand" and vcpu and memory:
            instances[kind] = Instance(
                usd_per_hour=max(zones.values()), vcpu=vcpu, memory_gib=(memory / _GIB).normalize()
            )
    if not prices:
        msg = f"{public_uri(url)} has no karpenter_cloudprovider_instance_type_offering_price_estimate above 0"
        raise PlatformError(msg)
    return Offerings(instances, spot)


def _told(pages: Any, what: str) -> Iterator[Any]:
    """The pages; PlatformError with what was asked where AWS refuses."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield from pages
    except (ClientError, BotoCoreError) as error:
        msg = f"{what} could not be read: {redacted(str(error))}"
        raise PlatformError(msg) from None


def _one(products: Iterator[Product]) -> Decimal | None:
    """The one price above 0 of these products; None if there is none, or several."""
    usd = {product.usd for product in products if product.usd}
    return next(iter(usd)) if len(usd) == 1 else None


def _rates(vcpu: Decimal | None, gib: Decimal | None) -> PodRates | None:
    return None if vcpu is None or gib is None else PodRates(usd_per_vcpu_hour=vcpu, usd_per_gib_hour=gib)


def _is_number(text: str) -> bool:
    try:
        return Decimal(text) > 0
    except InvalidOperation:
        return False
