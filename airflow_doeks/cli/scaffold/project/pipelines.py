"""Airflow finds here every valid pipeline of pipelines/, each as a DAG of its own."""

from airflow_doeks import load_dags

load_dags("pipelines", globals())
