"""Pages as HTML and tables as CSV: escaped, nothing foreign, ordered and paged."""

from __future__ import annotations

import csv
import io
import json
import re
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from airflow_doeks.ui import html
from airflow_doeks.ui.blocks import Cell, Chart, Choice, Column, Fact, Facts, Notice, Page, Series, Table
from airflow_doeks.ui.charts import figure
from airflow_doeks.ui.csv_file import csv_text
from tests.ui.conftest import NOON

EVIL = "\"><script>alert(1)</script>&'{{ 7919*7919 }}"
HEADS = (Column(EVIL, hint=EVIL), Column("USD", is_number=True))


class Tags(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self):
        super().__init__()
        self.seen, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def page():
    """A page of every kind of block whose every text tries to be markup."""
    cell = Cell(EVIL, href="costs", tone="bad", bar=0.5, moment=None, title=EVIL)
    return Page(
        EVIL,
        EVIL,
        (Cell(EVIL, href="costs"),),
        (Choice("team", EVIL, EVIL, ("", EVIL)), Choice("name", "", EVIL, kind="hidden")),
        (
            Facts(EVIL, (Fact(EVIL, cell, EVIL), Fact("At", Cell("12:00 UTC", moment=NOON)))),
            Notice("bad", EVIL, (EVIL,), (EVIL,)),
            Chart("c", EVIL, "bars", (Series(EVIL, [EVIL], [Decimal("1.5")]),), EVIL, "t"),
            Table("t", EVIL, HEADS, [(cell, Cell("1", sort=Decimal(1)))], total=(cell, cell), hint=EVIL),
        ),
    )


def test_every_text_is_escaped(page):
    """No name of a dataset, a task or an error becomes markup, and none is read as a template."""
    for text in (html.render(page, {"team": EVIL, "t.order": "1-up"}), html.render_alone(page)):
        tags = Tags()
        tags.feed(text.replace("<wbr>", ""))  # where a line may end, in the middle of a text
        assert EVIL not in text
        assert [attrs for tag, attrs in tags.seen if tag == "script" and "alert" in str(attrs)] == []
        assert EVIL in tags.text
        assert "62710561" not in "".join(tags.text)


def test_a_served_page_loads_only_what_stands_beside_it(page):
    """Styles and scripts are relative, so they hold below any path; no address of another host is in the page."""
    tags = Tags()
    tags.feed(html.render(page, {}))
    loaded = [attrs.get("src") or attrs.get("href") for tag, attrs in tags.seen if tag in {"script", "link", "img"}]
    assert set(loaded) == {f"static/{name}" for name in ("doeks.css", "costs.svg", "plotly.min.js", "doeks.js")}
    assert all(tag != "script" or "src" in attrs for tag, attrs in tags.seen)
    assert [attrs for _, attrs in tags.seen if any(name.startswith("on") for name in attrs)] == []
    assert "default-src 'none'" in html.HEADERS["Content-Security-Policy"]
    assert "http" not in html.HEADERS["Content-Security-Policy"]


def test_without_plotly_a_page_has_its_tables_and_no_charts(page, monkeypatch):
    """The extra `ui` is only for charts: their numbers stand in a table anyway."""
    monkeypatch.setattr(html, "chart_script", lambda: None)
    text = html.render(page, {})
    assert "<figure" not in text
    assert "plotly" not in text
    assert "<table" in text


def test_every_chart_names_its_table(page):
    """A reader who cannot see a chart is told where its numbers are."""
    assert re.search(r'<figure[^>]*role="img"[^>]*the same numbers stand in the table t"', html.render(page, {}))


@pytest.mark.parametrize(
    ("order", "expected"),
    [("1-down", ["b", "a", "?"]), ("1-up", ["a", "b", "?"]), ("", ["a", "?", "b"]), ("9-up", ["a", "?", "b"])],
)
def test_a_table_is_ordered_by_value_and_unknown_is_last(order, expected):
    """10 is more than 9, whatever the text says, and what is unknown is neither first nor 0."""
    rows = [
        (Cell("a"), Cell("9.0", sort=Decimal(9))),
        (Cell("?"), Cell("?")),
        (Cell("b"), Cell("10", sort=Decimal(10))),
    ]
    assert [row[0].text for row in html.ordered(Table("t", "", HEADS, rows), order)] == expected


def test_the_column_that_a_table_is_ordered_by_is_told():
    """To who sees the arrow, and to who hears the page."""
    table = Table("t", "T", HEADS, [(Cell("a"), Cell("1"))])
    heads = re.findall(r"<th [^>]*>", html.render(Page("P", blocks=(table,)), {"t.order": "1-down"}))
    assert ["aria-sort" in head for head in heads] == [False, True]
    assert 'aria-sort="descending"' in heads[1]
    assert 'aria-sort="ascending"' in html.render(Page("P", blocks=(table,)), {"t.order": "0-up"})


def test_a_long_table_is_paged_and_its_links_keep_the_filters():
    """Fifty rows at a time; the next page keeps what else the URL asked for; a page beyond the last is the last."""
    table = Table("t", "T", HEADS, [(Cell(f"row{number}"), Cell("1")) for number in range(120)])
    text = html.render(Page("P", blocks=(table,)), {"team": "a b", "t.page": "99"})
    assert "row119" in text
    assert "row99<" not in text
    assert "Page 3 of 3 (120 rows)" in text
    assert 'href="?team=a+b&amp;t.page=2#t"' in text


def test_csv_holds_every_row_exactly_and_nothing_that_a_spreadsheet_runs():
    """All digits of dollars, UTC times, empty where unknown; a text that begins like a formula is kept a text."""
    rows = [
        (Cell("0.0015", sort=Decimal("0.0015243")), Cell("x", sort=NOON.isoformat())),
        (Cell("?"), Cell("=cmd()")),
    ]
    read = list(csv.reader(io.StringIO(csv_text(Table("t", "T", (Column("USD"), Column("At")), rows)))))
    assert read == [["USD", "At"], ["0.0015243", "2026-11-20T12:00:00+00:00"], ["", "'=cmd()"]]


def test_a_page_as_one_file_loads_nothing_and_links_nowhere(page):
    """`doeks report --html` can be mailed: scripts and styles are inside."""
    tags = Tags()
    tags.feed(html.render_alone(page))
    assert [attrs for tag, attrs in tags.seen if "src" in attrs or tag in {"link", "a", "form"}] == []


def test_a_chart_is_plain_json():
    """Times as ISO text, money as numbers, bars stacked; a timeline's bars are as long as they took."""
    bars = figure(Chart("c", "T", "bars", (Series("a", [NOON], [Decimal("1.5")]),), "USD", "t"))
    assert json.loads(json.dumps(bars)) == bars
    assert (bars["data"][0]["x"], bars["data"][0]["y"]) == (["2026-11-20T12:00:00+00:00"], [1.5])
    line = figure(
        Chart("c", "T", "timeline", (Series("running", [NOON], ["clean"], [NOON.replace(minute=1)]),), "time", "t")
    )
    assert (line["data"][0]["y"], line["data"][0]["x"]) == (["clean"], [60000.0])
    flow = figure(Chart("c", "T", "flow", (Series("rows", ["a", "b"], ["b", "c"]),), "rows", "t", (1.0, 2.0)))
    assert flow["data"][0]["link"] == {"source": [0, 1], "target": [1, 2], "value": [1.0, 2.0]}


@pytest.mark.parametrize("kind", ["bars", "lines", "timeline", "flow"])
def test_no_name_in_a_chart_is_markup(kind):
    """Plotly draws links and entities of a text: a dataset's or a task's name has none."""
    evil = '<a href="https://evil.example">log in & again</a>'
    series = Series(
        evil, [NOON] if kind == "timeline" else [evil], [evil] if kind in {"timeline", "flow"} else [1.0], [NOON]
    )
    text = json.dumps(figure(Chart("c", "T", kind, (series,), "rows", "t", (1.0,))))
    assert "<a" not in text
    assert "& again" not in text
    assert "&lt;a href" in text or "log in &amp; again&lt;/a>" in text


def test_a_long_name_may_go_on_in_the_next_line_between_its_words():
    """Behind its separators and nowhere else; a short one stays in its line."""
    table = Table("t", "Data", (Column("Dataset"),), [(Cell("s3://lake/clean/flights_by_<day>"),), (Cell("a_b.c"),)])
    text = html.render(Page("Data", "", (), (), (table,)), {})
    assert "s3://<wbr>lake/<wbr>clean/<wbr>flights_<wbr>by_<wbr>&lt;day&gt;</td>" in text
    assert ">a_b.c</td>" in text


def test_the_line_of_the_log_that_says_why_is_marked():
    """It is where the box is opened: Spark's own shutdown fills the end."""
    notice = Notice(
        "bad", "ValueError: no <date>", ("why",), ("start", "ValueError: no <date>", "SparkContext stopped")
    )
    text = html.render(Page("Task", "", (), (), (notice,)), {})
    assert "start\n<mark>ValueError: no &lt;date&gt;</mark>\nSparkContext stopped</pre>" in text
