"""Usage x rate card -> cost, and its sharing over datasets. No Airflow, no AWS, no files but rate cards."""

from airflow_doeks.cost.facet import cost_run_facet
from airflow_doeks.cost.families import by_family
from airflow_doeks.cost.lines import itemize
from airflow_doeks.cost.price import total_lines
from airflow_doeks.cost.rates import RateCard, load_rate_card, stale
from airflow_doeks.cost.sharing import share

__all__ = ["RateCard", "by_family", "cost_run_facet", "itemize", "load_rate_card", "share", "stale", "total_lines"]
