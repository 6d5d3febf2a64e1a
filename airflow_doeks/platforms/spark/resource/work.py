"""What a Spark job asks of Kubernetes, whatever operator runs it: Spark properties and one pod template a role. Pure.

Sizes, presets, labels and the event log come from the floor that EMR on EKS stands on, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.platforms.kubernetes.pod_template import PodPatch, pod_template
from airflow_doeks.platforms.spark import conf as spark
from airflow_doeks.platforms.spark.checks import refuse_submitter_files
from airflow_doeks.platforms.spark.effects import ROLES, surroundings
from airflow_doeks.platforms.spark.pods import EXECUTOR_PREFIX, TELLS_ITS_NODE, pod_conf
from airflow_doeks.platforms.spark.presets import effect_of

if TYPE_CHECKING:
    from airflow_doeks.model.job import SparkJob
    from airflow_doeks.platforms.clients import Injection
    from airflow_doeks.platforms.spark.resource.config import SparkConfig

IMAGE_OWNER = "185:0"  # spark:root in Apache Spark's images, read November 2026
KEEP_SECONDS = 24 * 3600  # an ended resource; longer than a triggerer may be away
_VERSION = re.compile(r":v?(\d+\.\d+\.\d+)")  # in an image's tag
_S3_FILES = {"spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem"}  # Apache Spark knows s3a only
# The last 2 KiB of the driver's log land in its pod's status.
ENDS_WITH_ITS_LOG = PodPatch(container={"terminationMessagePolicy": "FallbackToLogsOnError"})
_ALWAYS = {"driver": ENDS_WITH_ITS_LOG, "executor": TELLS_ITS_NODE}


@dataclass(frozen=True)
class SparkWork:
    """Properties, pod templates by role, and what is run; URLs are those that pods read."""

    conf: dict[str, str]
    templates: dict[str, dict[str, Any]]
    version: str
    image: str
    main: str
    args: tuple[str, ...]
    deps: dict[str, list[str]]
    service_account: str


def spark_work(
    config: SparkConfig,
    job: SparkJob,
    injection: Injection,
    identity: JobIdentity | None,
    labels: Mapping[str, str],
) -> SparkWork:
    """What a job asks for; without an identity, what it asks for whoever asks.

    Raises SpecError where neither job nor platform names an image, or nobody knows its Spark version.
    """
    mine = {key: labels[key] for key in ("airflow-doeks/task-key", "airflow-doeks/try") if key in labels}
    values = job.plain()
    refuse_submitter_files(values)
    effect = effect_of(values, surroundings(config, IMAGE_OWNER, mine))
    image = job.image or config.image
    if not image:
        msg = "image: neither the job nor the platform names an image; set `image` of the platform in doeks.yaml."
        raise SpecError(msg)
    log = config.event_logs if identity is None else event_log_of(config, identity.name)
    conf = {
        **(_S3_FILES if _uses_s3(config, job) else {}),
        **effect.conf,
        **spark.work_conf(values, injection, event_log_dir=log),
        **spark.sizing_conf(values),
        **pod_conf(values, IMAGE_OWNER),
    }
    if identity is not None:
        conf |= {**spark.identity_conf(identity, injection), EXECUTOR_PREFIX: identity.name}
    templates = {role: _template(role, (_ALWAYS[role], *effect.pods.get(role, ()))) for role in ROLES}
    many = {"jars": job.jars, "pyFiles": job.py_files, "files": job.files, "archives": job.archives}
    deps = {field: [in_pod(url) for url in urls] for field, urls in many.items() if urls}
    return SparkWork(
        conf=dict(sorted(conf.items())),
        templates=templates,
        version=spark_version(config, image),
        image=image,
        main=in_pod(job.main or job.sql or ""),
        args=tuple(map(str, job.args)),
        service_account=job.service_account or config.service_account,
        deps=deps | ({"packages": list(job.packages)} if job.packages else {}),
    )


def _template(role: str, patches: Sequence[PodPatch]) -> dict[str, Any]:
    """A pod template as a resource holds it: without the kind, which the resource's definition does not know."""
    whole = pod_template(role, patches) or {}
    return {key: whole[key] for key in ("metadata", "spec") if key in whole}


def spark_version(config: SparkConfig, image: str) -> str:
    """Spark's version: as the platform says, else as the image's tag does. SpecError where neither tells."""
    found = _VERSION.search(image)
    if config.spark_version and (image == config.image or not found):
        return config.spark_version
    if not found:
        msg = f"image: the tag of {image!r} does not tell Spark's version; set `spark_version` of the platform."
        raise SpecError(msg)
    return found[1]


def in_pod(url: str) -> str:
    """A URL as pods read it: a folder is on the node under the same path, which Spark calls ``local://``."""
    return f"local://{unquote(urlsplit(url).path)}" if url.startswith("file:") else url


def event_log_of(config: SparkConfig, name: str) -> str | None:
    """The folder of one job's event log."""
    return f"{config.event_logs.rstrip('/')}/{name}" if config.event_logs else None


def _uses_s3(config: SparkConfig, job: SparkJob) -> bool:
    urls = [config.code, config.event_logs, job.main, *job.py_files, *job.files, *job.jars, *job.archives]
    return any(url.startswith("s3://") for url in urls if url)
