"""Arguments of EmrContainerOperator as our `spark:` job, and what they say of the platform that it runs on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from airflow_doeks.dialects.dag_factory.notes import Handler, Note, Taken, left_over, lost, needless, nowhere
from airflow_doeks.dialects.dag_factory.options import Options, read_options
from airflow_doeks.dialects.dag_factory.sizes import in_order, sized
from airflow_doeks.dialects.dag_factory.values import python_object, without_objects
from airflow_doeks.language.layers import merge
from airflow_doeks.model.engine import SPARK


def _platform(ours: str) -> Handler:
    """The handler of a fact that belongs to the platform in doeks.yaml."""
    return lambda _key, value: Taken({"platform": {ours: value}})


def _always(on: str, off: str) -> Handler:
    """The handler of a switch that is always on here."""

    def handle(key: str, given: Any) -> Taken:
        return Taken(notes=(needless(key, given, on) if given is True else lost(key, given, off),))

    return handle


def _tags(_key: str, tags: Any) -> Taken:
    return Taken({"cost_tags": {name: str(value) for name, value in dict(tags).items()}})


def _release(_key: str, label: Any) -> Taken:
    return Taken({SPARK.name: {"release": label}, "platform": {"release": label}})


def _overrides(_key: str, overrides: Any) -> Taken:
    """`configuration_overrides`: Spark properties and classifications of the job, and where the platform logs."""
    left = copy.deepcopy(overrides)
    if not isinstance(left, dict):
        return Taken(left=overrides)
    conf: dict[str, Any] = {}
    ours, others = [], []
    for application in left.pop("applicationConfiguration", None) or []:
        if not isinstance(application, dict) or not set(application) <= _CONFIGURATION:
            others.append(application)
        elif application.get("classification") != "spark-defaults":
            ours.append(application)
        else:
            conf |= application.pop("properties", None) or {}
            others += [application] if application.get("configurations") else []
    platform = _monitoring(left.get("monitoringConfiguration"))
    left = {key: value for key, value in left.items() if value not in ({}, None)}
    if others:
        left["applicationConfiguration"] = others
    return Taken({SPARK.name: {"conf": conf, "configuration": ours}, "platform": platform}, left)


_CONFIGURATION = {"classification", "properties", "configurations"}
_MONITORING: Mapping[tuple[str, ...], str] = {  # place below `monitoringConfiguration` -> key of a platform
    ("persistentAppUI",): "persistent_ui",
    ("s3MonitoringConfiguration", "logUri"): "logs",
    ("cloudWatchMonitoringConfiguration", "logGroupName"): "log_group",
    ("cloudWatchMonitoringConfiguration", "logStreamNamePrefix"): "log_stream_prefix",
    ("containerLogRotationConfiguration", "rotationSize"): "log_rotation.size",
    ("containerLogRotationConfiguration", "maxFilesToKeep"): "log_rotation.files",
}


_SWITCHED = {"ENABLED": True, "DISABLED": False}


def _monitoring(monitoring: Any) -> dict[str, Any]:
    """Keys of the platform; what they hold is taken out of ``monitoring``, with the mappings that are empty then."""
    platform: dict[str, Any] = {}
    for (first, *below), ours in _MONITORING.items():
        part = monitoring.get(first) if below and isinstance(monitoring, dict) else monitoring
        name = below[0] if below else first
        if isinstance(part, dict) and name in part and (ours != "persistent_ui" or part[name] in _SWITCHED):
            value = part.pop(name)
            value = _SWITCHED[value] if ours == "persistent_ui" else value
            for key in reversed(ours.split(".")):
                value = {key: value}
            platform = merge(platform, value)
        if below and part == {}:
            del monitoring[first]
    return platform


def _driver(_key: str, driver: Any) -> Taken:
    """`job_driver`: what runs and its options; keys in any of the spellings that people use."""
    left = copy.deepcopy(driver)
    if not isinstance(left, dict):
        return Taken(left=driver)
    job: dict[str, Any] = {}
    options = Options()
    for name, part in list(left.items()):
        kind = _KINDS.get(_bare(name))
        if kind is None or not isinstance(part, dict):
            continue
        for spelling in list(part):
            if _bare(spelling) == "entrypoint":
                job[kind] = part.pop(spelling)
            elif _bare(spelling) == "entrypointarguments":
                job["args"] = part.pop(spelling)
            elif _bare(spelling) in ("sparksubmitparameters", "sparksqlparameters"):
                options = read_options(str(part.pop(spelling) or ""), spelling)
        if not part:
            del left[name]
    job |= options.job
    ours = {SPARK.name: {name: value for name, value in job.items() if value not in (None, [])}}
    return Taken({**ours, "options": options.conf}, left, tuple(options.notes))


_KINDS = {"sparksubmitjobdriver": "main", "sparksqljobdriver": "sql"}


def _bare(name: str) -> str:
    return name.lower().replace("_", "")


ARGUMENTS: Mapping[str, Handler] = {  # argument of the operator -> its handler; amazon provider 9.39
    "job_driver": _driver,
    "configuration_overrides": _overrides,
    "release_label": _release,
    "tags": _tags,
    "virtual_cluster_id": _platform("virtual_cluster"),
    "execution_role_arn": _platform("execution_role"),
    "aws_conn_id": _platform("connection"),
    "region_name": _platform("region"),
    "name": lambda key, value: Taken(notes=(needless(key, value, "a job is named after its task"),)),
    "wait_for_completion": _always("a task always ends with its job", "a task here ends with its job"),
    "deferrable": _always("a task always waits without a worker", "a task here waits without a worker"),
    "cancel_on_kill": _always("a job always ends with its task", "a job here ends with its task"),
    "poll_interval": nowhere("`list_seconds` of the platform says how often jobs are looked at"),
    "max_polling_attempts": nowhere("write `run_timeout`"),
    "max_tries": nowhere("write `run_timeout`"),
    "job_retry_max_attempts": nowhere("EMR's own tries are `max_attempts` of the platform, beside Airflow's `retries`"),
    "client_request_token": nowhere("a job has a token of its own, so that it is submitted once"),
    "openlineage_inject_parent_job_info": nowhere("lineage is in the record; see [doeks] of airflow.cfg"),
    "openlineage_inject_transport_info": nowhere("lineage is in the record; see [doeks] of airflow.cfg"),
}


def job_of(arguments: Mapping[str, Any]) -> Taken | None:
    """The job of an EmrContainerOperator, and its `platform`; None if its `job_driver` names nothing to run."""
    ours: dict[str, Any] = {}
    notes: list[Note] = []
    for key, value in arguments.items():
        plain = without_objects(value)
        if plain is None:
            notes += [] if value is None else [python_object(key, value)]
            continue
        taken = ARGUMENTS[key](key, plain) if key in ARGUMENTS else Taken(left=value)
        notes += left_over(key, taken)
        ours = merge(ours, taken.ours)
    spark = {key: value for key, value in (ours.get(SPARK.name) or {}).items() if value}
    if not spark.keys() & {"main", "sql"}:
        return None
    conf = spark.pop("conf", {})
    for name, value in ours.pop("options", {}).items():  # EMR: options go before the configuration
        if name in conf and conf[name] != value:
            notes.append(lost(name, conf[name], "sparkSubmitParameters go before it"))
        conf[name] = value
    sizes, told = sized(conf)
    return Taken(
        {**ours, SPARK.name: in_order({**spark, **sizes})},
        notes=(*notes, *told),
    )
