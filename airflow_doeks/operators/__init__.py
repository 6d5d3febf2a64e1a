"""Airflow operators that submit jobs and leave records."""
