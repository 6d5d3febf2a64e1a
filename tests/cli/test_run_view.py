"""What `doeks run` shows."""

import io
import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from airflow_doeks.cli.run_records import all_attempts
from airflow_doeks.cli.run_view import Progress, TaskView, print_report, total_usd
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobFailure, JobRecord, Usage
from airflow_doeks.model.status import JobState

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


REPORT = """
Tasks
Task     State   Duration   vCPU-h    GiB-h   USD if on m7g.xlarge   Rows in   Rows out   Bytes in   Bytes out
──────────────────────────────────────────────────────────────────────────────────────────────────────────────
t[0]     done       5.0 s   1.0000   2.0000               0.030000                1,000                2.0 KiB
t[1]     done       5.0 s   1.0000   2.0000               0.030000                1,000                2.0 KiB
notify   done       5.0 s
──────────────────────────────────────────────────────────────────────────────────────────────────────────────
Total                       2.0000   4.0000               0.060000                2,000                4.0 KiB

What each dataset cost
Dataset      Written by    Rows     Bytes   Files        USD   Share of run
───────────────────────────────────────────────────────────────────────────
a/out        t[0]         1,000   2.0 KiB       2   0.020000          33.3%
b            t[1]         1,000   2.0 KiB       2   0.020000          33.3%
no dataset                                          0.020000          33.3%
below /data/
Dollars: wall time of this machine, as if on m7g.xlarge; not in them: idle (each record says why)
Run: done
Records: /ledger
Airflow: /home"""


def console() -> Console:
    """A console as wide as the widest table, into a text."""
    return Console(file=io.StringIO(), width=150)


def printed(output: Console) -> str:
    """What it holds."""
    return output.file.getvalue()


def record(task: str, usd: str | None, **more) -> JobRecord:
    """A record of an hour on one vCPU and 2 GiB."""
    cost = {"usd_total": usd and Decimal(usd), "usd_unattributed": usd and Decimal(0), "priced_as": "m7g.xlarge"}
    return JobRecord(
        record_id=task * 4,
        attempt=Attempt(dag_id="d", run_id="r", task_id=task, try_number=1),
        job=JobFacts(ref=None, platform="laptop", type="local", engine="spark", name=task, state=JobState.SUCCEEDED),
        usage=Usage(vcpu_seconds=Decimal(3600), memory_gib_seconds=Decimal(7200)),
        cost=Cost(**cost, why_unknown=None if usd else "no rate card names m7g.xlarge"),
        **more,
    )


def test_progress_is_a_line_per_change():
    """Without a terminal, each change of a task's state is one line with its elapsed time; waiting is silent."""
    output = console()
    with Progress(output) as progress:
        progress.show([TaskView("a", "running", NOON), TaskView("b", None)], NOON + timedelta(seconds=1))
        progress.show([TaskView("a", "scheduled", NOON), TaskView("b", "scheduled")], NOON + timedelta(seconds=2))
        progress.show([TaskView("a", "success", NOON, NOON + timedelta(seconds=3))], NOON + timedelta(seconds=9))

    assert [line.split() for line in printed(output).splitlines()] == [
        ["a", "running", "1.0", "s"],
        ["a", "done", "3.0", "s"],
    ]


def test_report_adds_up():
    """A line per task with its usage and dollars, their total, and each dataset's share of the run."""
    written = Dataset(namespace="file", name="/data/out", rows=1000, bytes=2048, files=2, usd=Decimal("0.03"))
    records = [record("a", "0.03", lineage=Lineage(outputs=(written,))), record("b", "0.01")]
    tasks = [TaskView(name, "success", NOON, NOON + timedelta(seconds=5)) for name in ("a", "b")]
    output = console()

    print_report(output, tasks, records, state="success", ledger="/ledger", home="/home")

    rows = [re.split(r" {2,}", line.strip()) for line in printed(output).splitlines()]
    assert ["a", "done", "5.0 s", "1.0000", "2.0000", "0.030000", "1,000", "2.0 KiB"] in rows
    assert ["Total", "2.0000", "4.0000", "0.040000", "1,000", "2.0 KiB"] in rows
    assert ["/data/out", "a", "1,000", "2.0 KiB", "2", "0.030000", "75.0%"] in rows
    assert "USD if on m7g.xlarge" in printed(output)
    assert "Records: /ledger" in printed(output)


def test_the_report_of_a_run_as_it_is_read():
    """Mapped tasks by index, what no dataset claims in its own line, names below their common folder, what is not in.

    A task that ran no job has no figures.
    """
    written = [
        Dataset(namespace="file", name=f"/data/{name}", rows=1000, bytes=2048, files=2, usd=Decimal("0.02"))
        for name in ("a/out", "b")
    ]
    records = []
    for index, output in enumerate(written):
        one = record("t", "0.03", lineage=Lineage(outputs=(output,)))
        attempt = one.attempt.model_copy(update={"map_index": index})
        cost = one.cost.model_copy(update={"usd_unattributed": Decimal("0.01"), "unknown": ("idle",)})
        records.append(one.model_copy(update={"attempt": attempt, "cost": cost}))
    tasks = [TaskView(name, "success", NOON, NOON + timedelta(seconds=5)) for name in ("t[0]", "t[1]", "notify")]
    output = console()

    print_report(output, tasks, records, state="success", ledger="/ledger", home="/home")

    assert "\n".join(line.rstrip() for line in printed(output).splitlines()) == REPORT


def test_progress_on_a_terminal_is_a_table_that_changes():
    """The states stand in one table, with colours; its last form stays."""
    output = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    with Progress(output) as progress:
        progress.show([TaskView("a", "running", NOON)], NOON + timedelta(seconds=1))
        progress.show([TaskView("a", "failed", NOON, NOON + timedelta(seconds=3))], NOON + timedelta(seconds=9))

    assert "\x1b[31mfailed" in printed(output)
    assert printed(output).endswith("3.0 s  \n\x1b[?25h")


def test_an_unknown_price_is_no_zero():
    """One unknown price makes the total unknown, and the reason is told."""
    records = [record("a", "0.03"), record("b", None)]
    output = console()

    print_report(output, [TaskView("b", "success")], records, state="success", ledger="/ledger", home="/home")

    assert total_usd(records) is None
    assert "b has no price: no rate card names m7g.xlarge" in printed(output)


def test_a_failure_is_told_with_its_cause():
    """A failed job is named with its root cause and where its log is."""
    links = {"Driver log": "/run/driver.log"}
    failure = JobFailure(category="user_code", message="ValueError: no such column", links=links)
    output = console()

    print_report(
        output, [TaskView("a", "failed")], [record("a", "0.03", failure=failure)], state="failed", ledger="", home=""
    )

    assert "a failed (user_code): ValueError: no such column" in printed(output)
    assert "Driver log: /run/driver.log" in printed(output)
    assert "Run: failed" in printed(output)


def test_a_task_without_a_job_tells_its_reason_and_its_log():
    """What the task itself said stands there, with its exit code; a task that never started did not fail."""
    failed = TaskView("b", "failed", NOON, NOON, why="Bash command failed (exit code 3)", log=Path("/logs/b.log"))
    output = console()

    print_report(output, [failed, TaskView("c", "failed")], [], state="failed", ledger="", home="")

    assert "b failed: Bash command failed (exit code 3)\n  Log: /logs/b.log\n" in printed(output)
    assert [line.split(maxsplit=1)[1].strip() for line in printed(output).splitlines() if line[:2] == "c "] == [
        "never started"
    ]


def test_brackets_are_text():
    """Square brackets in a message, a path or a reason are shown as they are, and a long message stays on one line."""
    said = f"KeyError: [a] is not in [/data/in] {'x' * 200}"
    written = Dataset(namespace="file", name="/data/[b]/[/c]", rows=1, bytes=1, files=1, usd=Decimal("0.03"))
    failed = record("a", "0.03", failure=JobFailure(message=said, links={"Log [d]": "/[e]"}))
    output = console()

    print_report(
        output,
        [TaskView("a[0]", "[odd]")],
        [failed, record("b", None, lineage=Lineage(outputs=(written,)))],
        state="[failed]",
        ledger="/[ledger]",
        home="/[home]",
    )

    assert f"a failed (unknown): {said}\n" in printed(output)
    for text in ("/data/[b]/[/c]", "Log [d]: /[e]", "a[0]", "[odd]", "Run: [failed]", "/[ledger]", "/[home]"):
        assert text in printed(output)


def test_a_narrow_terminal_shows_every_figure():
    """On 80 columns what the jobs moved stands in a table of its own, and no number is cut."""
    written = Dataset(
        namespace="s3://a", name="/data/out/of/some/length", rows=1_000, bytes=2048, files=2, usd=Decimal("0.03")
    )
    task = "a_task_with_a_name_longer_than_most"
    output = Console(file=io.StringIO(), width=80)

    print_report(
        output,
        [TaskView(task, "success", NOON, NOON + timedelta(seconds=5))],
        [record(task, "0.03", lineage=Lineage(inputs=(written,), outputs=(written,)))],
        state="success",
        ledger="/ledger",
        home="/home",
    )

    assert "…" not in printed(output)
    assert max(len(line) for line in printed(output).splitlines()) <= 80
    words = printed(output).split()
    for figure in ("5.0", "1.0000", "2.0000", "0.030000", "1,000", "2.0", "KiB", "100.0%"):
        assert figure in words
    assert printed(output).index("Tasks") < printed(output).index("Data") < printed(output).index("What each")


def test_all_attempts_of_a_run_are_in_its_figures():
    """A failed try that was made again is in the task's line, the total and its dataset; how much of it was waste."""
    written = Dataset(namespace="file", name="/data/out", rows=100, bytes=1000, files=1, usd=Decimal("0.001099"))
    failed = record("a", "0.000930", failure=JobFailure(category="network", message="reset"))
    failed = failed.model_copy(
        update={"record_id": "1", "job": failed.job.model_copy(update={"state": JobState.FAILED})}
    )
    second = record("a", "0.001099", lineage=Lineage(outputs=(written,)))
    second = second.model_copy(
        update={"record_id": "2", "attempt": second.attempt.model_copy(update={"try_number": 2})}
    )
    other = record("a", "9")
    other = other.model_copy(update={"record_id": "3", "attempt": other.attempt.model_copy(update={"run_id": "other"})})
    attempt = second.attempt
    records = all_attempts([second, failed, other], [second], attempt.dag_id, attempt.run_id, {"a": 0})
    output = console()

    print_report(output, [TaskView("a", "success")], records, state="success", ledger="/ledger", home="/home")

    assert [one.record_id for one in records] == ["1", "2"]
    text = printed(output)
    assert text.count("0.002029") == 2  # the task's line and the total
    assert "54.2%" in text  # the dataset's part of the run: 0.001099 of 0.002029
    assert "a (try 1) failed (network): reset" in text
    assert "In these figures: 1 failed try that was made again, 0.000930 USD, all waste" in text
