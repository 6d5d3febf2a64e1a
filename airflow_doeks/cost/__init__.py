"""Usage x rate card -> cost, sharing, advice, totals. No Airflow, no AWS, no files but rate cards."""

from airflow_doeks.cost.account import Account, account
from airflow_doeks.cost.facet import cost_run_facet
from airflow_doeks.cost.price import price
from airflow_doeks.cost.rates import RateCard, load_rate_card
from airflow_doeks.cost.sharing import share

__all__ = ["Account", "RateCard", "account", "cost_run_facet", "load_rate_card", "price", "share"]
