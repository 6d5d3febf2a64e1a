"""Tokens of EKS clusters: made in this process, signed for one cluster, renewed before they end."""

import base64
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.kubernetes.config import Eks
from airflow_doeks.platforms.kubernetes.eks import LIFE_SECONDS, eks_server
from airflow_doeks.platforms.patience import Refusal, Time
from tests.fakes.api_server import ApiServer, serving
from tests.fakes.cluster import Cluster
from tests.fakes.eks import ROLE
from tests.platforms.harness_emr_on_eks import world
from tests.platforms.harness_kubeflow_spark import KubeflowHarness

ENTRY = Eks(cluster="analytics", region="us-east-1")


class FakeEks:
    """What DescribeCluster tells of one cluster."""

    def __init__(self, endpoint):
        self.endpoint, self.asked = endpoint, []

    def describe_cluster(self, name):
        self.asked.append(name)
        authority = base64.b64encode(b"not read for http").decode()
        return {"cluster": {"endpoint": self.endpoint, "certificateAuthority": {"data": authority}}}


@pytest.fixture
def aws():
    """Makes a fake EKS and a real STS client that is never called."""
    made = {"eks": FakeEks("http://127.0.0.1:1")}

    def make(service, *, connection, region, endpoint_url=None):
        del connection, endpoint_url
        if service == "sts":
            keys = {"aws_access_key_id": "AKIAEXAMPLEEXAMPLE00", "aws_secret_access_key": "x" * 8}
            return boto3.client("sts", region_name=region, **keys)
        return made[service]

    make.eks = made["eks"]
    return make


def test_a_token_is_a_signed_url_for_one_cluster(aws):
    """It decodes to a presigned GetCallerIdentity of the region, whose signature covers the cluster's name."""
    server = eks_server(ENTRY, Clients(aws=aws), None, 20.0)
    kind, token = server.headers()["Authorization"].split()
    assert (kind, aws.eks.asked) == ("Bearer", ["analytics"])
    text = token.removeprefix("k8s-aws-v1.")
    url = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    query = {key: values[0] for key, values in parse_qs(url.query).items()}
    assert url.netloc in ("sts.us-east-1.amazonaws.com", "sts.amazonaws.com")
    assert query["Action"] == "GetCallerIdentity"
    assert query["X-Amz-Expires"] == "60"
    assert "x-k8s-aws-id" in query["X-Amz-SignedHeaders"].split(";")


def test_a_token_is_renewed_before_it_ends(aws, monkeypatch):
    """At 80 % of its life a new one is made, not earlier; EKS is not asked again."""
    moment, made = [1000.0], iter("ab")
    monkeypatch.setattr("airflow_doeks.platforms.kubernetes.eks.make_token", lambda *_: next(made))
    server = eks_server(ENTRY, Clients(aws=aws, time=Time(monotonic=lambda: moment[0])), None, 20.0)
    seen = []
    for _ in range(2):
        seen.append(server.headers()["Authorization"])
        moment[0] += 0.5 * LIFE_SECONDS
    seen.append(server.headers()["Authorization"])
    assert seen == ["Bearer a", "Bearer a", "Bearer b"]
    assert len(aws.eks.asked) == 1


@pytest.mark.parametrize("role", [None, ROLE])
def test_a_platform_finds_its_cluster_by_name(tmp_path, role):
    """With `eks` no Kubernetes connection is read: EKS tells the address, and the cluster takes the tokens made here.

    A role is assumed first; the cluster takes no token that another signed, or that was signed for another cluster.
    """
    with world(tmp_path) as aws, serving(ApiServer(Cluster())) as server:
        server.tokens = aws.aws.eks
        aws.aws.eks.endpoint = server.url
        harness = KubeflowHarness(server, tmp_path)
        harness.aws = lambda service, **_: aws.make(service, session=None)
        platform = harness.platform(eks={"cluster": "analytics", "region": "us-east-1", "role": role})
        ref = platform.submit(platform.render(harness.job(), harness.identity()))
        assert platform.observe(ref).ref == ref
        assert platform.scope(ref).credentials == f"eks us-east-1 analytics {role or ''}".strip()
        calls = aws.aws.eks.calls
        assert (calls["eks:DescribeCluster"], calls["sts:AssumeRole"]) == (1, bool(role))
        aws.aws.eks.takes = "another"
        with pytest.raises(Refusal, match="401"):
            platform.observe(ref)
        aws.aws.eks.cluster = "another"
        with pytest.raises(Refusal, match=r"DescribeCluster failed.*Look at `eks` of the platform: 'analytics'"):
            harness.platform(eks=ENTRY.model_dump()).observe(ref)
