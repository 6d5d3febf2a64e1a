"""Pods seen while they lived: kept beside the record, merged at settle, and what is told where one was not seen."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from airflow_doeks.cost import load_rate_card
from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from airflow_doeks.lifecycle.account import account
from airflow_doeks.lifecycle.records import record_id, submitted_record
from airflow_doeks.lifecycle.sightings import Keeper, read_sightings, stale_sightings, with_sightings
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.record import Times
from airflow_doeks.model.telemetry import Node, Pod, Sighting, Telemetry
from tests.fakes.memory_platform import MemoryPlatform
from tests.lifecycle.test_submission import FIRST, run

START = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
REF = "kubeflow_spark://lab/sales/orders-clean-0123/uid"
NODE = Node(uid="a", instance_type="m7g.xlarge", capacity_type="spot", zone="us-east-1a", usd_per_hour=Decimal("0.1"))
CARD = load_rate_card(None, region="us-east-1")


def at(seconds):
    """A moment of the job."""
    return START + timedelta(seconds=seconds)


def seen(uid, role="executor", *, number=None, start=0, end=None, node=None):
    """A pod as the kubelet told it."""
    pod = Pod(
        uid=uid,
        role=role,
        vcpu=Decimal(2),
        memory_gib=Decimal(8),
        storage_gib=Decimal(0),
        started=at(start),
        ended=None if end is None else at(end),
        node="a",
        executor_id=number,
    )
    return Sighting(ref=REF, seen=at(end or start), pod=pod, node=node)


def logged(uid, start, end):
    """An executor of the event log, or the driver."""
    role = "driver" if uid == "driver" else "executor"
    return Pod(uid=uid, role=role, vcpu=Decimal(2), memory_gib=Decimal(8), started=at(start), ended=at(end))


@pytest.fixture
def store(tmp_path):
    """The ledger's store."""
    return LocalStore(tmp_path)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Ends wait for their last write here, however slow this disk is."""
    monkeypatch.setattr("airflow_doeks.lifecycle.sightings.LAST_SECONDS", 60)


async def keep(store, *sightings):
    """What a triggerer does with what it sees."""
    keeper = Keeper(lambda: store, asyncio.to_thread)
    async with keeper.keeping(REF, START):
        for sighting in sightings:
            keeper.take(sighting)


async def test_what_was_seen_outlives_its_pods(store):
    """The last of a pod is kept, with its node once that was known; jobs of others are not."""
    other = seen("9").model_copy(update={"ref": "kubeflow_spark://lab/sales/other/uid"})
    await keep(store, seen("1", number="1", node=NODE), seen("1", number="1", end=60), other)
    (found,) = read_sightings(store, REF, START)
    assert (found.pod.ended, found.node) == (at(60), NODE)
    assert [name.split("/")[:3] for name in store.list()] == [["v1", "sightings", "submitted=2026-11-20"]]


async def test_two_triggerers_see_one_job(store):
    """Whoever settles reads what all saw: a pod that ended between two triggerers is there once."""
    await keep(store, seen("1", number="1", end=60))
    await keep(store, seen("1", number="1"), seen("2", number="2", start=70, end=90))
    telemetry = with_sightings(Telemetry(), read_sightings(store, REF, START))
    assert [(pod.uid, pod.ended) for pod in telemetry.pods] == [("1", at(60)), ("2", at(90))]


async def test_who_follows_a_job_again_forgets_nothing(store):
    """A trigger that told of a budget comes back to the same triggerer: what it saw before stays."""
    keeper = Keeper(lambda: store, asyncio.to_thread)
    for uid in "12":
        async with keeper.keeping(REF, START):
            keeper.take(seen(uid, number=uid, end=60))
    assert sorted(one.pod.uid for one in read_sightings(store, REF, START)) == ["1", "2"]


async def test_a_slow_store_holds_up_no_end(store, monkeypatch):
    """The end of a job is told while its last sightings are still being written; they are kept all the same."""
    monkeypatch.setattr("airflow_doeks.lifecycle.sightings.LAST_SECONDS", 0)
    goes_on, written = threading.Event(), threading.Event()

    class Slow(LocalStore):
        def write(self, name, content):
            goes_on.wait(60)
            super().write(name, content)
            written.set()

    keeper = Keeper(lambda: Slow(store.root), asyncio.to_thread)
    async with keeper.keeping(REF, START):
        keeper.take(seen("1", number="1", end=60))
    assert read_sightings(store, REF, START) == []
    goes_on.set()
    await asyncio.to_thread(written.wait, 60)
    assert [one.pod.uid for one in read_sightings(store, REF, START)] == ["1"]


async def test_the_store_is_opened_once_and_anew_after_a_failure(store):
    """A client of S3 is dear: all jobs of a triggerer share one, until it fails."""
    opened, refused = [], ["1"]

    class Refusing(LocalStore):
        def write(self, name, content):
            if refused:
                raise PermissionError(refused.pop())
            super().write(name, content)

    keeper = Keeper(lambda: opened.append(1) or Refusing(store.root), asyncio.to_thread)
    for uid in "123":
        async with keeper.keeping(f"{REF}{uid}", START):
            keeper.take(seen(uid, end=60).model_copy(update={"ref": f"{REF}{uid}"}))
    assert (len(opened), len(list(store.list()))) == (2, 2)


async def test_one_of_two_followers_leaves(store):
    """A sensor that has seen enough of a job takes nothing from the trigger that follows it on."""
    keeper = Keeper(lambda: store, asyncio.to_thread)
    async with keeper.keeping(REF, START):
        async with keeper.keeping(REF, START):
            keeper.take(seen("1", number="1"))
        keeper.take(seen("2", number="2"))
        assert len(keeper.seen(REF)) == 2
    assert len(read_sightings(store, REF, START)) == 2
    assert keeper.seen(REF) == []


async def test_what_a_newer_triggerer_saw_is_read_and_one_odd_entry_hides_no_other(store, caplog):
    """Keys that this version does not know are passed over, in the pod and the node as well."""
    await keep(store, seen("1", number="1", end=60, node=NODE), seen("2", number="2", end=90))
    (name,) = store.list()
    first, second = json.loads((store.root / name).read_text())
    newer = first | {"zone_seen": "a"}
    newer["pod"], newer["node"] = first["pod"] | {"cgroup": "v2"}, first["node"] | {"rack": 7}
    odd = second | {"pod": second["pod"] | {"role": "sidecar of a newer version"}}
    store.write(name, json.dumps([odd, newer, second]).encode())
    found = read_sightings(store, REF, START)
    assert [(one.pod.uid, one.node) for one in found] == [("1", NODE), ("2", None)]
    assert "one sighting" in caplog.text


async def test_a_store_that_is_away_ends_no_trigger(caplog):
    """What cannot be kept is told and raises nothing."""

    def broken():
        msg = "no such bucket"
        raise OSError(msg)

    keeper = Keeper(broken, asyncio.to_thread)
    async with keeper.keeping(REF, START):
        keeper.take(seen("1"))
    assert "was not kept" in caplog.text


def test_an_object_that_is_broken_hides_no_other(store, caplog):
    """A broken object is named and skipped."""
    asyncio.run(keep(store, seen("1", number="1", end=60)))
    (name,) = store.list()
    store.write(name.replace(".json", "x.json"), b"{")
    assert len(read_sightings(store, REF, START)) == 1
    assert "is skipped" in caplog.text


def test_an_object_that_cannot_be_read_for_now_is_not_left_out(store):
    """Whoever wrote down what is left would lose what it holds."""
    asyncio.run(keep(store, seen("1", number="1", end=60)))

    class Failing(LocalStore):
        def open(self, name):
            raise PermissionError(name)

    with pytest.raises(PermissionError):
        read_sightings(Failing(store.root), REF, START)


def test_every_pod_that_was_seen_is_priced_by_it():
    """Driver and executors of the log were all seen: the basis is pods, times and node are the kubelet's."""
    pods = [seen("d", "driver", start=-10, end=100), seen("x", number="1", start=10, end=90)]
    facts = with_sightings(Telemetry(nodes=(NODE,)), pods)
    made = account(facts, EventLogSummary(app_id="a", pods=(logged("driver", 0, 99), logged("1", 20, 89))), CARD)
    assert (made.cost.basis, made.cost.confidence) == ("pods", "high")
    assert made.usage.vcpu_seconds == 2 * (110 + 80)


def test_an_executor_that_nobody_saw_is_told():
    """One of the log's executors was not seen: it costs by the log, the basis says so, and confidence falls."""
    facts = with_sightings(Telemetry(nodes=(NODE,), assumed_node=NODE), [seen("d", "driver", end=100)])
    made = account(facts, EventLogSummary(app_id="a", pods=(logged("driver", 0, 99), logged("1", 20, 89))), CARD)
    assert made.cost.basis == "event_log"
    assert made.cost.confidence != "high"
    assert "1 of 2 pods were not seen" in made.cost.why_unknown
    assert made.usage.vcpu_seconds == 2 * (100 + 69)


def test_an_executor_that_never_registered_costs_too():
    """A pod that was killed before its executor registered is in no event log, and on the bill."""
    pods = [seen("d", "driver", end=100), seen("x", number="1", end=30), seen("y", number="2", start=30, end=50)]
    facts = with_sightings(Telemetry(nodes=(NODE,)), pods)
    made = account(facts, EventLogSummary(app_id="a", pods=(logged("driver", 0, 99), logged("1", 5, 30))), CARD)
    assert made.cost.basis == "pods"
    assert made.usage.vcpu_seconds == 2 * (100 + 30 + 20)


def test_what_all_pods_held_of_a_node_makes_its_idle_part_known():
    """4 of 8 vCPU and 16 of 32 GiB were held on average, half of that by the job: of the free half it pays half."""
    size = {"vcpu": Decimal(8), "memory_gib": Decimal(32), "usd_per_hour": Decimal("0.4")}
    held = {"allocated_vcpu": Decimal(4), "allocated_memory_gib": Decimal(16)}
    shared = Node(uid="a", capacity_type="on_demand", zone="us-east-1a", **size, **held)
    facts = with_sightings(Telemetry(), [seen("d", "driver", end=3600, node=shared)])
    cost = account(facts, EventLogSummary(), CARD).cost
    assert (cost.usd_compute, cost.usd_idle) == (Decimal("0.1"), Decimal("0.1"))
    assert cost.usd_total == Decimal("0.2")
    alone = with_sightings(Telemetry(), [seen("d", "driver", end=3600, node=NODE)])
    unknown = account(alone, EventLogSummary(), CARD).cost
    assert unknown.usd_idle is None
    assert "idle: other pods on the nodes are not known" in unknown.why_unknown


def test_a_node_without_a_type_is_priced_as_declared():
    """A node that tells no instance type is priced as the platform declares, and the cost says so."""
    bare = Node(uid="a", vcpu=Decimal(2), memory_gib=Decimal(24))
    facts = with_sightings(Telemetry(assumed_node=NODE, nodes=(bare,)), [seen("d", "driver", end=3600)])
    made = account(facts, EventLogSummary(), CARD)
    assert made.cost.priced_as == "m7g.xlarge"
    assert made.cost.usd_compute > 0


@pytest.mark.parametrize(
    ("days", "settled", "stale"),
    [(3, True, False), (4, True, True), (4, False, False), (40, False, False), (4, None, False), (36, None, True)],
)
def test_sightings_go_when_no_record_needs_them(store, days, settled, stale):
    """Those of a settled job after days, of a running one never, of one that no record knows after five weeks."""
    asyncio.run(keep(store, seen("1")))
    (name,) = store.list("v1/sightings/")
    ledger = Ledger(store)
    if settled is not None:
        record = submitted_record(run(MemoryPlatform(), FIRST), FIRST, "memory")
        update = {"record_id": record_id(REF, ""), "times": Times(submitted=START), "settled_by_try": settled or None}
        ledger.write(record.model_copy(update=update))
    assert list(stale_sightings(ledger, START + timedelta(days=days))) == ([name] if stale else [])
