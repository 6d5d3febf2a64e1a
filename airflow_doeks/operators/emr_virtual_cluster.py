"""Operators that create, wait for, describe and delete EMR virtual clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_doeks.compat import AirflowFailException, BaseOperator, BaseSensorOperator
from airflow_doeks.hooks.emr_on_eks import virtual_cluster_calls
from airflow_doeks.model.identity import digest
from airflow_doeks.platforms.emr_on_eks import virtual_clusters

_FIELDS = ("virtual_cluster", "region", "connection", "endpoint_url")


class EmrVirtualClusterCreateOperator(BaseOperator):
    """Makes the virtual cluster of a namespace unless it is there; returns its id.

    Args:
        eks_cluster: name of the EKS cluster.
        namespace: Kubernetes namespace; it has at most one virtual cluster.
        max_concurrent_jobs, max_queued_jobs: limits of EMR's scheduler, 1 to 1000; EMR's default if left out.
    """

    template_fields: Sequence[str] = ("cluster_name", "eks_cluster", "namespace", "tags", *_FIELDS[1:])

    def __init__(
        self,
        *,
        cluster_name: str,
        eks_cluster: str,
        namespace: str,
        region: str,
        connection: str | None = "aws_default",
        tags: Mapping[str, str] | None = None,
        max_concurrent_jobs: int | None = None,
        max_queued_jobs: int | None = None,
        endpoint_url: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cluster_name, self.eks_cluster, self.namespace = cluster_name, eks_cluster, namespace
        self.region, self.connection, self.endpoint_url = region, connection, endpoint_url
        self.tags = tags or {}
        self.max_concurrent_jobs, self.max_queued_jobs = max_concurrent_jobs, max_queued_jobs

    def execute(self, context: Any) -> str:
        """Id of the virtual cluster."""
        ti = context["ti"]
        limits = {"maxConcurrentJobRuns": self.max_concurrent_jobs, "maxInQueueJobRuns": self.max_queued_jobs}
        return virtual_clusters.create(
            virtual_cluster_calls(self.region, self.connection, self.endpoint_url),
            name=self.cluster_name,
            eks_cluster=self.eks_cluster,
            namespace=self.namespace,
            token=digest(
                self.eks_cluster, self.namespace, ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.try_number
            ),
            tags=self.tags,
            scheduler={key: value for key, value in limits.items() if value is not None},
        )


class _OnVirtualCluster:
    """What names one virtual cluster.

    Each class spells its arguments out: Airflow fills in `default_args` by the signature of a class's own __init__.
    """

    template_fields: Sequence[str] = _FIELDS
    virtual_cluster: str
    region: str
    connection: str | None
    endpoint_url: str | None

    def _calls(self) -> Any:
        return virtual_cluster_calls(self.region, self.connection, self.endpoint_url)


class EmrVirtualClusterDescribeOperator(_OnVirtualCluster, BaseOperator):
    """Returns what EMR knows of a virtual cluster: state and its meaning, limits and counts of its scheduler."""

    def __init__(
        self,
        *,
        virtual_cluster: str,
        region: str,
        connection: str | None = "aws_default",
        endpoint_url: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.virtual_cluster, self.region = virtual_cluster, region
        self.connection, self.endpoint_url = connection, endpoint_url

    def execute(self, context: Any) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """The description as JSON."""
        return virtual_clusters.describe(self._calls(), self.virtual_cluster)


class EmrVirtualClusterDeleteOperator(_OnVirtualCluster, BaseOperator):
    """Deletes a virtual cluster and waits for its end; one that is gone is fine. Its jobs must have ended.

    Args:
        wait_seconds: how long to wait; 0 does not wait.
    """

    def __init__(
        self,
        *,
        virtual_cluster: str,
        region: str,
        connection: str | None = "aws_default",
        endpoint_url: str | None = None,
        wait_seconds: float = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.virtual_cluster, self.region = virtual_cluster, region
        self.connection, self.endpoint_url = connection, endpoint_url
        self.wait_seconds = wait_seconds

    def execute(self, context: Any) -> None:  # noqa: ARG002 - Airflow's signature
        """Nothing is returned."""
        virtual_clusters.delete(self._calls(), self.virtual_cluster, wait_seconds=self.wait_seconds)


class EmrVirtualClusterSensor(_OnVirtualCluster, BaseSensorOperator):
    """Waits until a virtual cluster is RUNNING; fails at once when it is ARRESTED or on its way out."""

    def __init__(
        self,
        *,
        virtual_cluster: str,
        region: str,
        connection: str | None = "aws_default",
        endpoint_url: str | None = None,
        mode: str = "reschedule",
        **kwargs: Any,
    ) -> None:
        super().__init__(mode=mode, **kwargs)
        self.virtual_cluster, self.region = virtual_cluster, region
        self.connection, self.endpoint_url = connection, endpoint_url

    def poke(self, context: Any) -> bool:  # noqa: ARG002 - Airflow's signature
        """True once it is RUNNING."""
        shown = virtual_clusters.describe(self._calls(), self.virtual_cluster)
        if shown["state"] in virtual_clusters.STATES and shown["state"] != "RUNNING":
            msg = f"virtual cluster {self.virtual_cluster} is {shown['state']}: {shown['meaning']}"
            raise AirflowFailException(msg)
        return bool(shown["state"] == "RUNNING")
