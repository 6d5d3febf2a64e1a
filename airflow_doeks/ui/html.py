"""Pages as HTML, by one template that escapes every text; charts are drawn where the extra `ui` is installed."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow_doeks.report.figures import pieces
from airflow_doeks.ui.blocks import Cell, Chart, Page, Table
from airflow_doeks.ui.charts import figure

if TYPE_CHECKING:
    from jinja2 import Template

_HERE = Path(__file__).parent
_FILES = {"doeks.css", "doeks.js", "costs.svg", "costs-dark.svg"}
_NUMBER = re.compile(r"[0-9]{1,9}")
ROWS_A_PAGE = 50
_LONG = 22  # characters of a text that may need several lines
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
)  # plotly writes styles of its own; it needs no eval
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class View:
    """What of a table is shown, and where the rest is."""

    rows: Sequence[Sequence[Cell]]
    page: int = 1
    pages: int = 1
    before: str = ""
    after: str = ""
    csv: str = ""
    orders: Sequence[str] = ()
    arrows: Sequence[str] = ()


def chart_script() -> Path | None:
    """Plotly's script, which its package on PyPI holds; None without the extra `ui`."""
    found = importlib.util.find_spec("plotly")  # not imported: 60 ms, and nothing of it is needed
    for folder in (found.submodule_search_locations or ()) if found else ():
        script = Path(folder) / "package_data" / "plotly.min.js"
        if script.is_file():
            return script
    return None


def static_file(name: str) -> Path | None:
    """A file that pages load, by its name; None for any other name."""
    if name == "plotly.min.js":
        return chart_script()
    return _HERE / "static" / name if name in _FILES else None


def render(page: Page, query: Mapping[str, str]) -> str:
    """The page as Airflow serves it: ``query`` is its URL's, with the order and the page of each table."""
    head = '<link rel="stylesheet" href="static/doeks.css"><link rel="icon" href="static/costs.svg">'
    scripts = ["static/plotly.min.js"] if _has_chart(page) and chart_script() else []
    foot = "".join(f'<script src="{path}"></script>' for path in (*scripts, "static/doeks.js"))
    return _render(page, [_view(block, query) for block in page.blocks], head, foot, is_served=True)


def render_alone(page: Page) -> str:
    """The page as one file that loads nothing: all rows, no links, styles and scripts inside."""
    css, js = (_HERE / "static" / name for name in ("doeks.css", "doeks.js"))
    script = chart_script() if _has_chart(page) else None
    foot = "".join(f"<script>{path.read_text('utf-8')}</script>" for path in ([script] if script else []) + [js])
    views = [View(block.rows) if isinstance(block, Table) else _view(block, {}) for block in page.blocks]
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
    head = f"""<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{css.read_text("utf-8")}</style>"""
    return _render(page, views, head, foot, is_served=False)


def _render(page: Page, views: Sequence[Any], head: str, foot: str, *, is_served: bool) -> str:
    from markupsafe import Markup

    return _template().render(
        page=page,
        blocks=[(type(block).__name__, block, view) for block, view in zip(page.blocks, views, strict=True)],
        head=Markup(head),  # noqa: S704 - of this file only
        foot=Markup(foot),  # noqa: S704 - of this file and of the scripts beside it
        with_charts=chart_script() is not None,
        with_links=is_served,
        long=_LONG,
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    source = (_HERE / "templates" / "page.html").read_text("utf-8")
    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["breakable"] = _breakable
    return made.from_string(source)


def _breakable(text: str) -> str:
    """A long name with the places where a line may end, so that no word of it is broken."""
    from markupsafe import Markup

    return text if len(text) <= _LONG else Markup("<wbr>").join(pieces(text))


def _has_chart(page: Page) -> bool:
    return any(isinstance(block, Chart) for block in page.blocks)


def _view(block: object, query: Mapping[str, str]) -> Any:
    if isinstance(block, Chart):
        return json.dumps(figure(block), separators=(",", ":"))
    return _table_view(block, query) if isinstance(block, Table) else None


def _table_view(table: Table, query: Mapping[str, str]) -> View:
    """One page of the rows, in the order that the URL asks for."""
    rows = ordered(table, query.get(f"{table.key}.order", ""))
    pages = max(1, -(-len(rows) // ROWS_A_PAGE))
    asked = query.get(f"{table.key}.page", "1")
    page = min(max(1, whole_number(asked) or 1), pages)

    def here(**changes: object) -> str:
        found = {**query, **{f"{table.key}.{name}": str(value) for name, value in changes.items()}}
        return f"?{urlencode(found)}#{table.key}"

    column, is_falling = _order(query.get(f"{table.key}.order", ""))
    return View(
        rows=rows[(page - 1) * ROWS_A_PAGE : page * ROWS_A_PAGE],
        page=page,
        pages=pages,
        before=here(page=page - 1) if page > 1 else "",
        after=here(page=page + 1) if page < pages else "",
        csv=f"?{urlencode({**query, 'csv': table.key})}",
        orders=[
            here(order=f"{number}-up" if column == number and is_falling else f"{number}-down", page=1)
            for number in range(len(table.columns))
        ],
        arrows=[("", " \u2193" if is_falling else " \u2191")[column == number] for number in range(len(table.columns))],
    )


def ordered(table: Table, order: str) -> Sequence[Sequence[Cell]]:
    """The rows by a column, such as ``3-down``; as they are where the order names none. Unknown values stand last."""
    column, is_falling = _order(order)
    if column is None or column >= len(table.columns):
        return table.rows
    known = [row for row in table.rows if _key(row[column]) is not None]
    rest = [row for row in table.rows if _key(row[column]) is None]
    is_number = all(not isinstance(_key(row[column]), str) for row in known)
    return [
        *sorted(known, key=lambda row: _key(row[column]) if is_number else str(_key(row[column])), reverse=is_falling),
        *rest,
    ]


def _key(cell: Cell) -> Any:
    return cell.sort if cell.sort is not None else (cell.text if cell.text not in {"", "?"} else None)


def _order(text: str) -> tuple[int | None, bool]:
    number, _, way = text.partition("-")
    return whole_number(number), way == "down"


def whole_number(text: str) -> int | None:
    """The number of a URL's query; None for what is none, or larger than any that we write."""
    return int(text) if _NUMBER.fullmatch(text) else None
