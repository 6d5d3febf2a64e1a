"""EKS and STS as a Kubernetes client needs them, and the authenticator of an API server that believes their tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from urllib.parse import parse_qsl, quote, urlsplit

from tests.fakes.emr_containers import ACCOUNT

LIFE_SECONDS = 15 * 60  # of a token, whatever its URL was signed for; aws-iam-authenticator, read November 2026
_HEADER = "x-k8s-aws-id"


@dataclass
class FakeEks:
    """One cluster, and the keys that sign for it.

    Attributes:
        endpoint: where its API server answers; ``takes`` is the name that it wants tokens signed for.
        secrets: access key -> secret; AssumeRole adds a role's.
        calls: actions -> how often.
    """

    endpoint: str = ""
    cluster: str = "analytics"
    takes: str = "analytics"
    secrets: dict[str, str] = field(default_factory=lambda: {"AKIAEXAMPLEEXAMPLE00": "x" * 8})
    sessions: dict[str, str] = field(default_factory=dict)  # of a role's key
    calls: Counter[str] = field(default_factory=Counter)

    def handle(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request."""
        return self.assume(body) if path == "/" else self.describe(path)

    def describe(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """DescribeCluster."""
        self.calls["eks:DescribeCluster"] += 1
        name = path.rpartition("/")[2]
        kind = {"Content-Type": "application/json"}
        if name != self.cluster:
            error = json.dumps({"message": f"No cluster found for name: {name}."}).encode()
            return 404, kind | {"x-amzn-ErrorType": "ResourceNotFoundException"}, error
        authority = base64.b64encode(b"not read for http").decode()
        cluster = {"name": name, "endpoint": self.endpoint, "certificateAuthority": {"data": authority}}
        return 200, kind, json.dumps({"cluster": cluster}).encode()

    def assume(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """AssumeRole: a key of its own, which signs with a session."""
        self.calls["sts:AssumeRole"] += 1
        role = dict(parse_qsl(body.decode()))["RoleArn"]
        key = f"ASIAROLE{len(self.sessions):012}"
        self.secrets[key], self.sessions[key] = hashlib.sha256(role.encode()).hexdigest(), f"session of {role}"
        parts = {"AccessKeyId": key, "SecretAccessKey": self.secrets[key], "SessionToken": self.sessions[key]}
        given = "".join(f"<{name}>{value}</{name}>" for name, value in parts.items())
        given += "<Expiration>2100-01-01T00:00:00Z</Expiration>"
        xml = f"<AssumeRoleResponse><AssumeRoleResult><Credentials>{given}</Credentials></AssumeRoleResult>"
        return 200, {"Content-Type": "text/xml"}, f"{xml}</AssumeRoleResponse>".encode()

    def __contains__(self, token: object) -> bool:
        """True of a token that the cluster's authenticator takes, as it asks STS: signed, for this cluster, in time."""
        self.calls["authenticate"] += 1
        kind, _, text = str(token).partition(".")
        if kind != "k8s-aws-v1":
            return False
        url = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
        query = dict(parse_qsl(url.query))
        key, day, region, service, _ = query["X-Amz-Credential"].split("/")
        moment = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        in_time = abs((datetime.now(timezone.utc) - moment).total_seconds()) < LIFE_SECONDS
        has_session = query.get("X-Amz-Security-Token") == self.sessions.get(key)
        signed = {"host": url.netloc, _HEADER: self.takes}
        if query["X-Amz-SignedHeaders"].split(";") != sorted(signed) or key not in self.secrets:
            return False
        signature = query.pop("X-Amz-Signature")
        words = "&".join(
            f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items())
        )
        headers = "".join(f"{name}:{value}\n" for name, value in sorted(signed.items()))
        empty = hashlib.sha256(b"").hexdigest()
        request = "\n".join(["GET", url.path or "/", words, headers, ";".join(sorted(signed)), empty])
        scope = f"{day}/{region}/{service}/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], scope, digest])
        secret = f"AWS4{self.secrets[key]}".encode()
        for part in (*scope.split("/"), text):
            secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
        return in_time and has_session and hmac.compare_digest(secret.hex(), signature)


ROLE = f"arn:aws:iam::{ACCOUNT}:role/airflow-spark"
