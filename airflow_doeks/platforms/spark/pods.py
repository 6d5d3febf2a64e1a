"""What a Spark job asks of its pods on Kubernetes, whoever starts them: properties, templates, and what they request.

Pure. Property names are those of Spark 3.5 and 4.x, read November 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from airflow_doeks.model.quantities import gib, parse_cpu, parse_memory, parse_spark_memory
from airflow_doeks.platforms.kubernetes.labels import full_values, label_forms
from airflow_doeks.platforms.kubernetes.pod_template import PodPatch
from airflow_doeks.platforms.protocol import JobValues
from airflow_doeks.platforms.spark.conf import vcpu
from airflow_doeks.platforms.spark.effects import CAPACITY, FARGATE_LABEL, KINDS, ROLES
from airflow_doeks.platforms.spark.gpu import CLAIMED, gpu_conf

if TYPE_CHECKING:  # `doeks lint` reads names here and must not pay for building models
    from airflow_doeks.model.telemetry import CapacityType, Pod, Role

T = TypeVar("T")

IMAGE, IMAGE_OF_ROLE = "spark.kubernetes.container.image", "spark.kubernetes.{}.container.image"
EXECUTOR_PREFIX = "spark.kubernetes.executor.podNamePrefix"
TEMPLATE_FILE = "spark.kubernetes.{}.podTemplateFile"
# Spark writes what is so called into its event log: executors tell their node and pod, which are gone when a job ends.
TELLS_ITS_NODE = PodPatch(
    container={
        "env": [
            {"name": f"SPARK_EXECUTOR_ATTRIBUTE_{name}", "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for name, path in (("DOEKS_NODE", "spec.nodeName"), ("DOEKS_POD_UID", "metadata.uid"))
        ]
    }
)


def pod_conf(job: JobValues, owner: str) -> dict[str, str]:
    """CPU requests, GPUs, environment and secrets, which Spark writes into the pods; ``owner`` as of Surroundings."""
    driver, executors = job["driver"], job["executors"]
    conf = {
        "spark.kubernetes.driver.request.cores": f"{int(vcpu(driver) * 1000)}m",
        "spark.kubernetes.executor.request.cores": f"{int(vcpu(executors) * 1000)}m",
    }
    conf |= gpu_conf(job, owner)
    for name, value in job["env"].items():
        conf |= {f"spark.kubernetes.driverEnv.{name}": value, f"spark.executorEnv.{name}": value}
    for name, secret in job["secrets"].items():
        where = secret["k8s"].replace("/", ":", 1)
        conf |= {f"spark.kubernetes.{role}.secretKeyRef.{name}": where for role in ROLES}
    return conf


def key_conf(tags: Mapping[str, str]) -> dict[str, str]:
    """A job's keys as labels of both kinds of pods, and as annotations where a label cannot hold the value."""
    forms = {"label": label_forms(tags), "annotation": full_values(tags)}
    return {
        f"spark.kubernetes.{role}.{form}.{name}": value
        for role in ROLES
        for form, keys in forms.items()
        for name, value in keys.items()
    }


@dataclass(frozen=True)
class Requested:
    """The pods that a job's own properties ask for, and why less is known of them than asked."""

    pods: tuple[Pod, ...]
    why: tuple[str, ...]


def requested_pods(
    conf: Mapping[str, str],
    *,
    since: datetime | None,
    until: datetime | None,
    node_labels: str,
    is_emr_image: bool = False,
) -> Requested:
    """Driver and executors, all from ``since`` to ``until``: who sees no pods knows no better.

    Properties may be anybody's, a job template's for example: a size that is no size is None and told, and where the
    number of executors is not said no pod is given, since a sum without them would look like the whole.
    """
    from airflow_doeks.model.telemetry import Pod
    from airflow_doeks.platforms.kubernetes.sightings import is_emrs

    asked = _Asked(conf)
    count = asked.executors()
    if count is None:
        return Requested((), tuple(asked.why))
    label, *words = CAPACITY[node_labels]
    kinds: dict[str, CapacityType] = dict(zip(words, KINDS, strict=True))

    def capacity(role: Role) -> CapacityType | None:
        if conf.get(f"spark.kubernetes.{role}.label.{FARGATE_LABEL}"):
            return "fargate"
        return kinds.get(conf.get(f"spark.kubernetes.{role}.node.selector.{label}", ""))

    def pod(role: Role, number: int) -> Pod:
        return Pod(
            uid=f"{role}-{number}",
            role=role,
            vcpu=asked.vcpu(role),
            memory_gib=asked.memory_gib(role),
            gpu=asked.gpu() if role == "executor" else 0,
            storage_gib=asked.storage_gib(role),
            started=since,
            ended=until,
            capacity_type=capacity(role),
            is_emr_image=is_emr_image or is_emrs(conf.get(IMAGE_OF_ROLE.format(role)) or conf.get(IMAGE, "")),
        )

    pods = (pod("driver", 1), *(pod("executor", number + 1) for number in range(count)))
    return Requested(pods, tuple(dict.fromkeys(asked.why)))


class _Asked:
    """Properties read one by one; ``why`` holds what could not be."""

    def __init__(self, conf: Mapping[str, str]) -> None:
        self._conf = conf
        self.why: list[str] = []

    def executors(self) -> int | None:
        """How many at most; None if Spark is told no number, or no end."""
        keys = ("spark.executor.instances", "spark.dynamicAllocation.maxExecutors")
        said = [(key, self._conf[key]) for key in keys if self._conf.get(key)]
        if said and said[0][1].isdigit():
            return int(said[0][1])
        what = f"{said[0][0]} is {said[0][1]!r}" if said else "neither instances nor maxExecutors are set"
        self.why.append(f"how many executors it asked for is not known: {what}")
        return None

    def vcpu(self, role: Role) -> Decimal | None:
        """A pod requests its cores where nothing else is said."""
        return self._first(parse_cpu, f"spark.kubernetes.{role}.request.cores", f"spark.{role}.cores")

    def memory_gib(self, role: Role) -> Decimal | None:
        """Heap and overhead; None if one of them is left to Spark."""
        parts = [self._first(parse_spark_memory, f"spark.{role}.{part}") for part in ("memory", "memoryOverhead")]
        known = [part for part in parts if part is not None]
        return gib(sum(known)) if len(known) == len(parts) else None

    def gpu(self) -> int:
        """Whole devices: Kubernetes gives no parts of one."""
        return self._first(int, "spark.executor.resource.gpu.amount", CLAIMED) or 0

    def storage_gib(self, role: Role) -> Decimal:
        """The claims that a pod makes; 0 without one."""
        start = f"spark.kubernetes.{role}.volumes.persistentVolumeClaim."
        keys = [key for key in self._conf if key.startswith(start) and key.endswith(".options.sizeLimit")]
        return sum((gib(self._first(parse_memory, key) or 0) for key in keys), Decimal(0))

    def _first(self, parse: Callable[[str], T], *keys: str) -> T | None:
        """The value of the first key that is set, None if none is, or it cannot be read."""
        key = next((key for key in keys if self._conf.get(key)), None)
        if key is None:
            return None
        try:
            return parse(self._conf[key])
        except ValueError as error:
            self.why.append(f"{key}: {error}")
            return None
