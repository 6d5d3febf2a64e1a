"""One application, however Spark or an operator packed its log."""

from __future__ import annotations

import gzip
import io
import json
import random
import re

import pytest
import zstandard

from airflow_doeks.cost import load_rate_card
from airflow_doeks.event_log import EventLogReading
from airflow_doeks.event_log.log_files import find_files
from airflow_doeks.event_log.zstd_frames import Frames
from airflow_doeks.lifecycle.account import account, best_pods
from airflow_doeks.lifecycle.event_logs import read_event_log
from airflow_doeks.lineage import PlanDatasets
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


def test_sizes_are_not_guessed_where_the_first_part_is_missing(tmp_path, plain_log, folder_store):
    """Spark's properties stand there: without them its defaults of 1 core and 1 GiB would pass for the pods' sizes."""
    roll(tmp_path / "eventlog_v2_app-1", plain_log("4.3.0/executors"), parts=40)
    whole = read_event_log(folder_store(tmp_path))
    for part in (1, 2):
        (tmp_path / "eventlog_v2_app-1" / f"events_{part}_app-1").unlink()
    summary, node = read_event_log(folder_store(tmp_path)), Node(uid="n", instance_type="m5.xlarge")
    executors = [pod for pod in summary.pods if pod.role == "executor"]
    assert executors
    assert {(pod.vcpu, pod.memory_gib) for pod in executors} == {(None, None)}
    cost = account(Telemetry(), summary, load_rate_card(), assumed_node=node).cost
    assert (cost.usd_total, "executor pods whose requests are not known" in cost.why_unknown) == (None, True)
    asked = tuple(next(pod for pod in whole.pods if pod.role == role) for role in ("driver", "executor"))
    sizes = {(pod.role, pod.vcpu, pod.memory_gib) for pod in best_pods(Telemetry(requested=asked), summary)[1]}
    assert sizes == {("driver", 1, 1), ("executor", 2, 0.5)}  # what the platform was asked for


def test_a_cut_frame_gives_what_came_before(tmp_path, plain_log, folder_store):
    """A log cut in the middle of a zstd frame is read up to its last flush."""
    (tmp_path / "app-1.zstd").write_bytes(pack(plain_log(KEPT))[:-2000])
    summary = read_event_log(folder_store(tmp_path))
    assert summary.app_name == "tables"
    assert summary.lineage.complete is False


@pytest.mark.parametrize(
    ("start", "codec"), [(b"LZ4Block%", "lz4"), (b"\x82SNAPPY\x00\x00", "snappy"), (b"ZV\x01\x00\x00", "lzf")]
)
def test_other_codecs_are_refused_with_the_setting_to_change(start, codec, tmp_path, folder_store, monkeypatch):
    """Lzf, and lz4 and snappy without their packages, give no numbers and a why that names the property to change."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
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


@pytest.mark.parametrize("members", [1, 3])
def test_logs_packed_by_the_hour_are_one_log(members, tmp_path, plain_log, folder_store):
    """Databricks' folder: hours as gzip in their order, also of several members, and last the file that grows."""
    lines = plain_log(KEPT).splitlines(keepends=True)
    folder = tmp_path / "5f2e1"
    folder.mkdir()
    size = len(lines) // 3 + 1
    for index, name in enumerate(("eventlog-2026-01-01--09-00.gz", "eventlog-2026-01-01--10-00.gz", "eventlog")):
        part = lines[index * size : (index + 1) * size]
        step = len(part) // members + 1
        texts = [b"".join(part[at : at + step]) for at in range(0, len(part), step)]
        (folder / name).write_bytes(b"".join(map(gzip.compress, texts)) if name.endswith("gz") else b"".join(texts))
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "app-1").write_bytes(plain_log(KEPT))
    assert read_event_log(folder_store(folder)) == read_event_log(folder_store(tmp_path / "plain"))
    assert read_event_log(folder_store(tmp_path), "5f2e1/").lineage.complete


def test_a_gzip_that_is_cut_tells_so(tmp_path, plain_log, folder_store):
    """What came before the cut is read, and the why says that the file ends early."""
    (tmp_path / "app-1.gz").write_bytes(gzip.compress(plain_log(KEPT))[:-3000])
    summary = read_event_log(folder_store(tmp_path))
    assert summary.app_name == "tables"
    assert "app-1.gz is broken from here on: it ends in the middle of a gzip member" in summary.why


def lz4_blocks(text: bytes, block: int = 40_000) -> bytes:
    """As lz4-java's LZ4BlockOutputStream packs, which Spark uses."""
    import lz4.block

    packed = []
    for at in [*range(0, len(text), block), len(text)]:
        plain = text[at : at + block]
        body = lz4.block.compress(plain, store_size=False) if plain else b""
        method = 0x20 if plain else 0x10
        sizes = len(body).to_bytes(4, "little") + len(plain).to_bytes(4, "little")
        packed.append(b"LZ4Block" + bytes([method | 6]) + sizes + bytes(4) + body)
    return b"".join(packed)


def snappy_blocks(text: bytes, block: int = 40_000) -> bytes:
    """As snappy-java's SnappyOutputStream packs, which Spark uses; two streams, as an appended file has them."""
    from cramjam import snappy

    packed = []
    for at in range(0, len(text), block):
        body = bytes(snappy.compress_raw(text[at : at + block]))
        head = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01" if at in (0, block) else b""
        packed.append(head + len(body).to_bytes(4, "big") + body)
    return b"".join(packed)


@pytest.mark.parametrize("pack_blocks", [lz4_blocks, snappy_blocks])
def test_a_log_of_sparks_other_codecs_is_read_where_their_package_is(pack_blocks, tmp_path, plain_log, folder_store):
    """Block by block; a block that is cut or is none gives what came before it, and a why."""
    packed = pack_blocks(plain_log(KEPT))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "app-1.packed").write_bytes(packed)
    assert read_event_log(folder_store(tmp_path / "a")).lineage.complete
    for broken in (packed[:-5000], packed[:-5000] + b"junk" * 900):
        (tmp_path / "a" / "app-1.packed").write_bytes(broken)
        summary = read_event_log(folder_store(tmp_path / "a"))
        assert summary.app_name == "tables"
        assert any("is broken from here on" in why for why in summary.why)


@pytest.mark.parametrize("pack_blocks", [lz4_blocks, snappy_blocks])
def test_a_long_plan_in_small_blocks_is_one_line(pack_blocks, tmp_path, plain_log, folder_store):
    """Spark packs 32 KiB a block: a plan of several MiB is hundreds of them, and far from too long."""
    (tmp_path / "plain").mkdir()
    text = plain_log(KEPT).replace(b'"physicalPlanDescription":"', b'"physicalPlanDescription":"' + b" " * 5_000_000, 1)
    (tmp_path / "plain" / "app-1").write_bytes(text)
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "app-1").write_bytes(pack_blocks(text, 32 << 10))
    summary = read_event_log(folder_store(tmp_path / "packed"))
    assert (summary.why, summary) == ((), read_event_log(folder_store(tmp_path / "plain")))


def zstd_flushed(text: bytes) -> bytes:
    """A frame that was flushed at the end of a line and never closed."""
    packer = zstandard.ZstdCompressor(level=1, write_content_size=False, write_checksum=True).compressobj()
    return packer.compress(text) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        (zstd_flushed, "it ends in the middle of a zstd frame"),
        (lambda text: pack(text) + b"\x28\xb5\x2f\xfd", "it ends in the middle of a zstd frame"),
        (lambda text: lz4_blocks(text)[:-21], "it ends without lz4's end mark"),
        (lambda _: b"", "events_4_app-1 is empty"),
    ],
)
def test_a_middle_part_that_was_never_closed_is_a_gap(cut, said, tmp_path, plain_log, folder_store):
    """All its bytes can be read, and what came after them is not there: the log is not called complete."""
    folder = tmp_path / "eventlog_v2_app-1"
    roll(folder, plain_log(KEPT), parts=4)
    parts = [folder / f"events_{part}_app-1" for part in (1, 2, 3, 4)]
    parts[3].rename(folder / "events_5_app-1")
    parts[3].write_bytes(cut(parts[2].read_bytes().splitlines(keepends=True)[0]))
    summary = read_event_log(folder_store(tmp_path))
    assert (summary.ended_cleanly, summary.lineage.complete) == (True, False)
    assert len(summary.gaps) == 1
    assert summary.gaps[0].endswith(said)
    assert summary.why == summary.gaps


@pytest.mark.parametrize("pack_open", [zstd_flushed, lambda text: lz4_blocks(text)[:-21]])
def test_a_driver_that_died_left_no_gap(pack_open, tmp_path, plain_log, folder_store):
    """Nobody closed its only file: the missing end of the application says all."""
    (tmp_path / "app-1.inprogress").write_bytes(pack_open(b"".join(plain_log(KEPT).splitlines(keepends=True)[:-1])))
    summary = read_event_log(folder_store(tmp_path), "app-1")
    assert (summary.gaps, summary.why) == ((), ("the log does not hold the application's end",))


@pytest.mark.parametrize("piece", [1, 7, 100_000])
@pytest.mark.parametrize("settings", [{}, {"write_checksum": True}, {"write_content_size": False}])
def test_where_a_frame_ends_is_known_without_reading_it(settings, piece):
    """Frames of all headers, one after the other, with a skippable one between, in pieces of any size."""
    packer, random_bytes = zstandard.ZstdCompressor(**settings), random.Random(3).randbytes(70_000)  # noqa: S311 - a test
    texts = (b"", b"a", b"abc" * 200, random_bytes, bytes(300_000))
    skippable = b"\x50\x2a\x4d\x18\x05\x00\x00\x00hello"
    for content in (b"".join(map(packer.compress, texts)), packer.compress(texts[3]) + skippable):
        frames = Frames()
        for at in range(0, len(content) - 1, piece):
            frames.feed(content[at : min(at + piece, len(content) - 1)])
        assert not frames.is_whole
        frames.feed(content[-1:])
        assert frames.is_whole


@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
@pytest.mark.parametrize("statistics", [True, False])
def test_a_log_that_a_json_tool_wrote_anew_tells_the_same(statistics, separators, is_sorted, plain_log):
    """Spaces and another order of keys change no number."""
    events = [json.loads(line) for line in plain_log(KEPT).splitlines()]
    lines = [json.dumps(event, separators=separators, sort_keys=is_sorted).encode() + b"\n" for event in events]
    summaries = []
    for text in (plain_log(KEPT), b"".join(lines)):
        reading = EventLogReading(PlanDatasets(), statistics=statistics)
        reading.feed(text, 0, len(text))
        summaries.append(reading.summary())
    assert summaries[0] == summaries[1]


@pytest.mark.parametrize("form", ["indented", "list", "list of lines"])
def test_json_of_another_form_is_called_by_what_it_is(form, plain_log):
    """Indented JSON and a list of events are no event log: the why says so, and what makes one of it."""
    events = [json.loads(line) for line in plain_log(KEPT).splitlines()[:20]]
    text = {
        "indented": "\n".join(json.dumps(event, indent=2) for event in events),
        "list": json.dumps(events),
        "list of lines": "[\n" + ",\n".join(json.dumps(event) for event in events) + "\n]",
    }[form].encode()
    reading = EventLogReading(PlanDatasets())
    reading.feed(text, 0, len(text))
    summary = reading.summary()
    assert any("`jq -c . FILE` writes it so" in why for why in summary.why)
    assert not summary.lineage.complete
