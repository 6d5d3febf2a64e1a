"""Driver and executors of an event log as pods: cores and memory as requested, times as logged.

Formulas of Spark 3.5 and 4 on Kubernetes (BasicDriverFeatureStep, BasicExecutorFeatureStep, ResourceProfile), read
November 2026: pod memory = heap + max(int(factor * heap), 384 MiB) + off-heap + PySpark memory, all in MiB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from airflow_doeks.model.quantities import parse_cpu
from airflow_doeks.model.telemetry import Pod

MIN_OVERHEAD_MIB = 384  # ResourceProfile.MEMORY_OVERHEAD_MIN_MIB
JVM_FACTOR, OTHER_FACTOR = Decimal("0.1"), Decimal("0.4")  # Config.scala; OTHER is for Python and R on Kubernetes
MAX_FACTOR = 100  # a larger overhead factor, or NaN, is a broken number
_DEFAULT_PROFILE = 0  # ResourceProfile.DEFAULT_RESOURCE_PROFILE_ID
_LATEST_MS = 32_503_680_000_000  # the year 3000; later is a broken number
_MIB = {  # suffix of a Spark size -> MiB of one
    "b": Decimal(1) / (1 << 20),
    "k": Decimal(1) / (1 << 10),
    "m": Decimal(1),
    "g": Decimal(1 << 10),
    "t": Decimal(1 << 20),
    "p": Decimal(1 << 30),
}
# Attributes of an executor that its pod's environment sets: SPARK_EXECUTOR_ATTRIBUTE_DOEKS_NODE, ..._POD_UID.
NODE, POD_UID = "DOEKS_NODE", "DOEKS_POD_UID"
GPU_CLAIMS = "airflow-doeks/gpu-claims"  # annotation of a pod that claims GPUs from no device plugin
_DRIVER_IP = "spark.driver.bindAddress"  # on Kubernetes the IP of the driver's pod
_EPOCH = datetime.fromtimestamp(0, tz=timezone.utc)
_SIZE = re.compile(r"(\d{1,18})([bkmgtp]?)(?:i?b)?", re.IGNORECASE)


def mib(text: str | None, unit: str = "m") -> int | None:
    """MiB of a Spark size such as ``4g``; a bare number counts in ``unit``. None if it is no size."""
    match = _SIZE.fullmatch(text.strip()) if text else None
    return None if match is None else int(int(match[1]) * _MIB[match[2].lower() or unit])


def moment(epoch_ms: Any) -> datetime | None:
    """UTC time of epoch milliseconds; None if it is no time."""
    if not isinstance(epoch_ms, int) or isinstance(epoch_ms, bool) or not 0 < epoch_ms < _LATEST_MS:
        return None
    return datetime.fromtimestamp(epoch_ms / 1000, tz=timezone.utc)


@dataclass
class _Executor:
    cores: int | None = None
    profile: int = 0
    requested: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    reason: str = ""
    node: str | None = None
    pod_uid: str | None = None


def _started(executor: _Executor) -> datetime:
    return executor.started or _EPOCH


@dataclass
class Executors:
    """What the log tells about executors, event by event. An event that comes twice changes nothing."""

    conf: Mapping[str, str] = field(default_factory=dict)
    is_emr_image: bool = False
    uses_python: bool = False
    found: dict[str, list[_Executor]] = field(default_factory=dict)  # by id, in stretches: one that left may come again
    profiles: dict[int, dict[str, int]] = field(default_factory=dict)

    def added(self, event: Mapping[str, Any]) -> None:
        """SparkListenerExecutorAdded."""
        info = event["Executor Info"]
        started = moment(info.get("Registration Time")) or moment(event["Timestamp"])
        stretches = self.found.setdefault(str(event["Executor ID"]), [])
        executor = next((stretch for stretch in stretches if stretch.started == started), None)
        if executor is None:
            executor = _Executor()
            stretches.append(executor)
        cores = info.get("Total Cores")
        executor.cores = cores if isinstance(cores, int) and cores > 0 else None
        executor.profile = int(info.get("Resource Profile Id", 0))
        executor.requested = moment(info.get("Request Time"))
        attributes = info.get("Attributes") or {}
        executor.node, executor.pod_uid = attributes.get(NODE), attributes.get(POD_UID)
        executor.started = started

    def removed(self, event: Mapping[str, Any]) -> None:
        """SparkListenerExecutorRemoved; of one that never registered this is all there is."""
        ended = moment(event["Timestamp"])
        stretches = self.found.setdefault(str(event["Executor ID"]), [])
        if not stretches:
            stretches.append(_Executor())
        begun = [stretch for stretch in stretches if stretch.started and ended and stretch.started <= ended]
        executor = max(begun, key=_started) if begun else stretches[-1]
        executor.ended = ended
        executor.reason = str(event.get("Removed Reason", ""))[:200]

    def profile_added(self, event: Mapping[str, Any]) -> None:
        """SparkListenerResourceProfileAdded."""
        requests = event["Executor Resource Requests"]
        self.profiles[int(event["Resource Profile Id"])] = {
            str(name): int(request["Amount"]) for name, request in requests.items()
        }

    def pods(self, started: datetime | None, ended: datetime | None, why: list[str]) -> tuple[Pod, ...]:
        """Driver first, then executors as they came; ``ended`` is the application's end if the log holds it.

        In local mode there is one process: one pod of role driver with all its cores.
        """
        (local, *_) = self.found.get("driver") or (None,)
        if not self.found and not self.conf and started is None:
            return ()
        cores = local.cores if local else None
        driver_cpu = Decimal(cores) if cores else self._cpu("driver", 1)
        driver = self._pod("driver", "driver", driver_cpu, self._driver_mib(), self._gpus("driver", None))
        ip = self.conf.get(_DRIVER_IP) if self._is_kubernetes else None
        pods = [driver.model_copy(update={"requested": started, "started": started, "ended": ended, "ip": ip})]
        for name, executor in self._executors():
            profile = self.profiles.get(executor.profile, {})
            cpu = self._cpu("executor", executor.cores or profile.get("cores"))
            own = profile.get("cores") or executor.cores
            if own and executor.profile != _DEFAULT_PROFILE:  # the properties are the default profile's alone
                cpu = Decimal(own)
            pod = self._pod(
                executor.pod_uid or name, "executor", cpu, self._executor_mib(profile), self._gpus("executor", profile)
            )
            times = {"requested": executor.requested, "started": executor.started, "ended": executor.ended or ended}
            where = {"reason": executor.reason, "node": executor.node, "executor_id": name}
            pods.append(pod.model_copy(update={**times, **where}))
        return tuple(_in_order(pod, why) for pod in pods)

    def _executors(self) -> Iterator[tuple[str, _Executor]]:
        """Every stretch of every executor, as they came."""
        return ((name, s) for name, stretches in self.found.items() if name != "driver" for s in stretches)

    def _pod(self, uid: str, role: Any, cpu: Decimal | None, memory_mib: int | None, gpu: int) -> Pod:
        """A pod of a size; unknown without Spark's properties, whose defaults would be a guess."""
        if not self.conf:
            cpu = memory_mib = None
        memory = Decimal(memory_mib) / 1024 if memory_mib and memory_mib > 0 else None
        cpu = cpu if cpu and cpu > 0 else None
        return Pod(uid=uid, role=role, vcpu=cpu, memory_gib=memory, gpu=max(0, gpu), is_emr_image=self.is_emr_image)

    @property
    def _is_kubernetes(self) -> bool:
        return self.conf.get("spark.master", "").startswith("k8s://")

    def _cpu(self, role: str, cores: int | None) -> Decimal | None:
        asked = self.conf.get(f"spark.kubernetes.{role}.request.cores") if self._is_kubernetes else None
        try:
            return parse_cpu(asked or self.conf.get(f"spark.{role}.cores") or cores or "")
        except (ValueError, InvalidOperation):
            return None if cores is None else Decimal(cores)

    def _gpus(self, role: str, profile: Mapping[str, int] | None) -> int:
        claimed = self.conf.get(f"spark.kubernetes.{role}.annotation.{GPU_CLAIMS}", "0")
        asked = self.conf.get(f"spark.{role}.resource.gpu.amount", claimed)
        amount = int(asked) if asked.isdecimal() else 0
        return profile.get("gpu", amount) if profile is not None else amount

    def _driver_mib(self) -> int | None:
        heap = mib(self.conf.get("spark.driver.memory", "1g"))
        explicit = mib(self.conf.get("spark.driver.memoryOverhead"))
        return None if heap is None else heap + self._overhead("driver", heap, explicit)

    def _executor_mib(self, profile: Mapping[str, int]) -> int | None:
        heap = profile.get("memory") or mib(self.conf.get("spark.executor.memory", "1g"))
        if heap is None:
            return None
        explicit = profile.get("memoryOverhead") or mib(self.conf.get("spark.executor.memoryOverhead"))
        off_heap = profile.get("offHeap")
        if off_heap is None and self.conf.get("spark.memory.offHeap.enabled", "false").lower() == "true":
            off_heap = mib(self.conf.get("spark.memory.offHeap.size"), unit="b")
        python = profile.get("pyspark.memory") or mib(self.conf.get("spark.executor.pyspark.memory"))
        return heap + self._overhead("executor", heap, explicit) + (off_heap or 0) + (python or 0)

    def _overhead(self, role: str, heap: int, explicit: int | None) -> int:
        """MiB beside the heap; processes that no cluster manager put in a container have none."""
        if explicit is not None:
            return explicit
        if not self._is_kubernetes and self.conf.get("spark.master") != "yarn":
            return 0
        is_other = self.conf.get("spark.kubernetes.resource.type", "java") != "java" or (
            self.uses_python and self.conf.get("spark.submit.deployMode") == "cluster"
        )
        factor = OTHER_FACTOR if is_other and self._is_kubernetes else JVM_FACTOR
        for key in ("spark.kubernetes.memoryOverheadFactor", f"spark.{role}.memoryOverheadFactor"):
            try:
                told = Decimal(self.conf.get(key, factor))
                factor = told if 0 <= told <= MAX_FACTOR else factor
            except InvalidOperation:  # noqa: PERF203 - two turns
                continue
        floor = mib(self.conf.get(f"spark.{role}.minMemoryOverhead")) or MIN_OVERHEAD_MIB
        return max(int(factor * heap), floor)


def _in_order(pod: Pod, why: list[str]) -> Pod:
    """The pod with an impossible time unknown: a clock that ran backwards must not make a negative."""
    update: dict[str, None] = {}
    if pod.started and pod.ended and pod.ended < pod.started:
        why.append(f"{pod.uid} ends before it starts; its end is unknown")
        update["ended"] = None
    if pod.started and pod.requested and pod.started < pod.requested:
        update["requested"] = None
    return pod.model_copy(update=update) if update else pod
