"""What a job read and wrote, from its event log and its declaration. No Airflow, no AWS, no prices here."""

from airflow_doeks.lineage.declared import merge_declared
from airflow_doeks.lineage.names import dataset_name
from airflow_doeks.lineage.reader import read_event_log

__all__ = ["dataset_name", "merge_declared", "read_event_log"]
