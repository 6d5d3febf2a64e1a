"""From a finished job to its record: what is known stands there, what is not says why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from airflow_doeks.cost import load_rate_card
from airflow_doeks.hooks.stores import open_log
from airflow_doeks.lifecycle import (
    Accounting,
    Clock,
    Settled,
    Submission,
    record_id,
    refused_record,
    settle,
    submitted_record,
    unsettled_record,
)
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.record import JobFailure, JobRecord
from airflow_doeks.model.status import JobRef, JobState
from airflow_doeks.model.telemetry import Node, Pod, Telemetry
from tests.fakes.memory_platform import START, MemoryPlatform
from tests.lifecycle.test_submission import FIRST, run

HOUR = START + timedelta(hours=1)
REQUESTED = Telemetry(
    requested=(Pod(uid="driver", role="driver", vcpu=Decimal(4), memory_gib=Decimal(16), storage_gib=Decimal(0)),),
    assumed_node=Node(uid="n", instance_type="m7g.xlarge", capacity_type="on_demand"),
    started=START,
    ended=HOUR,
)


class Knowing(MemoryPlatform):
    """A platform with telemetry, or with the error it gives instead."""

    known: Telemetry | Exception = REQUESTED

    def telemetry(self, ref: JobRef) -> Telemetry:
        if isinstance(self.known, Exception):
            raise self.known
        return self.known


def settled(
    known: Telemetry | Exception, *, reads: Sequence[str] = (), failure: JobFailure | None = None, **changes: object
) -> Settled:
    """The record of a job that ran for an hour."""
    platform = Knowing()
    platform.known = known
    submission = run(platform, FIRST)
    platform.tick(100)
    arguments: dict[str, object] = {"open_log": open_log, "rate_card": load_rate_card, "seconds": 5.0}
    accounting = Accounting(**{**arguments, **changes, "clock": Clock(platform.time.now, platform.time.sleep)})
    status = platform.observe(submission.ref)
    return settle(platform, submission, FIRST, status, accounting, failure=failure, reads=reads)


def test_without_an_event_log_the_requests_are_priced() -> None:
    """Basis `requests`, a price for the job's whole life, and the reason; never 0."""
    cost = settled(REQUESTED).record.cost
    assert (cost.basis, cost.confidence, cost.priced_as) == ("requests", "low", "m7g.xlarge")
    assert cost.usd_total == cost.usd_compute == Decimal("0.1632000000")  # a whole m7g.xlarge for an hour
    assert "wrote no event log" in (cost.why_unknown or "")


def test_a_log_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A missing file is a why, not an exception."""
    known = REQUESTED.model_copy(update={"event_log": f"{tmp_path}/gone"})
    cost = settled(known).record.cost
    assert cost.basis == "requests"
    assert "gone" in (cost.why_unknown or "")


def test_a_platform_that_knows_nothing_leaves_the_total_null() -> None:
    """No telemetry at all: the record stands, its cost is unknown and says so."""
    cost = settled(PlatformError("describe was throttled", retryable=True)).record.cost
    assert cost.usd_total is None
    assert "compute" in cost.unknown
    assert "describe was throttled" in (cost.why_unknown or "")


def test_a_rate_card_that_is_not_there_leaves_the_total_null() -> None:
    """Usage may be known where prices are not."""

    def missing() -> object:
        msg = "no file prices.yaml"
        raise FileNotFoundError(msg)

    cost = settled(REQUESTED, rate_card=missing).record.cost
    assert cost.usd_total is None
    assert "no file prices.yaml" in (cost.why_unknown or "")


def test_a_store_that_hangs_is_given_up(tmp_path: Path) -> None:
    """Reading the log takes as long as it may, then the requests are priced and the task goes on."""
    known = REQUESTED.model_copy(update={"event_log": f"{tmp_path}/slow"})

    def hang(url: str) -> object:
        import threading

        return threading.Event().wait()

    cost = settled(known, open_log=hang, seconds=0.01).record.cost
    assert cost.basis == "requests"
    assert "was not read within" in (cost.why_unknown or "")


def test_nobody_reads_on_after_a_log_was_given_up(tmp_path: Path) -> None:
    """A log that never ends is read in a thread; when nobody waits any more, the thread ends with its next block."""
    import io
    import threading

    class Endless:
        url = "memory://"

        def list(self, prefix: str = "") -> list[str]:
            return [prefix]

        def open(self, name: str) -> io.BufferedReader:
            class Lines(io.RawIOBase):
                def readable(self) -> bool:
                    return True

                def readinto(self, buffer: bytearray) -> int:
                    line = b'{"Event":"x"}\n'
                    buffer[: len(line)] = line
                    return len(line)

            return io.BufferedReader(Lines())

    known = REQUESTED.model_copy(update={"event_log": f"{tmp_path}/endless"})
    before = set(threading.enumerate())
    cost = settled(known, open_log=lambda _: (Endless(), "log"), seconds=0.05).record.cost
    assert "was not read within" in (cost.why_unknown or "")
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()


def test_a_fault_of_ours_raises_and_is_recorded_by_the_caller() -> None:
    """`settle` hides no bug; `unsettled_record` says what it was."""

    def broken(url: str) -> object:
        return 1 / 0

    known = REQUESTED.model_copy(update={"event_log": "/log"})
    with pytest.raises(ZeroDivisionError) as caught:
        settled(known, open_log=broken)
    platform = MemoryPlatform()
    submission = run(platform, FIRST)
    record = unsettled_record(submission, FIRST, platform.observe(submission.ref), None, caught.value).record
    assert record.cost.usd_total is None
    assert record.cost.why_unknown == "accounting failed: ZeroDivisionError: division by zero"


def test_one_job_has_one_record_id() -> None:
    """The record at submit, at settle and of a retry that adopted the job is the same object of the ledger."""
    platform = Knowing()
    submission = run(platform, FIRST)
    assert submitted_record(submission, FIRST, "memory").record_id == record_id(submission.ref, "another token")
    assert submitted_record(submission, FIRST, "memory").cost.why_unknown == "running"


def test_a_job_that_never_came_to_be_has_a_record() -> None:
    """No ref, no cost, and why."""
    failure = JobFailure(category="platform", message="access denied")
    record = refused_record(FIRST, {"name": "lake", "type": "emr_on_eks"}, failure).record
    assert (record.job.ref, record.job.state, record.cost.usd_total) == (None, JobState.FAILED, None)
    assert record.failure == failure


def test_the_end_of_the_log_stands_in_the_detail() -> None:
    """A record has no room for it; a page shows it. A line of a megabyte is cut."""
    said = JobFailure(category="user_code", message="boom", log_tail=("first", "x" * 1_000_000))
    result = settled(REQUESTED, failure=said)
    assert [line[:5] for line in result.detail["log_tail"]] == ["first", "xxxxx"]
    assert len(result.detail["log_tail"][1]) == 2000
    assert settled(REQUESTED).detail["log_tail"] == []


@pytest.mark.parametrize("count", [1, 60, 500])
def test_a_record_stays_under_8_kb(count: int) -> None:
    """Many datasets are cut in the record, which says so; its detail has them all."""
    reads = [f"s3://a-bucket-of-some-length/path/{n:0100}" for n in range(count)]
    result = settled(REQUESTED, reads=reads)
    assert len(result.record.model_dump_json()) < 8192
    assert result.record.lineage.truncated is (len(result.record.lineage.inputs) < count)
    assert len(result.detail["lineage"]["inputs"]) == count


def test_a_record_counts_bytes_not_characters() -> None:
    """Names outside ASCII take more room; the record is as small, and so is one of a failure that says a lot."""
    reads = [f"s3://bucket/{'日本' * 40}/{n}" for n in range(50)]
    said = JobFailure(message="é" * 5000, evidence=("日" * 5000,) * 50, links={"Driver log": "s3://" + "x" * 900})
    platform = MemoryPlatform()
    submission = run(platform, FIRST)
    status = platform.observe(submission.ref)
    for result in (
        settled(REQUESTED, reads=reads),
        settled(REQUESTED, reads=reads, failure=said),
        unsettled_record(submission, FIRST, status, said, ValueError("é" * 5000)),
        refused_record(FIRST, {"name": "lake", "type": "emr_on_eks"}, said),
    ):
        assert len(result.record.model_dump_json().encode()) < 8192


def test_a_record_survives_json() -> None:
    """Record -> JSON -> record is the same, money exact."""
    record = settled(REQUESTED).record
    assert JobRecord.model_validate_json(record.model_dump_json()) == record


def test_a_submission_knows_no_secret() -> None:
    """What stands in XCom and in the trigger holds no environment variable of the job."""
    assert "env" not in Submission.__dataclass_fields__
