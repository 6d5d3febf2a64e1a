"""The report as one HTML file: no script, nothing loaded, every text escaped, light and dark as the reader's system."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from html import escape

from airflow_doeks.cli.figures import count, decimal, percent, usd
from airflow_doeks.model.record import JobRecord
from airflow_doeks.report import By, Report, Total, report

_SECTIONS: dict[By, str] = {
    "pipeline": "Pipelines",
    "dataset": "Datasets",
    "team": "Teams",
    "platform": "Platforms",
    "day": "Days",
    "minute": "Minutes",
}
_DEAREST = 20
_STYLE = """
:root{color-scheme:light dark;--ink:#1a1c1f;--soft:#5b6270;--line:#d9dde3;--page:#fff;--bar:#3b6fb6;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9aa3b2;--line:#363b44;--page:#16181c;--bar:#6ea0e6;
--bad:#ff8a80}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:68rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .5rem}p,.soft{color:var(--soft)}
dl{display:flex;flex-wrap:wrap;gap:.5rem 2.5rem;margin:1.2rem 0}dt{color:var(--soft);font-size:.85rem}
dd{margin:0;font-size:1.35rem;font-variant-numeric:tabular-nums}.bad{color:var(--bad)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top;white-space:nowrap}
th{color:var(--soft);font-weight:500;font-size:.85rem}th:first-child,td:first-child{text-align:left;
white-space:normal;overflow-wrap:anywhere;min-width:12rem}
td.share,th:last-child{width:9rem;text-align:left}.bar{display:inline-block;height:.6rem;background:var(--bar);
border-radius:2px;margin-right:.5rem}nav a{color:inherit;margin-right:1rem}
"""


def page(records: Sequence[JobRecord], asked: Report, *, ledger: str, now: datetime) -> str:
    """The whole page: the report that was asked for, then the others but minutes. Same arguments, same bytes."""
    others = [report(records, by) for by in _SECTIONS if by not in {asked.by, "minute"}]
    reports = [(_SECTIONS[result.by], result) for result in (asked, *others)]
    total = reports[0][1].total
    links = "".join(f'<a href="#{result.by}">{title}</a>' for title, result in reports)
    body = "".join(_section(title, result) for title, result in reports)
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Cost of data pipelines</title><style>{_STYLE}</style></head><body>"
        f"<h1>Cost of data pipelines</h1><p>{count(total.jobs)} jobs in {escape(ledger)}, "
        f"{now:%Y-%m-%d %H:%M} UTC</p>{_headline(total)}<nav>{links}"
        f'<a href="#jobs">Jobs</a></nav>{body}{_jobs(records)}{_notes(records)}</body></html>\n'
    )


def _headline(total: Total) -> str:
    facts = [
        ("USD", _spent(total), ""),
        ("of which waste", usd(total.usd_waste), ""),
        ("Jobs", count(total.jobs), ""),
        ("Failed", count(total.failed), "bad" if total.failed else ""),
        ("Cost unknown", count(total.unpriced), "bad" if total.unpriced else ""),
        ("vCPU-hours", decimal(total.vcpu_hours, 1), ""),
        ("GiB-hours", decimal(total.memory_gib_hours, 1), ""),
    ]
    return "<dl>" + "".join(f'<div><dt>{a}</dt><dd class="{c}">{b}</dd></div>' for a, b, c in facts) + "</dl>"


def _section(title: str, result: Report) -> str:
    rows = "".join(
        _row(
            [line.key, count(line.jobs), count(line.failed), decimal(line.vcpu_hours), _spent(line)],
            usd(line.usd_waste),
            line.share,
        )
        for line in result.lines
    )
    heads = (title, "Jobs", "Failed", "vCPU-h", "USD", "Waste", "Share")
    return f'<h2 id="{result.by}">{title}</h2>{_table(heads, rows)}'


def _spent(line: Total) -> str:
    return usd(None if line.jobs and line.jobs == line.unpriced else line.usd)


def _jobs(records: Sequence[JobRecord]) -> str:
    dearest = sorted(records, key=lambda record: record.cost.usd_total or Decimal(-1), reverse=True)[:_DEAREST]
    whole = sum((record.cost.usd_total or Decimal(0) for record in records), Decimal(0))
    rows = ""
    for record in dearest:
        attempt, spent = record.attempt, record.cost.usd_total
        mapped = f"[{attempt.map_index}]" if attempt.map_index >= 0 else ""
        name = f"{attempt.dag_id} / {attempt.task_id}{mapped}, try {attempt.try_number} ({attempt.run_id})"
        cells = [name, record.job.platform, record.job.state.value.lower(), record.cost.confidence or "?", usd(spent)]
        rows += _row(cells, usd(record.cost.usd_waste), float(spent / whole) if spent is not None and whole else None)
    heads = ("Job", "Platform", "State", "Confidence", "USD", "Waste", "Share")
    title = f"Dearest {_DEAREST} jobs" if len(records) > _DEAREST else "Jobs"
    return f'<h2 id="jobs">{title}</h2>{_table(heads, rows)}'


def _row(cells: Sequence[str], waste: str, share: float | None) -> str:
    plain = "".join(f"<td>{escape(cell)}</td>" for cell in (*cells, waste))
    width = f"{(share or 0) * 5:.2f}rem"
    return f'<tr>{plain}<td class="share"><span class="bar" style="width:{width}"></span>{percent(share)}</td></tr>'


def _table(heads: Iterable[str], rows: str) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _notes(records: Sequence[JobRecord]) -> str:
    """How the numbers were made, and what is not in them."""
    cards = sorted({record.cost.rate_card for record in records if record.cost.rate_card})
    priced_as = sorted({record.cost.priced_as for record in records if record.cost.priced_as})
    whys = sorted({record.cost.why_unknown for record in records if record.cost.why_unknown})
    notes = [f"Rate cards: {', '.join(cards)}." if cards else "No rate card."]
    if priced_as:
        notes.append(f"Some jobs are priced as if they had run on {', '.join(priced_as)}.")
    notes += [f"Not known: {why}" for why in whys]
    return "<h2>Notes</h2><ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"
