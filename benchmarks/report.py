"""What `doeks report` costs over 100,000 records, 29 of 30 days compacted, in a store that answers after 20 ms.

python benchmarks/report.py [N] [FOLDER]. The store is plain HTTP, since boto3 alone takes 1.5 ms of CPU an object; the
same by boto3 stands below, and first what every reader could do: fetch all objects and parse each line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path

import ui

from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from airflow_doeks.ledger.compaction import KEEP_DAYS, compact

ROOT = Path(__file__).resolve().parent.parent
DOEKS = str(Path(sys.executable).with_name("doeks"))
LATENCY = 0.02  # seconds, of every request
URL = "s3://ledger/records"
SECONDS, MEGABYTES = 5.0, 300
QUESTIONS = (
    *(("--by", by) for by in ("team", "pipeline", "task", "dataset", "platform", "capacity", "day", "hour", "minute")),
    ("--sla", "--by", "task"),
    ("--upstream",),
    ("--by", "team", "--since", "2026-11-16", "--compare", "previous"),
)
MEASURED = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
if done.returncode:
    sys.exit(done.stderr)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
found = done.stdout[done.stdout.index("{") :]  # Airflow logs to standard output
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, json.loads(found).get("total", {}).get("usd")]))
"""
OVER_HTTP = f"""
import sys
sys.path[:0] = [{str(ROOT / "benchmarks")!r}]
from http_store import HttpStore
from airflow_doeks.cli import main
from airflow_doeks.hooks import stores
stores.open_store = lambda url, connection=None: HttpStore(url)
main(sys.argv[1:])
"""
PLAIN = f"""
import io, json, sys
sys.path[:0] = [{str(ROOT / "benchmarks")!r}]
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
import zstandard
from http_store import HttpStore
store, usd = HttpStore(sys.argv[1]), defaultdict(Decimal)
def lines(name):
    content = store.open(name)
    if not name.endswith(".zst"):
        return [content.read()]
    return list(io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(content)))
names = [name for name in store.list("v1/submitted=") if name.endswith((".json", "part.jsonl.zst"))]
with ThreadPoolExecutor(32) as pool:
    for found in pool.map(lines, names):
        for line in found:
            record = json.loads(line)
            usd[record["cost_tags"]["team"]] += Decimal(record["cost"]["usd_total"] or 0)
print(json.dumps({{"total": {{"usd": str(sum(usd.values()))}}}}))
"""


def _serve(folder: str, told: Connection) -> None:
    """The fake S3 of the tests over a folder that nobody writes, each answer late, until it is ended."""
    sys.path.insert(0, str(ROOT))
    from tests.fakes.aws_http import FakeAws, serving
    from tests.fakes.emr_containers import FakeEmr
    from tests.fakes.s3 import FakeS3

    class Late(FakeS3):
        def handle(self, *request):
            time.sleep(LATENCY)
            return super().handle(*request)

    with serving(FakeAws(FakeEmr(), s3=Late(Path(folder), lists_once=True))) as aws:
        told.send(aws.url)
        told.recv()


@contextmanager
def served(folder: str) -> Iterator[dict[str, str]]:
    """The environment that leads boto3 there."""
    ours, theirs = Pipe()
    server = Process(target=_serve, args=(folder, theirs), daemon=True)
    server.start()
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    try:
        yield {**os.environ, **keys, "AWS_ENDPOINT_URL": ours.recv(), "AIRFLOW_HOME": f"{folder}/airflow"}
    finally:
        ours.send("end")
        server.join(5)
        server.terminate()


def measured(name: str, command: list[str], environment: dict[str, str]) -> tuple[float, float, str | None]:
    """CPU seconds, megabytes and dollars of a process of its own; prints what it took."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        sys.exit(f"{name}: {done.stderr}")
    wall = time.perf_counter() - started
    cpu, memory, usd = json.loads(done.stdout.splitlines()[-1])
    print(f"  {name}: {wall:.1f} s (CPU {cpu:.1f} s), {memory:.0f} MB", flush=True)
    return wall, memory, usd


def prepare(folder: Path) -> None:
    """Write the records, and compact all days but the last."""
    ui.write_ledger(folder)
    started = time.perf_counter(), time.process_time()
    last = ui.FIRST + timedelta(days=ui.DAYS - 1 + KEEP_DAYS)
    days = list(compact(Ledger(LocalStore(folder)), last))
    wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
    print(f"{len(days)} of {ui.DAYS} days compacted in {wall:.1f} s (CPU {cpu:.1f} s)")


def main() -> int:
    """Print the figures; 1 if a question missed its bar, or dollars differ."""
    with tempfile.TemporaryDirectory(prefix="doeks-bench-") as made:
        root = Path(sys.argv[2] if len(sys.argv) > 2 else made)
        folder = root / "ledger" / "records"
        if not folder.is_dir():
            folder.mkdir(parents=True)
            prepare(folder)
        loose = sum(1 for _ in folder.glob("v1/*/*.json"))
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
        print(f"{ui.RECORDS:,} records, {loose:,} of them loose; Parquet {size / 1e6:.1f} MB; {LATENCY * 1000:.0f} ms")
        with served(str(root)) as environment:
            url = f"{environment['AWS_ENDPOINT_URL']}/{URL.removeprefix('s3://')}"
            _, _, plain = measured("plain JSON, by team", [sys.executable, "-c", PLAIN, url], environment)
            sums, missed = {plain}, 0
            for question in QUESTIONS:
                command = [sys.executable, "-c", OVER_HTTP, "report", "--ledger", url, *question, "--json"]
                wall, memory, usd = measured(" ".join(question), command, environment)
                missed += wall > SECONDS or memory > MEGABYTES
                if usd is not None and "--compare" not in question:
                    sums.add(usd)
            command = [DOEKS, "report", "--ledger", URL, "--by", "dataset", "--json"]
            sums.add(measured("--by dataset, by boto3", command, environment)[2])
    if missed:
        print(f"{missed} of {len(QUESTIONS)} questions missed {SECONDS:.0f} s or {MEGABYTES} MB")
    return int(bool(missed) or len({float(usd or 0) for usd in sums}) > 1)


if __name__ == "__main__":
    sys.exit(main())
