"""The Kubernetes API behind a connection of the cncf-kubernetes provider. Making a client is slow and blocks."""

from __future__ import annotations

from typing import Any


def core_api(connection: str) -> Any:
    """A `kubernetes.client.CoreV1Api`; reads the kubeconfig of the connection, or the pod's own account."""
    from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
    from kubernetes.client import CoreV1Api

    # By position: the argument has one name in provider 9.0 and two since 10.5.
    return CoreV1Api(KubernetesHook(connection).get_conn())
