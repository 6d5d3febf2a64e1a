"""From a Spark job to the StartJobRun that runs it on EMR on EKS: pure, within the API's limits, nothing dropped.

Limits: botocore's service model of emr-containers 2020-10-01, read November 2026.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import shlex
from collections.abc import Mapping
from string import Template
from typing import TYPE_CHECKING, Any

import yaml

from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.identity import PREFIX, JobIdentity
from airflow_doeks.model.status import Request
from airflow_doeks.platforms.emr_on_eks.configuration import merged
from airflow_doeks.platforms.kubernetes.labels import label_forms
from airflow_doeks.platforms.kubernetes.pod_template import PodPatch, pod_template
from airflow_doeks.platforms.spark import conf as spark
from airflow_doeks.platforms.spark.checks import refuse_submitter_files
from airflow_doeks.platforms.spark.effects import ROLES, Effect, surroundings
from airflow_doeks.platforms.spark.pods import EXECUTOR_PREFIX, TELLS_ITS_NODE, TEMPLATE_FILE, key_conf, pod_conf
from airflow_doeks.platforms.spark.presets import effect_of

if TYPE_CHECKING:
    from airflow_doeks.model.job import SparkJob
    from airflow_doeks.platforms.clients import Injection
    from airflow_doeks.platforms.emr_on_eks.config import Config

PROPERTIES_MAX = 100
PROPERTY_LENGTH_MAX = 1024
PARAMETERS_LENGTH_MAX = 102_400
ENTRY_POINT_LENGTH_MAX = 256
ARGUMENT_LENGTH_MAX = 10_280
TAGS_MAX = 50
TAG_KEY_LENGTH_MAX, TAG_VALUE_LENGTH_MAX = 128, 256
_COST_TAG = f"{PREFIX}tag-"
IMAGE_OWNER = "999:1000"  # hadoop:hadoop in EMR's images, read November 2026
_TAG_CHARACTERS = re.compile(r"[^\w +\-=.:/@]")  # what AWS refuses in a tag
_FLAGS = (("jars", "--jars"), ("py_files", "--py-files"), ("files", "--files"), ("archives", "--archives"))
_EXECUTOR_PREFIX_MAX = 47  # Spark 3.2 and older refuse more (Config.scala); 237 since


def render(config: Config, platform: str, job: SparkJob, identity: JobIdentity, injection: Injection) -> Request:
    """The StartJobRun of an attempt, and the objects that must exist in S3 before it.

    The body is ``{"start_job_run": parameters, "uploads": {url: text}}``. Raises SpecError for a job beyond the limits.
    """
    work = _Work(config, job, injection, labels={}, event_log=config.event_logs)
    said = [work.parameters(), dict(work.conf), work.effect.submitter_nodes, work.uploads]
    spec_hash = spark.spec_hash([*said, *([work.configuration()] if work.configuration() else [])])
    tags = identity.tags(spec_hash)
    of_pods = label_forms(tags)
    mine = {key: of_pods[key] for key in ("airflow-doeks/task-key", "airflow-doeks/try")}
    event_log = f"{config.event_logs.rstrip('/')}/{identity.name}" if config.event_logs else None
    work = _Work(config, job, injection, labels=mine, event_log=event_log)
    conf = {
        **work.conf,
        **spark.identity_conf(identity, injection),
        **key_conf(tags),
        # Events of executors that are gone are found by it.
        EXECUTOR_PREFIX: identity.name[-_EXECUTOR_PREFIX_MAX:].lstrip("-"),
        "spark.app.name": f"{identity.dag_id}.{identity.task_id}",
    }
    # Spark wants the folder of its event log to exist; S3 has none but an object whose name ends in a slash.
    uploads = work.uploads | ({f"{event_log}/": ""} if event_log and injection.event_log else {})
    if len(tags) > TAGS_MAX:
        msg = f"cost_tags: {len(tags)} tags with our own; EMR takes {TAGS_MAX}. Drop {len(tags) - TAGS_MAX} cost tags."
        raise SpecError(msg)
    if fault := next(filter(None, map(tag_key_fault, identity.cost_tags)), ""):
        msg = f"cost_tags: {fault}."
        raise SpecError(msg)
    parameters: dict[str, Any] = {
        "name": identity.task_name,
        "virtualClusterId": config.virtual_cluster,
        "clientToken": identity.token,
        "tags": {key: _tag_value(value) for key, value in tags.items()},
        **({"jobTemplateId": config.job_template} if config.job_template else {}),
        **(_template_parameters(config, job) if config.job_template else work.request(conf)),
        "retryPolicyConfiguration": {"maxAttempts": config.max_attempts},
    }
    if config.max_attempts == 1:  # EMR's own default; the field also changes how EMR submits (6.9+)
        del parameters["retryPolicyConfiguration"]
    body = {"start_job_run": parameters, "uploads": {} if config.job_template else uploads}
    return Request(platform, "emr_on_eks", identity.task_name, identity.token, spec_hash, body)


class _Work:
    """What a job asks of EMR, without who asks."""

    def __init__(
        self,
        config: Config,
        job: SparkJob,
        injection: Injection,
        *,
        labels: Mapping[str, str],
        event_log: str | None,
    ) -> None:
        self.config, self.job = config, job
        values = job.plain()
        refuse_submitter_files(values)
        self.effect = effect_of(values, surroundings(config, IMAGE_OWNER, labels))
        self.uploads: dict[str, str] = {}
        self.conf = {
            **self.effect.conf,
            **spark.work_conf(values, injection, event_log_dir=event_log),
            **spark.sizing_conf(values),
            **pod_conf(values, IMAGE_OWNER),
            **_templates(config, self.effect, self.uploads, tells=_tells(config, job, injection)),
        }
        image = job.image or config.image
        if image:
            self.conf["spark.kubernetes.container.image"] = image

    def parameters(self) -> dict[str, Any]:
        """What to run, and as whom; no Spark properties."""
        release, role = self.job.release or self.config.release, self.config.execution_role
        driver = {"entryPoint": self.job.main or self.job.sql or ""}
        arguments = [str(argument) for argument in self.job.args]
        return {
            **({"releaseLabel": release} if release else {}),
            **({"executionRoleArn": role} if role else {}),
            "jobDriver": {"sparkSubmitJobDriver": driver | ({"entryPointArguments": arguments} if arguments else {})},
        }

    def configuration(self) -> list[dict[str, Any]]:
        """What runs beside Spark, the job's own over the platform's."""
        return merged(self.config.configuration, self.job.configuration)

    def request(self, conf: Mapping[str, str]) -> dict[str, Any]:
        """Driver and configuration; properties beyond the limits go to sparkSubmitParameters."""
        properties, moved = within_limits(conf)
        words: list[str] = ["--class", self.job.class_] if self.job.class_ else []
        for field, flag in _FLAGS:
            if getattr(self.job, field):
                words += [flag, ",".join(getattr(self.job, field))]
        if self.job.packages:
            words += ["--packages", ",".join(self.job.packages)]
        for key, value in moved.items():
            words += ["--conf", f"{key}={value}"]
        request = self.parameters()
        if words:
            line = shlex.join(words)
            if len(line) > PARAMETERS_LENGTH_MAX:
                msg = f"conf: {len(line)} characters of spark-submit parameters; EMR takes {PARAMETERS_LENGTH_MAX}."
                raise SpecError(msg)
            request["jobDriver"]["sparkSubmitJobDriver"]["sparkSubmitParameters"] = line
        applications = [{"classification": "spark-defaults", "properties": properties}]
        nodes = {f"jobsubmitter.node.selector.{key}": value for key, value in self.effect.submitter_nodes.items()}
        submitter = [{"classification": "emr-job-submitter", "properties": nodes}] if nodes else []
        applications += merged(submitter, self.configuration())
        monitoring = _monitoring(self.config)
        overrides = {"applicationConfiguration": applications} | (
            {"monitoringConfiguration": monitoring} if monitoring else {}
        )
        return request | {"configurationOverrides": overrides}


def within_limits(conf: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Properties that the API takes as such, and those too many, too long or blank for it."""
    fits = {key: value for key, value in sorted(conf.items()) if _is_property(key, value)}
    # Labels and annotations move last: they are the ones whose values need no quotes.
    order = sorted(fits, key=lambda key: not key.startswith(("spark.kubernetes.driver.", "spark.kubernetes.executor.")))
    kept = set(order[:PROPERTIES_MAX])
    return (
        {key: value for key, value in fits.items() if key in kept},
        {key: value for key, value in sorted(conf.items()) if key not in kept},
    )


def all_conf(job_run: Mapping[str, Any]) -> dict[str, str]:
    """The Spark properties of a JobRun as DescribeJobRun shows it, wherever they were put."""
    conf: dict[str, str] = {}
    overrides = job_run.get("configurationOverrides") or {}
    for application in overrides.get("applicationConfiguration") or ():
        if application.get("classification") == "spark-defaults":
            conf |= application.get("properties") or {}
    driver = (job_run.get("jobDriver") or {}).get("sparkSubmitJobDriver") or {}
    words = shlex.split(driver.get("sparkSubmitParameters") or "")
    pairs = [word.partition("=") for flag, word in itertools.pairwise(words) if flag == "--conf"]
    return conf | {key: value for key, _, value in pairs}


def _is_property(key: str, value: str) -> bool:
    return len(key) <= PROPERTY_LENGTH_MAX and len(value) <= PROPERTY_LENGTH_MAX and bool(value.strip())


def _tells(config: Config, job: SparkJob, injection: Injection) -> tuple[PodPatch, ...]:
    """What executors tell of their node, where a template can say so and an event log holds it."""
    can_tell = config.code and config.event_logs and injection.event_log
    return (TELLS_ITS_NODE,) if can_tell and TEMPLATE_FILE.format("executor") not in job.conf else ()


def _templates(
    config: Config, effect: Effect, uploads: dict[str, str], *, tells: tuple[PodPatch, ...]
) -> dict[str, str]:
    """Properties that name the pod templates, which are put beside the code under the hash of their content."""
    conf: dict[str, str] = {}
    for role in ROLES:
        template = pod_template(role, (*(tells if role == "executor" else ()), *effect.pods.get(role, ())))
        if template is None:
            continue
        if not config.code:
            msg = "presets: these need a pod template, which EMR reads from S3; set `code` of the platform."
            raise SpecError(msg)
        text = yaml.safe_dump(template, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()
        url = f"{config.code.rstrip('/')}/{name}/{role}.yaml"
        uploads[url] = text
        conf[TEMPLATE_FILE.format(role)] = url
    return conf


def tag_key_fault(key: str) -> str:
    """Why no AWS tag can have the key of a cost tag; empty if one can. Of a value such characters are replaced."""
    longest = TAG_KEY_LENGTH_MAX - len(_COST_TAG)
    if key.strip() and len(key) <= longest and not _TAG_CHARACTERS.search(key):
        return ""
    return f"{key[:40]!r} is no key for an AWS tag, which takes 1 to {longest} letters, digits, spaces and _.:/=+-@"


def _tag_value(value: str) -> str:
    if len(value) > TAG_VALUE_LENGTH_MAX:
        msg = f"cost_tags: {value[:40]!r}... has {len(value)} characters; an AWS tag takes {TAG_VALUE_LENGTH_MAX}."
        raise SpecError(msg)
    return _TAG_CHARACTERS.sub("_", value) if value.strip() else ""


def _template_parameters(config: Config, job: SparkJob) -> dict[str, Any]:
    """A job template's parameters; ``$main``, ``$args`` and ``$release`` stand for the job's."""
    known = {"main": job.main or "", "args": shlex.join(map(str, job.args)), "release": job.release or ""}
    values = {key: Template(value).safe_substitute(known) for key, value in config.template_parameters.items()}
    return {"jobTemplateParameters": values} if values else {}


def _monitoring(config: Config) -> dict[str, Any]:
    monitoring: dict[str, Any] = {}
    if config.logs:
        monitoring["s3MonitoringConfiguration"] = {"logUri": config.logs}
    if config.log_group:
        prefix = {"logStreamNamePrefix": config.log_stream_prefix} if config.log_stream_prefix else {}
        monitoring["cloudWatchMonitoringConfiguration"] = {"logGroupName": config.log_group, **prefix}
    if config.persistent_ui is not None:
        monitoring["persistentAppUI"] = "ENABLED" if config.persistent_ui else "DISABLED"
    if config.log_rotation:
        monitoring["containerLogRotationConfiguration"] = {
            "rotationSize": config.log_rotation.size,
            "maxFilesToKeep": config.log_rotation.files,
        }
    return monitoring
