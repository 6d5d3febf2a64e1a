"""The HTML report: one file that loads nothing, everything escaped, the asked grouping first."""

import re
from datetime import datetime, timezone
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from airflow_doeks.cli.report_page import page
from airflow_doeks.model.record import Attempt, Cost, JobFacts, JobRecord, Times
from airflow_doeks.model.status import JobState
from airflow_doeks.report import report

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
EVIL = '"><script>alert(1)</script>&'


@pytest.fixture
def records():
    """A dear, a failed and an unpriced job; names that try to be markup."""

    def make(number, usd, state=JobState.SUCCEEDED):
        return JobRecord(
            record_id=f"r{number}",
            attempt=Attempt(dag_id=EVIL, run_id=EVIL, task_id=f"t{number}", try_number=1),
            job=JobFacts(ref=None, platform=EVIL, type="local", engine="spark", name="n", state=state),
            times=Times(submitted=NOON, ended=NOON),
            cost=Cost(usd_total=usd, rate_card="us-east-1 2026-01-19", why_unknown=None if usd else EVIL),
            cost_tags={"team": EVIL},
        )

    return [make(0, Decimal("12.5")), make(1, Decimal("0.0042"), JobState.FAILED), make(2, None)]


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def seen(html):
    """Tags and texts of a page, its own style and scripts left out."""
    tags = _Tags()
    tags.feed(re.sub(r"(?s)<(style|script)>.*?</\1>|<wbr>", "", html))
    return tags


def test_every_name_is_text_and_nothing_is_loaded(records):
    """No link to elsewhere, balanced tags, a policy that lets nothing in; a hostile name is shown as it is written."""
    tags = seen(page(records, report(records, "pipeline"), ledger=EVIL, now=NOON))
    assert {tag for tag, _ in tags.seen} & {"script", "link", "img", "iframe", "a", "form"} == set()
    assert [attrs for tag, attrs in tags.seen if "src" in attrs or "href" in attrs] == []
    policy = next(attrs["content"] for tag, attrs in tags.seen if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert EVIL in tags.text


def test_light_and_dark_have_their_own_colours(records):
    """The page declares both schemes and follows the reader's system."""
    html = page(records, report(records, "team"), ledger="l", now=NOON)
    assert "color-scheme: light dark" in html
    assert "@media (prefers-color-scheme: dark)" in html


@pytest.mark.parametrize("by", ["team", "pipeline", "dataset", "platform", "day", "minute"])
def test_the_asked_grouping_stands_first(records, by):
    """Groupings by name are always on the page; the one that was asked for comes first."""
    ids = re.findall(r'<section id="([\w-]+)"', page(records, report(records, by), ledger="l", now=NOON))
    assert ids[0] == (by if by in {"day", "minute"} else f"{by}s")
    assert {"teams", "pipelines", "datasets", "platforms", "jobs"} <= set(ids)


def test_unknown_cost_is_a_question_mark_and_told(records):
    """A job without a known cost shows ?, is counted, and its reason stands in the notes."""
    text = seen(page(records, report(records, "pipeline"), ledger="l", now=NOON)).text
    assert {"12.50", "0.004200", "?"} <= set(text)
    assert f"Not known: {EVIL}" in text


def test_unknown_usage_and_waste_are_question_marks(records):
    """Nothing that no job knows is shown as 0.00."""
    text = seen(page(records[2:], report(records[2:], "pipeline"), ledger="l", now=NOON)).text
    for name in ("Cost, USD", "of which waste, USD", "vCPU-hours"):
        assert text[text.index(name) + 1] == "?", name
    assert "0.00" not in text


def test_a_day_of_which_no_cost_is_known_shows_no_dollars(records):
    """By day, too: ? for dollars and share, and how many jobs have no price."""
    html = page(records[2:], report(records[2:], "day"), ledger="l", now=NOON)
    (row,) = re.findall(r"(?s)<tbody>(.*?)</tbody>", html.split('id="day"')[1].split("</section>")[0])
    cells = [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"(?s)<t[dh][^>]*>(.*?)</t[dh]>", row)]
    assert cells == ["2026-11-20", "1", "0", "1", "?", "?", "?", "?"]
