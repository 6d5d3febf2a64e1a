"""The jobs a data engineer describes: one model checks the YAML, writes the JSON Schema and reads rendered values.

A scalar that holds ``{{`` is a template: accepted unchecked in YAML, and checked by the same model after Airflow
rendered it (validation context ``{"rendered": True}``, where text such as ``"3"`` becomes a number).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from airflow_doeks.model.job_part import JobPart
from airflow_doeks.model.pod_words import (
    Annotations,
    Labels,
    NodeSelector,
    PodTemplate,
    ServiceAccount,
    Tolerations,
    Volumes,
)
from airflow_doeks.model.quantities import is_template, parse_cpu, parse_memory

TEMPLATE = {"type": "string", "pattern": r"\{\{|\{%"}


def _whole(least: int) -> Any:
    """Validator of a whole number; text is one only once it is rendered."""

    def check(value: Any, info: ValidationInfo) -> Any:
        if is_template(value):
            return value
        is_rendered = info.context and info.context.get("rendered")
        if isinstance(value, str) and is_rendered and re.fullmatch(r"-?\d{1,18}", value.strip()):
            value = int(value)
        if type(value) is not int:
            msg = "expected a whole number"
            raise ValueError(msg)
        if value < least:
            msg = f"{value} is out of range; expected at least {least}"
            raise ValueError(msg)
        return value

    return check


def _quantity(parse: Any) -> Any:
    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            msg = "expected a quantity"
            raise ValueError(msg)
        if not is_template(value):
            parse(value)
        return value

    return check


Whole = Annotated[
    int | str,
    BeforeValidator(_whole(0)),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, TEMPLATE], "x-expected": "a whole number"}),
]
Cpu = Annotated[
    int | float | str,
    BeforeValidator(_quantity(parse_cpu)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^\d+(\.\d+)?m?$"},
                TEMPLATE,
            ],
            "x-expected": "a CPU quantity such as 1, 0.5 or 500m",
        }
    ),
]
Memory = Annotated[
    str,
    BeforeValidator(_quantity(parse_memory)),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?([kMGT]i?|Ki)?$"}, TEMPLATE],
            "x-expected": "a memory quantity such as 512Mi, 4Gi or 16G",
        }
    ),
]

Count = Annotated[
    int | str,
    BeforeValidator(_whole(1)),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, TEMPLATE], "x-expected": "a whole number above 0"}),
]
Positive = Annotated[int, BeforeValidator(_whole(1)), WithJsonSchema({"type": "integer", "minimum": 1})]
Duration = Annotated[
    str,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "string", "pattern": r"^(?=.*[1-9])([0-9]+(\.[0-9]+)?[smhd])+$"},
            ],
            "x-expected": "a duration above 0 such as 90s, 30m, 1h30m or 2d, or a number of seconds",
        }
    ),
]


class Driver(JobPart):
    """The driver's pod: what it requests."""

    cpu: Cpu = Field(default=1, description="Virtual CPUs of the driver's pod: 1, 0.5 or 500m.", examples=[1, "500m"])
    memory: Memory = Field(
        default="2Gi", description="Total memory of the driver's pod, overhead inside.", examples=["4Gi"]
    )


class Executors(Driver):
    """The executors: how many pods, and what each requests."""

    min: Whole = Field(
        default=1, description="Executors kept; below `max` it turns dynamic allocation on.", examples=[2]
    )
    max: Whole | None = Field(default=None, description="Most executors; the same as `min` if left out.", examples=[20])
    cpu: Cpu = Field(default=1, description="Virtual CPUs of each executor's pod.", examples=[4])
    memory: Memory = Field(
        default="2Gi", description="Total memory of each executor's pod, overhead inside.", examples=["16Gi"]
    )
    gpu: Whole = Field(default=0, description="GPUs of each executor's pod.", examples=[1])
    capacity: Literal["on_demand", "spot", "fargate"] | None = Field(
        default=None, description="Capacity type the executors run on.", examples=["spot"]
    )


class SecretRef(JobPart):
    """Where a secret lives, on Kubernetes and on a laptop; only `local` reads it, when it starts the job."""

    k8s: str = Field(
        description="Kubernetes secret and key, `secret/key`.",
        pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$",
        examples=["db/password"],
    )
    env: str | None = Field(
        default=None,
        description="On `local`: variable of the worker's environment that holds it.",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        examples=["DB_PASSWORD"],
    )
    connection: str | None = Field(
        default=None, description="On `local`: Airflow connection whose password it is.", examples=["db"]
    )

    @property
    def here(self) -> dict[str, str]:
        """Where a platform without Kubernetes finds it; empty if nothing says so."""
        found = {"env": self.env, "connection": self.connection}
        return {kind: name for kind, name in found.items() if name}


class Configuration(JobPart):
    """Properties of what EMR runs beside Spark; `spark-defaults` is written from `conf`."""

    classification: str = Field(
        min_length=1, description="EMR's name of what is configured.", examples=["spark-log4j", "core-site"]
    )
    properties: dict[str, str | int | float | bool] = Field(
        default={}, description="Its properties.", examples=[{"rootLogger.level": "warn"}]
    )
    configurations: tuple[Configuration, ...] = Field(default=(), description="Classifications inside of it.")


class SparkJob(JobPart):
    """One Spark application: exactly one of `main` and `sql`.

    ``sql_text`` is set by us after rendering, never in YAML.
    """

    main: str | None = Field(
        default=None,
        description="Python file or jar to run, relative to the YAML file, or a URL.",
        examples=["jobs/clean.py"],
    )
    sql: str | None = Field(
        default=None,
        description="SQL file to run, rendered by Airflow first, relative to the YAML file.",
        examples=["sql/rollup.sql"],
    )
    class_: str | None = Field(
        default=None, alias="class", description="Main class of a jar.", examples=["com.acme.Clean"]
    )
    args: tuple[str | int | float, ...] = Field(
        default=(), description="Arguments of `main`; each arrives unchanged.", examples=[["--run", "{{ run_id }}"]]
    )
    conf: dict[str, str | int | float | bool] = Field(
        default={}, description="Spark properties.", examples=[{"spark.sql.shuffle.partitions": 200}]
    )
    packages: tuple[str, ...] = Field(
        default=(),
        description="Maven coordinates added to the class path.",
        examples=[["org.postgresql:postgresql:42.7.4"]],
    )
    jars: tuple[str, ...] = Field(default=(), description="Jars added to the class path.")
    py_files: tuple[str, ...] = Field(default=(), description="Python files or zips added to PYTHONPATH.")
    files: tuple[str, ...] = Field(default=(), description="Files placed in each executor's working directory.")
    archives: tuple[str, ...] = Field(default=(), description="Archives unpacked in each executor's working directory.")
    env: dict[str, str] = Field(default={}, description="Environment variables of driver and executors.")
    secrets: dict[str, SecretRef] = Field(
        default={}, description="Environment variables filled from Kubernetes secrets."
    )
    driver: Driver = Field(default=Driver(), description="The driver's pod.")
    executors: Executors = Field(default=Executors(), description="The executors' pods.")
    image: str | None = Field(default=None, description="Container image; the platform's if left out.")
    release: str | None = Field(
        default=None, description="EMR release label; the platform's if left out.", examples=["emr-7.9.0-latest"]
    )
    configuration: tuple[Configuration, ...] = Field(
        default=(),
        description="EMR's classifications beside `spark-defaults`; what the platform says is below it.",
        examples=[[{"classification": "spark-log4j", "properties": {"rootLogger.level": "warn"}}]],
    )
    service_account: ServiceAccount = None
    node_selector: NodeSelector = {}
    tolerations: Tolerations = ()
    volumes: Volumes = {}
    labels: Labels = {}
    annotations: Annotations = {}
    pod_template: PodTemplate = None
    presets: tuple[str, ...] = Field(
        default=(), description="Named settings, applied in order.", examples=[["spot", "graviton"]]
    )
    on_retry: Literal["adopt", "restart"] = Field(
        default="adopt", description="What a retry does with a job of an earlier try that still lives."
    )
    sql_text: str | None = Field(default=None, exclude=True, repr=False)
