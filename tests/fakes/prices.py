"""AWS's Price List and Spot price history, and Karpenter's metrics, on one port; shapes are botocore's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

import botocore.session

from tests.fakes.shapes import violations

_SESSION = botocore.session.get_session()
_PRODUCTS = _SESSION.get_service_model("pricing").operation_model("GetProducts")
_TYPES = {"Content-Type": "application/x-amz-json-1.1"}


def product(service: str, usd: str, **attributes: str) -> dict[str, Any]:
    """A product with one on-demand price, as the list has it: JSON in a string."""
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": usd}}
    family = attributes.pop("productFamily")
    return {
        "product": {"productFamily": family, "attributes": {"servicecode": service, **attributes}, "sku": usd},
        "serviceCode": service,
        "terms": {"OnDemand": {"T": {"priceDimensions": {"D": dimension}}}},
    }


def machine(kind: str, usd: str, vcpu: str, memory: str, **more: str) -> dict[str, Any]:
    """An instance type as AmazonEC2 lists it."""
    about = {
        "productFamily": "Compute Instance",
        "instanceType": kind,
        "vcpu": vcpu,
        "memory": memory,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
        "regionCode": "eu-west-1",
    }
    return product("AmazonEC2", usd, **about | more)


@dataclass
class FakePrices:
    """What the endpoint serves.

    Attributes:
        products: of all services and regions.
        spot: (type, zone, instant, price) in any order.
        metrics: Karpenter's, at ``/metrics``.
        page_size: products a page.
        denies: the Price List refuses.
    """

    products: list[dict[str, Any]] = field(default_factory=list)
    spot: list[tuple[str, str, datetime, str]] = field(default_factory=list)
    metrics: str = ""
    page_size: int = 2
    denies: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    open_now: int = 0
    open_most: int = 0
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request."""
        target = handler.headers.get("X-Amz-Target", "")
        if handler.command == "GET" and handler.path == "/metrics":
            return 200, {"Content-Type": "text/plain"}, self.metrics.encode()
        if target == "AWSPriceListService.GetProducts":
            return self._products(json.loads(body))
        form = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        if form.get("Action") == "DescribeSpotPriceHistory":
            return self._spot(form)
        return 404, {}, b""

    def _products(self, asked: Mapping[str, Any]) -> tuple[int, dict[str, str], bytes]:
        assert violations(asked, _PRODUCTS.input_shape) == []
        self.calls[asked["ServiceCode"]] += 1
        if self.denies:
            problem = {"__type": "AccessDeniedException", "message": "not authorized to perform: pricing:GetProducts"}
            return 400, _TYPES, json.dumps(problem).encode()
        wanted = {one["Field"]: one["Value"] for one in asked["Filters"]}
        found = [one for one in self.products if one["serviceCode"] == asked["ServiceCode"] and _has(one, wanted)]
        start = int(asked.get("NextToken", 0))
        page = found[start : start + self.page_size]
        answer = {"FormatVersion": "aws_v1", "PriceList": [json.dumps(one) for one in page]}
        if start + self.page_size < len(found):
            answer["NextToken"] = str(start + self.page_size)
        return 200, _TYPES, json.dumps(answer).encode()

    def _spot(self, form: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """The steps of the asked types: within the time, and for each zone the one that held at its start."""
        self.calls["spot"] += 1
        types = {value for key, value in form.items() if key.startswith("InstanceType.")}
        since, until = (_instant(form[key]) for key in ("StartTime", "EndTime"))
        by_zone: dict[tuple[str, str], list[tuple[datetime, str]]] = {}
        for kind, zone, at, usd in self.spot:
            if kind in types and at <= until:
                by_zone.setdefault((kind, zone), []).append((at, usd))
        items = []
        for (kind, zone), steps in by_zone.items():
            before = [step for step in steps if step[0] <= since]
            for at, usd in [*([max(before)] if before else []), *(step for step in steps if step[0] > since)]:
                items.append(
                    f"<item><instanceType>{kind}</instanceType><productDescription>Linux/UNIX</productDescription>"
                    f"<spotPrice>{usd}</spotPrice><timestamp>{at:%Y-%m-%dT%H:%M:%S.000Z}</timestamp>"
                    f"<availabilityZone>{zone}</availabilityZone></item>"
                )
        items.reverse()  # newest first, as EC2
        start = int(form.get("NextToken", 0))
        more = f"<nextToken>{start + self.page_size}</nextToken>" if start + self.page_size < len(items) else ""
        page = "".join(items[start : start + self.page_size])
        text = f"<DescribeSpotPriceHistoryResponse><spotPriceHistorySet>{page}</spotPriceHistorySet>{more}"
        return 200, {"Content-Type": "text/xml"}, f"{text}</DescribeSpotPriceHistoryResponse>".encode()


def _has(one: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    about = {**one["product"]["attributes"], "productFamily": one["product"]["productFamily"]}
    return all(about.get(key) == value for key, value in wanted.items())


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
