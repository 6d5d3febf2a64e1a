"""Spark operators of other packages as our `spark:` job: arguments in, job and notes out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

_Job = tuple[dict[str, Any], list[str]]
_MEMORY = re.compile(r"(\d+)\s*([kmgt])b?", re.IGNORECASE)
_SUBMIT = {  # argument of SparkSubmitOperator -> our key, None where a list is written with commas
    "application": "main",
    "application_args": "args",
    "java_class": "class",
    "conf": "conf",
    "env_vars": "env",
}
_LISTS = ("py_files", "files", "jars", "packages", "archives")
_SIZES = {  # Spark property or argument -> where our pods say it
    "spark.driver.cores": ("driver", "cpu"),
    "spark.driver.memory": ("driver", "memory"),
    "spark.executor.cores": ("executors", "cpu"),
    "spark.executor.memory": ("executors", "memory"),
    "spark.executor.instances": ("executors", "min"),
    "spark.dynamicAllocation.minExecutors": ("executors", "min"),
    "spark.dynamicAllocation.maxExecutors": ("executors", "max"),
}
_ARGUMENT_SIZES = {
    "driver_memory": "spark.driver.memory",
    "executor_cores": "spark.executor.cores",
    "executor_memory": "spark.executor.memory",
    "num_executors": "spark.executor.instances",
}
_PLATFORM = "where it runs stands in doeks.yaml: check the platform"
_HEAP = "memory is the pod's whole memory here, overhead inside; the source gave the heap"


def _spark_submit(arguments: Mapping[str, Any]) -> _Job:
    job = {ours: arguments[theirs] for theirs, ours in _SUBMIT.items() if arguments.get(theirs)}
    for key in _LISTS:
        if arguments.get(key):
            job[key] = [part.strip() for part in str(arguments[key]).split(",")]
    conf = {str(key): value for key, value in (job.pop("conf", None) or {}).items()}
    conf |= {ours: arguments[key] for key, ours in _ARGUMENT_SIZES.items() if arguments.get(key)}
    known = {*_SUBMIT, *_LISTS, *_ARGUMENT_SIZES, "conn_id", "name", "verbose"}
    return _sized(job, conf, [f"`{key}` did not carry over" for key in arguments if key not in known])


def _emr_container(arguments: Mapping[str, Any]) -> _Job:
    driver = arguments.get("job_driver")
    driver = driver if isinstance(driver, Mapping) else {}
    notes = [] if driver else ["`job_driver` did not carry over: it is no mapping"]
    spark = driver.get("sparkSubmitJobDriver") or driver.get("spark_submit_job_driver") or {}
    query = driver.get("sparkSqlJobDriver") or driver.get("spark_sql_job_driver") or {}
    spark, query = ({key.lower().replace("_", ""): value for key, value in part.items()} for part in (spark, query))
    job: dict[str, Any] = {}
    if spark:
        job = {"main": spark.get("entrypoint"), "args": list(spark.get("entrypointarguments") or [])}
    elif query:
        job = {"sql": query.get("entrypoint")}
    options, conf = _submit_options(
        str((spark or query).get("sparksubmitparameters") or query.get("sparksqlparameters") or "")
    )
    job |= options
    if arguments.get("release_label"):
        job["release"] = arguments["release_label"]
    overrides = arguments.get("configuration_overrides")
    for application in (overrides if isinstance(overrides, Mapping) else {}).get("applicationConfiguration") or []:
        if application.get("classification") == "spark-defaults":
            conf |= application.get("properties") or {}
        else:
            notes.append(f"configuration {application.get('classification')!r} did not carry over")
    return _sized({key: value for key, value in job.items() if value}, conf, notes)


def _submit_options(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Job keys and Spark properties of the options that spark-submit takes on its command line."""
    job: dict[str, Any] = {}
    conf: dict[str, Any] = {}
    words = iter(shlex.split(text))
    for word in words:
        option, value = word.removeprefix("--").replace("-", "_"), next(words, "")
        if option == "conf":
            key, _, setting = value.partition("=")
            conf[key] = setting
        elif option == "class":
            job["class"] = value
        elif option in _LISTS:
            job[option] = value.split(",")
        elif option in _ARGUMENT_SIZES:
            conf[_ARGUMENT_SIZES[option]] = value
    return job, conf


def _sized(job: dict[str, Any], conf: Mapping[str, Any], notes: list[str]) -> _Job:
    """Sizes of pods out of the Spark properties."""
    rest = {}
    for key, value in conf.items():
        if key not in _SIZES:
            rest[key] = value
            continue
        pod, ours = _SIZES[key]
        memory = _MEMORY.fullmatch(str(value))
        plain: Any = int(value) if str(value).isdigit() else value
        job.setdefault(pod, {})[ours] = f"{memory[1]}{memory[2].upper().replace('K', 'k')}i" if memory else plain
        notes = [*notes, *([_HEAP] if memory and _HEAP not in notes else [])]
    if rest:
        job["conf"] = rest
    return job, [_PLATFORM, *notes]


SPARK_JOBS: dict[str, Callable[[Mapping[str, Any]], _Job]] = {  # class of an operator -> its job in our words
    "SparkSubmitOperator": _spark_submit,
    "EmrContainerOperator": _emr_container,
}
