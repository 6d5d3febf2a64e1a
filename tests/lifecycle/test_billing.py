"""Records against AWS's bill, made with known truth: what each cost, what is not told, and how far off by family."""

from __future__ import annotations

import os
import random
import signal
import uuid
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_doeks.bill import charges, read_export
from airflow_doeks.cost import load_rate_card
from airflow_doeks.hooks import stores
from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from airflow_doeks.ledger.calibration import read_calibration
from airflow_doeks.ledger.compaction import compact
from airflow_doeks.ledger.parquet import connection
from airflow_doeks.lifecycle.account import account
from airflow_doeks.lifecycle.billing_pass import Billed, read_bill
from airflow_doeks.lifecycle.records import fit
from airflow_doeks.model.billing import BillKey
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.identity import digest
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times
from airflow_doeks.model.status import JobState
from airflow_doeks.model.telemetry import Node, Pod, Telemetry
from tests.fakes.cur import HOUR, NET, TYPES, Held, Machine, fargate, later, row, split_rows, uplift, write_cur

pytest.importorskip("duckdb", reason="the extra `report` is not installed")

NOON = datetime(2026, 11, 10, 12, tzinfo=timezone.utc)
SINCE = date(2026, 11, 1)
CARD = load_rate_card()
TINY = Decimal("1e-9")  # doubles of the bill against ten places of the record
# (type, capacity, what the bill says: 1 is the card's price)
KINDS = (
    ("m5.xlarge", "on_demand", 0.72),
    ("m5.xlarge", "spot", 1.25),
    ("r6i.2xlarge", "on_demand", 1.0),
    ("c5.2xlarge", "spot", 0.9),
)


def node_of(number: int, kind: str, capacity: Any) -> Node:
    """The machine as the platform saw it; what it cost an hour was known for Spot."""
    spot = CARD.instances[kind].usd_per_hour * Decimal("0.4") if capacity == "spot" else None
    return Node(uid=f"n{number}", instance_type=kind, capacity_type=capacity, usd_per_hour=spot)


def list_price(node: Node) -> float:
    """USD an hour that the record reckons with."""
    return float(node.usd_per_hour or CARD.instances[str(node.instance_type)].usd_per_hour)


def settled(key: str, pods: Sequence[Pod], nodes: Sequence[Node], **more: Any) -> Any:
    """The record of a job and its detail, from its pods, as `settle` makes them."""
    started = min(pod.started for pod in pods if pod.started)
    ended = max(pod.ended for pod in pods if pod.ended)
    figures = account(Telemetry(pods=tuple(pods), nodes=tuple(nodes)), EventLogSummary(), CARD, now=ended)
    record = JobRecord(
        record_id=digest(key)[:32],
        attempt=Attempt(instance="tests", dag_id="sales", run_id="r", task_id=key, try_number=1),
        settled_by_try=1,
        job=JobFacts(
            ref=f"kubeflow_spark://c/ns/{key}/{key}",
            platform="lake",
            type="kubeflow_spark",
            engine="spark",
            name=key,
            state=JobState.SUCCEEDED,
        ),
        times=Times(submitted=started - timedelta(seconds=20), started=started, ended=ended),
        usage=figures.usage,
        cost=figures.cost,
    )
    return fit(record.model_copy(update=more), figures, EventLogSummary())


def dice(seed: Any) -> random.Random:
    """The same throws in every run."""
    return random.Random(seed)  # noqa: S311 - nothing secret


def pod_uid(seed: random.Random) -> str:
    """A uid as Kubernetes gives it."""
    return str(uuid.UUID(int=seed.getrandbits(128), version=4))


def made(ledger: Ledger, jobs: int, seed: int = 7) -> tuple[list[dict[str, Any]], dict[str, Decimal]]:
    """So many jobs in the ledger, the rows of their bill, and record id -> what its compute truly cost.

    Each family is billed at another price than the card's; each machine has one job's pods on it.
    """
    throws, rows, truth = dice(seed), [], {}
    for number in range(jobs):
        kind, capacity, factor = KINDS[number % len(KINDS)]
        node = node_of(number, kind, capacity)
        start = NOON + timedelta(seconds=throws.randrange(5 * 86400))
        key, pods = f"job{number}", []
        for index in range(throws.randint(1, 3)):
            begin = start + timedelta(seconds=throws.randrange(600))
            end = begin + timedelta(seconds=throws.randrange(30, 9000))
            role = "driver" if index == 0 else "executor"
            pods.append(
                Pod(
                    uid=pod_uid(throws),
                    role=role,
                    vcpu="1",
                    memory_gib=throws.choice(("2", "4")),
                    node=node.uid,
                    started=begin,
                    ended=end,
                )
            )
        job = settled(key, pods, [node])
        ledger.write(job.record, job.detail)
        usage = "SpotUsage" if capacity == "spot" else "BoxUsage"
        size = CARD.instances[kind]
        machine = Machine(
            f"i-{number}",
            kind,
            float(size.vcpu),
            float(size.memory_gib),
            list_price(node) * factor,
            (("Usage", usage, 1.0),),
        )
        held = [
            Held(pod.uid, machine.id, float(pod.vcpu), float(pod.memory_gib), pod.started, pod.ended) for pod in pods
        ]
        rows += split_rows([machine], held)
        truth[job.record.record_id] = job.record.cost.usd_compute * Decimal(str(factor))
    rows.append(later(NOON + timedelta(days=12)))
    return rows, truth


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    return Ledger(LocalStore(tmp_path / "ledger"))


def bills(ledger: Ledger) -> dict[str, Any]:
    """Record id -> what its bill says."""
    return {record.record_id: record.actual for record in ledger.records()}


def one_pass(ledger: Ledger, folder: Path, **more: Any) -> Billed:
    """What `doeks reconcile --cur` does."""
    return read_bill(ledger, LocalStore(folder), SINCE, **more)


def test_two_thousand_jobs_meet_their_bill_and_the_error_of_each_family_is_found(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compute within rounding, the injected factor of each family and capacity type; a second run writes nothing."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # six thousand times
    rows, truth = made(ledger, 2000)
    half = len(rows) // 2
    write_cur(tmp_path / "cur", rows[:half])
    write_cur(tmp_path / "cur", rows[half:], "export-00002")
    result = one_pass(ledger, tmp_path / "cur")
    assert (result.jobs, result.billed, result.changed, result.partly, result.missing, result.waiting) == (
        2000,
        2000,
        2000,
        {},
        [],
        0,
    )
    for key, bill in bills(ledger).items():
        assert abs(Decimal(bill["usd_compute"]) - truth[key]) < TINY
    assert abs(sum(Decimal(bill["usd_compute"]) for bill in bills(ledger).values()) - sum(truth.values())) < TINY * 2000
    factors = {
        (one.family, one.capacity_type, one.region): (one.factor, one.jobs) for one in result.calibration.factors
    }
    assert factors == {
        (kind.partition(".")[0], capacity, "us-east-1"): (Decimal(str(factor)).quantize(Decimal("1e-6")), 500)
        for kind, capacity, factor in KINDS
    }
    assert read_calibration(ledger.store) == result.calibration
    before = dict(ledger.store.stamped())
    assert one_pass(ledger, tmp_path / "cur").changed == 0
    assert dict(ledger.store.stamped()) == before


@settings(max_examples=20)  # each makes and reads a bill
@given(
    st.lists(
        st.tuples(
            st.integers(0, 200_000), st.integers(1, 20_000), st.sampled_from(["pod", "run", "task"]), st.integers(1, 3)
        ),
        min_size=1,
        max_size=5,
    ),
    st.floats(0.1, 3),
    st.booleans(),
    st.lists(st.floats(0.05, 1), min_size=1, max_size=3),
)
def test_whatever_a_job_is_known_by_its_rows_add_up(
    tmp_path_factory: pytest.TempPathFactory, jobs: Any, factor: float, has_net: bool, parts: list[float]
) -> None:
    """Any hours, pods and purchase options: what the machines cost, and net prices where the bill has them."""
    folder, throws = tmp_path_factory.mktemp("property"), dice(1)
    ledger, rows, expected = Ledger(LocalStore(folder / "ledger")), [], {}
    share = sum(parts)
    options = [("Usage", "BoxUsage"), ("SavingsPlanCoveredUsage", "BoxUsage"), ("Usage", "SpotUsage")]
    bought = [(*options[index], part / share) for index, part in enumerate(parts)]
    for number, (offset, seconds, known_by, count) in enumerate(jobs):
        start = NOON + timedelta(seconds=offset)
        end = start + timedelta(seconds=seconds)
        node = node_of(number, "m5.2xlarge", "on_demand")
        pods = [
            Pod(uid=pod_uid(throws), role="executor", vcpu="2", memory_gib="4", node=node.uid, started=start, ended=end)
            for _ in range(count)
        ]
        job = settled(f"j{number}", pods, [node])
        labels = {}
        detail = dict(job.detail)
        if known_by != "pod":
            detail["pod_uids"] = []
            run, key = f"j{number}", digest("tests", "sales", "r", f"j{number}", -1)[:16]
            labels = (
                {"user_emr_containers_amazonaws_com_job_id": run}
                if known_by == "run"
                else {"user_airflow_doeks_task_key": key, "user_airflow_doeks_try": "1"}
            )
        ledger.write(job.record, detail)
        machine = Machine(f"i-{number}", "m5.2xlarge", 8, 32, list_price(node) * factor, bought)
        rows += split_rows([machine], [Held(pod.uid, machine.id, 2, 4, start, end, labels) for pod in pods])
        expected[job.record.record_id] = job.record.cost.usd_compute * Decimal(factor)
    for one in rows if has_net else []:
        if one["split_line_item_split_cost"] is not None:
            one["split_line_item_net_split_cost"] = one["split_line_item_split_cost"] / 2
            one["split_line_item_net_unused_cost"] = one["split_line_item_unused_cost"] / 2
    rows.append(later(NOON + timedelta(days=10)))
    write_cur(folder / "cur", rows, without=() if has_net else NET)
    result = one_pass(ledger, folder / "cur")
    assert (result.billed, result.partly, result.missing) == (len(jobs), {}, [])
    for key, bill in bills(ledger).items():
        assert abs(Decimal(bill["usd_compute"]) - expected[key] / (2 if has_net else 1)) < TINY


def test_aws_worked_example(ledger: Ledger, tmp_path: Path) -> None:
    """AWS Data Exports guide: m5.xlarge at $1; Pod1 0.22 and 0.01 unused, Pod2 0.38 and 0.02, Pod3 0.18 and 0.01."""
    sizes = ((1, 4), (1.9, 6), (1, 2), (1, 2))
    machine, throws = Machine("i-1", "m5.xlarge", 4, 16, 1.0), dice(3)
    pods = [Held(pod_uid(throws), "i-1", vcpu, gib, NOON, NOON + HOUR) for vcpu, gib in sizes]
    node = Node(uid="n", instance_type="m5.xlarge", capacity_type="on_demand", usd_per_hour=1)
    for number, pod in enumerate(pods):
        seen = Pod(
            uid=pod.uid,
            role="driver",
            vcpu=str(pod.vcpu),
            memory_gib=str(pod.gib),
            node="n",
            started=NOON,
            ended=NOON + HOUR,
        )
        job = settled(f"pod{number}", [seen], [node])
        ledger.write(job.record, job.detail)
    write_cur(tmp_path / "cur", [*split_rows([machine], pods), later(NOON + timedelta(days=3))])
    one_pass(ledger, tmp_path / "cur")
    printed = {record.job.name: record.actual for record in ledger.records()}
    assert [
        (f"{Decimal(printed[f'pod{n}']['usd_compute']):.2f}", f"{Decimal(printed[f'pod{n}']['usd_idle']):.2f}")
        for n in range(4)
    ] == [("0.22", "0.01"), ("0.38", "0.02"), ("0.18", "0.01"), ("0.18", "0.01")]
    assert abs(sum(Decimal(bill["usd_total"]) for bill in printed.values()) - 1) < TINY


def single(
    ledger: Ledger, key: str = "one", *, hours: float = 1, **more: Any
) -> tuple[JobRecord, Pod, list[dict[str, Any]]]:
    """A job of one pod that fills its m5.xlarge ($0.192), and its rows."""
    end = NOON + timedelta(hours=hours)
    pod = Pod(uid=pod_uid(dice(key)), role="driver", vcpu="4", memory_gib="16", node="n0", started=NOON, ended=end)
    job = settled(key, [pod], [node_of(0, "m5.xlarge", "on_demand")], **more)
    record = ledger.write(job.record, job.detail)
    held = Held(pod.uid, "i-0", 4, 16, NOON, end)
    return (
        record,
        pod,
        [*split_rows([Machine("i-0", "m5.xlarge", 4, 16, 0.192)], [held]), later(NOON + timedelta(days=3))],
    )


def test_a_bill_says_what_it_found_by_what_and_the_error(ledger: Ledger, tmp_path: Path) -> None:
    """Text in the record's `actual`; the error is the record's, against the bill."""
    record, _, rows = single(ledger)
    for one in rows:
        if one["split_line_item_split_cost"] is not None:
            one["split_line_item_split_cost"] *= 2
    write_cur(tmp_path / "cur", rows)
    one_pass(ledger, tmp_path / "cur")
    assert bills(ledger)[record.record_id] == {
        "usd_total": "0.3840000000",
        "usd_compute": "0.3840000000",
        "usd_idle": "0.0000000000",
        "usd_uplift": "0.0000000000",
        "error": "-0.500000",
        "found_by": "pod uids",
        "pods": "1",
        "is_final": "no",
    }


def test_a_restated_bill_replaces_the_first_and_compacted_days_too(ledger: Ledger, tmp_path: Path) -> None:
    """The last delivery of a period holds; a day that was compacted meanwhile gets its new bill all the same."""
    record, _, rows = single(ledger)
    period = tmp_path / "cur" / "BILLING_PERIOD=2026-11"
    write_cur(period / "20261113T000000Z-aaa", rows)
    one_pass(ledger, tmp_path / "cur")
    list(compact(ledger, date(2026, 11, 25)))
    assert one_pass(ledger, tmp_path / "cur").changed == 0
    assert not [name for name in ledger.store.list("v1/submitted") if name.endswith(".actual.json")]
    for one in rows:
        one["bill_invoice_id"] = "4711"
        if one["split_line_item_split_cost"] is not None:
            one["split_line_item_split_cost"] /= 2
    write_cur(period / "20261203T000000Z-bbb", rows)
    assert one_pass(ledger, tmp_path / "cur").changed == 1
    bill = bills(ledger)[record.record_id]
    assert (bill["usd_total"], bill["is_final"]) == ("0.0960000000", "yes")
    late = ledger.write(record.model_copy(update={"cost_tags": {"team": "a"}}))
    assert (late.revision, bills(ledger)[record.record_id]) == (2, bill)


def test_one_period_has_its_last_delivery_too(ledger: Ledger, tmp_path: Path) -> None:
    """The folder of a billing period may be given: of the deliveries in it the last one counts, not all together."""
    record, _, rows = single(ledger)
    period = tmp_path / "cur" / "BILLING_PERIOD=2026-11"
    for name in ("20261113T000000Z-aaa", "20261203T000000Z-bbb"):
        write_cur(period / name, rows)
    result = one_pass(ledger, period)
    assert (result.files, bills(ledger)[record.record_id]["usd_total"]) == (1, "0.1920000000")


def test_two_exports_below_one_place_are_not_added_up(ledger: Ledger, tmp_path: Path) -> None:
    """Each has the same rows: refused, with their names."""
    _, _, rows = single(ledger)
    for name in ("old", "new"):
        write_cur(tmp_path / "cur" / name / "data" / "BILLING_PERIOD=2026-11", rows)
    with pytest.raises(
        SpecError, match=r"holds 2 exports, which tell the same: give one of .*/new/data/, .*/old/data/"
    ):
        one_pass(ledger, tmp_path / "cur")


class Deaf(LocalStore):
    """A store of which details cannot be read for now."""

    def open(self, name: str) -> BinaryIO:
        """As S3 in an outage."""
        if name.endswith(".detail.json.zst"):
            msg = f"{name}: slow down"
            raise OSError(msg)
        return super().open(name)


def test_pods_that_cannot_be_read_now_are_not_taken_for_none(ledger: Ledger, tmp_path: Path) -> None:
    """Whose rows are missing would not be known, and what its tags find told as the whole: the pass ends."""
    _, _, rows = single(ledger)
    write_cur(tmp_path / "cur", rows)
    with pytest.raises(OSError, match="slow down"):
        one_pass(Ledger(Deaf(ledger.store.root)), tmp_path / "cur")


def test_a_row_without_dollars_gives_no_total(ledger: Ledger, tmp_path: Path) -> None:
    """Covered by a savings plan, in an export without its columns: not 0, and no factor is learned from it."""
    pod = Pod(
        uid=pod_uid(dice(6)),
        role="driver",
        vcpu="1",
        memory_gib="2",
        capacity_type="fargate",
        started=NOON,
        ended=NOON + HOUR,
    )
    job = settled("f", [pod], [])
    ledger.write(job.record, job.detail)
    held = Held(pod.uid, "", 1, 2, NOON, NOON + HOUR)
    covered = fargate(held, 0.04, NOON, line_item_line_item_type="SavingsPlanCoveredUsage")
    write_cur(tmp_path / "cur", [covered, fargate(held, 0.01, NOON), later(NOON + timedelta(days=3))])
    result = one_pass(ledger, tmp_path / "cur")
    why = "1 rows tell no dollars: does the export have the columns of savings plans?"
    assert result.partly == {job.record.record_id: why}
    assert "usd_total" not in bills(ledger)[job.record.record_id]
    assert result.calibration.factors == ()


def test_what_is_recorded_is_what_the_bill_has_rows_of(ledger: Ledger, tmp_path: Path) -> None:
    """Volumes are on other rows: no part of it; a record that knows no cost is told apart, not as 0."""
    record, _, rows = single(ledger)
    cost = record.cost.model_copy(update={"usd_storage": Decimal(5), "usd_total": Decimal("5.192")})
    ledger.write(record.model_copy(update={"cost": cost}))
    job, cost = record.job.model_copy(update={"ref": "kubeflow_spark://c/n/2/2"}), Cost(usd_uplift=0)
    uid, unknown = pod_uid(dice("two")), {"record_id": digest("two")[:32], "job": job, "cost": cost}
    ledger.write(record.model_copy(update=unknown), {"pod_uids": [uid]})
    held = Held(uid, "i-1", 4, 16, NOON, NOON + HOUR)
    rows += split_rows([Machine("i-1", "m5.xlarge", 4, 16, 0.5)], [held])
    write_cur(tmp_path / "cur", rows)
    result = one_pass(ledger, tmp_path / "cur")
    assert (result.billed, result.usd_recorded, result.unrecorded) == (2, Decimal("0.192"), 1)
    assert (result.usd_billed, result.usd_unrecorded) == (Decimal("0.692"), Decimal("0.5"))


def test_a_bill_that_lacks_hours_or_pods_gives_no_total(ledger: Ledger, tmp_path: Path) -> None:
    """A month that is not there, rows that may still come, a pod without a row: nothing, or a part with its why."""
    record, _, rows = single(ledger, hours=2)
    write_cur(tmp_path / "young", rows[:-1])
    assert (one_pass(ledger, tmp_path / "young").waiting, bills(ledger)[record.record_id]) == (1, None)
    october = [one | {"bill_billing_period_start_date": "2026-10-01 00:00:00"} for one in rows]
    write_cur(tmp_path / "october", october)
    assert one_pass(ledger, tmp_path / "october").waiting == 1
    write_cur(tmp_path / "nobody", rows[-1:])
    assert one_pass(ledger, tmp_path / "nobody").missing == [record.record_id]
    detail = ledger.read_detail(record)
    detail["pod_uids"].append("00000000-0000-4000-8000-000000000001")
    ledger.write(record.model_copy(update={"cost_tags": {"team": "b"}}), detail)
    write_cur(tmp_path / "all", rows)
    result = one_pass(ledger, tmp_path / "all")
    assert result.partly == {record.record_id: "1 of 2 pods have no row"}
    bill = bills(ledger)[record.record_id]
    assert ("usd_total" in bill, bill["usd_compute"], result.calibration.factors) == (False, "0.3840000000", ())


def test_emrs_uplift_is_added_or_the_total_is_not_known(ledger: Ledger, tmp_path: Path) -> None:
    """A row that names the job run counts; one that names the virtual cluster only does not, and is said."""
    record, _, rows = single(ledger)
    record = ledger.write(
        record.model_copy(update={"cost": record.cost.model_copy(update={"usd_uplift": Decimal("0.05")})})
    )
    cluster = "arn:aws:emr-containers:us-east-1:123456789012:/virtualclusters/vc1"
    write_cur(tmp_path / "cluster", [*rows, uplift("-", 0.06, NOON, line_item_resource_id=cluster)])
    assert one_pass(ledger, tmp_path / "cluster").partly == {record.record_id: "no row of EMR names the job run"}
    write_cur(tmp_path / "run", [*rows, uplift("one", 0.06, NOON)])
    one_pass(ledger, tmp_path / "run")
    bill = bills(ledger)[record.record_id]
    assert (bill["usd_uplift"], bill["usd_total"], bill["found_by"]) == (
        "0.0600000000",
        "0.2520000000",
        "pod uids, job run",
    )


def test_a_job_whose_name_says_unused_is_billed_whole(ledger: Ledger, tmp_path: Path) -> None:
    """Executors are named after their job: rows of pods are no rows of what nobody used, whatever names hold."""
    record, pod, _ = single(ledger)
    ledger.write(record.model_copy(update={"detail": None}))
    labels = {"user_emr_containers_amazonaws_com_job_id": "one"}
    pods = [Held(uid, "i-0", 2, 8, NOON, NOON + HOUR, labels) for uid in (pod.uid, pod_uid(dice("executor")))]
    rows = [*split_rows([Machine("i-0", "m5.xlarge", 4, 16, 0.192)], pods), later(NOON + timedelta(days=3))]
    for one in rows:
        name = f"/p-{pods[1].uid[:8]}/"
        one["line_item_resource_id"] = one["line_item_resource_id"].replace(name, "/drop-unused-ids-exec-1/")
    write_cur(tmp_path / "cur", rows)
    one_pass(ledger, tmp_path / "cur")
    bill = bills(ledger)[record.record_id]
    assert (bill["usd_total"], bill["pods"], bill["found_by"]) == ("0.1920000000", "2", "job run")


def test_a_pod_that_only_the_log_knows_is_missed_on_the_bill(ledger: Ledger, tmp_path: Path) -> None:
    """The log numbers it and has no uid: without its rows the bill tells a part, and no factor is learned."""
    record, driver, rows = single(ledger)
    lone = driver.model_copy(update={"uid": "driver", "vcpu": Decimal(1), "node": None})
    logged = EventLogSummary(app_id="a", pods=(lone, lone.model_copy(update={"uid": "1", "role": "executor"})))
    figures = account(Telemetry(pods=(driver,)), logged, CARD, now=driver.ended)
    settled_again = fit(record.model_copy(update={"cost": figures.cost}), figures, logged)
    ledger.write(settled_again.record, settled_again.detail)
    write_cur(tmp_path / "cur", rows)
    result = one_pass(ledger, tmp_path / "cur")
    assert result.partly == {record.record_id: "1 of 2 pods have no row"}
    assert ("usd_total" in bills(ledger)[record.record_id], result.calibration.factors) == (False, ())


def test_a_bill_in_another_currency_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    """A bill in CNY holds no dollars. Rows of others, as of a marketplace, may be in any."""
    record, _, rows = single(ledger)
    types = {**TYPES, "line_item_currency_code": "VARCHAR"}
    for currency in ("CNY", "USD"):
        told = [one | {"line_item_currency_code": currency} for one in rows]
        elsewhere = row(NOON, line_item_operation="Subscribe") | {"line_item_currency_code": "EUR"}
        write_cur(tmp_path / currency, [*told, elsewhere], types=types)
    with pytest.raises(SpecError, match="is in CNY, and records are in USD"):
        one_pass(ledger, tmp_path / "CNY")
    one_pass(ledger, tmp_path / "USD")
    assert bills(ledger)[record.record_id]["usd_total"] == "0.1920000000"


def test_fargate_pods_cost_what_their_own_rows_say(ledger: Ledger, tmp_path: Path) -> None:
    """A covered row costs what the plan paid for it; the plan's negation and tax are no cost of a pod."""
    end = NOON + HOUR
    pod = Pod(
        uid=pod_uid(dice(5)),
        role="driver",
        vcpu="1",
        memory_gib="2",
        capacity_type="fargate",
        started=NOON,
        ended=end,
    )
    job = settled("f", [pod], [])
    ledger.write(job.record, job.detail)
    held = Held(pod.uid, "", 1, 2, NOON, end)
    rows = [
        fargate(held, 0.04, NOON),
        fargate(held, 0.01, NOON, line_item_net_unblended_cost=0.008),
        fargate(held, -0.05, NOON, line_item_line_item_type="SavingsPlanNegation"),
        fargate(held, 0.01, NOON, line_item_line_item_type="Tax"),
        later(NOON + timedelta(days=3)),
    ]
    write_cur(tmp_path / "cur", rows)
    result = one_pass(ledger, tmp_path / "cur")
    assert bills(ledger)[job.record.record_id]["usd_total"] == "0.0480000000"
    assert [(one.family, one.capacity_type, one.is_used) for one in result.calibration.factors] == [
        ("fargate", "fargate", False)
    ]


def test_rows_that_two_jobs_may_claim_are_in_neither(ledger: Ledger, tmp_path: Path) -> None:
    """A run that was deleted and made again within the hour has the same tags: told, not guessed."""
    record, pod, _ = single(ledger)
    again = record.model_copy(
        update={"record_id": "again", "job": record.job.model_copy(update={"ref": "kubeflow_spark://c/ns/x/x"})}
    )
    key = digest("tests", "sales", "r", "one", -1)[:16]
    for one in (record, again):
        ledger.write(one.model_copy(update={"detail": None}))
    held = Held(
        pod.uid, "i-0", 4, 16, NOON, NOON + HOUR, {"user_airflow_doeks_task_key": key, "user_airflow_doeks_try": "1"}
    )
    write_cur(
        tmp_path / "cur",
        [*split_rows([Machine("i-0", "m5.xlarge", 4, 16, 0.192)], [held]), later(NOON + timedelta(days=3))],
    )
    result = one_pass(ledger, tmp_path / "cur")
    assert set(result.partly) == {record.record_id, "again"}
    assert all("2 rows may be of another job as well" in why for why in result.partly.values())


def test_each_day_of_a_stream_gets_its_own_rows(ledger: Ledger, tmp_path: Path) -> None:
    """One pod over midnight: the rows of each UTC day are that day's record's."""
    start = NOON + timedelta(hours=10)
    end = start + timedelta(hours=5)
    uid, node = pod_uid(dice(9)), node_of(0, "m5.xlarge", "on_demand")
    midnight = NOON + timedelta(hours=12)
    for key, since, until in (("a", start, midnight), ("b", midnight, end)):
        pod = Pod(uid=uid, role="taskmanager", vcpu="4", memory_gib="16", node="n0", started=since, ended=until)
        job = settled(key, [pod], [node], window=since.date())
        ledger.write(job.record, job.detail)
    write_cur(
        tmp_path / "cur",
        [
            *split_rows([Machine("i-0", "m5.xlarge", 4, 16, 0.192)], [Held(uid, "i-0", 4, 16, start, end)]),
            later(NOON + timedelta(days=4)),
        ],
    )
    assert one_pass(ledger, tmp_path / "cur").billed == 2
    assert sorted(bill["usd_total"] for bill in bills(ledger).values()) == ["0.3840000000", "0.5760000000"]


def test_an_hour_that_was_bought_in_parts_is_counted_once(ledger: Ledger, tmp_path: Path) -> None:
    """On demand, a plan and Spot under one id in one hour: the job's dollars are the machine's, split by the hours."""
    record, pod, rows = single(ledger)
    parts = (("Usage", "BoxUsage", 0.25), ("SavingsPlanCoveredUsage", "BoxUsage", 0.25), ("Usage", "SpotUsage", 0.5))
    machine = Machine("i-0", "m5.xlarge", 4, 16, 0.192, parts)
    rows = [*split_rows([machine], [Held(pod.uid, "i-0", 4, 16, NOON, NOON + HOUR)]), rows[-1]]
    file = write_cur(tmp_path / "cur", rows)
    with connection() as database:
        key = BillKey(record.record_id, "pod", pod.uid)
        read_export(LocalStore(file.parent), database, [key], tmp_path)
        (charge,) = charges(database)
    assert charge.usd_compute.quantize(TINY) == Decimal("0.192")
    shares = {(share.family, share.capacity_type): share.usd.quantize(TINY) for share in charge.shares}
    assert shares == {("m5", "on_demand"): Decimal("0.096"), ("m5", "spot"): Decimal("0.096")}


def test_an_export_without_split_cost_columns_is_refused_by_name(ledger: Ledger, tmp_path: Path) -> None:
    """What is missing, and what to export instead; so is a folder without Parquet."""
    single(ledger)
    write_cur(tmp_path / "cur", [row(NOON)], without=["split_line_item_split_cost"])
    with pytest.raises(SpecError, match="has no column split_line_item_split_cost"):
        one_pass(ledger, tmp_path / "cur")
    with pytest.raises(SpecError, match=r"no \.parquet file"):
        one_pass(ledger, tmp_path / "empty")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.parquet").write_bytes(b"not Parquet")
    with pytest.raises(SpecError, match="not a Parquet file"):
        one_pass(ledger, tmp_path / "broken")


def test_a_dry_run_writes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    """It finds what a run would."""
    _, _, rows = single(ledger)
    write_cur(tmp_path / "cur", rows)
    before = dict(ledger.store.stamped())
    assert one_pass(ledger, tmp_path / "cur", is_dry=True).changed == 1
    assert dict(ledger.store.stamped()) == before


def killed_at(point: int, work: Callable[[], object]) -> None:
    """The work in a process that SIGKILLs itself before or after its n-th write."""
    child = os.fork()
    if child == 0:
        passed, write = 0, stores.LocalStore.write

        def watched(*arguments: Any) -> None:
            nonlocal passed
            for step in (lambda: None, lambda: write(*arguments)):
                step()
                passed += 1
                if passed == point:
                    os.kill(os.getpid(), signal.SIGKILL)

        stores.LocalStore.write = watched  # type: ignore[method-assign]
        try:
            work()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def test_a_kill_at_any_point_loses_and_doubles_no_bill(tmp_path: Path) -> None:
    """SIGKILL before or after the n-th write, ten times, then one pass: the same ledger as an undisturbed one."""
    calm, rough = (Ledger(LocalStore(tmp_path / name)) for name in ("calm", "rough"))
    rows, _ = made(calm, 30)
    assert made(rough, 30)[0] == rows
    write_cur(tmp_path / "cur", rows)
    one_pass(calm, tmp_path / "cur")
    for point in (1, 2, 3, 4, 5, 6, 7, 2, 4, 6):
        killed_at(point, lambda: one_pass(rough, tmp_path / "cur"))
    one_pass(rough, tmp_path / "cur")
    assert bills(rough) == bills(calm)
    assert read_calibration(rough.store) == read_calibration(calm.store)
    assert sorted(rough.store.list()) == sorted(calm.store.list())
