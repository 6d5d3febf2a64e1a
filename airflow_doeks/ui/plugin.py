"""The plugin behind the `airflow.plugins` entry point."""

from __future__ import annotations

from airflow_doeks.compat import AirflowPlugin


class DoeksPlugin(AirflowPlugin):
    """Makes the extra links of our operators known to Airflow."""

    name = "doeks"
