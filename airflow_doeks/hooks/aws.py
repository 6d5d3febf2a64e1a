"""Which AWS connection a platform means: one of the amazon provider, or one of type `emr_on_eks` that names one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_doeks.model.errors import PlatformError

DEFAULT_CONNECTION = "aws_default"
EMR_ON_EKS = "emr_on_eks"  # connection type, see hooks/emr_on_eks.py
EMR_SERVICE = "emr-containers"


@dataclass(frozen=True)
class AwsConnection:
    """``name`` is a connection of the amazon provider, None for boto3's own search for credentials."""

    name: str | None
    endpoints: Mapping[str, str] = field(default_factory=dict)  # service -> URL, unless the platform names one


def resolve_connection(name: str | None) -> AwsConnection:
    """The AWS connection behind the name that a platform gives; blocks.

    Raises PlatformError if there is none of this name: with other credentials a job could start in another account.
    """
    if name is None:
        return AwsConnection(None)
    found = _connection(name, "make it, or name another as `connection` of the platform")
    if found is None or found.conn_type != EMR_ON_EKS:
        return AwsConnection(name)
    extra = found.extra_dejson
    endpoints = {EMR_SERVICE: extra["endpoint_url"]} if extra.get("endpoint_url") else {}
    inner = str(extra.get("aws_conn_id") or DEFAULT_CONNECTION)
    behind = _connection(inner, f"`aws_conn_id` in the extra of {name!r} names it")
    if behind is not None and behind.conn_type == EMR_ON_EKS:
        msg = (
            f"connection {name!r} names {inner!r} as `aws_conn_id`, which is of type {EMR_ON_EKS} too: name one of AWS"
        )
        raise PlatformError(msg)
    return AwsConnection(inner, endpoints)


def _connection(name: str, advice: str) -> Any:
    """The connection; None where aws_default is not there: the amazon provider lets boto3 search for credentials."""
    from airflow_doeks.compat import AirflowNotFoundException, BaseHook

    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException as error:
        if name == DEFAULT_CONNECTION:
            return None
        msg = f"there is no Airflow connection {name!r}; {advice}"
        raise PlatformError(msg) from error
