"""How long the pages take over 100,000 records, beside a plain read of the same ledger; python benchmarks/ui.py [N]."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.ledger import Ledger
from airflow_doeks.ledger.changes import Changes
from airflow_doeks.lifecycle.records import record_id
from airflow_doeks.report.shelf import Shelf
from airflow_doeks.ui.pages.airflow_facts import Announced, RunTimes, TaskTimes
from airflow_doeks.ui.site import Site

RECORDS = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
DAYS, DAGS, TASKS = 30, 40, 6
FIRST = date(2026, 11, 1)
BARS = {"run": 0.3, "task": 0.3, "dag": 2.0, "costs": 2.0, "dataset": 2.0}  # seconds to the first byte, warm


def plain(number: int, at: datetime) -> dict[str, object]:
    """A record's JSON; every tenth task failed, every fiftieth has no price."""
    dag, task, run = number % DAGS, number // DAGS % TASKS, number // DAGS // TASKS
    failed, usd = number % 10 == 7, f"{(number * 7919) % 9973 / 1000 + 0.01:.10f}"
    stamp = [(at + timedelta(seconds=seconds)).isoformat() for seconds in (0, 20, 45, 600 + number % 700)]
    source = {"namespace": "s3://lake", "name": f"raw/{dag}/{max(task - 1, 0)}", "rows": 1000 + number, "bytes": 10**7}
    made = source | {"name": f"raw/{dag}/{task}", "usd": usd, "slot_share": 1.0}
    ref = f"emr_on_eks://1.eu/vc/{number}"
    return {
        "v": 1,
        "record_id": record_id(ref, ""),
        "attempt": {
            "dag_id": f"team{dag % 5}.flow{dag}",
            "run_id": f"run{run}",
            "task_id": f"task{task}",
            "map_index": -1,
            "try_number": 1,
        },
        "settled_by_try": 1,
        "spec_hash": f"{dag:064x}",
        "job": {
            "ref": ref,
            "platform": "lake",
            "type": "emr_on_eks",
            "engine": "spark",
            "name": f"job-{number}",
            "state": "FAILED" if failed else "SUCCEEDED",
        },
        "times": dict(zip(("submitted", "scheduled", "started", "ended"), stamp, strict=True)),
        "usage": {
            "vcpu_seconds": "7200",
            "memory_gib_seconds": "28800",
            "by_capacity_type": {"spot": {"vcpu_seconds": "7200", "memory_gib_seconds": "28800"}},
        },
        "cost": {"usd_total": None if number % 50 == 3 else usd, "basis": "event_log", "confidence": "medium"},
        "lineage": {"inputs": [source], "outputs": [] if failed else [made], "complete": True},
        "cost_tags": {"team": f"team{dag % 5}"},
    }


def moment(number: int) -> datetime:
    """When a job was submitted: all of them evenly over the days."""
    return datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=timezone.utc) + number * timedelta(days=DAYS) / RECORDS


def write_ledger(root: Path) -> None:
    """One object a record, as the ledger writes them."""
    for number in range(RECORDS):
        at = moment(number)
        folder = root / f"v1/submitted={at.date()}"
        if number == 0 or not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
        record = plain(number, at)
        (folder / f"{record['record_id']}.json").write_text(json.dumps(record))


class NoAirflow:
    """Metadata of one run, without a database."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def run_times(self, _dag_id: str, run_id: str) -> RunTimes:
        return RunTimes(run_id, "success", self.at, self.at + timedelta(hours=1))

    def runs_before(self, _dag_id: str, started: datetime, count: int) -> list[RunTimes]:
        runs = [RunTimes(f"run{number}", "success", started - timedelta(hours=number)) for number in range(1, count)]
        return runs[::-1]

    def tries_of(self, _dag_id: str, _run_id: str) -> list[TaskTimes]:
        return [TaskTimes(f"task{n}", -1, 1, "success", self.at, self.at + timedelta(hours=1)) for n in range(TASKS)]

    def announced(self, dag_id: str, run_id: str) -> dict[tuple[str, int], Announced]:
        """What its tasks would have told: each job's ref and when it was submitted."""
        dag, run = int(dag_id.partition("flow")[2]), int(run_id.removeprefix("run"))
        numbers = {task: (run * TASKS + task) * DAGS + dag for task in range(TASKS)}
        return {
            (f"task{task}", -1): Announced(ref=f"emr_on_eks://1.eu/vc/{number}", submitted=moment(number))
            for task, number in numbers.items()
        }

    def missed_deadlines(self, *_time: object) -> list[object]:
        return []


def seconds(function: Callable[[], object]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def cpu_seconds(function: Callable[[], object]) -> float:
    """How long a call keeps a processor busy, whatever else the machine does."""
    started = time.process_time()
    function()
    return time.process_time() - started


def main() -> int:
    """Print the figures; 1 if a page missed its bar."""
    with tempfile.TemporaryDirectory(prefix="doeks-bench-") as folder:
        write_ledger(Path(folder))
        store = LocalStore(folder)
        last = FIRST + timedelta(days=DAYS - 1)
        plain_read = seconds(lambda: sum(1 for _ in Ledger(store).records(FIRST, last)))
        print(f"plain read of {RECORDS:,} records with Ledger.records: {plain_read:.1f} s")
        shelf = Shelf(Changes(store), today=lambda: last)
        noon = datetime(last.year, last.month, last.day, 12, tzinfo=timezone.utc)
        site = Site(Ledger(store), shelf, NoAirflow(noon), now=lambda: noon)
        number = RECORDS - 1 - (RECORDS // DAYS // 2)  # about noon of the last day
        run_id = f"run{number // DAGS // TASKS}"
        place = {"dag_id": f"team{number % DAGS % 5}.flow{number % DAGS}", "run_id": run_id}
        queries = {
            "run": place,
            "task": {**place, "task_id": f"task{number // DAGS % TASKS}"},
            "dag": place,
            "costs": {},
            "dataset": {"name": f"s3://lake/raw/{number % DAGS}/2"},
        }
        base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for name in ("run", "task", "costs"):
            took = seconds(partial(site.answer, name, queries[name], set))
            print(f"cold {name}: first answer after {took:.2f} s")
        days = [FIRST + timedelta(days=n) for n in range(DAYS)]
        print(f"whole ledger on the shelf after {seconds(lambda: shelf.look(days, wait_seconds=600)):.1f} s more")
        print(f"memory for it: {(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024:.0f} MB")
        missed = 0
        for name, bar in BARS.items():
            answer = partial(site.answer, name, queries[name], set)
            took = sorted(seconds(answer) for _ in range(5))
            size = len(answer().body)
            missed += took[2] > bar
            cpu = min(cpu_seconds(answer) for _ in range(3))
            print(f"warm {name}: {took[2]:.3f} s of {bar} s (median of 5; CPU {cpu:.3f} s), {size / 1000:.0f} kB")
        one = plain(RECORDS, noon)
        (Path(folder) / f"v1/submitted={last}/{one['record_id']}.json").write_text(json.dumps(one))
        time.sleep(2.1)
        print(f"costs after a new record: {seconds(lambda: site.answer('costs', {}, set)):.2f} s")
    for words in ("airflow_doeks.ui.plugin", "airflow_doeks.ui.fastapi_app"):
        code = (
            "import airflow, airflow.plugins_manager, time; started = time.process_time(); "
            f"import {words}; print(time.process_time() - started)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        print(f"import {words} after Airflow: {float(done.stdout.split()[-1]) * 1000:.0f} ms")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
