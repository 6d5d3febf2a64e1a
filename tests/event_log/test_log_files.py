"""One application, however Spark or an operator packed its log."""

from __future__ import annotations

import io
import re

import pytest
import zstandard

from airflow_doeks.cost import load_rate_card
from airflow_doeks.event_log.log_files import find_files
from airflow_doeks.lifecycle.account import account
from airflow_doeks.lifecycle.event_logs import read_event_log
from airflow_doeks.model.telemetry import Node, Telemetry

KEPT = "4.3.0/tables"


def pack(text: bytes) -> bytes:
    """As Spark packs: one frame that is flushed now and then, without its size."""
    packer = zstandard.ZstdCompressor(level=1, write_content_size=False).compressobj()
    half = len(text) // 2
    first = packer.compress(text[:half]) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return first + packer.compress(text[half:]) + packer.flush()


def roll(folder, text: bytes, *, suffix: str = "", parts: int = 12) -> None:
    """A rolling folder as Spark 4 writes it."""
    lines = text.splitlines(keepends=True)
    folder.mkdir(parents=True)
    (folder / "appstatus_app-1").write_bytes(b"")
    size = len(lines) // parts + 1
    for part in range(parts):
        content = b"".join(lines[part * size : (part + 1) * size])
        (folder / f"events_{part + 1}_app-1{suffix}").write_bytes(pack(content) if suffix else content)


def test_every_form_of_one_log_tells_the_same(tmp_path, plain_log, folder_store):
    """Plain, zstd and rolling forms of one application give equal summaries."""
    text = plain_log(KEPT)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "app-1").write_bytes(text)
    (tmp_path / "plain" / ".app-1.crc").write_bytes(b"crc")
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "app-1.zstd").write_bytes(pack(text))
    roll(tmp_path / "rolled" / "eventlog_v2_app-1", text)
    roll(tmp_path / "rolled_packed" / "eventlog_v2_app-1", text, suffix=".zstd")

    expected = read_event_log(folder_store(tmp_path / "plain"))
    assert expected.ended_cleanly
    for form in ("packed", "rolled", "rolled_packed"):
        assert read_event_log(folder_store(tmp_path / form)) == expected, form


def test_a_compacted_log_is_a_lower_bound(tmp_path, plain_log, folder_store):
    """What is left of a log whose oldest files Spark compacted is read; cost and lineage say that more was there."""
    lines = plain_log("4.3.0/executors").splitlines(keepends=True)
    removed = re.compile(rb'"SparkListenerExecutorRemoved".*?"Executor ID":"(\d+)"')
    gone = [(index, match[1]) for index, line in enumerate(lines) if (match := removed.search(line))]
    names = b"|".join(name for _, name in gone)
    filtered = re.compile(rb'"SparkListener(Job|Stage|Task|SQL|DriverAccum|Executor.*"Executor ID":"(%b)")' % names)
    cut = gone[-1][0] + 1
    folder = tmp_path / "eventlog_v2_app-1"
    folder.mkdir()
    (folder / "events_1_app-1").write_bytes(b"what the compaction replaced")
    (folder / "events_2_app-1.compact").write_bytes(b"".join(x for x in lines[:cut] if not filtered.search(x)))
    (folder / "events_3_app-1").write_bytes(b"".join(lines[cut:]))

    summary = read_event_log(folder_store(tmp_path))
    why = "older events were compacted away: cost and lineage are a lower bound"
    assert (summary.ended_cleanly, summary.lineage.complete, summary.gaps, summary.why) == (True, False, (why,), (why,))
    cost = account(Telemetry(), summary, load_rate_card(), assumed_node=Node(uid="n", instance_type="m5.xlarge")).cost
    assert (cost.confidence, cost.why_unknown.partition(";")[0]) == ("low", why)
    assert cost.usd_total > 0


@pytest.mark.parametrize("name", ["eventlog_v2_app-1", "eventlog_v2_app-1/"])
def test_a_folder_is_found_by_its_name(name, tmp_path, plain_log, folder_store):
    """A rolling folder is named like a file, with or without a slash, and read in the order of its numbers."""
    roll(tmp_path / "eventlog_v2_app-1", plain_log(KEPT))
    (tmp_path / "other-app").write_bytes(b"")
    files = find_files(folder_store(tmp_path), name)
    assert files.names == tuple(f"eventlog_v2_app-1/events_{part}_app-1" for part in range(1, 13))
    assert read_event_log(folder_store(tmp_path), name).lineage.complete


def test_the_folder_itself_may_be_the_root(tmp_path, plain_log, folder_store):
    """A store that starts inside the rolling folder is read as that application."""
    roll(tmp_path / "eventlog_v2_app-1", plain_log(KEPT))
    assert read_event_log(folder_store(tmp_path / "eventlog_v2_app-1")).lineage.complete


def test_an_unfinished_log_is_found_by_its_final_name(tmp_path, plain_log, folder_store):
    """A driver that was killed leaves `.inprogress`; its log is read as far as it goes, and the end is unknown."""
    lines = plain_log(KEPT).splitlines(keepends=True)
    (tmp_path / "app-1.inprogress").write_bytes(b"".join(lines[:-1]))
    summary = read_event_log(folder_store(tmp_path), "app-1")
    assert (summary.ended_cleanly, summary.lineage.complete) == (False, False)
    assert summary.pods[0].ended is None
    assert summary.ended > summary.started
    assert summary.why == ("the log does not hold the application's end",)


def test_a_missing_part_is_told(tmp_path, plain_log, folder_store):
    """A rolling folder without one of its parts gives what the others hold, and says which is missing."""
    roll(tmp_path / "eventlog_v2_app-1", plain_log(KEPT))
    (tmp_path / "eventlog_v2_app-1" / "events_4_app-1").unlink()
    summary = read_event_log(folder_store(tmp_path))
    assert "part 4 of the event log is missing" in summary.why
    assert summary.lineage.complete is False
    assert summary.lineage.outputs


def test_a_cut_frame_gives_what_came_before(tmp_path, plain_log, folder_store):
    """A log cut in the middle of a zstd frame is read up to its last flush."""
    (tmp_path / "app-1.zstd").write_bytes(pack(plain_log(KEPT))[:-2000])
    summary = read_event_log(folder_store(tmp_path))
    assert summary.app_name == "tables"
    assert summary.lineage.complete is False


@pytest.mark.parametrize(
    ("start", "codec"), [(b"LZ4Block%", "lz4"), (b"\x82SNAPPY\x00\x00", "snappy"), (b"ZV\x01\x00\x00", "lzf")]
)
def test_other_codecs_are_refused_with_the_setting_to_change(start, codec, tmp_path, folder_store):
    """lz4, snappy and lzf logs give no numbers and a why that names the property to change."""
    (tmp_path / f"app-1.{codec}").write_bytes(start + bytes(100))
    summary = read_event_log(folder_store(tmp_path))
    assert f"compressed with {codec}" in summary.why[0]
    assert "spark.eventLog.compression.codec=zstd" in summary.why[0]
    assert (summary.slot_ms, summary.pods, summary.lineage.complete) == (None, (), False)


def test_several_applications_must_be_chosen_from(tmp_path, plain_log, folder_store):
    """Two applications at the root: nothing is read, and the why names both."""
    for name in ("app-1", "app-2"):
        (tmp_path / name).write_bytes(plain_log(KEPT))
    summary = read_event_log(folder_store(tmp_path))
    assert "name one of: app-1, app-2" in summary.why[0]
    assert summary.pods == ()


def test_a_log_that_does_not_exist_is_an_error(tmp_path, folder_store):
    """A wrong path is FileNotFoundError, not an empty answer."""
    with pytest.raises(FileNotFoundError, match="no event log 'nope'"):
        read_event_log(folder_store(tmp_path), "nope")


class Breaking(io.BytesIO):
    """A stream whose connection breaks after some bytes."""

    def read(self, size=-1):
        if self.tell() > 20_000:
            message = "connection reset"
            raise OSError(message)
        return super().read(min(size, 10_000))


def test_a_broken_connection_keeps_what_was_read(plain_log):
    """A stream that breaks in the middle gives what came before it, and the error as a why."""

    class Store:
        url = "s3://logs/"

        def list(self, prefix=""):
            return iter([name for name in ["app-1"] if name.startswith(prefix)])

        def open(self, name):
            return Breaking(plain_log(KEPT))

    summary = read_event_log(Store(), "app-1")
    assert "reading app-1 stopped: connection reset" in summary.why
    assert summary.spark_version == "4.3.0"
