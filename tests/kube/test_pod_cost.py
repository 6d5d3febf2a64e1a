"""Cost from pods that were seen, held against the kubelet's times of its containers, which kubectl alone watches."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_doeks.model.quantities import gib, parse_cpu, parse_memory
from tests.kube.conftest import NAMESPACE, instance_of, kubectl, listed, run

pytestmark = [pytest.mark.slow, pytest.mark.spark, pytest.mark.airflow]
PIPELINE = """\
schedule: null
start_date: 2026-01-01
tasks:
  held:
    spark:
      main: ../jobs/held.py
      driver: {cpu: 1, memory: 1Gi}
      executors: {min: 1, max: 2, cpu: 1, memory: 1Gi}
"""
# Twelve tasks of 5 s for one or two executors: enough for a second one to come, and to be killed.
JOB = """\
import time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print(spark.sparkContext.parallelize(range(12), 12).map(lambda n: (time.sleep(5), n)[1]).sum())
spark.stop()
"""


@contextmanager
def kubelet_view(namespace: str = NAMESPACE) -> Iterator[dict[str, dict[str, Any]]]:
    """Every pod of a namespace as kubectl's watch last showed it, by uid, while the block runs."""
    pods: dict[str, dict[str, Any]] = {}
    command = ["kubectl", "-n", namespace, "get", "pods", "--watch", "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:

        def read() -> None:
            decoder, text = json.JSONDecoder(), ""
            for line in watch.stdout:
                text += line
                if line.rstrip() == "}":
                    pod = decoder.decode(text)
                    pods[pod["metadata"]["uid"]], text = pod, ""

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            yield pods
        finally:
            watch.terminate()
            reader.join(10)


def kill_second_executor(selector: str, done: threading.Event) -> None:
    """Delete an executor's pod once two of them run."""
    while not done.wait(1):
        pods = [pod for pod in listed("pods", f"{selector},spark-role=executor") if pod["status"]["phase"] == "Running"]
        if len(pods) > 1:
            time.sleep(4)  # long enough to have cost something
            kubectl("-n", NAMESPACE, "delete", "pod", pods[1]["metadata"]["name"], "--grace-period=1", "--wait=false")
            return


def held(pods: list[dict[str, Any]]) -> tuple[float, float]:
    """vCPU-seconds and GiB-seconds of containers by the kubelet's start and finish."""
    vcpu = memory = Decimal(0)
    for pod in pods:
        [container] = pod["spec"]["containers"]
        ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        start, finish = (
            datetime.fromisoformat(ended[key].replace("Z", "+00:00")) for key in ("startedAt", "finishedAt")
        )
        seconds = Decimal((finish - start).total_seconds())
        requests = container["resources"]["requests"]
        vcpu += seconds * parse_cpu(requests["cpu"])
        memory += seconds * gib(parse_memory(requests["memory"]))
    return float(vcpu), float(memory)


def test_usage_is_what_the_kubelet_counted(operator, shared_folder, tmp_path):
    """Executors come, go and are killed on the way: vCPU- and GiB-seconds are the kubelet's within 5 %, basis pods."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "jobs").mkdir()
    pipeline = tmp_path / "pipelines" / "held.yaml"
    pipeline.write_text(PIPELINE)
    (tmp_path / "jobs" / "held.py").write_text(JOB)
    done, selector = threading.Event(), f"airflow-doeks/instance={instance_of(tmp_path)}"
    killer = threading.Thread(target=kill_second_executor, args=(selector, done))
    with kubelet_view() as seen:
        killer.start()
        said = run(pipeline, shared_folder, tmp_path, type=operator)
        done.set()
        killer.join()
    assert said.said["state"] == "success", said.log[-3000:]
    mine = [
        pod for pod in seen.values() if pod["metadata"]["labels"].get("airflow-doeks/instance") == instance_of(tmp_path)
    ]
    vcpu_seconds, gib_seconds = held(
        [pod for pod in mine if "terminated" in pod["status"]["containerStatuses"][0]["state"]]
    )
    record = said.records["held"]
    executors = {pod["metadata"]["name"] for pod in mine if pod["metadata"]["labels"]["spark-role"] == "executor"}
    assert len(executors) >= 3  # two, and one in place of the one that was killed
    assert record["cost"]["basis"] == "pods", record["cost"]
    assert float(record["usage"]["vcpu_seconds"]) == pytest.approx(vcpu_seconds, rel=0.05)
    assert float(record["usage"]["memory_gib_seconds"]) == pytest.approx(gib_seconds, rel=0.05)
    assert Decimal(record["cost"]["usd_compute"]) > 0
