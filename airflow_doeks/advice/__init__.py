"""What would have made a job cheaper: measures with evidence and dollars. Prices are asked for, never known here."""

from airflow_doeks.advice.measures import Advice, advise

__all__ = ["Advice", "advise"]
