"""Where a Kubernetes API answers and how this process is known to it: plain facts, with no client of any version.

Requests are plain HTTP, because MWAA pins kubernetes clients from 29 to 36 whose methods differ; the official client
only reads kubeconfigs, exec plugins and the pod's own account, and renews what they give.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from airflow_doeks.platforms.patience import Refusal


@dataclass(frozen=True)
class Server:
    """An API server, seen with one set of credentials.

    Attributes:
        headers: gives the headers of a request, credentials among them, renewed when they are due; may block.
        tls: None for plain HTTP.
        who: how a person would call these credentials.
    """

    url: str
    headers: Callable[[], Mapping[str, str]] = field(repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    proxy: str | None = None
    who: str = ""

    @property
    def host(self) -> str:
        """Host and port, which stand for the cluster in the refs of its jobs."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


class Kind(NamedTuple):
    """A kind of object in the words of its paths."""

    group: str
    version: str
    plural: str
    name: str = ""

    def path(self, namespace: str, name: str = "", part: str = "") -> str:
        """The path of all objects of a namespace, of one, or of a part of one (``log``)."""
        start = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        place = f"{start}/namespaces/{quote(namespace)}" if namespace else start
        return "/".join([f"{place}/{self.plural}", *(quote(word, safe="/:") for word in (name, part) if word)])

    @property
    def api_version(self) -> str:
        """As in an object."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """As in a Role: ``sparkapplications.sparkoperator.k8s.io``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


PODS = Kind("", "v1", "pods", "Pod")
EVENTS = Kind("", "v1", "events", "Event")
NODES = Kind("", "v1", "nodes", "Node")
SERVICES = Kind("", "v1", "services", "Service")


def target(path: str, query: Mapping[str, object] | None = None) -> str:
    """Path and query; what is None is left out, and True is ``true``."""
    words = {key: str(value).lower() if isinstance(value, bool) else value for key, value in (query or {}).items()}
    known = {key: value for key, value in words.items() if value is not None}
    return f"{path}?{urlencode(known)}" if known else path


def server_of(client: Any) -> Server:
    """The server behind a `kubernetes.client.ApiClient`; Refusal where its credentials cannot be had."""
    settings = client.configuration

    def headers() -> dict[str, str]:
        try:
            found = settings.auth_settings().values()
        except Exception as error:  # noqa: BLE001 - an exec plugin, a file of the pod: whatever gives the token
            msg = f"no credentials for {settings.host}: {error}"
            raise Refusal(kind="no_credentials", message=msg) from None  # a traceback would tell it unmasked
        return {item["key"]: item["value"] for item in found if item["in"] == "header" and item["value"]}

    return Server(
        url=str(settings.host).rstrip("/"),
        headers=headers,
        tls=_tls(settings) if str(settings.host).startswith("https") else None,
        proxy=getattr(settings, "proxy", None),
        who=getattr(settings, "username", "") or "",
    )


def _tls(settings: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ssl_ca_cert)
    if not settings.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif getattr(settings, "assert_hostname", None) is False:
        context.check_hostname = False
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context
