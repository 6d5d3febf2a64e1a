"""Clients of an `emr_on_eks` platform, from its connections. Making one is slow and blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_doeks.hooks.aws import resolve_connection
from airflow_doeks.hooks.kubernetes import core_api
from airflow_doeks.platforms.aws_calls import AwsCalls, Time, shared_pace

if TYPE_CHECKING:
    from airflow_doeks.platforms.emr_on_eks.config import Config

CONNECT_SECONDS = 10
READ_SECONDS = 30
SERVICES = {"emr_containers": "emr-containers", "s3": "s3", "logs": "logs", "sts": "sts"}


def emr_clients(config: Config) -> Mapping[str, Callable[[], Any]]:
    """Service -> factory of a client; credentials refresh themselves where the connection's do."""
    kubernetes = {"kubernetes": partial(core_api, config.kubernetes)} if config.kubernetes else {}
    return kubernetes | {
        name: partial(
            aws_client,
            service,
            config.connection,
            config.region,
            config.endpoint_url if name == "emr_containers" else None,
        )
        for name, service in SERVICES.items()
    }


def virtual_cluster_calls(region: str | None, connection: str | None, endpoint_url: str | None) -> AwsCalls:
    """Paced calls for what concerns virtual clusters, not jobs."""
    return AwsCalls(
        partial(aws_client, SERVICES["emr_containers"], connection, region, endpoint_url),
        lambda: str(aws_client("sts", connection, region, None).get_caller_identity()["Arn"]),
        shared_pace(region or "", connection, 2.0),
        Time(),
    )


def aws_client(service: str, connection: str | None, region: str | None, endpoint_url: str | None) -> Any:
    """A boto3 client; ``endpoint_url`` goes before the connection's. PlatformError if there is no such connection."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from botocore.config import Config as BotoConfig

    found = resolve_connection(connection)
    if service == SERVICES["emr_containers"]:
        endpoint_url = endpoint_url or found.endpoint_url
    hook = AwsGenericHook(aws_conn_id=found.name, region_name=region, client_type=service)
    config = BotoConfig(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 1},  # platforms/aws_calls.py repeats
        user_agent_extra="airflow-doeks",
    )
    own = hook.config.merge(config) if hook.config else config
    if endpoint_url:
        return hook.get_session(region_name=region).client(
            service, endpoint_url=endpoint_url, config=own, verify=hook.verify
        )
    return hook.get_client_type(region_name=region, config=own)
