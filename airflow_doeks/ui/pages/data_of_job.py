"""The datasets that a job read and wrote, with their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.report import dataset_label
from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Cell, Column, Table


def data_table(lineage: Lineage) -> Table:
    """A row a dataset: what it read first, then what it wrote with its share of the cost."""
    rows = [_row("read", dataset) for dataset in lineage.inputs] + [_row("wrote", data) for data in lineage.outputs]
    return Table(
        "data",
        "Data read and written",
        (
            Column(""),
            Column("Dataset"),
            Column("Rows", is_number=True, hint="As Spark counted them; ? where it did not."),
            Column("Bytes", is_number=True, hint="In storage: compressed, as files are."),
            Column("Files", is_number=True),
            Column("Format"),
            Column("Share", is_number=True, hint="Of the Spark tasks' slot time: what its dollars are split by."),
            Column("USD", is_number=True, hint="Its part of the job's cost; the parts and what none claims sum to it."),
            Column("Known from", hint="Observed in the job, declared in the YAML, or both."),
        ),
        rows,
        hint="Cut to what a record has room for." if lineage.truncated else "",
        empty="No dataset is known.",
    )


def _row(verb: str, dataset: Dataset) -> Sequence[Cell]:
    label = dataset_label(dataset)
    is_output = verb == "wrote"
    return (
        Cell(verb, tone="soft"),
        Cell(label, href=cells.link("dataset", name=label)),
        cells.count(dataset.rows),
        cells.size(dataset.bytes),
        cells.count(dataset.files),
        Cell(dataset.format or ""),
        cells.share(dataset.slot_share) if is_output else Cell(""),
        cells.usd(dataset.usd) if is_output else Cell(""),
        Cell(dataset.source),
    )


def column_table(columns: Mapping[str, Any]) -> Table | None:
    """The columns of the detail and what each was computed from; None without any."""
    rows = [
        (
            Cell(name),
            Cell(str(column.get("name", ""))),
            Cell(str(column.get("type") or "")),
            Cell(cells.text(None).text if column.get("inputs") is None else ", ".join(map(str, column["inputs"]))),
        )
        for name, found in columns.items()
        for column in found
    ]
    heads = (Column("Dataset"), Column("Column"), Column("Type"), Column("Computed from"))
    return Table("columns", f"Columns ({len(rows)})", heads, rows, is_folded=True) if rows else None
