"""Reading a large Spark event log: this package beside json, orjson and the Spark History Server.

    python benchmarks/event_log.py [--tasks 100000] [--log FILE]

Makes the log once with a real local Spark job, into build/event-log/ (some minutes), and prints megabytes of plain log
per CPU second (a busy machine measures nearly the same), the ratio to `json.loads` on every line, and the reader's peak
memory. Exits with 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import zstandard

BUILD = Path(__file__).parents[1] / "build" / "event-log"
STATISTICS_BAR, LINEAGE_BAR, RSS_BAR_MB, SETTLE_BAR_SECONDS = 8, 25, 64, 2.0
RUNS, MIN_SECONDS = 3, 6  # the best of so many runs, and of so many seconds: other processes disturb short ones


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
    from airflow_doeks.lineage import read_event_log

    return read_event_log(Folder(log.parent), log.name, statistics=statistics)


def best(work) -> float:
    times = []
    while len(times) < RUNS or sum(times) < MIN_SECONDS:
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def equal_to_full_parse(log: Path) -> bool:
    """The reader's summary against the one whose every Spark task was parsed whole."""
    from airflow_doeks.lineage.reader import EventLogReading

    reading, rest = EventLogReading(parse_tasks=True), b""
    for block in blocks(log):
        text = rest + block
        end = text.rfind(b"\n") + 1
        reading.feed(text, 0, end)
        rest = text[end:]
    return reading.summary() == read(log, statistics=True)


def peak_rss_mb(log: Path) -> float:
    """Peak memory of a fresh process that reads the log."""
    command = [sys.executable, __file__, "--child", "--log", str(log)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def child(log: Path) -> int:
    read(log, statistics=True)
    status = Path("/proc/self/status").read_text()  # ru_maxrss would be the parent's, which parsed the log with json
    print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
    return 0


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tasks", type=int, default=100_000)
    arguments.add_argument("--log", type=Path)
    arguments.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.child:
        return child(options.log)
    log = options.log or make(options.tasks)
    plain = sum(map(len, blocks(log)))
    print(f"{log.name}: {plain / 1e6:.0f} MB of plain log, {log.stat().st_size / 1e6:.1f} MB as zstd")
    rows = {"json.loads, every line": best(lambda: parse_every_line(log, json.loads))}
    if importlib.util.find_spec("orjson"):
        import orjson

        rows["orjson.loads, every line"] = best(lambda: parse_every_line(log, orjson.loads))
    rows["cost, lineage and statistics"] = best(lambda: read(log, statistics=True))
    rows["cost and lineage"] = best(lambda: read(log, statistics=False))
    slowest = rows["json.loads, every line"]
    for name, seconds in rows.items():
        print(f"{name:30} {plain / seconds / 1e6:7.0f} MB/s {slowest / seconds:6.1f} x json {seconds:7.2f} s")
    for name in ("orjson.loads, every line", "Spark History Server"):
        if name not in rows:
            print(f"{name:30} not run")
    rss, is_equal = peak_rss_mb(log), equal_to_full_parse(log)
    settle = rows["cost, lineage and statistics"] * 50e6 / plain
    print(f"peak memory {rss:.0f} MB; equal to a full parse: {is_equal}; 50 MB of log in {settle:.2f} s")
    bars = {
        f"statistics >= {STATISTICS_BAR} x json": slowest / rows["cost, lineage and statistics"] >= STATISTICS_BAR,
        f"lineage >= {LINEAGE_BAR} x json": slowest / rows["cost and lineage"] >= LINEAGE_BAR,
        f"memory < {RSS_BAR_MB} MB": rss < RSS_BAR_MB,
        f"50 MB in < {SETTLE_BAR_SECONDS} s": settle < SETTLE_BAR_SECONDS,
        "equal to a full parse": is_equal,
    }
    for name, is_met in bars.items():
        print(f"{'met ' if is_met else 'MISSED'} {name}")
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
