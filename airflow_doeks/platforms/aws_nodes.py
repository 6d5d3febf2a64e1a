"""The machines behind the names and addresses of an event log, as EC2 knows them: no right in Kubernetes is needed.

EC2's DescribeInstances (2016-11-15); how EKS names nodes and the VPC CNI gives pods their addresses: EKS User Guide and
the CNI's readme, read November 2026.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from airflow_doeks.model.telemetry import CapacityType, Node, Pod
from airflow_doeks.platforms.aws_calls import AwsCalls
from airflow_doeks.platforms.patience import Paging, Refusal, pages
from airflow_doeks.platforms.protocol import NodesFound

SECONDS = 5.0  # for a call and its repetitions: a task ends on it
REMEMBERED_SECONDS = 300.0  # an address is given to another machine sooner or later
VALUES_MAX = 200  # of one filter
_PAGING = Paging("Reservations", ("NextToken",), "NextToken")
_FARGATE = "fargate-"  # start of the name of a Fargate pod's node, which is no instance
# What a node's name tells -> the filter that finds its instance: by resource (`i-...`, EKS Auto Mode) or by IP.
_BY_ID = re.compile(r"(i-[0-9a-f]{8,17})(\..*)?")
_BY_IP = re.compile(r"ip-(\d{1,3})-(\d{1,3})-(\d{1,3})-(\d{1,3})(\..*)?")
INSTANCE_ID, ADDRESS = "instance-id", "network-interface.addresses.private-ip-address"
# InstanceLifecycle -> what it is bought as; absent: on demand, as is an instance of an on-demand reservation.
_LIFECYCLES: dict[str | None, CapacityType] = {None: "on_demand", "spot": "spot", "capacity-block": "reserved"}

_Question = tuple[str, str]  # filter and value


class _Machine(NamedTuple):
    """An instance: whose addresses it holds, since when it runs, and the node that it is."""

    vpc: str
    answers: frozenset[_Question]
    networks: tuple[ipaddress.IPv4Network, ...]  # prefixes that the CNI gives pods addresses from
    launched: datetime
    node: Node


class Ec2Nodes:
    """The instances of one account and region. All nodes of a job are asked for at once, page by page."""

    def __init__(self, calls: AwsCalls) -> None:
        self._calls = calls
        self._known: dict[_Question, tuple[float, tuple[_Machine, ...]]] = {}
        self._refused: tuple[float, str] | None = None

    def find(self, pods: Sequence[Pod]) -> NodesFound:
        """Nodes by the name, or else the address, that pods tell; why others are not known. Never raises.

        An instance that was launched after a pod began is another that has its address by now. Where instances of
        several VPCs have the addresses, those of the VPC that has most of them are meant; of none if two have as many.
        """
        since = _since(pods)
        nodes = {place: Node(uid=place, capacity_type="fargate") for place in since if place.startswith(_FARGATE)}
        questions = {place: asked for place in since if place not in nodes and (asked := _question(place))}
        try:
            machines = self._machines(set(questions.values()))
        except Refusal as refusal:
            return NodesFound(nodes, (f"nodes are as priced_as of the platform says: {refusal}",))
        for place, machine in _one_vpc(_hits(machines, questions, since)).items():
            nodes[place] = machine.node
        return NodesFound(_each_once(nodes), _why(pods, nodes))

    def _machines(self, questions: set[_Question]) -> set[_Machine]:
        now = self._calls.clock.monotonic()
        if self._refused and now < self._refused[0]:
            raise Refusal(kind="denied", message=self._refused[1])
        new = {asked for asked in questions if asked not in self._known or self._known[asked][0] < now}
        try:
            found = set(self._asked(new))
        except Refusal as refusal:
            if refusal.kind == "denied":
                self._refused = now + REMEMBERED_SECONDS, str(refusal).splitlines()[0]
            raise
        for asked in new:
            mine = tuple(machine for machine in found if asked in machine.answers)
            self._known[asked] = now + REMEMBERED_SECONDS, mine
        return {machine for asked in questions for machine in self._known[asked][1]}

    def _asked(self, questions: set[_Question]) -> Iterator[_Machine]:
        for name in (INSTANCE_ID, ADDRESS):
            values = sorted(value for filter_, value in questions if filter_ == name)
            for start in range(0, len(values), VALUES_MAX):
                filters = [{"Name": name, "Values": values[start : start + VALUES_MAX]}]
                ask = partial(self._calls.patiently, "describe_instances", SECONDS, Filters=filters)
                for reservation in pages(ask, _PAGING):
                    yield from map(_machine, reservation.get("Instances") or ())


def _since(pods: Iterable[Pod]) -> dict[str, datetime]:
    """Where pods were -> when the first of them began there; a pod that tells no place or no time is left out."""
    found: dict[str, datetime] = {}
    for pod in pods:
        place, began = pod.node or pod.ip, pod.started or pod.requested
        if place and began:
            found[place] = min(began, found.get(place, began))
    return found


def _question(place: str) -> _Question | None:
    """How EC2 is asked for a node's name or a pod's address; None for a name that tells neither."""
    by_id, by_ip = _BY_ID.fullmatch(place), _BY_IP.fullmatch(place)
    if by_id:
        return INSTANCE_ID, by_id[1]
    text = ".".join(by_ip.groups()[:4]) if by_ip else place
    return (ADDRESS, text) if _address(text) else None


def _address(text: str) -> ipaddress.IPv4Address | None:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        return None


def _machine(instance: Mapping[str, Any]) -> _Machine:
    interfaces = instance.get("NetworkInterfaces") or ()
    addresses = {entry["PrivateIpAddress"] for one in interfaces for entry in one.get("PrivateIpAddresses") or ()}
    prefixes = [entry["Ipv4Prefix"] for one in interfaces for entry in one.get("Ipv4Prefixes") or ()]
    cpu = instance.get("CpuOptions") or {}
    threads = cpu.get("CoreCount", 0) * cpu.get("ThreadsPerCore", 0)
    node = Node(
        uid=instance.get("PrivateDnsName") or instance["InstanceId"],
        instance_type=instance["InstanceType"],
        capacity_type=_LIFECYCLES.get(instance.get("InstanceLifecycle")),
        zone=(instance.get("Placement") or {}).get("AvailabilityZone"),
        vcpu=Decimal(threads) if threads else None,
    )
    answers = {(ADDRESS, address) for address in addresses} | {(INSTANCE_ID, instance["InstanceId"])}
    networks = tuple(map(ipaddress.IPv4Network, prefixes))
    return _Machine(instance.get("VpcId") or "", frozenset(answers), networks, instance["LaunchTime"], node)


def _hits(
    machines: Iterable[_Machine], questions: Mapping[str, _Question], since: Mapping[str, datetime]
) -> Iterator[tuple[str, _Machine]]:
    """Every place with every machine that may have been there."""
    for machine in machines:
        for place, asked in questions.items():
            address = _address(asked[1])
            is_there = asked in machine.answers or (address and any(address in net for net in machine.networks))
            if is_there and machine.launched <= since[place]:
                yield place, machine


def _one_vpc(hits: Iterable[tuple[str, _Machine]]) -> dict[str, _Machine]:
    """The machine of each place; none where it cannot be told which of two VPCs is meant."""
    by_vpc: dict[str, dict[str, _Machine]] = {}
    for place, machine in hits:
        by_vpc.setdefault(machine.vpc, {})[place] = machine
    most = max(map(len, by_vpc.values()), default=0)
    best = [places for places in by_vpc.values() if len(places) == most]
    return best[0] if len(best) == 1 else {}


def _each_once(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """Each node under one uid: the name that pods tell where one does, else the instance's own."""
    named = {node.uid: place for place, node in nodes.items() if not _address(place)}
    return {
        place: node.model_copy(update={"uid": named.get(node.uid, node.uid) if _address(place) else place})
        for place, node in nodes.items()
    }


def _why(pods: Sequence[Pod], nodes: Mapping[str, Node]) -> tuple[str, ...]:
    silent = sum(not (pod.node or pod.ip) for pod in pods)
    lost = sum((pod.node or pod.ip or "") not in nodes for pod in pods) - silent
    parts = [f"{silent} tell no node"] if silent else []
    parts += [f"{lost} were on nodes that EC2 does not show"] if lost else []
    text = f"of {len(pods)} pods {' and '.join(parts)}: these are priced as priced_as of the platform says"
    return (text,) if parts else ()
