"""Charts as plotly's JSON: data and layout, plain values; colours and the reader's theme are the browser's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from airflow_doeks.ui.blocks import Chart, ChartKind

_ROW_PIXELS = 34
_HEIGHT = 300
_WIDE = 14  # so many bars fill a chart; fewer are no wider than they would be then
_LEGEND = 36
_LABELS = 8  # below so many bars stands a name, or they would run into each other


def figure(chart: Chart) -> dict[str, Any]:
    """The figure of a chart; equal charts give equal figures."""
    data, layout = _DRAWN[chart.kind](chart)
    layout = {"height": _HEIGHT, "showlegend": len(chart.series) > 1, **layout}
    return {"data": data, "layout": layout}


def _bars(chart: Chart) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Stacked bars; times that bars begin at stand at their left, names below their middle."""
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "name": _short(one.name),
            "x": _plain(one.x),
            "y": _plain(one.y),
            "hovertemplate": _hover(chart.unit),
        }
        for one in chart.series
    ]
    x = chart.series[0].x
    layout: dict[str, Any] = {"barmode": "stack", "yaxis": {"title": {"text": chart.unit}, "rangemode": "tozero"}}
    layout["bargap"] = max(0.15, 1 - len(x) / _WIDE)
    if x and isinstance(x[0], str):
        layout["xaxis"] = {"type": "category", "nticks": _LABELS, "tickangle": 0}
    return data, layout


def _lines(chart: Chart) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": _short(one.name),
            "x": _plain(one.x),
            "y": _plain(one.y),
            "hovertemplate": _hover(chart.unit),
        }
        for one in chart.series
    ]
    return data, {"yaxis": {"title": {"text": chart.unit}, "rangemode": "tozero"}}


def _timeline(chart: Chart) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Bars from a start to an end, a row a name; plotly takes the start as base and milliseconds as length."""
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": _text(one.name),
            "y": _plain(one.y),
            "base": _plain(one.x),
            "x": [_milliseconds(start, end) for start, end in zip(one.x, one.ends, strict=True)],
            "hovertemplate": "%{y}: %{base} to %{x}<extra>%{fullData.name}</extra>",
        }
        for one in chart.series
    ]
    rows = {name for one in chart.series for name in one.y}
    layout = {
        "barmode": "overlay",
        "height": max(160, 90 + _ROW_PIXELS * len(rows)),
        "xaxis": {"type": "date"},
        "yaxis": {"autorange": "reversed", "type": "category"},
    }
    return data, layout


def _flow(chart: Chart) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    links = chart.series[0]
    names = list(dict.fromkeys([*map(str, links.x), *map(str, links.y)]))
    place = {name: number for number, name in enumerate(names)}
    data = [
        {
            "type": "sankey",
            "node": {"label": [_text(name) for name in names], "pad": 18, "thickness": 14},
            "link": {
                "source": [place[str(name)] for name in links.x],
                "target": [place[str(name)] for name in links.y],
                "value": list(chart.weights),
            },
        }
    ]
    return data, {"height": max(220, 60 + 26 * len(names))}


_DRAWN: Mapping[ChartKind, Callable[[Chart], tuple[list[dict[str, Any]], dict[str, Any]]]] = {
    "bars": _bars,
    "lines": _lines,
    "timeline": _timeline,
    "flow": _flow,
}


def _short(name: str) -> str:
    """A name that a legend has room for: the end of a path tells more than its start."""
    return _text(name if len(name) <= _LEGEND else f"\u2026{name[-_LEGEND:]}")


def _text(name: str) -> str:
    """A name as plotly draws it unchanged: it takes links, line breaks and entities out of any text."""
    return name.replace("&", "&amp;").replace("<", "&lt;")


def _hover(unit: str) -> str:
    return f"%{{x}}<br>%{{y:.6~g}} {unit}<extra>%{{fullData.name}}</extra>"


def _plain(values: Sequence[object]) -> list[Any]:
    return [_one(value) for value in values]


def _one(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return _text(value) if isinstance(value, str) else value


def _milliseconds(start: object, end: datetime) -> float:
    return (end - start).total_seconds() * 1000 if isinstance(start, datetime) else 0.0
