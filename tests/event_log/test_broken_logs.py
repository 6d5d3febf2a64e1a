"""Cuts, byte flips and doubled, lost and shuffled lines of real logs: always a result, never a wrong sign."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from airflow_doeks.event_log import EventLogReading
from airflow_doeks.lifecycle.event_logs import read_event_log
from airflow_doeks.lineage import PlanDatasets

LOGS = Path(__file__).parents[1] / "lineage" / "logs"
# no overwrites among these: a shorter log can only hold less
SAMPLES = [f"{v}/{s}" for v in ("3.5.9", "4.3.0") for s in ("executors", "join_and_aggregate", "file_stream", "jdbc")]
place = st.integers(0, 999_999).map(lambda number: number / 1_000_000)


@cache
def packed(kept: str) -> bytes:
    """A kept log as it lies on disk."""
    return (LOGS / f"{kept}.zstd").read_bytes()


@cache
def plain(kept: str) -> bytes:
    """The text of a kept log."""
    return zstandard.ZstdDecompressor().stream_reader(packed(kept)).read()


def summary_of(text: bytes, *, statistics: bool = True):
    """The summary of a log with this text."""
    reading = EventLogReading(PlanDatasets(), statistics=statistics)
    reading.feed(text, 0, len(text))
    return reading.summary()


@cache
def whole(kept: str):
    """The summary of the log as it was written."""
    return summary_of(plain(kept))


class OneFile:
    """A store that holds one log."""

    url = "memory:"

    def __init__(self, content: bytes) -> None:
        self.content = content

    def list(self, prefix=""):
        return iter(["app-1.zstd"])

    def open(self, name):
        import io

        return io.BytesIO(self.content)


def check(summary) -> None:
    """No negative, no end before a start, no more than everything."""
    assert (summary.slot_ms or 0) >= (summary.slot_ms_wasted or 0) >= 0
    assert (summary.slot_ms or 0) >= (summary.slot_ms_unattributed or 0) >= 0
    for dataset in (*summary.lineage.inputs, *summary.lineage.outputs):
        for amount in (dataset.rows, dataset.bytes, dataset.files, dataset.slot_share):
            assert amount is None or amount >= 0
    assert sum(dataset.slot_share or 0 for dataset in summary.lineage.outputs) <= 1 + 1e-9
    for pod in summary.pods:
        assert pod.vcpu is None or pod.vcpu > 0
        assert pod.memory_gib is None or pod.memory_gib > 0
        assert None in (pod.started, pod.ended) or pod.started <= pod.ended
    assert None in (summary.started, summary.ended) or summary.started <= summary.ended
    assert summary.model_validate_json(summary.model_dump_json()).slot_ms == summary.slot_ms
    assert summary.lineage.complete is not bool(summary.why)


def check_no_more(summary, kept: str) -> None:
    """Every count is unknown or at most what the whole log tells."""
    most = whole(kept)
    assert (summary.slot_ms or 0) <= most.slot_ms
    assert len(summary.pods) <= len(most.pods)
    for role in ("inputs", "outputs"):
        known = {dataset.name: dataset for dataset in getattr(most.lineage, role)}
        for dataset in getattr(summary.lineage, role):
            for count in ("rows", "bytes", "files"):
                mine = getattr(dataset, count)
                assert mine is None or dataset.name not in known or mine <= getattr(known[dataset.name], count)


@pytest.mark.parametrize("statistics", [True, False])
@given(kept=st.sampled_from(SAMPLES), at=place)
def test_a_log_cut_anywhere_tells_what_came_before(statistics, kept, at):
    """A log that stops in the middle gives no more than the whole one, is never complete, and says why."""
    text = plain(kept)
    summary = summary_of(text[: int(at * (len(text) - 3))], statistics=statistics)
    check(summary)
    if statistics:
        check_no_more(summary, kept)
    assert not summary.ended_cleanly
    assert not summary.lineage.complete


@pytest.mark.parametrize("round_", range(3))
@given(kept=st.sampled_from(SAMPLES), flips=st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=8))
def test_flipped_bytes_never_raise(round_, kept, flips):
    """Any bytes may be wrong: there is a result, and no amount in it is negative."""
    text = bytearray(plain(kept))
    for at, value in flips:
        text[int(at * len(text))] = value
    check(summary_of(bytes(text), statistics=round_ != 2))


@pytest.mark.parametrize("is_cut", [True, False])
@given(kept=st.sampled_from(SAMPLES), at=place, value=st.integers(0, 255))
def test_broken_frames_never_raise(is_cut, kept, at, value):
    """The same for the compressed file: cut or flipped, a frame gives what came before the fault."""
    content = bytearray(packed(kept))
    where = int(at * len(content))
    if is_cut:
        del content[where:]
    else:
        content[where] = value
    summary = read_event_log(OneFile(bytes(content)))
    check(summary)
    if is_cut:
        check_no_more(summary, kept)


@given(kept=st.sampled_from(SAMPLES), seed=st.integers(0, 2**32))
def test_doubled_lines_change_nothing(kept, seed):
    """A line that is there twice, as after a retried upload, counts once."""
    chance = random.Random(seed)  # noqa: S311 - a test
    lines = [line for line in plain(kept).split(b"\n") for _ in range(chance.choice((1, 1, 2)))]
    assert summary_of(b"\n".join(lines)) == whole(kept)


@given(kept=st.sampled_from(SAMPLES), seed=st.integers(0, 2**32))
def test_lost_lines_take_away_only(kept, seed):
    """Lines that are missing make less or unknown, never more."""
    chance = random.Random(seed)  # noqa: S311 - a test
    lines = [line for line in plain(kept).split(b"\n") if chance.random() > 0.1]
    summary = summary_of(b"\n".join(lines))
    check(summary)
    check_no_more(summary, kept)


@given(kept=st.sampled_from(SAMPLES), seed=st.integers(0, 2**32))
def test_shuffled_lines_never_raise(kept, seed):
    """Events in any order, with clocks that run backwards, give a result without negatives."""
    lines = plain(kept).split(b"\n")
    random.Random(seed).shuffle(lines)  # noqa: S311 - a test
    check(summary_of(b"\n".join(lines)))


def test_a_whole_log_twice_in_one_file_counts_once():
    """A log that was concatenated to itself tells the same."""
    for kept in SAMPLES:
        assert summary_of(plain(kept) + plain(kept)) == whole(kept)


@pytest.mark.parametrize(
    "junk", [b"", b"\n\n\n", b"not json", b"\x00" * 4096, b'{"Event":"SparkListenerTaskEnd",', b"[" * 5000]
)
def test_junk_is_no_log(junk):
    """A file that is no event log gives an empty result with a why, and unknowns are None."""
    summary = summary_of(junk)
    assert (summary.slot_ms, summary.started, summary.pods, summary.lineage.complete) == (None, None, (), False)
    assert summary.why


@pytest.mark.parametrize("statistics", [True, False])
def test_a_short_line_hides_nothing_behind_it(statistics):
    """A line too short to have a kind is looked at alone: not with the next, nor with a last one that has no end."""
    end = b'{"Timestamp":1795600000000,"Event":"SparkListenerApplicationEnd"}'
    assert summary_of(b"\n".join((b"-", b"-" * 20, end, b"")), statistics=statistics).ended_cleanly
    assert summary_of(b"\n".join((b"-", b"-" * 16, b"T" * 40)), statistics=statistics).why
