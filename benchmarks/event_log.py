"""Reading a large Spark event log: this package beside json, orjson and the Spark History Server.

    python benchmarks/event_log.py [--tasks 100000] [--log FILE]

Makes the log once with a real local Spark job, into build/event-log/ (some minutes), and prints megabytes of plain log
per CPU second, the ratio to `json.loads` on every line, the reader's peak memory, and the whole settle of a job with a
log of 50 MB in a process of its own. Exits with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime, timezone
from pathlib import Path
from unittest import mock

import zstandard

BUILD = Path(__file__).parents[1] / "build" / "event-log"
STATISTICS_BAR, LINEAGE_BAR, RSS_BAR_MB, SETTLE_BAR_SECONDS = 8, 25, 64, 2.0
CHECK_BAR = 0.05
SETTLE_TASKS = 10_000  # 56 MB of plain log
HISTORY_SECONDS = 300  # to wait for the history server
ANSWER_SECONDS = 10  # to wait for one of its answers
ROUNDS, ROUND_SECONDS = 4, 2.0


class Folder:
    """A folder as the reader's store: lists and opens files."""

    def __init__(self, root):
        self.root, self.url = Path(root), str(root)

    def list(self, prefix=""):
        return sorted(p.name for p in self.root.iterdir() if p.is_file() and p.name.startswith(prefix))

    def open(self, name):
        return (self.root / name).open("rb")


def make(tasks: int) -> Path:
    """A zstd event log of a local Spark job with about that many Spark tasks."""
    target = BUILD / f"{tasks}.zstd"
    if target.exists():
        return target
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as f

    shutil.rmtree(BUILD / "raw", ignore_errors=True)
    (BUILD / "raw").mkdir(parents=True)
    width = min(1000, max(2, tasks // 4))
    settings = {
        "spark.ui.enabled": "false",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": (BUILD / "raw").as_uri(),
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "true",
        "spark.eventLog.compression.codec": "zstd",
        "spark.sql.shuffle.partitions": str(width),
        "spark.sql.adaptive.enabled": "false",
        "spark.scheduler.listenerbus.eventqueue.capacity": "1000000",
    }
    builder = SparkSession.builder.master("local[4]").appName("event-log-benchmark")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for turn in range(max(1, tasks // (2 * width))):
        rows = spark.range(0, 20 * width, 1, width)
        sums = rows.groupBy((f.col("id") % 50).alias("key")).agg(f.sum("id").alias("sum"), f.count("*").alias("count"))
        sums.coalesce(width).write.mode("overwrite").format("noop" if turn % 5 else "json").save(str(BUILD / "out"))
    spark.stop()
    shutil.rmtree(BUILD / "out", ignore_errors=True)
    (log,) = (BUILD / "raw").iterdir()
    log.rename(target)
    return target


def blocks(log: Path):
    with log.open("rb") as raw:
        stream = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        while block := stream.read(1 << 16):
            yield block


def parse_every_line(log: Path, loads) -> int:
    count, rest = 0, b""
    for block in blocks(log):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            loads(line)
        count += len(lines)
    return count


def read(log: Path, *, statistics: bool):
    from airflow_doeks.lifecycle.event_logs import read_event_log

    return read_event_log(Folder(log.parent), log.name, statistics=statistics)


def read_unchecked(log: Path):
    """The reading of cost and lineage without holding datasets against the log's own totals."""
    from airflow_doeks.lineage import executions, plan_datasets, rdds
    from airflow_doeks.model.plan_reader import NOTHING_MOVED

    nothing = rdds.StageRdds({}, is_once=True, scopes=(), is_cached=False, is_inference=False)

    def no_sentence(*_):
        return ()

    def no_rdds(_):
        return nothing

    def not_moved(*_):
        return NOTHING_MOVED

    with (
        mock.patch.object(executions, "unread", no_sentence),
        mock.patch.object(executions, "unwritten", no_sentence),
        mock.patch.object(plan_datasets, "rdds_of", no_rdds),
        mock.patch.object(plan_datasets, "moved_by", not_moved),
    ):
        return read(log, statistics=False)


def best(works: dict) -> dict[str, float]:
    """CPU seconds of each at its best; all of them in every round, so that a busy minute disturbs all alike."""
    seconds = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, work in works.items():
            spent = 0.0
            while spent < ROUND_SECONDS:
                started = time.process_time()
                work()
                took = time.process_time() - started
                seconds[name] = min(seconds[name], took)
                spent += took
    return seconds


def equal_to_full_parse(log: Path) -> bool:
    """The reader's summary against the one whose every Spark task was parsed whole."""
    from airflow_doeks.event_log import EventLogReading
    from airflow_doeks.lineage import PlanDatasets

    reading, rest = EventLogReading(PlanDatasets()), b""
    reading.read_task = reading.stages.parse_task
    for block in blocks(log):
        text = rest + block
        end = text.rfind(b"\n") + 1
        reading.feed(text, 0, end)
        rest = text[end:]
    return reading.summary() == read(log, statistics=True)


def in_a_fresh_process(what: str, log: Path) -> list[float]:
    """The numbers that a process prints which does one thing."""
    command = [sys.executable, __file__, "--child", what, "--log", str(log)]
    return [float(word) for word in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]


def print_peak_memory(log: Path) -> None:
    """Megabytes; ru_maxrss would be the parent's, which parsed the log with json."""
    read(log, statistics=True)
    print(_peak_mb("self"))


def print_settle(log: Path) -> None:
    """Seconds from a worker's first import to the record, on the wall and of CPU."""
    started = time.perf_counter()
    from airflow_doeks.cost import load_rate_card
    from airflow_doeks.hooks.stores import open_log
    from airflow_doeks.lifecycle import Accounting, Submission, settle
    from airflow_doeks.model.identity import JobIdentity
    from airflow_doeks.model.status import JobRef, JobState, JobStatus
    from airflow_doeks.model.telemetry import Node, Telemetry
    from airflow_doeks.platforms.protocol import NodesFound

    class Platform:
        def telemetry(self, _ref):
            return Telemetry(event_log=str(log), assumed_node=Node(uid="assumed", instance_type="m7g.xlarge"))

        def nodes(self, _pods):
            return NodesFound({})

    now = datetime.now(timezone.utc)
    ref = JobRef("local://host/run")
    settled = settle(
        Platform(),
        Submission(ref, "laptop", "job", "token", "hash", 1, now),
        JobIdentity("here", "dag", "run", "task", -1, 1, now, "attempt"),
        JobStatus(ref, JobState.SUCCEEDED),
        Accounting(open_log=open_log, rate_card=load_rate_card, seconds=60),
    )
    assert settled.record.cost.usd_total, settled.record.cost.why_unknown
    assert settled.record.lineage.outputs
    print(time.perf_counter() - started, time.process_time())


def told(api: str) -> bool:
    """True once a history server tells the jobs of its applications; while it starts it answers nothing, or HTML."""
    try:
        applications = json.load(urllib.request.urlopen(api, timeout=ANSWER_SECONDS))
        for application in applications:
            json.load(urllib.request.urlopen(f"{api}/{application['id']}/jobs", timeout=ANSWER_SECONDS))
    except (OSError, ValueError):
        return False
    return bool(applications)


def history_server(log: Path) -> tuple[float, float, float] | str:
    """The Spark History Server from its start until it tells the log's jobs: CPU s, wall s, peak MB; or why not."""
    if importlib.util.find_spec("pyspark") is None:
        return "pyspark is not installed"
    import pyspark

    home = Path(pyspark.__file__).parent
    with tempfile.TemporaryDirectory(dir=BUILD) as folder, socket.create_server(("127.0.0.1", 0)) as free:
        os.link(log, Path(folder) / log.name)
        port = free.getsockname()[1]
        free.close()
        options = {"fs.logDirectory": Path(folder).as_uri(), "ui.port": port, "fs.update.interval": "5s"}
        environment = {
            **os.environ,
            "SPARK_HOME": str(home),
            "SPARK_DAEMON_MEMORY": "2g",
            "SPARK_HISTORY_OPTS": " ".join(f"-Dspark.history.{key}={value}" for key, value in options.items()),
        }
        started = time.perf_counter()
        command = [str(home / "bin" / "spark-class"), "org.apache.spark.deploy.history.HistoryServer"]
        server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while time.perf_counter() - started < HISTORY_SECONDS and server.poll() is None:
                if told(f"http://127.0.0.1:{port}/api/v1/applications"):
                    wall = time.perf_counter() - started
                    ticks = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
                    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), wall, _peak_mb(server.pid)
                time.sleep(0.2)
            return f"it told nothing within {HISTORY_SECONDS} s"
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait()


def _peak_mb(process: int | str) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


CHILDREN = {"memory": print_peak_memory, "settle": print_settle}


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tasks", type=int, default=100_000)
    arguments.add_argument("--log", type=Path)
    arguments.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.child:
        CHILDREN[options.child](options.log)
        return 0
    log = options.log or make(options.tasks)
    plain = sum(map(len, blocks(log)))
    print(f"{log.name}: {plain / 1e6:.0f} MB of plain log, {log.stat().st_size / 1e6:.1f} MB as zstd")
    works = {"json.loads, every line": lambda: parse_every_line(log, json.loads)}
    if importlib.util.find_spec("orjson"):
        import orjson

        works["orjson.loads, every line"] = lambda: parse_every_line(log, orjson.loads)
    works["cost, lineage and statistics"] = lambda: read(log, statistics=True)
    works["cost and lineage"] = lambda: read(log, statistics=False)
    works["the same, unchecked"] = lambda: read_unchecked(log)
    rows = best(works)
    slowest = rows["json.loads, every line"]
    for name, seconds in rows.items():
        print(f"{name:30} {plain / seconds / 1e6:7.0f} MB/s {slowest / seconds:6.1f} x json {seconds:7.2f} s")
    if "orjson.loads, every line" not in rows:
        print(f"{'orjson.loads, every line':30} not run: orjson is not installed")
    server = history_server(log)
    if isinstance(server, str):
        print(f"{'Spark History Server':30} not run: {server}")
    else:
        seconds, wall, memory = server
        rate = f"{plain / seconds / 1e6:7.0f} MB/s {slowest / seconds:6.1f} x json {seconds:7.2f} s"
        print(f"{'Spark History Server':30} {rate}, {wall:.1f} s on the wall, {memory:.0f} MB of memory")
    (rss,), is_equal = in_a_fresh_process("memory", log), equal_to_full_parse(log)
    print(f"peak memory {rss:.0f} MB; equal to a full parse: {is_equal}")
    small = make(SETTLE_TASKS)
    settle, cpu = min(in_a_fresh_process("settle", small) for _ in range(ROUNDS))
    size = sum(map(len, blocks(small))) / 1e6
    print(f"settle with a log of {size:.0f} MB: {settle:.2f} s on the wall, {cpu:.2f} s of CPU, imports included")
    check = 1 - rows["the same, unchecked"] / rows["cost and lineage"]
    print(f"holding datasets against the log's own totals takes {max(check, 0):.1%} of the reading time")
    bars = {
        f"statistics >= {STATISTICS_BAR} x json": slowest / rows["cost, lineage and statistics"] >= STATISTICS_BAR,
        f"lineage >= {LINEAGE_BAR} x json": slowest / rows["cost and lineage"] >= LINEAGE_BAR,
        f"memory < {RSS_BAR_MB} MB": rss < RSS_BAR_MB,
        f"settle of 50 MB in < {SETTLE_BAR_SECONDS} s": size >= 50 and settle < SETTLE_BAR_SECONDS,
        "equal to a full parse": is_equal,
        f"check <= {CHECK_BAR:.0%} of the reading time": check <= CHECK_BAR,
    }
    for name, is_met in bars.items():
        print(f"{'met ' if is_met else 'MISSED'} {name}")
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
