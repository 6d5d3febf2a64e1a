"""What the doeks.yaml entries of all Kubernetes platform types share."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_doeks.model.cost_source import CostSourceField
from airflow_doeks.model.priced_as import PodsPricedAs
from airflow_doeks.model.shared_cost import SharedCostField


class Eks(BaseModel):
    """An EKS cluster that is reached with AWS credentials alone; its tokens are made in this process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str = Field(description="Name of the EKS cluster.", examples=["analytics"])
    region: str = Field(description="AWS region of the cluster.", examples=["us-east-1"])
    role: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-zA-Z0-9-]*:iam::\d{12}:role/.+$",
        description="ARN of a role that is assumed first.",
        examples=["arn:aws:iam::123456789012:role/airflow-spark"],
    )


class KubernetesConfig(BaseModel):
    """A namespace that an operator watches, and how jobs are sent to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connection: str = Field(
        default="kubernetes_default",
        description="Airflow connection of the cncf-kubernetes provider: a kubeconfig, or the pod's own account.",
        examples=["kubernetes_default"],
    )
    eks: Eks | None = Field(default=None, description="An EKS cluster; goes before `connection`.")
    namespace: str = Field(
        pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", description="Namespace of the jobs.", examples=["sales"]
    )
    service_account: str = Field(description="Service account of the jobs' pods.", examples=["jobs"])
    image: str | None = Field(
        default=None, description="Container image of all jobs; a job may name another.", examples=["acme/jobs:3.5.9"]
    )
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        default="IfNotPresent", description="When nodes pull the image."
    )
    aws_connection: str | None = Field(
        default=None,
        description="Airflow connection of the amazon provider, for code, event logs and node types in AWS.",
        examples=["aws_default"],
    )
    code: str | None = Field(
        default=None,
        pattern=r"^(s3|file)://.+",
        description="Where code is staged: S3, or a folder that pods see under the same path.",
        examples=["s3://acme-code/"],
    )
    kubernetes_ui: str | None = Field(
        default=None,
        description="URL of a resource in a Kubernetes UI, with {namespace} and {name}.",
        examples=["https://headlamp.acme.example/c/main/customresources/{namespace}/{name}"],
    )
    max_jobs: int | None = Field(
        default=None,
        ge=1,
        description="Jobs at a time: the Airflow pool `doeks_<platform>`, which `doeks apply` makes.",
        examples=[200],
    )
    priced_as: PodsPricedAs = None
    cost_source: CostSourceField = None
    shared: SharedCostField = None
    no_progress_seconds: float = Field(
        default=120.0, gt=0, description="Silence of the operator after which a job is told as STALLED."
    )
    log_seconds: float | None = Field(
        default=None,
        ge=5,
        description="How often the task log gets what the driver printed, while the task waits in the triggerer.",
        examples=[30],
    )
    calls_per_second: float = Field(
        default=20.0,
        gt=0,
        description="API calls a second of one process on average; ten seconds' worth may go at once.",
    )
