"""Extra links of a job task; they work while the job runs, because the job's XCom is written right after submit."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from airflow_doeks.attempt.announcement import JOB_KEY
from airflow_doeks.compat import HAS_EXTERNAL_VIEWS, HAS_FLASK_VIEWS, BaseOperatorLink, web_root, xcom_page
from airflow_doeks.provider_info import PAGES


class _JobLink(BaseOperatorLink):
    """A URL that the platform gave for the job, by its name; empty while there is none."""

    name = ""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        from airflow_doeks.compat import XCom

        job = XCom.get_value(key=JOB_KEY, ti_key=ti_key) or {}
        return str(job.get("links", {}).get(self.name, ""))


class SparkUILink(_JobLink):
    """The Spark UI of the running job, or its history."""

    name = "Spark UI"


class DriverLogLink(_JobLink):
    """Where the driver's log is."""

    name = "Driver log"


class ConsoleLink(_JobLink):
    """The platform's own page of the job."""

    name = "Job console"


class FlinkUILink(_JobLink):
    """The Flink UI of the running job."""

    name = "Flink UI"


class SavepointsLink(_JobLink):
    """Where the job's savepoints are."""

    name = "Savepoints"


class CostLink(BaseOperatorLink):
    """The page of this task's cost and data; its record in Airflow's XCom page where this Airflow shows no pages."""

    name = "Cost and lineage"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """The path of the page on the web server's host."""
        place = {"dag_id": ti_key.dag_id, "run_id": ti_key.run_id, "task_id": ti_key.task_id}
        if HAS_EXTERNAL_VIEWS or HAS_FLASK_VIEWS:
            return f"{web_root()}{PAGES}/task?{urlencode({**place, 'map_index': ti_key.map_index})}"
        return xcom_page(**place, map_index=ti_key.map_index)


LINKS = (SparkUILink, DriverLogLink, ConsoleLink, CostLink)
FLINK_LINKS = (FlinkUILink, SavepointsLink, ConsoleLink, CostLink)
