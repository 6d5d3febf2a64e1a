"""One dataset: who writes and reads it, its rows over time, what it cost itself and with everything upstream."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_doeks.report.entry import Entry, Flow
from airflow_doeks.report.flows import flows_of
from airflow_doeks.report.spending import links_of
from airflow_doeks.report.upstream import Lines, Source, Upstream
from airflow_doeks.ui import cells
from airflow_doeks.ui.blocks import Block, Cell, Chart, Choice, Column, Fact, Facts, Notice, Page, Series, Table
from airflow_doeks.ui.pages.costs import Filters

Linked = Sequence[tuple[Entry, Flow]]
_KNOWN = "Of jobs whose rows are known; ? where none is."
_LISTED = 500
_DRAWN = 40  # links; more are lines that nobody can follow


def dataset_page(label: str, entries: Sequence[Entry], filters: Filters) -> Page:
    """``entries`` are those of the time that the reader may see: others are not counted."""
    writers, readers = links_of(entries, label)
    made_from = Lines(flows_of(entries)).upstream(label)
    trail = (Cell("Data costs", href=cells.link("costs", since=filters.since, until=filters.until)),)
    facts = Facts(
        "In this time",
        (
            Fact("Cost of itself, USD", cells.usd(made_from.usd_own), "Its part of the jobs that wrote it."),
            Fact(
                "With everything upstream, USD",
                cells.usd(made_from.usd if made_from.usd_own is not None else None),
                "With its share of all that it was made from: readers share what they read by bytes.",
            ),
            Fact("Written", cells.count(len(writers)), "Jobs that wrote it."),
            Fact("Read", cells.count(len(readers)), "Jobs that read it."),
        ),
    )
    blocks: list[Block] = [facts, *_graph(label, writers, readers), *_rows(writers)]
    blocks += [_upstream_table(made_from, filters), *_unknown(made_from), _jobs("Written by", "writers", writers)]
    blocks += [_jobs("Read by", "readers", readers)]
    choices = (Choice("name", "", label, kind="hidden"), *filters.choices(())[:2])
    return Page(label, "Dataset", trail, choices, tuple(blocks))


def _graph(label: str, writers: Linked, readers: Linked) -> Sequence[Block]:
    """Tasks that write it, the dataset, tasks that read it: as wide as rows, or jobs where rows are unknown."""
    found: dict[tuple[str, str], list[int | None]] = {}
    for entry, flow in writers:
        found.setdefault((f"{entry.dag_id}.{entry.task_id}", label), []).append(flow.rows)
    for entry, flow in readers:
        found.setdefault((label, f"{entry.dag_id}.{entry.task_id} "), []).append(flow.rows)  # a reader may write it
    if not found:
        return ()
    links = [
        (start, end, len(rows), sum(known) if (known := [one for one in rows if one is not None]) else None)
        for (start, end), rows in found.items()
    ]
    drawn = sorted(links, key=_width, reverse=True)[:_DRAWN]
    series = (Series("rows", [start for start, *_ in drawn], [end for _, end, *_ in drawn]),)
    rows = [(Cell(start), Cell(end.strip()), cells.count(jobs), cells.count(sum_)) for start, end, jobs, sum_ in links]
    heads = (Column("From"), Column("To"), Column("Jobs", is_number=True), Column("Rows", is_number=True, hint=_KNOWN))
    title = "Who writes and reads it" + (f": the widest {_DRAWN} of {len(links)}" if len(links) > _DRAWN else "")
    chart = Chart("graph", title, "flow", series, "rows", "links", [_width(one) for one in drawn])
    return chart, Table("links", "Who writes and reads it, in figures", heads, rows, is_folded=True)


def _width(link: tuple[str, str, int, int | None]) -> float:
    _, _, jobs, rows = link
    return float(max(rows or 0, jobs))


def _rows(writers: Linked) -> Sequence[Block]:
    ordered = sorted(((entry.at, flow) for entry, flow in writers if entry.at), key=lambda pair: pair[0])
    if len(ordered) < 2 or not any(flow.rows for _, flow in ordered):  # noqa: PLR2004 - one point is no line
        return ()
    series = (Series("rows", [at for at, _ in ordered], [flow.rows for _, flow in ordered]),)
    return (Chart("rows", "Rows of each write", "lines", series, "rows", "writers"),)


def _upstream_table(made_from: Upstream, filters: Filters) -> Table:
    def row(source: Source) -> tuple[Cell, ...]:
        place = cells.link("dataset", name=source.dataset, since=filters.since, until=filters.until)
        return (
            Cell(source.dataset, href="" if source.dataset == made_from.dataset else place),
            cells.usd(source.usd) if source.usd is not None else Cell("no job here wrote it", tone="soft"),
            cells.share(source.share),
            cells.usd(source.usd_share),
        )

    heads = (
        Column("Dataset"),
        Column("USD", is_number=True, hint="Its part of the jobs that wrote it."),
        Column(
            "Share", is_number=True, hint="How much of it went into this dataset, by the bytes that each reader read."
        ),
        Column("USD of the share", is_number=True),
    )
    hint = "What nobody else reads counts whole. Only DAGs that you may read are counted."
    return Table("upstream", "What it was made from", heads, [row(source) for source in made_from.sources], hint=hint)


def _unknown(made_from: Upstream) -> Sequence[Block]:
    return (Notice("soft", "Not known of this sum", list(made_from.unknown)),) if made_from.unknown else ()


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
