"""One dataset: who writes and reads it, its rows over time, what it cost itself and with everything upstream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from airflow_doeks.report.entry import Entry, Flow
from airflow_doeks.report.spending import links_of, upstream
from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Block, Cell, Chart, Choice, Column, Fact, Facts, Page, Series, Table
from airflow_doeks.ui.pages.costs import Filters

Linked = Sequence[tuple[Entry, Flow]]
_LISTED = 500


def dataset_page(label: str, entries: Sequence[Entry], filters: Filters) -> Page:
    """``entries`` are those of the time that the reader may see: others are not counted."""
    writers, readers = links_of(entries, label)
    made_from = upstream(entries, label)
    own = made_from.datasets.get(label)
    trail = (Cell("Data costs", href=cells.link("costs", since=filters.since, until=filters.until)),)
    known = [flow.usd for _, flow in writers if flow.usd is not None]
    facts = Facts(
        "In this time",
        (
            Fact("Cost of itself, USD", cells.usd(own if known else None), "Its part of the jobs that wrote it."),
            Fact(
                "With everything upstream, USD",
                cells.usd(made_from.usd if known else None),
                "With all datasets that it was made from, each counted once and whole.",
            ),
            Fact("Written", cells.count(len(writers)), "Jobs that wrote it."),
            Fact("Read", cells.count(len(readers)), "Jobs that read it."),
        ),
    )
    blocks: list[Block] = [facts, *_graph(label, writers, readers), *_rows(writers)]
    blocks += [_upstream_table(label, made_from.datasets, filters), _jobs("Written by", "writers", writers)]
    blocks += [_jobs("Read by", "readers", readers)]
    choices = (Choice("name", "", label, kind="hidden"), *filters.choices(())[:2])
    return Page(label, "Dataset", trail, choices, tuple(blocks))


def _graph(label: str, writers: Linked, readers: Linked) -> Sequence[Block]:
    """Tasks that write it, the dataset, tasks that read it: as wide as rows, or jobs where rows are unknown."""
    sums: dict[tuple[str, str], list[int]] = {}
    for entry, flow in writers:
        sums.setdefault((f"{entry.dag_id}.{entry.task_id}", label), []).append(flow.rows or 0)
    for entry, flow in readers:
        sums.setdefault((label, f"{entry.dag_id}.{entry.task_id} "), []).append(flow.rows or 0)  # a reader may write it
    if not sums:
        return ()
    weights = [float(max(sum(rows), len(rows))) for rows in sums.values()]
    ends = list(sums)
    series = (Series("rows", [start for start, _ in ends], [end for _, end in ends]),)
    rows = [
        (Cell(start), Cell(end.strip()), cells.count(len(found)), cells.count(sum(found)))
        for (start, end), found in sums.items()
    ]
    heads = (Column("From"), Column("To"), Column("Jobs", is_number=True), Column("Rows", is_number=True))
    chart = Chart("graph", "Who writes and reads it", "flow", series, "rows", "links", weights)
    return chart, Table("links", "Who writes and reads it, in figures", heads, rows, is_folded=True)


def _rows(writers: Linked) -> Sequence[Block]:
    ordered = sorted(((entry.at, flow) for entry, flow in writers if entry.at), key=lambda pair: pair[0])
    if len(ordered) < 2 or not any(flow.rows for _, flow in ordered):  # noqa: PLR2004 - one point is no line
        return ()
    series = (Series("rows", [at for at, _ in ordered], [flow.rows for _, flow in ordered]),)
    return (Chart("rows", "Rows of each write", "lines", series, "rows", "writers"),)


def _upstream_table(label: str, datasets: Mapping[str, Decimal | None], filters: Filters) -> Table:
    rows = [
        (
            Cell(
                name,
                href=""
                if name == label
                else cells.link("dataset", name=name, since=filters.since, until=filters.until),
            ),
            cells.usd(usd) if usd is not None else Cell("no job here wrote it", tone="soft"),
        )
        for name, usd in datasets.items()
    ]
    hint = "A dataset that other data is made from, too, counts whole here. Only DAGs that you may read are counted."
    heads = (Column("Dataset"), Column("USD", is_number=True))
    return Table("upstream", "What it was made from", heads, rows, hint=hint)


def _jobs(title: str, key: str, linked: Linked) -> Table:
    ordered = sorted(linked, key=lambda pair: str(pair[0].at), reverse=True)[:_LISTED]
    rows = [
        (
            Cell(
                f"{entry.dag_id}.{cells.task_name(entry.task_id, entry.map_index)}",
                href=cells.link(
                    "task", dag_id=entry.dag_id, run_id=entry.run_id, task_id=entry.task_id, map_index=entry.map_index
                ),
            ),
            cells.moment(entry.at),
            cells.state(entry.state),
            cells.count(flow.rows),
            cells.size(flow.bytes),
            cells.usd(flow.usd) if key == "writers" else cells.usd(entry.usd),
        )
        for entry, flow in ordered
    ]
    usd = Column("USD", is_number=True, hint="Its part of the job." if key == "writers" else "Of the whole job.")
    heads = (
        Column("Task"),
        Column("At"),
        Column("State"),
        Column("Rows", is_number=True),
        Column("Bytes", is_number=True),
        usd,
    )
    return Table(
        key,
        title,
        heads,
        rows,
        empty="No job in this time.",
        hint=f"The newest {_LISTED}." if len(linked) > _LISTED else "",
    )
