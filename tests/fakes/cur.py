"""A small CUR 2.0 export with split cost allocation data, as Parquet, made from machines and pods of known price.

The split is AWS's own (Data Exports user guide, "Understanding split cost allocation data"): per hour and resource,
9 : 1 for vCPU : GB, the larger of what a machine has and what its pods hold as the denominator, and what nobody held
by the pods' parts. Nothing of airflow_doeks is used here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HOUR = timedelta(hours=1)
TYPES = {  # column -> type; a real export has more
    "bill_billing_period_start_date": "TIMESTAMP",
    "bill_invoice_id": "VARCHAR",
    "line_item_line_item_type": "VARCHAR",
    "line_item_operation": "VARCHAR",
    "line_item_product_code": "VARCHAR",
    "line_item_resource_id": "VARCHAR",
    "line_item_unblended_cost": "DOUBLE",
    "line_item_net_unblended_cost": "DOUBLE",
    "line_item_usage_amount": "DOUBLE",
    "line_item_usage_start_date": "TIMESTAMP",
    "line_item_usage_end_date": "TIMESTAMP",
    "line_item_usage_type": "VARCHAR",
    "product_instance_type": "VARCHAR",
    "resource_tags": "MAP(VARCHAR, VARCHAR)",
    "split_line_item_parent_resource_id": "VARCHAR",
    "split_line_item_split_cost": "DOUBLE",
    "split_line_item_unused_cost": "DOUBLE",
    "split_line_item_net_split_cost": "DOUBLE",
    "split_line_item_net_unused_cost": "DOUBLE",
}
NET = [name for name in TYPES if "_net_" in name]


@dataclass(frozen=True)
class Machine:
    """A machine that is billed ``usd`` an hour; ``parts`` are how the hour is bought: (usage type, share)."""

    id: str
    type: str
    vcpu: float
    gib: float
    usd: float
    parts: Sequence[tuple[str, str, float]] = (("Usage", "BoxUsage", 1.0),)


@dataclass(frozen=True)
class Held:
    """A pod that holds what it asked for from one instant to another."""

    uid: str
    machine: str
    vcpu: float
    gib: float
    start: datetime
    end: datetime
    labels: Mapping[str, str] = field(default_factory=dict)


def split_rows(machines: Sequence[Machine], pods: Sequence[Held]) -> Iterator[dict[str, Any]]:
    """The rows of machines, their pods, and what nobody held, hour by hour."""
    of: dict[str, list[Held]] = {}
    for pod in pods:
        of.setdefault(pod.machine, []).append(pod)
    for machine in machines:
        held = of.get(machine.id, [])
        for hour in _hours(held):
            yield from _of_hour(machine, [pod for pod in held if pod.start < hour + HOUR and pod.end > hour], hour)


def _hours(pods: Sequence[Held]) -> list[datetime]:
    found = set()
    for pod in pods:
        hour = pod.start.replace(minute=0, second=0, microsecond=0)
        while hour < pod.end:
            found.add(hour)
            hour += HOUR
    return sorted(found)


def _of_hour(machine: Machine, pods: Sequence[Held], hour: datetime) -> Iterator[dict[str, Any]]:
    for kind, usage, share in machine.parts:
        yield row(
            hour,
            line_item_line_item_type=kind,
            line_item_operation="RunInstances",
            line_item_product_code="AmazonEC2",
            line_item_resource_id=machine.id,
            line_item_unblended_cost=machine.usd * share,
            line_item_usage_amount=share,
            line_item_usage_type=f"{usage}:{machine.type}",
            product_instance_type=machine.type,
        )
    unit = machine.usd / (9 * machine.vcpu + machine.gib)
    for usage, has, price, take in (
        ("EKS-EC2-vCPU-Hours", machine.vcpu, 9 * unit, lambda pod: pod.vcpu),
        ("EKS-EC2-GB-Hours", machine.gib, unit, lambda pod: pod.gib),
    ):
        amounts = {pod.uid: take(pod) * _within(pod, hour) for pod in pods}
        whole = sum(amounts.values())
        free = max(has - whole, 0.0)
        for pod in pods:
            amount = amounts[pod.uid]
            yield row(
                hour,
                line_item_line_item_type="Usage",
                line_item_operation="EKSPod-EC2",
                line_item_product_code="AmazonEKS",
                line_item_resource_id=f"arn:aws:eks:us-east-1:123456789012:pod/lake/spark/p-{pod.uid[:8]}/{pod.uid}",
                line_item_usage_amount=amount,
                line_item_usage_type=usage,
                resource_tags=dict(pod.labels),
                split_line_item_parent_resource_id=machine.id,
                split_line_item_split_cost=price * has * amount / max(has, whole),
                split_line_item_unused_cost=price * free * amount / whole,
            )
        yield row(
            hour,
            line_item_line_item_type="Usage",
            line_item_operation="EKSPod-EC2",
            line_item_product_code="AmazonEKS",
            line_item_resource_id="arn:aws:eks:us-east-1:123456789012:pod/lake/spark/Unused/" + machine.id,
            line_item_usage_amount=free,
            line_item_usage_type=usage + ":Unused",
            resource_tags=dict(pods[0].labels),  # the worst: a row that somebody would take for a job's
            split_line_item_parent_resource_id=machine.id,
            split_line_item_split_cost=price * free,
            split_line_item_unused_cost=0.0,
        )


def _within(pod: Held, hour: datetime) -> float:
    return (min(pod.end, hour + HOUR) - max(pod.start, hour)) / HOUR


def uplift(run: str, usd: float, hour: datetime, tags: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """EMR's row of a job run."""
    arn = f"arn:aws:emr-containers:us-east-1:123456789012:/virtualclusters/vc1/jobruns/{run}"
    values = {
        "line_item_line_item_type": "Usage",
        "line_item_operation": "StartJobRun",
        "line_item_product_code": "ElasticMapReduce",
        "line_item_resource_id": arn,
        "line_item_unblended_cost": usd,
        "line_item_usage_amount": 1.0,
        "line_item_usage_type": "EMR-EC2-CPUHours",
        "resource_tags": dict(tags or {}),
    }
    return row(hour, **values | more)


def fargate(pod: Held, usd: float, hour: datetime, **more: Any) -> dict[str, Any]:
    """Fargate's row of a pod, which is no split row."""
    values = {
        "line_item_line_item_type": "Usage",
        "line_item_operation": "FargatePod",
        "line_item_product_code": "AmazonEKS",
        "line_item_resource_id": f"arn:aws:eks:us-east-1:123456789012:pod/lake/spark/p/{pod.uid}",
        "line_item_unblended_cost": usd,
        "line_item_usage_amount": 1.0,
        "line_item_usage_type": "Fargate-vCPU-Hours:perCPU",
    }
    return row(hour, **values | more)


def row(hour: datetime, **values: Any) -> dict[str, Any]:
    """A row of one hour; what it does not say is null."""
    plain = hour.astimezone(timezone.utc).replace(tzinfo=None)
    times = {
        "bill_billing_period_start_date": plain.replace(day=1, hour=0, minute=0, second=0).isoformat(" "),
        "line_item_usage_start_date": plain.isoformat(" "),
        "line_item_usage_end_date": (plain + HOUR).isoformat(" "),
    }
    return {name: values.get(name) for name in TYPES} | times


def later(hour: datetime) -> dict[str, Any]:
    """A row of somebody else's pod: the export goes on until then."""
    pod = Held("ffffffff-0000-0000-0000-000000000000", "i-other", 1, 1, hour, hour + HOUR)
    return next(
        one for one in split_rows([Machine("i-other", "m5.large", 2, 8, 0.1)], [pod]) if one["resource_tags"] == {}
    )


def write_cur(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    name: str = "export-00001",
    *,
    without: Sequence[str] = (),
    types: Mapping[str, str] = TYPES,
) -> Path:
    """One Parquet file of an export, without some columns."""
    import duckdb

    folder.mkdir(parents=True, exist_ok=True)
    types = {column: kind for column, kind in types.items() if column not in without}
    with TemporaryDirectory() as text, duckdb.connect() as database:
        lines = Path(text) / "rows.jsonl"
        lines.write_text("".join(f"{json.dumps({k: one[k] for k in types})}\n" for one in rows))
        columns = ", ".join(f"{column}: '{kind}'" for column, kind in types.items())
        found = database.sql(f"FROM read_json('{lines}', format='newline_delimited', columns={{{columns}}})")
        found.write_parquet(f"{folder / name}.snappy.parquet", compression="snappy")
    return folder / f"{name}.snappy.parquet"
