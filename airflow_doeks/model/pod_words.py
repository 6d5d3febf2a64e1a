"""What a job of any engine may ask of its pods in Kubernetes' own words."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from airflow_doeks.model.job_part import JobPart


class Volume(JobPart):
    """A volume of both kinds of pods: a claim, secret, config map or host path; an empty one if it names none."""

    path: str = Field(min_length=1, description="Where it is mounted.", examples=["/data"])
    claim: str | None = Field(default=None, description="Persistent volume claim.", examples=["models"])
    secret: str | None = Field(default=None, description="Kubernetes secret, whose keys are files.")
    config_map: str | None = Field(default=None, description="Config map, whose keys are files.")
    host_path: str | None = Field(default=None, description="Folder of the node.", examples=["/mnt/nvme"])
    size: str | None = Field(default=None, description="Most that an empty volume may hold.", examples=["20Gi"])
    read_only: bool = Field(default=False, description="Nobody writes to it.")


ServiceAccount = Annotated[
    str | None, Field(description="Service account of its pods; the platform's if left out.", examples=["etl"])
]
NodeSelector = Annotated[
    dict[str, str], Field(description="Labels that the pods' nodes must have.", examples=[{"workload": "batch"}])
]
Tolerations = Annotated[
    tuple[dict[str, str | int], ...],
    Field(
        description="Taints of nodes that the pods tolerate, in Kubernetes' words.",
        examples=[[{"key": "batch", "operator": "Exists", "effect": "NoSchedule"}]],
    ),
]
Volumes = Annotated[
    dict[str, Volume],
    Field(description="Volumes of the pods by name.", examples=[{"models": {"claim": "models", "path": "/data"}}]),
]
Labels = Annotated[dict[str, str], Field(description="Labels of the pods.", examples=[{"cost": "batch"}])]
Annotations = Annotated[dict[str, str], Field(description="Annotations of the pods.")]
PodTemplate = Annotated[
    str | dict[str, Any] | None,
    Field(
        description="Pod template of all pods: a YAML file of the project, or itself; its first container is the "
        "engine's.",
        examples=["pods/batch.yaml"],
    ),
]
