"""The ledger: every job's record in a store that it is given, append-only by day. No prices and no Airflow here."""

from __future__ import annotations

from airflow_doeks.ledger.ledger import Ledger

__all__ = ["Ledger"]
