"""Facts about what a job occupied: pods, nodes, times. No prices here."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from airflow_doeks.model.noun import Amount, Noun, Told, UtcTime

CapacityType = Literal["on_demand", "spot", "fargate", "reserved"]
Role = Literal["driver", "executor", "submitter", "jobmanager", "taskmanager"]
Held = Annotated[Amount, Field(ge=0)]
Basis = Literal["pods", "event_log", "requests", "opencost", "cur"]


class Node(Noun):
    """A machine that held pods; capacity, not allocatable (the price split uses capacity, as AWS and OpenCost do).

    ``allocated_vcpu``, ``allocated_memory_gib`` and ``allocated_gpu`` are what all pods on it requested while the job
    ran, the job's own inside; with them the job's share of the idle rest is known.
    """

    uid: str
    instance_type: str | None = None
    capacity_type: CapacityType | None = None
    zone: str | None = None
    vcpu: Held | None = None
    memory_gib: Held | None = None
    gpu: Annotated[int, Field(ge=0)] = 0
    usd_per_hour: Held | None = None
    allocated_vcpu: Held | None = None
    allocated_memory_gib: Held | None = None
    allocated_gpu: int | None = None

    @property
    def is_priceable(self) -> bool:
        """True of a node that tells its type, its price, or that it is Fargate's."""
        return bool(self.instance_type or self.usd_per_hour or self.capacity_type == "fargate")


class Pod(Noun):
    """What one pod requested and how long it held it. ``started`` to ``ended`` is the billed interval, UTC.

    ``requested`` is when it was asked for (Spark's Request Time); ``ended`` is None while unknown. ``executor_id`` is
    Spark's number of an executor.
    ``vcpu`` and ``memory_gib`` are requests of the whole pod, overhead inside. ``storage_gib`` is the volumes claimed
    for it: 0 if it claimed none, None if nobody knows. ``ip`` is where it was in the cluster's network: it tells the
    node of a driver that nobody saw.
    """

    uid: str
    role: Role
    vcpu: Held | None
    memory_gib: Held | None
    gpu: Annotated[int, Field(ge=0)] = 0
    storage_gib: Held | None = None
    requested: UtcTime | None = None
    started: UtcTime | None = None
    ended: UtcTime | None = None
    node: str | None = None
    ip: str | None = None
    capacity_type: CapacityType | None = None
    is_emr_image: bool = False
    reason: str = ""
    executor_id: str | None = None

    @property
    def held_since(self) -> datetime | None:
        """Since when it holds its node, as far as anybody knows; one that waits for a node holds none."""
        return self.started or (self.requested if self.node else None)


class Telemetry(Noun):
    """What a platform knows about one job after, or while, it runs.

    Attributes:
        pods: observed pods; empty when the platform cannot see pods.
        requested: the pods its request asked for, over the job's whole life (basis ``requests``).
        assumed_node: the node type the platform declares, for pods whose node nobody saw.
        assumed_by_role: the same for pods of one role, which go before it.
        event_log: URL of the Spark event log, a file or a rolling folder; None if it wrote none.
        why: what is missing and why, in words a user understands.
    """

    pods: tuple[Pod, ...] = ()
    nodes: tuple[Node, ...] = ()
    requested: tuple[Pod, ...] = ()
    assumed_node: Node | None = None
    assumed_by_role: dict[Role, Node] = {}
    event_log: str | None = None
    submitted: UtcTime | None = None
    scheduled: UtcTime | None = None
    started: UtcTime | None = None
    ended: UtcTime | None = None
    why: tuple[Told, ...] = ()


class Sighting(Noun):
    """A pod seen while it lived, which is gone when its job ends, and the node it was on, once that is known.

    ``ref`` is the job whose pod it is, ``seen`` the moment; a later sighting of the same pod replaces what it says.
    """

    ref: str
    seen: UtcTime
    pod: Pod
    node: Node | None = None
