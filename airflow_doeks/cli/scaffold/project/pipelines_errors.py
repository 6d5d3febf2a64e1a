"""Airflow shows here, as one import error, every broken file of pipelines/; this file never holds a DAG."""

from airflow_doeks import report_dag_errors

report_dag_errors("pipelines")
