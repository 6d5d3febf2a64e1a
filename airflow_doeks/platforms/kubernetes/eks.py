"""An EKS cluster reached with AWS credentials alone: its address from the EKS API, its tokens made in this process.

A token is a presigned GetCallerIdentity, as `aws eks get-token` makes it: no subprocess, no kubeconfig, no network.
Facts: EKS user guide and aws-iam-authenticator, read November 2026.
"""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_doeks.platforms.aws_calls import aws_calls
from airflow_doeks.platforms.kubernetes.server import Server
from airflow_doeks.platforms.patience import Refusal, Time

if TYPE_CHECKING:
    from airflow_doeks.platforms.clients import Clients
    from airflow_doeks.platforms.kubernetes.config import Eks

CLUSTER_HEADER = "x-k8s-aws-id"
URL_SECONDS = 60  # what the URL is signed for; the authenticator takes a token for 15 minutes all the same
LIFE_SECONDS = 15 * 60
RENEW_AFTER = 0.8  # of its life
SECONDS = 15.0  # for a call of AWS and its repetitions


def eks_server(eks: Eks, clients: Clients, connection: str | None, per_second: float) -> Server:
    """The API server of an EKS cluster; asks EKS once, and STS for a role where one is named. Refusal where it cannot.

    A cluster that is not there is no object that is gone: whoever asked for a job must not take the job for lost.
    """
    where: dict[str, Any] = {"connection": connection, "region": eks.region, "per_second": per_second}
    try:
        found = aws_calls(clients, "eks", **where).patiently("describe_cluster", SECONDS, name=eks.cluster)["cluster"]
        sts = _sts(eks, clients.aws("sts", connection=connection, region=eks.region), clients, where)
    except Refusal as refusal:
        if refusal.kind != "gone":
            raise
        msg = f"{refusal} Look at `eks` of the platform: {eks.cluster!r} in {eks.region}."
        raise Refusal(kind="missing", message=msg) from None
    token = Token(lambda: make_token(sts, eks.cluster), clients.time)
    authority = base64.b64decode(found["certificateAuthority"]["data"]).decode()
    return Server(
        url=found["endpoint"].rstrip("/"),
        headers=lambda: {"Authorization": f"Bearer {token.current()}"},
        tls=ssl.create_default_context(cadata=authority) if found["endpoint"].startswith("https") else None,
        who=eks.role or f"AWS connection {connection or 'aws_default'}",
    )


class Token:
    """A token that is made anew at 80 % of its life; thread-safe."""

    def __init__(self, make: Callable[[], str], clock: Time) -> None:
        self._make, self._clock = make, clock
        self._value, self._until = "", 0.0
        self._lock = threading.Lock()

    def current(self) -> str:
        """The token."""
        with self._lock:
            now = self._clock.monotonic()
            if not self._value or now >= self._until:
                self._value, self._until = self._make(), now + RENEW_AFTER * LIFE_SECONDS
            return self._value


def make_token(sts: Any, cluster: str) -> str:
    """A token for a cluster, signed with a client's credentials; no call is made."""
    from botocore.exceptions import BotoCoreError

    try:
        url = sts.generate_presigned_url(
            "get_caller_identity", Params={CLUSTER_HEADER: cluster}, ExpiresIn=URL_SECONDS, HttpMethod="GET"
        )
    except BotoCoreError as error:
        msg = f"no AWS credentials to sign a token for EKS cluster {cluster!r} with: {error}"
        raise Refusal(kind="no_credentials", message=msg) from None
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def _sts(eks: Eks, sts: Any, clients: Clients, where: Mapping[str, Any]) -> Any:
    """A client of STS that signs the cluster's name, too, as the role if one is named."""
    if eks.role:
        import boto3

        words = {"RoleArn": eks.role, "RoleSessionName": "airflow-doeks"}
        given = aws_calls(clients, "sts", **where).patiently("assume_role", SECONDS, **words)["Credentials"]
        sts = boto3.client(
            "sts",
            region_name=eks.region,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )
    events = sts.meta.events
    events.register("provide-client-params.sts.GetCallerIdentity", _keep_cluster)
    events.register("before-sign.sts.GetCallerIdentity", _sign_cluster)
    return sts


def _keep_cluster(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    if CLUSTER_HEADER in params:
        context[CLUSTER_HEADER] = params.pop(CLUSTER_HEADER)


def _sign_cluster(request: Any, **_: Any) -> None:
    if CLUSTER_HEADER in request.context:
        request.headers[CLUSTER_HEADER] = request.context[CLUSTER_HEADER]
