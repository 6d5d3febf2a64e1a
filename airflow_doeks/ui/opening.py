"""The site of this process, opened at the first request for a page."""

from __future__ import annotations

import logging
from functools import cache

from airflow_doeks.model.errors import DoeksError
from airflow_doeks.ui.blocks import Notice, Page
from airflow_doeks.ui.html import render
from airflow_doeks.ui.site import Answer, Query, Readable, Site

log = logging.getLogger(__name__)


def answer(page: str, query: Query, readable: Readable) -> Answer:
    """A page of the site, or one that says why there is none."""
    try:
        here = site()
    except DoeksError as error:
        log.warning("[doeks] ledger_path: %s", error)
        lines = ("[doeks] ledger_path names no place that records can be read from; the web server's log says more.",)
        told = Page("No page can be shown", blocks=(Notice("bad", "The ledger cannot be opened", lines),))
        return Answer(render(told, {}), 503)
    return here.answer(page, query, readable)


@cache
def site() -> Site:
    """The pages over `[doeks] ledger_path` and this Airflow's metadata; SpecError for a path of no known scheme."""
    from airflow_doeks.hooks.settings import load_settings, open_ledger
    from airflow_doeks.ledger.changes import Changes
    from airflow_doeks.report.shelf import Shelf
    from airflow_doeks.ui import metadata

    settings = load_settings()
    ledger = open_ledger(settings)
    return Site(ledger, Shelf(Changes(ledger.store)), metadata, source_url=settings.source_url)
