"""Single calls to a Kubernetes API: what is no answer of one is told."""

from __future__ import annotations

import asyncio

import pytest

from airflow_doeks.platforms.kubernetes.calls import KubeCalls
from airflow_doeks.platforms.kubernetes.server import PODS, Server
from airflow_doeks.platforms.patience import Pace, Patience, Refusal, Time


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
