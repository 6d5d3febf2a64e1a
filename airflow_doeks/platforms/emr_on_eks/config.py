"""The doeks.yaml entry of a platform of type ``emr_on_eks``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from airflow_doeks.model.cost_source import CostSourceField
from airflow_doeks.model.job import Configuration
from airflow_doeks.model.priced_as import PodsPricedAs
from airflow_doeks.model.shared_cost import SharedCostField


class LogRotation(BaseModel):
    """Rotation of container logs inside the pod."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: str = Field(description="Size at which a log file is rotated.", examples=["100MB"])
    files: int = Field(ge=1, le=50, description="Rotated files kept, 1 to 50.", examples=[10])


class Config(BaseModel):
    """An EMR virtual cluster and how jobs are sent to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["emr_on_eks"] = Field(description="Amazon EMR on EKS.")
    connection: str | None = Field(
        default="aws_default", description="Airflow connection of the amazon provider.", examples=["aws_default"]
    )
    region: str = Field(description="AWS region of the virtual cluster.", examples=["us-east-1"])
    virtual_cluster: str = Field(
        pattern=r"^[0-9a-z]{1,64}$", description="Id of the virtual cluster.", examples=["abcdef0123456789abcdef012"]
    )
    execution_role: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-zA-Z0-9-]*:iam::\d{12}:role/.+$",
        description="ARN of the role that jobs run with; only a job template can do without.",
        examples=["arn:aws:iam::123456789012:role/sales-jobs"],
    )
    release: str | None = Field(
        default=None, description="EMR release label; a job may name another.", examples=["emr-7.9.0-latest"]
    )
    image: str | None = Field(default=None, description="Container image of all jobs; EMR's own if left out.")
    code: str | None = Field(
        default=None,
        pattern=r"^s3://[^/]+",
        description="Where code and pod templates are staged.",
        examples=["s3://acme-code/"],
    )
    logs: str | None = Field(
        default=None,
        pattern=r"^s3://[^/]+",
        description="Where EMR puts container logs; failures are explained from them.",
        examples=["s3://acme-logs/emr/"],
    )
    event_logs: str | None = Field(
        default=None,
        pattern=r"^s3://[^/]+",
        description="Where Spark event logs go, one folder a job; cost and lineage are read from them.",
        examples=["s3://acme-logs/spark-events/"],
    )
    log_group: str | None = Field(
        default=None, description="CloudWatch log group of container logs.", examples=["/emr-on-eks/sales"]
    )
    log_stream_prefix: str | None = Field(
        default=None, description="Prefix of CloudWatch log streams.", examples=["airflow"]
    )
    log_rotation: LogRotation | None = Field(default=None, description="Rotation of container logs inside the pod.")
    configuration: tuple[Configuration, ...] = Field(
        default=(),
        description="EMR's classifications beside `spark-defaults`, for every job; a job's own property wins.",
        examples=[[{"classification": "spark-log4j", "properties": {"rootLogger.level": "warn"}}]],
    )
    persistent_ui: bool | None = Field(
        default=None, description="EMR's persistent Spark UI; EMR's default if left out."
    )
    kubernetes: str | None = Field(
        default=None,
        description="Airflow connection of the cncf-kubernetes provider; pods and events then explain failures too.",
        examples=["kubernetes_default"],
    )
    namespace: str | None = Field(
        default=None,
        description="Namespace of the virtual cluster; needed beside `kubernetes`.",
        examples=["sales"],
    )
    max_attempts: int = Field(
        default=1, ge=1, description="How often EMR itself starts a job; above 1 cost and Airflow's retries multiply."
    )
    max_jobs: int | None = Field(
        default=None,
        ge=1,
        description="Jobs at a time: the Airflow pool `doeks_<platform>`, which `doeks apply` makes.",
        examples=[200],
    )
    job_template: str | None = Field(
        default=None, description="Id of an EMR job template; release, role and properties are then the template's."
    )
    template_parameters: dict[str, str] = Field(
        default={},
        description="Parameters of the job template; $main, $args and $release stand for the job's.",
        examples=[{"EntryPoint": "$main"}],
    )
    queue: str | None = Field(default=None, description="YuniKorn queue of preset `yunikorn`.", examples=["root.sales"])
    fargate_profile: str | None = Field(
        default=None,
        description="Fargate profile of `executors.capacity: fargate`; its selectors must match the executors' pods.",
        examples=["spark-executors"],
    )
    storage_class: str = Field(default="gp3", description="Storage class of preset `pvc_reuse`.")
    gpu_claim_template: str | None = Field(
        default=None,
        description="ResourceClaimTemplate of preset `gpu_claim`, which gives one GPU a claim.",
        examples=["one-gpu"],
    )
    cost_source: CostSourceField = None
    shared: SharedCostField = None
    node_labels: Literal["karpenter", "managed"] = Field(
        default="karpenter", description="Who labels nodes by capacity type: Karpenter or EKS managed node groups."
    )
    priced_as: PodsPricedAs = None
    list_seconds: float = Field(
        default=15.0,
        gt=0,
        description="Seconds within which the end of a job is told; how often running jobs are listed.",
    )
    calls_per_second: float = Field(
        default=5.0,
        gt=0,
        description="API calls a second of one process on average; ten seconds' worth may go at once.",
    )
    endpoint_url: str | None = Field(
        default=None, description="Another endpoint of the EMR containers API.", examples=["http://localhost:8099"]
    )

    @model_validator(mode="after")
    def _has_namespace(self) -> Config:
        if self.kubernetes and not self.namespace:
            msg = "`kubernetes` asks for pods of one namespace; set `namespace` beside it"
            raise ValueError(msg)
        return self
