"""A gang of YuniKorn: driver and executors take the places that were held for them; skipped where it is not there."""

from __future__ import annotations

import os

import pytest

from airflow_doeks.model.quantities import parse_cpu, parse_memory
from airflow_doeks.model.status import JobState
from tests.kube.conftest import SESSION, listed, mounts
from tests.kube.test_api_server import platform, request, until
from tests.kube.test_pod_cost import kubelet_view

pytestmark = pytest.mark.skipif(
    not os.environ.get("DOEKS_KUBE_YUNIKORN"), reason="DOEKS_KUBE_YUNIKORN says where Apache YuniKorn schedules pods"
)


def test_a_gang_takes_the_places_that_were_held_for_it(operator, shared_folder):
    """As many placeholders as pods, as large as these; all are YuniKorn's, none is left, none is of the job."""
    made = platform(type=operator, queue="root.doeks")
    small = {"driver": {"memory": "1Gi"}, "executors": {"memory": "1Gi", "min": 2, "max": 2}}
    attempt = f"gang-{operator}-{SESSION}"
    sent, _ = request(made, attempt, presets=["yunikorn"], conf=mounts(shared_folder), args=["200"], **small)
    with kubelet_view() as seen:
        ref = made.submit(sent)
        until(lambda: made.observe(ref).state.is_terminal, 240)
    assert made.observe(ref).state is JobState.SUCCEEDED, made.explain(ref)
    pods = [pod for pod in seen.values() if pod["spec"].get("schedulerName") == "yunikorn"]
    mine = [pod for pod in pods if pod["metadata"]["labels"].get("airflow-doeks/run") == attempt]
    places = [pod for pod in pods if pod["metadata"]["name"].startswith("tg-") and pod not in mine]
    roles = sorted(pod["metadata"]["labels"]["spark-role"] for pod in mine)
    assert (roles, len(places)) == (["driver", "executor", "executor"], 3)
    assert sorted(map(requests, mine)) == sorted(map(requests, places))
    assert [pod for pod in places if made.operator.job_label in pod["metadata"]["labels"]] == []
    until(lambda: not [pod for pod in listed("pods") if pod["metadata"]["name"].startswith("tg-")], 60)


def requests(pod):
    """CPUs and bytes of memory that a pod asks for."""
    asked = [container["resources"]["requests"] for container in pod["spec"]["containers"]]
    return sum(parse_cpu(one["cpu"]) for one in asked), sum(parse_memory(one["memory"]) for one in asked)


def test_a_gang_without_room_waits_and_is_told_as_such(operator):
    """No pod of it runs before all have a place: it is QUEUED, unschedulable, and a cancel leaves no placeholder."""
    made = platform(type=operator, queue="root.doeks")
    large = {"driver": {"memory": "1Gi"}, "executors": {"memory": "64Gi", "min": 2, "max": 2}}
    ref = made.submit(request(made, f"room-{operator}-{SESSION}", presets=["yunikorn"], **large)[0])
    try:
        until(lambda: made.explain(ref).category == "unschedulable", 90)
        assert made.observe(ref).state is JobState.QUEUED
    finally:
        made.cancel(ref)
    until(lambda: made.observe(ref).state is JobState.CANCELLED)
    until(lambda: not [pod for pod in listed("pods") if pod["metadata"]["name"].startswith("tg-")], 60)
