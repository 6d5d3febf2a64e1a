"""What every Spark platform shares: properties we add, how a pod's memory is split, what a job may not set itself.

Pure functions over a job; no platform's words here. Sources: Spark 3.5 and 4.x configuration pages and the rules of
its Kubernetes resource manager, read November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.identity import JobIdentity, digest
from airflow_doeks.model.quantities import MIB, is_template, parse_cpu, parse_memory, parse_spark_memory
from airflow_doeks.platforms.protocol import Finding, JobValues

if TYPE_CHECKING:
    from airflow_doeks.platforms.clients import Injection

SQL_RUNNER_NAME = "sql_runner.py"
OVERHEAD_MIN_MIB = 384  # spark.{driver,executor}.minMemoryOverhead
HEAP_MIN_MIB = 450  # UnifiedMemoryManager: 1.5 x 300 MiB reserved, else the driver and executors do not start
JVM_OVERHEAD_FACTOR = Decimal("0.1")  # spark.{driver,executor}.memoryOverheadFactor
PYTHON_OVERHEAD_FACTOR = Decimal("0.4")  # the same, for a Python job on Kubernetes

PLAN_METADATA = {  # without them input paths and columns are cut in the event log, and lineage is incomplete
    "spark.sql.maxMetadataStringLength": "100000",
    "spark.sql.debug.maxToStringFields": "2000",
}
# Property, or start of one that ends in a dot -> what to write instead.
OWNED = {
    "spark.app.name": "it is set from the DAG and task, so that jobs are found again; remove it",
    "spark.doeks.": "these properties name the Airflow attempt; remove it",
    "spark.driver.cores": "write driver.cpu",
    "spark.driver.memory": "write driver.memory, the total of the pod",
    "spark.dynamicAllocation.enabled": "write executors.min below executors.max",
    "spark.dynamicAllocation.maxExecutors": "write executors.max",
    "spark.dynamicAllocation.minExecutors": "write executors.min",
    "spark.eventLog.dir": "the platform says where event logs go; remove it, or set [doeks] inject_event_log = False",
    "spark.eventLog.enabled": "remove it, or set [doeks] inject_event_log = False",
    "spark.executor.cores": "write executors.cpu",
    "spark.executor.instances": "write executors.min and executors.max",
    "spark.executor.memory": "write executors.memory, the total of the pod",
    "spark.master": "the platform is chosen by `platform`; remove it",
    "spark.submit.deployMode": "the platform is chosen by `platform`; remove it",
}


@dataclass(frozen=True)
class MemorySplit:
    """A pod's memory: the JVM's heap, Spark's other pools that a job asked for, and the overhead. MiB."""

    heap_mib: int
    overhead_mib: int
    pools_mib: int = 0


def vcpu(pod: Mapping[str, Any]) -> Decimal:
    """Virtual CPUs of a job's driver or of one executor; ValueError while they are a template."""
    return parse_cpu(pod["cpu"])


def memory_bytes(pod: Mapping[str, Any]) -> int:
    """Bytes of the whole pod of a job's driver or of one executor; ValueError while they are a template."""
    return parse_memory(pod["memory"])


def executors_max(job: JobValues) -> int:
    """Most executors at one time."""
    executors = job["executors"]
    return int(executors["min"] if executors["max"] is None else executors["max"])


def has_templated_pods(job: JobValues) -> bool:
    """True if a pod's size is known only after rendering."""
    return any(is_template(value) for _, pod in _pods(job) for value in pod.values())


def uses_python(job: JobValues) -> bool:
    """True if executors may run Python workers; the SQL runner's Python only drives."""
    main = job["main"] or ""
    return main.endswith(".py") and not main.endswith(SQL_RUNNER_NAME)


def cores(asked: Decimal) -> int:
    """Spark tasks at a time in a pod with this CPU request; at least one, also for ``500m``."""
    return max(int(asked), 1)


def conf_text(value: str | float | bool) -> str:
    """A property's value as Spark reads it: ``true``, not ``True``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def split_memory(job: JobValues, role: Literal["driver", "executor"], total_bytes: int) -> MemorySplit:
    """How the memory of a driver's or an executor's pod is used, so that Spark's sum is not above ``total_bytes``.

    Overhead is the job's ``spark.<role>.memoryOverhead`` or factor, else Spark's own rule on Kubernetes. Raises
    SpecError when too little is left for a heap.
    """
    conf = {key: conf_text(value) for key, value in job["conf"].items()}
    total = total_bytes // MIB
    pools = _pools_mib(conf, role, uses_python(job))
    explicit = conf.get(f"spark.{role}.memoryOverhead")
    if explicit is not None:
        overhead = _mib(explicit)
        heap = total - pools - overhead
    else:
        factor = _overhead_factor(conf, role, python=uses_python(job))
        heap = min(int((total - pools) / (1 + factor)), total - pools - OVERHEAD_MIN_MIB)
        overhead = total - pools - heap
    if heap < HEAP_MIN_MIB:
        field = "executors.memory" if role == "executor" else "driver.memory"
        msg = (
            f"{field}: {total} MiB leave {max(heap, 0)} MiB for the JVM's heap after {total - heap} MiB of overhead; "
            f"Spark needs {HEAP_MIN_MIB}. Write at least {HEAP_MIN_MIB + pools + max(overhead, OVERHEAD_MIN_MIB)}Mi."
        )
        raise SpecError(msg)
    return MemorySplit(heap, overhead, pools)


def sizing_conf(job: JobValues) -> dict[str, str]:
    """Cores, memory and number of executors as Spark properties; a pod's sum is exactly what the job asked for."""
    conf: dict[str, str] = {}
    for role, pod in _pods(job):
        split = split_memory(job, role, memory_bytes(pod))
        conf[f"spark.{role}.cores"] = str(cores(vcpu(pod)))
        conf[f"spark.{role}.memory"] = f"{split.heap_mib}m"
        conf[f"spark.{role}.memoryOverhead"] = f"{split.overhead_mib}m"
    least, most = int(job["executors"]["min"]), executors_max(job)
    if least == most:
        return conf | {"spark.executor.instances": str(most), "spark.dynamicAllocation.enabled": "false"}
    return conf | {
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        "spark.dynamicAllocation.minExecutors": str(least),
        "spark.dynamicAllocation.maxExecutors": str(most),
    }


def work_conf(job: JobValues, injection: Injection, *, event_log_dir: str | None) -> dict[str, str]:
    """The job's own properties and what is added to every job, without identity: equal for equal work.

    What the job says about plan metadata wins; what we own (``OWNED``) does not.
    """
    conf = {key: conf_text(value) for key, value in job["conf"].items()}
    if injection.plan_metadata:
        conf = PLAN_METADATA | conf
    return conf | event_log_conf(event_log_dir, injection)


def event_log_conf(directory: str | None, injection: Injection) -> dict[str, str]:
    """An event log below a URL, compressed alike on every Spark; nothing without a URL or when switched off."""
    if not injection.event_log or directory is None:
        return {}
    return {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": directory,
        "spark.eventLog.compress": "true",
        "spark.eventLog.compression.codec": "zstd",
    }


def identity_conf(identity: JobIdentity, injection: Injection) -> dict[str, str]:
    """``spark.doeks.*``: who the job belongs to, full values, so that its event log names its task."""
    if not injection.identity:
        return {}
    values = {
        "instance": identity.instance,
        "dag": identity.dag_id,
        "run": identity.run_id,
        "task": identity.task_id,
        "map": str(identity.map_index),
        "try": str(identity.try_number),
        "task-key": identity.task_key[:16],
    }
    return {f"spark.doeks.{key}": value for key, value in values.items()}


def spec_hash(work: object) -> str:
    """64 hex of a JSON-able value from which name, token and identity were left out."""
    return digest(work)


def conf_findings(job: JobValues) -> list[Finding]:
    """Properties of a job that we own, and memory too small for Spark."""
    found = []
    for key in job["conf"]:
        owner = next((own for own in OWNED if key == own or (own.endswith(".") and key.startswith(own))), None)
        if owner is not None:
            found.append(Finding(f"conf.{key}", f"{key} is not set by a job", OWNED[owner]))
    for role, pod in _pods(job):
        if not is_template(pod["memory"]) and not any(map(is_template, job["conf"].values())):
            try:
                split_memory(job, role, memory_bytes(pod))
            except SpecError as error:
                path, message = str(error).split(": ", 1)
                found.append(Finding(path, message))
    return found


def _pods(job: JobValues) -> tuple[tuple[Literal["driver", "executor"], Mapping[str, Any]], ...]:
    return ("driver", job["driver"]), ("executor", job["executors"])


def _overhead_factor(conf: Mapping[str, str], role: str, *, python: bool) -> Decimal:
    for key in (f"spark.{role}.memoryOverheadFactor", "spark.kubernetes.memoryOverheadFactor"):
        if key in conf:
            try:
                factor = Decimal(conf[key])
            except InvalidOperation:
                factor = Decimal("NaN")
            if not factor.is_finite() or factor <= 0:
                msg = f"conf.{key}: {conf[key]!r} is not a number above 0; write for example 0.4"
                raise SpecError(msg)
            return factor
    return PYTHON_OVERHEAD_FACTOR if python else JVM_OVERHEAD_FACTOR


def _pools_mib(conf: Mapping[str, str], role: str, python: bool) -> int:
    """What Spark adds to an executor's pod beside heap and overhead."""
    if role != "executor":
        return 0
    has_off_heap = conf.get("spark.memory.offHeap.enabled") == "true"
    off_heap = _mib(conf.get("spark.memory.offHeap.size", "0"), bare="b") if has_off_heap else 0
    return off_heap + (_mib(conf.get("spark.executor.pyspark.memory", "0")) if python else 0)


def _mib(text: str, *, bare: str = "m") -> int:
    try:
        return parse_spark_memory(text, bare=bare) // MIB
    except ValueError as error:
        msg = f"conf: {error}"
        raise SpecError(msg) from error
