"""What the doeks.yaml entries of all Spark operators share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airflow_doeks.platforms.kubernetes.config import KubernetesConfig


class SparkConfig(KubernetesConfig):
    """A namespace that a Spark operator watches, and how jobs are sent to it."""

    service_account: str = Field(
        default="spark", description="Service account of drivers and executors.", examples=["spark"]
    )
    image: str | None = Field(
        default=None, description="Container image of all jobs; a job may name another.", examples=["acme/spark:3.5.9"]
    )
    spark_version: str | None = Field(
        default=None,
        description="Spark's version in the image; read from the image's tag if left out.",
        examples=["3.5.9"],
    )
    event_logs: str | None = Field(
        default=None,
        pattern=r"^(s3|file)://.+",
        description="Where Spark event logs go, one folder a job; cost and lineage are read from them.",
        examples=["s3://acme-logs/spark-events/"],
    )
    history_server: str | None = Field(
        default=None, description="URL of the Spark History Server.", examples=["https://history.acme.example"]
    )
    spark_ui: str | None = Field(
        default=None,
        description="URL of a running job's Spark UI, with {namespace} and {name}.",
        examples=["https://spark.acme.example/{namespace}/{name}"],
    )
    storage_class: str = Field(default="gp3", description="Storage class of preset `pvc_reuse`.")
    fargate_profile: str | None = Field(
        default=None,
        description="Fargate profile of `executors.capacity: fargate`; its selectors must match the executors' pods.",
        examples=["spark-executors"],
    )
    queue: str | None = Field(
        default=None, description="Queue of presets `yunikorn` and `volcano`.", examples=["root.sales"]
    )
    priority_class: str | None = Field(
        default=None, description="PriorityClass of preset `volcano`.", examples=["etl-high"]
    )
    gpu_claim_template: str | None = Field(
        default=None,
        description="ResourceClaimTemplate of preset `gpu_claim`, which gives one GPU a claim.",
        examples=["one-gpu"],
    )
    node_labels: Literal["karpenter", "managed"] = Field(
        default="karpenter", description="Who labels nodes by capacity type: Karpenter or EKS managed node groups."
    )
