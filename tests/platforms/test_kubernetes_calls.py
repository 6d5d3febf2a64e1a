"""Single calls to a Kubernetes API: what is no answer of one is told."""

from __future__ import annotations

import asyncio

import pytest

from airflow_doeks.platforms.kubernetes.calls import KubeCalls
from airflow_doeks.platforms.kubernetes.server import PODS, Server
from airflow_doeks.platforms.patience import Pace, Patience, Refusal, Time
from tests.fakes.api_server import ApiServer, serving
from tests.fakes.cluster import Cluster


@pytest.mark.parametrize("content", [b"<html>log in</html>", b"", b"[]", b"\xff"])
def test_an_answer_that_is_no_object_is_a_refusal(content):
    """A proxy's login page, or a redirect to one, comes with a status of success: the address is to blame."""

    class Calls(KubeCalls):
        def _send(self, *_):
            return 200, content

    calls = Calls(lambda: Server("http://lab", dict), Patience(Pace(9.0), Time()), asyncio.to_thread)
    with pytest.raises(Refusal, match="lab answered GET /api/v1/namespaces/sales/pods/a with no object") as refused:
        calls.get(PODS, "sales", "a", seconds=0)
    assert refused.value.retryable


@pytest.mark.parametrize(("refusals", "is_known"), [(5, True), (10_000, False)])
def test_refused_credentials_are_asked_with_again_for_a_short_while(refusals, is_known):
    """EKS answers 401 while STS throttles; who is not known is told after seconds, and asks EKS no more for that."""
    moment, connections = [0.0], []

    class Tokens:
        left = refusals

        def __contains__(self, _):
            self.left -= 1
            return self.left < 0

    def passes(seconds):
        moment[0] += seconds

    with serving(ApiServer(Cluster())) as server:
        server.tokens = Tokens()

        def connect():
            connections.append(moment[0])
            return Server(server.url, dict, who="worker")

        time = Time(monotonic=lambda: moment[0], sleep=passes)
        calls = KubeCalls(connect, Patience(Pace(1e9, time), time), asyncio.to_thread)
        if is_known:
            assert calls.get(PODS, "sales", "a") is None
        else:
            with pytest.raises(Refusal, match=r"401 \(as worker\).*look at the platform's `connection`") as told:
                calls.get(PODS, "sales", "a")
            assert (told.value.kind, told.value.retryable, told.value.category) == (
                "no_credentials",
                True,
                "permission",
            )
            assert moment[0] <= 15
    assert len(connections) == 2
