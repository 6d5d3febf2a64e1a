"""What of entries or of the ledger's view flows from dataset to dataset: the two ways into `upstream`, of one meaning.

A job that failed and wrote nothing is no reader: its try that succeeds is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_doeks.model.bill import PLACES
from airflow_doeks.report.entry import Entry, Flow
from airflow_doeks.report.questions import LABEL
from airflow_doeks.report.upstream import NO_DATASET, ZERO, Flows, Read, Written

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_WRITTEN = f"""SELECT {LABEL} AS label, count(*), count(*) FILTER (usd IS NULL), coalesce(sum(usd), 0),
        count(*) FILTER (NOT is_complete)
    FROM datasets JOIN records USING (record_id) WHERE direction = 'output' GROUP BY label"""  # noqa: S608 - ours only
_READS = f"""WITH outputs AS (
        SELECT record_id, {LABEL} AS label, usd, sum(usd) OVER job AS whole, count(*) OVER job AS all_,
            count(usd) OVER job AS known
        FROM datasets WHERE direction = 'output' WINDOW job AS (PARTITION BY record_id)
    ), parts AS (
        SELECT record_id, label,
            CASE WHEN known = all_ AND whole > 0 THEN CAST(usd AS DOUBLE) / CAST(whole AS DOUBLE)
                ELSE 1.0 / all_ END AS part
        FROM outputs
    ), inputs AS (
        SELECT record_id, {LABEL} AS label, byte_count, has_failed
        FROM datasets JOIN records USING (record_id) WHERE direction = 'input'
    )
    SELECT i.label, coalesce(p.label, '{NO_DATASET}') AS target, coalesce(sum(byte_count * coalesce(part, 1)), 0),
        coalesce(sum(coalesce(part, 1)) FILTER (byte_count IS NOT NULL), 0),
        coalesce(sum(coalesce(part, 1)) FILTER (byte_count IS NULL), 0)
    FROM inputs i LEFT JOIN parts p USING (record_id)
    WHERE p.label IS NOT NULL OR NOT has_failed GROUP BY ALL"""  # noqa: S608 - texts of this package only


def flows_of(entries: Iterable[Entry]) -> Flows:
    """The flows of entries."""
    flows = Flows()
    for entry in entries:
        for flow in entry.outputs:
            written = flows.written.setdefault(flow.label, Written())
            written.writes += 1
            written.unpriced += flow.usd is None
            written.usd += flow.usd or ZERO
            if not entry.is_complete:
                flows.incomplete[flow.label] = flows.incomplete.get(flow.label, 0) + 1
        if not entry.outputs and entry.has_failed:
            continue
        for target, part in _parts(entry.outputs):
            for flow in entry.inputs:
                read = flows.reads.setdefault((flow.label, target), Read())
                if flow.bytes is None:
                    read.unknown += part
                else:
                    read.known += part
                    read.bytes += flow.bytes * part
    return flows


def _parts(outputs: Sequence[Flow]) -> Iterator[tuple[str, Decimal]]:
    """What a job wrote, each with its part of what the job read; by dollars where all are known, else evenly."""
    if not outputs:
        yield NO_DATASET, Decimal(1)
    known = [flow.usd for flow in outputs if flow.usd is not None]
    whole = sum(known, ZERO)
    by_dollars = len(known) == len(outputs) and whole > 0
    for flow in outputs:
        yield flow.label, (flow.usd or ZERO) / whole if by_dollars else Decimal(1) / len(outputs)


def asked_flows(database: DuckDBPyConnection) -> Flows:
    """The same of all records of the view, with the datasets that a record had no room for."""
    flows = Flows()
    for label, writes, unpriced, usd, incomplete in database.execute(_WRITTEN).fetchall():
        flows.written[label] = Written(writes, unpriced, Decimal(usd).quantize(PLACES))
        if incomplete:
            flows.incomplete[label] = incomplete
    for source, target, *amounts in database.execute(_READS).fetchall():
        flows.reads[source, target] = Read(*(Decimal(str(amount)) for amount in amounts))
    return flows
