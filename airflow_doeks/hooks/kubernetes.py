"""The Kubernetes API behind a connection of the cncf-kubernetes provider. Making a client is slow and blocks."""

from __future__ import annotations

from typing import Any


def core_api(connection: str) -> Any:
    """A `kubernetes.client.CoreV1Api`; reads the kubeconfig of the connection, or the pod's own account."""
    from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
    from kubernetes.client import CoreV1Api

    # By position: providers before 10.14 know one name of the argument, later ones two.
    return CoreV1Api(KubernetesHook(connection).get_conn())
