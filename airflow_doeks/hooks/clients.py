"""The clients of platforms, made from Airflow's connections and settings. Making one is slow and blocks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_doeks.hooks.aws import resolve_connection
from airflow_doeks.hooks.settings import Settings
from airflow_doeks.hooks.stores import open_store
from airflow_doeks.model.errors import SpecError
from airflow_doeks.platforms.clients import Clients, Injection

CONNECT_SECONDS = 10
READ_SECONDS = 30


def clients(settings: Settings | None = None) -> Clients:
    """What any platform may ask for; without settings nothing of a job is injected and local runs have no folder."""
    from airflow_doeks.compat import in_thread

    given = Clients(aws_client, kubernetes_client, open_store, password_of, in_thread)
    if settings is None:
        return given
    inject = Injection(settings.inject_event_log, settings.inject_plan_metadata, settings.inject_identity)
    return replace(given, inject=inject, local_dir=settings.local_dir)


def aws_client(
    service: str, *, connection: str | None, region: str | None, endpoint_url: str | None = None, attempts: int = 1
) -> Any:
    """A boto3 client, whose credentials refresh themselves where the connection's do.

    ``attempts`` is for callers without patience of their own. ``endpoint_url`` goes before the connection's.
    PlatformError if there is no such connection.
    """
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from botocore.config import Config as BotoConfig

    found = resolve_connection(connection)
    endpoint_url = endpoint_url or found.endpoints.get(service)
    hook = AwsGenericHook(aws_conn_id=found.name, region_name=region, client_type=service)
    config = BotoConfig(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": attempts},  # platforms/patience.py repeats
        user_agent_extra="airflow-doeks",
    )
    own = hook.config.merge(config) if hook.config else config
    if endpoint_url:
        return hook.get_session(region_name=region).client(
            service, endpoint_url=endpoint_url, config=own, verify=hook.verify
        )
    return hook.get_client_type(region_name=region, config=own)


def kubernetes_client(connection: str) -> Any:
    """A `kubernetes.client.ApiClient`: the kubeconfig of a connection, or the pod's own account."""
    from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

    # By position: the argument has one name in provider 9.0 and two since 10.5.
    return KubernetesHook(connection).get_conn()


def password_of(connection: str) -> str:
    """The password of a connection; SpecError if there is no such connection or it has none."""
    from airflow_doeks.compat import AirflowNotFoundException, BaseHook

    try:
        found = BaseHook.get_connection(connection).password
    except AirflowNotFoundException as error:
        msg = f"there is no connection {connection!r}: {error}"
        raise SpecError(msg) from error
    if not found:
        msg = f"connection {connection!r} has no password"
        raise SpecError(msg)
    return str(found)
