"""What a Spark operator would refuse of a job, told before it is sent; light to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.quantities import is_template
from airflow_doeks.platforms.kubernetes.pod_words import word_findings
from airflow_doeks.platforms.protocol import Finding, JobValues
from airflow_doeks.platforms.spark.checks import code_findings, pod_name_findings, submitter_file_findings
from airflow_doeks.platforms.spark.conf import conf_findings, has_templated_pods
from airflow_doeks.platforms.spark.effects import ROLES, surroundings
from airflow_doeks.platforms.spark.pods import TEMPLATE_FILE
from airflow_doeks.platforms.spark.presets import preset_findings
from airflow_doeks.platforms.spark.resource.work import IMAGE_OWNER, spark_version

if TYPE_CHECKING:
    from airflow_doeks.platforms.spark.resource.config import SparkConfig

_LOCAL = "pods cannot read a file of this machine"


def check_job(config: SparkConfig, job: JobValues) -> list[Finding]:
    """Everything that would be refused or that would break two runs at once; templates are left for later."""
    found = [*conf_findings(job), *code_findings(job, config.code, _LOCAL), *pod_name_findings(job)]
    found += [*submitter_file_findings(job), *word_findings(job)]
    found += _image_findings(config, job)
    for role in ROLES:
        key = TEMPLATE_FILE.format(role)
        if key in job["conf"]:
            found.append(Finding(f"conf.{key}", f"the resource brings a pod template of the {role}", "use presets"))
    if job["configuration"]:
        found.append(Finding("configuration", "classifications are EMR's", "write `conf`, or `files`"))
    if job["release"]:
        found.append(Finding("release", "releases are EMR's; here the image says what runs", "write `image`"))
    if has_templated_pods(job):
        return found
    return found + preset_findings(job, surroundings(config, IMAGE_OWNER, {}))


def _image_findings(config: SparkConfig, job: JobValues) -> list[Finding]:
    image = job["image"] or config.image
    if not image:
        return [
            Finding("image", "neither job nor platform names an image", "set `image` of the platform in doeks.yaml")
        ]
    if is_template(image):
        return []
    try:
        spark_version(config, image)
    except SpecError as error:
        path, message = str(error).split(": ", 1)
        return [Finding(path, message)]
    return []
