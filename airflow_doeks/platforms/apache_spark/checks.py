"""What the Apache Spark Kubernetes Operator would refuse or pass over in silence; light to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_doeks.model.quantities import is_template
from airflow_doeks.platforms.protocol import Finding, JobValues
from airflow_doeks.platforms.spark.gang import VOLCANO
from airflow_doeks.platforms.spark.resource import checks
from airflow_doeks.platforms.spark.resource.work import spark_version

if TYPE_CHECKING:
    from airflow_doeks.platforms.spark.resource.config import SparkConfig

VOLCANO_SINCE = (4, 2)  # SPARK-54553: the PodGroup as a property; older Sparks read a file of the operator's pod only


def check_job(config: SparkConfig, job: JobValues) -> list[Finding]:
    """As for every Spark operator, and a gang that this Spark would not make."""
    found = checks.check_job(config, job)
    image = job["image"] or config.image
    if VOLCANO in job["presets"] and image and not found and not is_template(image):
        found += volcano_findings(spark_version(config, image))
    return found


def volcano_findings(version: str) -> list[Finding]:
    """Spark before 4.2 passes over the property that holds the PodGroup."""
    if tuple(map(int, version.split(".")[:2])) >= VOLCANO_SINCE:
        return []
    return [Finding("presets", f"Spark {version} makes no PodGroup from a property", "use Spark 4.2, or yunikorn")]
