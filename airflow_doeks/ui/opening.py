"""The site of this process, opened at the first request for a page."""

from __future__ import annotations

from functools import cache

from airflow_doeks.ui.site import Site


@cache
def site() -> Site:
    """The pages over `[doeks] ledger_path` and this Airflow's metadata; SpecError for a path of no known scheme."""
    from airflow_doeks.hooks.settings import load_settings, open_ledger
    from airflow_doeks.ledger.changes import Changes
    from airflow_doeks.report.shelf import Shelf
    from airflow_doeks.ui import metadata

    ledger = open_ledger(load_settings())
    return Site(ledger, Shelf(Changes(ledger.store)), metadata)
