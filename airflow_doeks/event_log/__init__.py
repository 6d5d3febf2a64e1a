"""A Spark event log -> usage, waste, slot time, and its plans for whoever reads them. No Airflow, no AWS, no prices."""

from airflow_doeks.event_log.reader import EventLogReading, read

__all__ = ["EventLogReading", "read"]
