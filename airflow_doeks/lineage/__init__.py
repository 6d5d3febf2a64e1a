"""What a job read and wrote, from its plans and its declaration. No Airflow, no AWS, no prices here."""

from airflow_doeks.lineage.declared import merge_declared
from airflow_doeks.lineage.names import dataset_name
from airflow_doeks.lineage.plan_datasets import PlanDatasets

__all__ = ["PlanDatasets", "dataset_name", "merge_declared"]
