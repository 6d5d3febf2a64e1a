"""The Flink job that a data engineer describes; checked like a Spark job, before and after rendering."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from airflow_doeks.model.job import Count, Cpu, Driver, Duration, Memory, SecretRef
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
from airflow_doeks.model.quantities import is_template

_PATH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/|/")


def _savepoint(value: Any, info: ValidationInfo) -> Any:
    """A path once it is rendered: what a task returned that took no savepoint is none."""
    is_rendered = info.context and info.context.get("rendered")
    if is_rendered and isinstance(value, str) and not is_template(value) and not _PATH.match(value):
        msg = f"expected the path of a savepoint, not {value!r}; did the task that it names return one?"
        raise ValueError(msg)
    return value


Savepoint = Annotated[str, BeforeValidator(_savepoint), WithJsonSchema({"type": "string", "minLength": 1})]


class JobManager(Driver):
    """The job manager's pod: what it requests."""

    cpu: Cpu = Field(default=1, description="Virtual CPUs of the job manager's pod.", examples=[1, "500m"])
    memory: Memory = Field(
        default="2Gi", description="Total memory of the job manager's pod, overhead inside.", examples=["2Gi"]
    )


class TaskManager(Driver):
    """Each task manager's pod; `parallelism` and `slots` say how many there are."""

    cpu: Cpu = Field(default=1, description="Virtual CPUs of each task manager's pod.", examples=[2])
    memory: Memory = Field(
        default="2Gi", description="Total memory of each task manager's pod, overhead inside.", examples=["8Gi"]
    )
    slots: Count = Field(default=1, description="Slots of each task manager.", examples=[2])


class State(JobPart):
    """Where the job keeps what it must not forget."""

    checkpoints: str | None = Field(
        default=None, description="Folder of the checkpoints, a URL.", examples=["s3://acme-state/checkpoints"]
    )
    savepoints: str | None = Field(
        default=None, description="Folder of the savepoints, a URL.", examples=["s3://acme-state/savepoints"]
    )


class FlinkJob(JobPart):
    """One Flink application (`jar`, `main` or `sql`), or what is done to the stream of another task.

    ``sql_text`` is set by us after rendering, never in YAML.
    """

    jar: str | None = Field(
        default=None,
        description="Jar of the application, relative to the YAML file, or a URL.",
        examples=["jobs/stream.jar"],
    )
    main: str | None = Field(
        default=None,
        description="Python file to run with PyFlink, relative to the YAML file, or a URL.",
        examples=["jobs/stream.py"],
    )
    sql: str | None = Field(
        default=None,
        description="SQL file to run, rendered by Airflow first, relative to the YAML file; several statement sets "
        "run one after another.",
        examples=["sql/stream.sql"],
    )
    stop: str | None = Field(
        default=None,
        description="Task whose stream is stopped with a savepoint, whose path is what this task returns; "
        "`pipeline:task` for one of another pipeline.",
        examples=["count_clicks"],
    )
    savepoint: str | None = Field(
        default=None,
        description="Task whose stream takes a savepoint and runs on; the path is what this task returns.",
        examples=["count_clicks"],
    )
    class_: str | None = Field(
        default=None, alias="class", description="Main class of the jar.", examples=["com.acme.Clicks"]
    )
    args: tuple[str | int | float, ...] = Field(
        default=(),
        description="Arguments of `jar` or `main`; each arrives unchanged.",
        examples=[["--topic", "clicks"]],
    )
    conf: dict[str, str | int | float | bool] = Field(
        default={}, description="Flink properties.", examples=[{"execution.checkpointing.interval": "1min"}]
    )
    packages: tuple[str, ...] = Field(
        default=(),
        description="Maven coordinates of jars added to the class path, without what they depend on.",
        examples=[["org.apache.flink:flink-sql-connector-kafka:4.0.1-2.0"]],
    )
    jars: tuple[str, ...] = Field(
        default=(), description="Jars added to the class path, such as connectors; those of pods are in their image."
    )
    py_files: tuple[str, ...] = Field(default=(), description="Python files or zips added to PYTHONPATH.")
    env: dict[str, str] = Field(default={}, description="Environment variables of job manager and task managers.")
    secrets: dict[str, SecretRef] = Field(
        default={}, description="Environment variables filled from Kubernetes secrets."
    )
    parallelism: Count = Field(default=1, description="Default parallelism.", examples=[4])
    job_manager: JobManager = Field(default=JobManager(), description="The job manager's pod.")
    task_manager: TaskManager = Field(default=TaskManager(), description="Each task manager's pod.")
    state: State = Field(default=State(), description="Folders of checkpoints and savepoints.")
    mode: Literal["bounded", "streaming"] = Field(
        default="bounded", description="Whether the job ends by itself; a stream outlives the task that deploys it."
    )
    until: Literal["finished", "running"] | None = Field(
        default=None,
        description="When the task is done: `finished`, or `running` for `stable_for`. By `mode` if left out.",
    )
    stable_for: Duration | None = Field(
        default=None, description="How long a stream must run without a restart to count as up; a minute if left out."
    )
    upgrade: Literal["savepoint", "last-state", "stateless"] = Field(
        default="savepoint", description="How a stream that was changed is replaced: what its state is taken from."
    )
    from_: Savepoint | None = Field(
        default=None,
        alias="from",
        description="Savepoint to start with: its path, or the task that returns it.",
        examples=["s3://acme-state/savepoints/savepoint-1", "stop_clicks"],
    )
    allow_non_restored_state: bool = Field(
        default=False, description="Start although the savepoint holds state that the job has no place for any more."
    )
    image: str | None = Field(default=None, description="Container image; the platform's if left out.")
    release: str | None = Field(
        default=None, description="EMR release label; the platform's if left out.", examples=["emr-7.9.0-latest"]
    )
    flink_version: str | None = Field(
        default=None,
        description="Flink's version in the image, in quotes; the platform's if left out.",
        pattern=r"^[1-9]\.\d{1,2}$",
        examples=["1.20"],
    )
    service_account: ServiceAccount = None
    node_selector: NodeSelector = {}
    tolerations: Tolerations = ()
    volumes: Volumes = {}
    labels: Labels = {}
    annotations: Annotations = {}
    pod_template: PodTemplate = None
    presets: tuple[str, ...] = Field(default=(), description="Named settings, applied in order.")
    on_retry: Literal["adopt", "restart"] = Field(
        default="adopt", description="What a retry does with a bounded job of an earlier try that still lives."
    )
    sql_text: str | None = Field(default=None, exclude=True, repr=False)

    @property
    def is_stream(self) -> bool:
        """True for a job without an end of its own."""
        return self.mode == "streaming"

    @property
    def task_managers(self) -> int:
        """How many task managers offer the slots that its parallelism asks for."""
        return -(-int(self.parallelism) // int(self.task_manager.slots))
