"""A Flink job on this machine: what is asked, the command that runs it, and what it occupied.

Its cluster is two processes: a job manager, and ONE task manager that offers the slots of all and is their sum. Both
are cut to the machine in the same proportion. Flink is the jars of the PyPI package apache-flink-libraries; PyFlink
itself, whose pins exclude Airflow's, is only needed for ``main``.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_doeks.model.code_path import is_url
from airflow_doeks.model.engine import FLINK
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.flink import FlinkJob
from airflow_doeks.model.identity import LASTING
from airflow_doeks.model.quantities import GIB, MIB, parse_cpu, parse_memory
from airflow_doeks.model.status import JobStatus
from airflow_doeks.model.telemetry import Pod
from airflow_doeks.platforms.flink import root_cause as flink
from airflow_doeks.platforms.flink.conf import CHECKPOINT_INTERVAL, own_conf, restarts
from airflow_doeks.platforms.local import flink_cluster
from airflow_doeks.platforms.local.machine import cpu_count, find_java, memory_mib
from airflow_doeks.platforms.local.streams import CHECKPOINTS, STATE, url_of

if TYPE_CHECKING:
    from airflow_doeks.model.identity import JobIdentity
    from airflow_doeks.platforms.clients import Injection

INSTALL = "pip install 'airflow-doeks[local-flink]'"
RUNNER = Path(__file__).parents[1] / "flink" / "doeks-flink.jar"
root_cause = flink.root_cause
_PROGRAM = "program.jar"  # in the run directory: the jar of a path that `--jars`, which takes URIs, would not read
ROLES = ("jobmanager", "taskmanager")
_ADD_OPENS = (  # env.java.default-opts.all of Flink 2.3's config.yaml, November 2026
    "java.base/java.lang",
    "java.base/java.net",
    "java.base/java.io",
    "java.base/java.nio",
    "java.base/sun.nio.ch",
    "java.base/java.lang.reflect",
    "java.base/java.text",
    "java.base/java.time",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.util.concurrent.locks",
)
JVM_OPTIONS = (
    "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
    "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED",
    *(f"--add-opens={package}=ALL-UNNAMED" for package in _ADD_OPENS),
)


def work(job: FlinkJob, injection: Injection) -> dict[str, Any]:  # noqa: ARG001 - one shape for all engines
    """What the job asks for, whoever asks: the part of the request that is hashed."""
    count = job.task_managers
    sizes = {"job_manager": (job.job_manager, 1), "task_manager": (job.task_manager, count)}
    return {
        "engine": FLINK.name,
        **{key: getattr(job, key) for key in ("jar", "main", "mode", "upgrade", "allow_non_restored_state")},
        "class": job.class_,
        "from": job.from_,
        "sql": job.sql if job.sql_text is None else None,
        "sql_text": job.sql_text,
        "args": [str(arg) for arg in job.args],
        "jars": list(job.jars),
        "py_files": list(job.py_files),
        "env": dict(job.env),
        **({"secrets": {name: secret.here for name, secret in job.secrets.items()}} if job.secrets else {}),
        "conf": own_conf(job.plain()),
        "parallelism": int(job.parallelism),
        "slots": count * int(job.task_manager.slots),
        "state": job.state.plain(),
        "asked": {
            name: {"vcpu": str(parse_cpu(pod.cpu) * many), "memory_mib": parse_memory(pod.memory) * many // MIB}
            for name, (pod, many) in sizes.items()
        },
    }


def for_run(asked: Mapping[str, Any], run: Path, identity: JobIdentity, injection: Injection) -> dict[str, Any]:  # noqa: ARG001
    """Properties of this attempt's cluster before it is cut to the machine; the job's own go before the defaults."""
    state, is_stream = run.parent / STATE / run.name, asked["mode"] == LASTING
    default = {
        CHECKPOINTS: asked["state"]["checkpoints"] or url_of(state / "checkpoints"),
        "execution.checkpointing.savepoint-dir": asked["state"]["savepoints"] or url_of(state / "savepoints"),
        "web.submit.enable": "false",
    }
    if is_stream:
        default["execution.checkpointing.interval"] = CHECKPOINT_INTERVAL
        default["execution.checkpointing.externalized-checkpoint-retention"] = "RETAIN_ON_CANCELLATION"
    elif not restarts(asked["conf"]):
        default["restart-strategy.type"] = "none"  # Airflow retries, or cost and attempts multiply
    hosts = ("jobmanager.rpc.address", "jobmanager.bind-host", "rest.address", "rest.bind-address")
    conf = {
        **default,
        **asked["conf"],
        **dict.fromkeys((*hosts, "taskmanager.host", "taskmanager.bind-host"), "localhost"),
        "parallelism.default": str(asked["parallelism"]),
        "taskmanager.numberOfTaskSlots": str(asked["slots"]),
        "io.tmp.dirs": str(run / "tmp"),
        "jobmanager.archive.fs.dir": url_of(run / "archive"),
        "metrics.reporters": "doeks",
        "metrics.reporter.doeks.factory.class": "airflow_doeks.FinalCounters",
        "metrics.reporter.doeks.file": str(run / "archive" / "counters.jsonl"),
    }
    return {"cluster_conf": conf}


def plan(body: Mapping[str, Any], java: str | None) -> dict[str, Any]:
    """``argv``, ``env``, ``granted`` and ``cluster`` for this machine, and ``why`` it is less than asked.

    Raises PlatformError with what to install when there is no Flink or no Java to run it.
    """
    home = find_flink_home()
    granted, why = _granted(body["asked"])
    sizes = {
        "jobmanager.memory.process.size": f"{granted['job_manager']['memory_mib']}m",
        "taskmanager.memory.process.size": f"{granted['task_manager']['memory_mib']}m",
    }
    python = {"python.client.executable": sys.executable, "python.executable": sys.executable}
    libraries = [f"{home}/lib/*", str(RUNNER), *map(_path, body["jars"])]
    python_env = {}
    if body["main"]:
        _require_pyflink(home, body["conf"])
        libraries.append(f"{home}/opt/*")
        python_env = {"FLINK_HOME": str(home), "FLINK_OPT_DIR": f"{home}/opt"}  # where Flink looks for its Python jar
    run = body["run_dir"]
    return {
        "argv": [sys.executable, "-I", "-S", str(Path(flink_cluster.__file__)), run],
        "env": {**body["env"], "FLINK_CONF_DIR": f"{run}/conf", "FLINK_PLUGINS_DIR": f"{home}/plugins", **python_env},
        "granted": granted,
        "files": _digests(body),
        "why": why,
        "cluster": {
            "java": find_java(java, os.environ, engine=FLINK.title, install=INSTALL),
            "options": list(JVM_OPTIONS),
            "class_path": os.pathsep.join(libraries),
            "tool_path": os.pathsep.join((f"{home}/bin/bash-java-utils.jar", f"{home}/lib/*")),
            "conf": {**(python if body["main"] else {}), **body["cluster_conf"], **sizes},
            "main": _main(body),
            "links": {_PROGRAM: body["jar"]} if body["jar"] and _is_odd(body["jar"]) else {},
        },
    }


def links(run: Path) -> dict[str, str]:
    """Flink's own UI while it runs, and the savepoints of a stream."""
    savepoints = run.parent / STATE / run.name / "savepoints"
    found = {"Savepoints": savepoints.as_uri()} if savepoints.is_dir() else {}
    with contextlib.suppress(OSError):
        found["Flink UI"] = (run / "rest").read_text("utf-8")
    return found


def pods(run: Path, request: Mapping[str, Any], status: JobStatus) -> tuple[Pod, ...]:
    """Each process of the cluster, for as long as it lived."""
    try:
        history = json.loads((run / "processes.json").read_text("utf-8"))
    except (OSError, ValueError):
        history = []
    found = []
    for number, one in enumerate(history):
        size = request["launch"]["granted"]["job_manager" if one["role"] == ROLES[0] else "task_manager"]
        found.append(
            Pod(
                uid=f"{run.name}-{number}",
                role=one["role"],
                vcpu=Decimal(size["vcpu"]),
                memory_gib=Decimal(size["memory_mib"]) * MIB / GIB,
                storage_gib=Decimal(0),
                started=datetime.fromisoformat(one["started"]),
                ended=datetime.fromisoformat(one["ended"]) if one["ended"] else status.ended,
            )
        )
    return tuple(found)


def event_log(run: Path) -> tuple[str | None, tuple[str, ...]]:
    """URL of what Flink left of its jobs; None if it left nothing."""
    archive = run / "archive"
    return (archive.as_uri(), ()) if archive.is_dir() else (None, ())


def _granted(asked: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """What each process gets: its part of the machine where all of them ask for more than there is."""
    vcpu = sum(Decimal(one["vcpu"]) for one in asked.values())
    memory = sum(one["memory_mib"] for one in asked.values())
    cores, most = cpu_count(), memory_mib()
    capped = []
    if vcpu > cores:
        capped.append(f"{vcpu} vCPU were asked for and the machine has {cores}")
    if memory > most:
        capped.append(f"{memory} MiB were asked for and the machine has {most}")
    granted = {
        name: {
            "vcpu": str(round(Decimal(one["vcpu"]) * min(cores, vcpu) / vcpu, 3)),
            "memory_mib": int(one["memory_mib"] * min(most, memory) / memory),
        }
        for name, one in asked.items()
    }
    return granted, [f"capped to the machine: {'; '.join(capped)}"] if capped else []


def _digests(body: Mapping[str, Any]) -> dict[str, str]:
    """File of the job -> 64 hex of its content: a jar that was built anew is another job under the same path."""
    found = {}
    for url in filter(None, (body["jar"], body["main"], body["sql"], *body["jars"], *body["py_files"])):
        with contextlib.suppress(OSError):
            found[url] = hashlib.sha256(Path(_path(url)).read_bytes()).hexdigest()
    return found


def _main(body: Mapping[str, Any]) -> list[str]:
    """The job manager's main class, and the program that it runs."""
    words = ["org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint"]
    if body["from"]:
        words += ["--fromSavepoint", body["from"]]
    if body["allow_non_restored_state"]:
        words.append("--allowNonRestoredState")
    if body["jar"]:
        jar = _PROGRAM if _is_odd(body["jar"]) else body["jar"]
        words += ["--jars", jar] + (["--job-classname", body["class"]] if body["class"] else [])
        return [*words, *body["args"]]
    if body["main"]:
        files = ["-pyfs", ",".join(body["py_files"])] if body["py_files"] else []
        words += ["--job-classname", "org.apache.flink.client.python.PythonDriver", "-py", body["main"], *files]
        return [*words, *body["args"]]
    file = url_of(Path(body["run_dir"], "query.sql")) if body["sql_text"] is not None else body["sql"]
    return [*words, "--job-classname", "airflow_doeks.SqlRunner", body["mode"], file]


def _is_odd(path: str) -> bool:
    """True for a path that is no part of a URI as it stands."""
    return not is_url(path) and quote(path) != path


def find_flink_home() -> Path:
    """The folder that holds Flink's jars."""
    spec = importlib.util.find_spec("pyflink")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if any(Path(place).glob("lib/flink-dist-*.jar")):
            return Path(place)
    msg = f"a Flink job on platform type local needs apache-flink-libraries, which is not installed here: {INSTALL}"
    raise PlatformError(msg)


def _require_pyflink(home: Path, conf: Mapping[str, str]) -> None:
    if (home / "java_gateway.py").exists() or {"python.client.executable", "python.executable"} <= set(conf):
        return
    version = next(home.glob("lib/flink-dist-*.jar")).stem.removeprefix("flink-dist-")
    msg = (
        f"main needs PyFlink: pip install apache-flink=={version} into an environment of its own, and name its Python "
        "in conf as python.client.executable and python.executable."
    )
    raise PlatformError(msg)


def _path(url: str) -> str:
    return url.removeprefix("file://")
