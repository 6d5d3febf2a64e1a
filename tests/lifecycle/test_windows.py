"""Records of a job that outlives its task: the days sum to the job, whenever and however often they are written."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from airflow_doeks.cost import load_rate_card
from airflow_doeks.lifecycle.account import account
from airflow_doeks.lifecycle.sightings import with_sightings
from airflow_doeks.lifecycle.submission import Submission
from airflow_doeks.lifecycle.windows import IN_WINDOWS, closing, seen_now, window_id, windows
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.status import JobRef, JobState
from airflow_doeks.model.telemetry import Node, Pod, Telemetry
from airflow_doeks.platforms.flink.operator import FLINK_PODS
from airflow_doeks.platforms.kubernetes.sightings import life_of
from airflow_doeks.report.entry import entry_of
from airflow_doeks.report.spending import parts_by_dataset

REF = JobRef("apache_flink://host/streams/clicks/u")
START = datetime(2026, 11, 20, 18, 30, tzinfo=timezone.utc)
NODE = Node(uid="n", instance_type="m7g.xlarge", capacity_type="on_demand", vcpu=Decimal(4), memory_gib=Decimal(16))
SUBMISSION = Submission(REF, "streams", "clicks", "t", "hash", 1, START, engine="flink")
IDENTITY = JobIdentity("prod", "clicks", "r", "deploy", -1, 1, START, "a", {"team": "sales"})


def at(hours):
    """A moment, in hours after the start."""
    return START + timedelta(hours=hours)


def pod(uid, start, end=None, role="taskmanager"):
    """A pod that held a vCPU and two GiB."""
    ended = None if end is None else at(end)
    size = {"vcpu": Decimal(1), "memory_gib": Decimal(2), "storage_gib": Decimal(0)}
    return Pod(uid=uid, role=role, started=at(start), ended=ended, node="n", **size)


# A job manager for two days and a half; a task manager that was replaced at the second midnight but one.
LIFE = (pod("jm", 0, 60, "jobmanager"), pod("tm-1", 0.1, 30.25), pod("tm-2", 30.25, 60))


@pytest.fixture
def card():
    """The shipped prices."""
    return load_rate_card(None, region="us-east-1")


def total(settled, name="usd_total"):
    """The sum over records."""
    return sum((getattr(one.record.cost, name) for one in settled), Decimal(0))


def test_days_sum_to_the_job(card):
    """Four UTC days of a job cost and use what the job as a whole does."""
    facts = Telemetry(pods=LIFE, nodes=(NODE,), started=at(0), ended=at(60))
    whole = account(facts, EventLogSummary(), card, now=at(60))
    found = windows(SUBMISSION, IDENTITY, facts, card, now=at(61), state=JobState.SUCCEEDED, ended=at(60))
    assert [one.record.window for one in found] == [date(2026, 11, day) for day in (20, 21, 22, 23)]
    assert total(found) == pytest.approx(whole.cost.usd_total, abs=Decimal("0.000004"))
    assert sum(one.record.usage.vcpu_seconds for one in found) == whole.usage.vcpu_seconds
    assert whole.cost.usd_total > 0
    assert [one.record.job.state for one in found] == [JobState.RUNNING] * 3 + [JobState.SUCCEEDED]
    assert {one.record.cost.basis for one in found} == {"pods"}


def test_a_day_on_which_it_only_waited_has_no_start(card):
    """Submitted at 18:30, running from 01:30 of the next day on: on the first day nothing began."""
    facts = Telemetry(pods=(pod("jm", 7, role="jobmanager"),), nodes=(NODE,), submitted=at(0), started=at(7))
    first, second = (one.record for one in windows(SUBMISSION, IDENTITY, facts, card, now=at(40)))
    assert (first.times.submitted, first.times.started, first.times.ended) == (at(0), None, at(5.5))
    assert second.times.started == at(7)
    assert second.cost.usd_total > 0


def test_a_day_that_is_not_over_has_no_record_yet(card):
    """While the job lives, only days that are over are written, and each is the same whenever it is written."""
    facts = Telemetry(pods=(pod("jm", 0, role="jobmanager"),), nodes=(NODE,), started=at(0))
    early = windows(SUBMISSION, IDENTITY, facts, card, now=at(6))
    later = windows(SUBMISSION, IDENTITY, facts, card, now=at(40))
    assert [one.record.window.day for one in early] == [20]
    assert [one.record.window.day for one in later] == [20, 21]
    assert later[0].record.usage == early[0].record.usage
    assert later[0].record.usage.vcpu_seconds == Decimal(int(5.5 * 3600))
    assert later[0].record.record_id == early[0].record.record_id == window_id(REF, date(2026, 11, 20))


def test_a_day_is_settled_and_belongs_to_its_day(card):
    """A day's record stands in the ledger on its own day, and nobody settles it again."""
    facts = Telemetry(pods=LIFE, nodes=(NODE,))
    first, second, *_ = (one.record for one in windows(SUBMISSION, IDENTITY, facts, card, now=at(80)))
    assert (first.times.submitted, second.times.submitted.hour) == (START, 0)
    assert first.settled_by_try == 1
    assert first.cost_tags == {"team": "sales"}
    assert (second.times.started, second.times.ended) == (at(5.5), at(29.5))


def test_a_closing_record_costs_nothing_itself(card):
    """How a job ended is in its own record, its cost in those of its days."""
    facts = Telemetry(pods=LIFE, nodes=(NODE,))
    (first, *_) = windows(SUBMISSION, IDENTITY, facts, card, now=at(80))
    assert closing(first.record).cost == IN_WINDOWS
    assert closing(first.record).usage.vcpu_seconds == 0


def test_datasets_of_a_closing_record_claim_no_dollars_that_it_has_not(card):
    """They would stand against a total of 0: `(no dataset)` below 0, and its days' dollars a second time upstream."""
    record = windows(SUBMISSION, IDENTITY, Telemetry(pods=LIFE, nodes=(NODE,)), card, now=at(80))[0].record
    lineage = Lineage(outputs=(Dataset(namespace="s3://lake", name="out", rows=3, usd=Decimal(2)),))
    closed = closing(record.model_copy(update={"lineage": lineage, "window": None}))
    assert [(part[0], part[1]) for part in parts_by_dataset(entry_of(closed))] == [("s3://lake/out", None)]
    assert closed.lineage.outputs[0].rows == 3


def manager(state, restarts, *, policy="Always", **metadata):
    """A job manager as the API shows it: the state of its container, and how often that was started again."""
    requests = {"requests": {"cpu": "1", "memory": "2Gi"}}
    spec = {"nodeName": "n", "restartPolicy": policy, "containers": [{"resources": requests}]}
    container = {"name": "flink-main-container", "state": state, "restartCount": restarts}
    placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": START.isoformat()}
    status = {"phase": "Running", "conditions": [placed], "containerStatuses": [container]}
    labels = {"component": "jobmanager"}
    metadata |= {"uid": "jm", "labels": labels, "creationTimestamp": START.isoformat()}
    item = {"metadata": metadata, "spec": spec, "status": status}
    return life_of(item, FLINK_PODS, is_gone=False, now=at(61)).pod


def test_a_container_that_was_restarted_takes_no_time_from_its_pod(card):
    """Its pod holds the node all the while: a crash on the third day changes nothing of the first."""
    before, after = (
        windows(SUBMISSION, IDENTITY, facts, card, now=at(60))[0].record
        for facts in (
            Telemetry(pods=(manager({"running": {"startedAt": at(hour).isoformat()}}, times),), nodes=(NODE,))
            for hour, times in ((0, 0), (50, 1))
        )
    )
    assert before.usage.vcpu_seconds == Decimal(int(5.5 * 3600))
    assert after == before


def test_a_container_that_is_started_again_does_not_end_its_pod():
    """A word of its end would be the last that is heard of the pod; one that is deleted, or kept so, has ended."""
    crashed = {"terminated": {"startedAt": at(0).isoformat(), "finishedAt": at(50).isoformat(), "exitCode": 137}}
    assert manager(crashed, 0).ended is None
    assert manager(crashed, 0, policy="Never").ended == at(50)
    assert manager(crashed, 0, deletionTimestamp=at(50).isoformat()).ended == at(50)


def test_a_pod_that_went_without_a_node_held_nothing(card):
    """A task manager that no look ever saw on a node, and that is gone: its wait is in no day's record."""
    waits = LIFE[1].model_copy(update={"uid": "tm-0", "started": None, "requested": at(0), "ended": None, "node": None})
    first = Telemetry(pods=(pod("jm", 0, role="jobmanager"), waits), nodes=(NODE,), started=at(0))
    second = first.model_copy(update={"pods": first.pods[:1]})
    facts = with_sightings(second, seen_now(seen_now((), first, REF, at(1)), second, REF, at(4)))
    (day,) = windows(SUBMISSION, IDENTITY, facts, card, now=at(6))
    assert day.record.usage.vcpu_seconds == Decimal(int(5.5 * 3600))


def test_a_pod_that_holds_its_node_and_has_not_started_costs(card):
    """A task manager whose image never comes holds its node all the same: the day has that."""
    pulls = LIFE[1].model_copy(update={"uid": "tm-0", "started": None, "requested": at(1), "ended": None})
    facts = Telemetry(pods=(pod("jm", 0, role="jobmanager"), pulls), nodes=(NODE,), started=at(0))
    (day,) = windows(SUBMISSION, IDENTITY, facts, card, now=at(6))
    assert day.record.usage.vcpu_seconds == Decimal(int((5.5 + 4.5) * 3600))


def test_looks_now_and_then_find_what_came_and_went(card):
    """A pod that a later look does not see ended by then; one that is seen keeps its start and its node."""
    first = Telemetry(pods=(pod("jm", 0, role="jobmanager"), pod("tm-1", 0.1)), nodes=(NODE,))
    second = Telemetry(pods=(pod("jm", 0, role="jobmanager"), pod("tm-2", 30)))
    seen = seen_now(seen_now((), first, REF, at(1)), second, REF, at(31))
    assert {one.pod.uid: one.pod.ended for one in seen} == {"jm": None, "tm-1": at(31), "tm-2": None}
    assert {one.pod.uid: one.node and one.node.uid for one in seen} == {"jm": "n", "tm-1": "n", "tm-2": None}
    facts = with_sightings(second, seen)
    (day,) = windows(SUBMISSION, IDENTITY, facts, card, now=at(6))
    assert day.record.usage.vcpu_seconds == Decimal(int(5.5 * 3600) + int(5.4 * 3600))
