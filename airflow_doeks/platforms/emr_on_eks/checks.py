"""What EMR on EKS would refuse of a job, told before it is sent; light to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_doeks.model.quantities import is_template
from airflow_doeks.platforms.emr_on_eks.configuration import configuration_findings, misspelt, plain
from airflow_doeks.platforms.emr_on_eks.request import (
    ARGUMENT_LENGTH_MAX,
    ENTRY_POINT_LENGTH_MAX,
    IMAGE_OWNER,
    PARAMETERS_LENGTH_MAX,
    TAG_VALUE_LENGTH_MAX,
    TAGS_MAX,
    tag_key_fault,
)
from airflow_doeks.platforms.kubernetes.pod_words import word_findings
from airflow_doeks.platforms.protocol import Finding, JobValues
from airflow_doeks.platforms.spark.checks import code_findings, pod_name_findings, submitter_file_findings
from airflow_doeks.platforms.spark.conf import conf_findings, has_templated_pods
from airflow_doeks.platforms.spark.effects import ROLES, surroundings
from airflow_doeks.platforms.spark.gang import VOLCANO
from airflow_doeks.platforms.spark.presets import effect_of, fargate_findings, preset_findings

if TYPE_CHECKING:
    from airflow_doeks.platforms.emr_on_eks.config import Config

_STAGED = 64 + 2  # "/<sha256>/"
_OWN_TAGS = 9  # JobIdentity.tags without cost tags


def check_job(config: Config, job: JobValues) -> list[Finding]:
    """Everything EMR would refuse or that would break two runs at once; templates are left for later."""
    found = [*conf_findings(job), *_code_findings(config, job), *_conf_findings(job)]
    found += [*word_findings(job), *_account_findings(job)]
    found += configuration_findings(config.configuration, job["configuration"])
    if config.job_template and (config.configuration or job["configuration"]):
        found.append(Finding("configuration", "a job template brings its own", "write it in the template"))
    for article, name, value in (
        ("a", "release", job["release"] or config.release),
        ("an", "execution_role", config.execution_role),
    ):
        if not value and not config.job_template:
            found.append(Finding(name, f"EMR needs {article} {name}", f"set `{name}` of the platform in doeks.yaml"))
    if config.kubernetes and not config.namespace:
        text = "`kubernetes` asks for the pods of one namespace"
        found.append(Finding("namespace", text, "set `namespace` of the platform in doeks.yaml"))
    if has_templated_pods(job):
        return found
    around = surroundings(config, IMAGE_OWNER, {})
    found += preset_findings(job, around)
    if fargate_findings(job, around):
        return found
    pods = effect_of(job, around).pods
    for role in (role for role in ROLES if role in pods):
        if not config.code:
            help_text = "set `code` of the platform in doeks.yaml"
            found.append(Finding("presets", f"they need a pod template of the {role}, read from S3", help_text))
        if f"spark.kubernetes.{role}.podTemplateFile" in job["conf"]:
            path = f"conf.spark.kubernetes.{role}.podTemplateFile"
            found.append(Finding(path, f"the presets bring a pod template of the {role} too", "keep one of them"))
    return found


def _account_findings(job: JobValues) -> list[Finding]:
    text, advice = "EMR makes the service account of the execution role", "set `execution_role` of the platform"
    return [Finding("service_account", text, advice)] if job["service_account"] else []


def check_cost_tags(cost_tags: Mapping[str, str]) -> list[Finding]:
    """Cost tags that EMR has no room for; paths are below ``cost_tags``."""
    found = []
    room = TAGS_MAX - _OWN_TAGS
    if len(cost_tags) > room:
        found.append(
            Finding("", f"{len(cost_tags)} cost tags; EMR takes {TAGS_MAX} in all, {room} are left", "drop some")
        )
    for key, value in cost_tags.items():
        if fault := tag_key_fault(key):
            found.append(Finding(key, fault, "rename it"))
        if len(value) > TAG_VALUE_LENGTH_MAX and not is_template(value):
            found.append(
                Finding(key, f"{len(value)} characters; an AWS tag takes {TAG_VALUE_LENGTH_MAX}", "shorten it")
            )
    return found


def job_warnings(config: Config, job: JobValues) -> list[Finding]:
    """What EMR would take and most likely ignore."""
    items = enumerate([*(config.configuration), *(job["configuration"])])
    names = {str(plain(item).get("classification")): index for index, item in items}
    start = len(config.configuration)
    return [
        Finding(
            f"configuration[{names[name] - start}].classification" if names[name] >= start else "",
            f'EMR documents no classification "{name}"',
            f'did you mean "{near}"?',
        )
        for name, near in misspelt(names)
    ]


def _code_findings(config: Config, job: JobValues) -> list[Finding]:
    found = code_findings(job, config.code, "EMR cannot read a local file")
    main = job["main"]
    if isinstance(main, str) and not is_template(main):
        name = main.rsplit("/", 1)[-1]
        length = len(main) if "://" in main else len((config.code or "").rstrip("/")) + _STAGED + len(name)
        if length > ENTRY_POINT_LENGTH_MAX:
            text = f"{length} characters once staged; EMR takes {ENTRY_POINT_LENGTH_MAX}"
            found.append(Finding("main", text, "shorten the name or `code` of the platform"))
    for number, argument in enumerate(job["args"]):
        text = str(argument)
        if not text.strip():
            found.append(Finding(f"args[{number}]", "EMR refuses a blank argument", "leave it out or name it: --x="))
        elif len(text) > ARGUMENT_LENGTH_MAX:
            found.append(
                Finding(f"args[{number}]", f"{len(text)} characters; EMR takes {ARGUMENT_LENGTH_MAX}", "use a file")
            )
    return found


def _conf_findings(job: JobValues) -> list[Finding]:
    found = [*pod_name_findings(job), *submitter_file_findings(job)]
    if VOLCANO in job["presets"]:  # its PodGroup is a property that EMR's Spark (3.5) does not know
        found.append(Finding("presets", "EMR's Spark makes no PodGroup for Volcano", "use yunikorn"))
    length = sum(len(str(key)) + len(str(value)) for key, value in job["conf"].items())
    if length > PARAMETERS_LENGTH_MAX:
        found.append(
            Finding("conf", f"{length} characters of properties; EMR takes {PARAMETERS_LENGTH_MAX}", "use files")
        )
    return found
