"""The worked example of docs/lineage.md."""

from __future__ import annotations

from pathlib import Path

from airflow_doeks.lifecycle.event_logs import read_event_log

PAGE = Path(__file__).parents[2] / "docs" / "lineage.md"


def test_the_worked_example_is_what_the_reader_tells(kept_logs, folder_store):
    """Every dataset of the example's log stands in the page with its counts, and no other."""
    lineage = read_event_log(folder_store(kept_logs), "4.3.0/join_and_aggregate.zstd").lineage
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith(("| read |", "| written |"))]
    told = [tuple(cell.strip(" `") for cell in row.split("|")[1:6]) for row in rows]
    assert told == [
        *(("read", d.name, str(d.rows), str(d.bytes), str(d.files)) for d in lineage.inputs),
        *(("written", d.name, str(d.rows), str(d.bytes), str(d.files)) for d in lineage.outputs),
    ]
    assert lineage.outputs[0].slot_share == 1
