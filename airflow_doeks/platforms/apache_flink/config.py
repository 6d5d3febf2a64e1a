"""The doeks.yaml entry of a platform of type ``apache_flink``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_doeks.platforms.kubernetes.config import KubernetesConfig

_URL = r"^[A-Za-z][A-Za-z0-9+.-]*://?.+"


class Emr(BaseModel):
    """Jobs of EMR's Flink operator: its image and job role; what EMR asks on top is in the cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: str = Field(description="EMR release label.", examples=["emr-7.9.0-flink-latest"])
    role: str = Field(
        pattern=r"^arn:aws[a-zA-Z0-9-]*:iam::\d{12}:role/.+$",
        description="ARN of the jobs' execution role.",
        examples=["arn:aws:iam::123456789012:role/flink-jobs"],
    )
    logs: str | None = Field(
        default=None, pattern=r"^s3://.+", description="Where logs go.", examples=["s3://acme-logs/flink/"]
    )


class Config(KubernetesConfig):
    """A namespace that the Flink Kubernetes Operator watches, and how jobs are sent to it."""

    type: Literal["apache_flink"] = Field(description="Flink Kubernetes Operator (FlinkDeployment v1beta1).")
    service_account: str = Field(
        default="flink", description="Service account of job managers and task managers.", examples=["flink"]
    )
    image: str | None = Field(
        default=None, description="Container image of all jobs; a job may name another.", examples=["acme/flink:1.20.1"]
    )
    flink_version: str | None = Field(
        default=None,
        pattern=r"^[1-9]\.\d{1,2}$",
        description="Flink's version in the image, in quotes; read from the image's tag if left out.",
        examples=["1.20"],
    )
    state: str | None = Field(
        default=None,
        pattern=_URL,
        description="Where jobs keep checkpoints and savepoints, a folder a job; a job's own `state` goes before it.",
        examples=["s3://acme-flink-state/"],
    )
    session: str | None = Field(
        default=None,
        pattern=r"^[a-z]([-a-z0-9]{0,43}[a-z0-9])?$",
        description="FlinkDeployment of a session cluster in which all jobs run; each has its own if left out.",
        examples=["shared-session"],
    )
    pod_template: dict[str, Any] | None = Field(
        default=None,
        description="What all pods of jobs have beside what a job says: `metadata` and `spec` of a Kubernetes pod.",
        examples=[{"spec": {"nodeSelector": {"pool": "flink"}}}],
    )
    emr: Emr | None = Field(default=None, description="The operator is EMR's.")
    flink_ui: str | None = Field(
        default=None,
        description="URL of a job's Flink UI, with {namespace} and {name}.",
        examples=["https://flink.acme.example/{namespace}/{name}/"],
    )
