"""The HTML report: one file, everything escaped, the asked grouping first."""

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
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_every_name_is_text_and_nothing_is_loaded(records):
    """No script, no link to elsewhere, balanced tags; a hostile name is shown as it is written."""
    html = page(records, report(records, "pipeline"), ledger=EVIL, now=NOON)
    tags = _Tags()
    tags.feed(html)
    assert tags.open == []
    assert {tag for tag, _ in tags.seen} & {"script", "link", "img", "iframe"} == set()
    assert [attrs for tag, attrs in tags.seen if "src" in attrs or attrs.get("href", "#")[0] != "#"] == []
    assert EVIL in tags.text


def test_light_and_dark_have_their_own_colours(records):
    """The page declares both schemes and follows the reader's system."""
    html = page(records, report(records, "team"), ledger="l", now=NOON)
    assert "color-scheme:light dark" in html
    assert "@media(prefers-color-scheme:dark)" in html


@pytest.mark.parametrize("by", ["team", "pipeline", "dataset", "platform", "day", "minute"])
def test_the_asked_grouping_stands_first(records, by):
    """All groupings are on the page; the one that was asked for comes first, and minutes only when asked for."""
    ids = re.findall(r'<h2 id="(\w+)"', page(records, report(records, by), ledger="l", now=NOON))
    assert ids[0] == by
    assert set(ids) - {"minute"} == {"team", "pipeline", "dataset", "platform", "day", "jobs"}
    assert ("minute" in ids) == (by == "minute")


def test_unknown_cost_is_a_question_mark_and_told(records):
    """A job without a known cost shows ?, is counted, and its reason stands in the notes."""
    tags = _Tags()
    tags.feed(page(records, report(records, "pipeline"), ledger="l", now=NOON))
    assert "12.50" in tags.text
    assert "0.004200" in tags.text
    assert "?" in tags.text
    assert f"Not known: {EVIL}" in tags.text


def test_unknown_usage_and_waste_are_question_marks(records):
    """Nothing that no job knows is shown as 0.00."""
    tags = _Tags()
    tags.feed(page(records[2:], report(records[2:], "pipeline"), ledger="l", now=NOON))
    facts = dict(zip(reversed(tags.text[:-1]), reversed(tags.text), strict=False))
    assert [facts[name] for name in ("USD", "of which waste", "vCPU-hours", "GiB-hours")] == ["?"] * 4
    assert "0.00" not in tags.text
