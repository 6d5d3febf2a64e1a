"""EC2's DescribeInstances with semantics: filters, pages, instances that are gone, denial; shapes are botocore's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import botocore.session
from botocore.model import Shape

from tests.fakes.shapes import violations

MODEL = botocore.session.get_session().get_service_model("ec2")
_SHAPE = MODEL.operation_model("DescribeInstances")
_READS = {  # filter -> the values that an instance has for it; API reference of DescribeInstances, November 2026
    "instance-id": lambda instance: {instance["InstanceId"]},
    "network-interface.addresses.private-ip-address": lambda instance: {
        entry["PrivateIpAddress"] for one in instance["NetworkInterfaces"] for entry in one["PrivateIpAddresses"]
    },
}


def instance(number: int, launched: datetime, *, address: str, pods: tuple[str, ...] = (), **changes: Any) -> Any:
    """An m7g.4xlarge on demand; ``pods`` are addresses that the VPC CNI holds for pods."""
    addresses = [{"PrivateIpAddress": one} for one in (address, *pods)]
    return {
        "InstanceId": f"i-{number:017x}",
        "InstanceType": "m7g.4xlarge",
        "LaunchTime": launched,
        "VpcId": "vpc-1",
        "PrivateDnsName": f"ip-{address.replace('.', '-')}.ec2.internal",
        "Placement": {"AvailabilityZone": "us-east-1a"},
        "CpuOptions": {"CoreCount": 16, "ThreadsPerCore": 1},
        "NetworkInterfaces": [{"PrivateIpAddresses": addresses}],
    } | changes


@dataclass
class FakeEc2:
    """The instances of one region.

    Attributes:
        instances: as DescribeInstances shows them, one reservation each.
        page_size: reservations a page, whatever is asked for.
        calls: actions -> how often; ``asked`` holds the filters of each.
    """

    instances: list[Any] = field(default_factory=list)
    page_size: int = 2
    denies: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    def handle(self, _path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request."""
        form = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        assert form.pop("Action") == "DescribeInstances"
        assert form.pop("Version") == MODEL.api_version
        self.calls["ec2:DescribeInstances"] += 1
        if self.denies:
            error = "<Code>UnauthorizedOperation</Code><Message>You are not authorized to do this.</Message>"
            text = f"<Response><Errors><Error>{error}</Error></Errors><RequestID>1</RequestID></Response>"
            return 403, {"Content-Type": "text/xml"}, text.encode()
        start, filters = int(form.pop("NextToken", "0")), _filters(form)
        assert not form, f"what is {form}?"
        self.asked.append(filters)
        found = [one for one in self.instances if all(_READS[name](one) & {*any_} for name, any_ in filters.items())]
        page = [{"Instances": [one]} for one in found[start : start + self.page_size]]
        answer: dict[str, Any] = {"Reservations": page}
        answer |= {"NextToken": str(start + self.page_size)} if len(found) > start + self.page_size else {}
        assert violations(answer, _SHAPE.output_shape) == []
        text = f"<DescribeInstancesResponse>{_xml(answer, _SHAPE.output_shape)}</DescribeInstancesResponse>"
        return 200, {"Content-Type": "text/xml"}, text.encode()


def _filters(form: dict[str, str]) -> dict[str, list[str]]:
    """The filters of a form, taken out of it."""
    found = {}
    for number in range(1, 11):
        name, values = form.pop(f"Filter.{number}.Name", None), []
        while (value := form.pop(f"Filter.{number}.Value.{len(values) + 1}", None)) is not None:
            values.append(value)
        if name:
            assert 1 <= len(values) <= 200, "a filter takes 200 values"
            found[name] = values
    return found


def _xml(value: Any, shape: Shape) -> str:
    """A value as the EC2 protocol writes it."""
    if shape.type_name == "structure":
        assert isinstance(value, Mapping)
        members = {key: shape.members[key] for key in value}
        names = {key: member.serialization.get("name", key) for key, member in members.items()}
        return "".join(f"<{names[key]}>{_xml(value[key], members[key])}</{names[key]}>" for key in value)
    if shape.type_name == "list":
        return "".join(f"<item>{_xml(item, shape.member)}</item>" for item in value)
    return escape(value.strftime("%Y-%m-%dT%H:%M:%S.000Z") if isinstance(value, datetime) else str(value))
