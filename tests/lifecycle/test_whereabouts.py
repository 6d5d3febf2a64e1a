"""A job on EMR whose log tells names and addresses of nodes is priced by the machines that EC2 knows them to be."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from airflow_doeks.cost import load_rate_card
from airflow_doeks.hooks.stores import S3Store
from airflow_doeks.lifecycle import Accounting, Clock, settle, submit
from airflow_doeks.model.job import SparkJob
from tests.event_log.test_usage import KUBERNETES, added, end
from tests.fakes.ec2 import instance
from tests.fakes.emr_containers import Step
from tests.platforms.harness_emr_on_eks import World, world

JOB = SparkJob.model_validate({"main": "s3://acme-code/clean.py", "executors": {"min": 1, "max": 2}})
NODE = "ip-10-0-0-1.ec2.internal"


@pytest.fixture
def aws(tmp_path):
    """A fresh AWS with one machine, an r7g.2xlarge that holds the address of a driver's pod, too."""
    with world(tmp_path) as made:
        made.emr.script = lambda _: (Step(0, "RUNNING"), Step(600, "COMPLETED"))
        began = made.started - timedelta(hours=1)
        made.aws.ec2.instances.append(
            instance(1, began, address="10.0.0.1", pods=("10.0.9.77",), InstanceType="r7g.2xlarge")
        )
        yield made


def settled(aws: World, **entry: object):
    """The record of a job of 10 minutes with one executor, whose log tells where both were."""
    platform = aws.platform(**entry)
    clock = Clock(lambda: aws.emr.now, aws.sleep)
    submission = submit(platform, JOB, aws.identity(), base_try=0, clock=clock)
    begun = int(aws.emr.now.timestamp() * 1000)
    conf = KUBERNETES | {"spark.driver.bindAddress": "10.0.9.77"}
    attributes = {"DOEKS_NODE": NODE, "DOEKS_POD_UID": "6f1e"}
    events = [
        {"Event": "SparkListenerLogStart", "Spark Version": "3.5.6-amzn-1"},
        {"Event": "SparkListenerApplicationStart", "App Name": "a", "App ID": "app", "Timestamp": begun},
        {"Event": "SparkListenerEnvironmentUpdate", "Spark Properties": conf},
        added("1", 0, Attributes=attributes) | {"Timestamp": begun + 30_000},
        end(0) | {"Timestamp": begun + 600_000},
    ]
    aws.sleep(610)
    telemetry = platform.telemetry(submission.ref)
    place = aws.aws.s3.place(telemetry.event_log)
    (place / "spark-1").write_text("\n".join(json.dumps(event) for event in events))
    accounting = Accounting(
        open_log=lambda url: (S3Store(url, client=aws.make("s3")), ""),
        rate_card=lambda: load_rate_card(None, region="us-east-1"),
        clock=clock,
    )
    status = platform.observe(submission.ref)
    return settle(platform, submission, aws.identity(), status, accounting)


def test_real_nodes_stand_in_for_no_assumption(aws):
    """Driver and executor are priced as the machine that they were on; nothing is assumed, confidence is medium."""
    made = settled(aws)
    cost = made.record.cost
    assert (cost.basis, cost.confidence, cost.priced_as) == ("event_log", "medium", None)
    assert cost.usd_transfer == 0  # all in one zone, which EC2 tells
    assert "priced_as" not in (cost.why_unknown or "")
    assert [pod.get("node") for pod in made.detail["pods"]] == [NODE, NODE]
    assert made.detail["pods"][1]["uid"] == "6f1e"
    assert len(aws.aws.ec2.asked) == 1


def test_where_ec2_may_not_be_asked_the_declared_type_is_the_price(aws):
    """Without the right the platform's declared type is assumed, confidence is low, and the record says why."""
    real = settled(aws).record.cost.usd_compute
    aws.aws.ec2.denies = True
    cost = settled(aws, priced_as="c7g.4xlarge").record.cost
    assert (cost.basis, cost.confidence, cost.priced_as) == ("event_log", "low", "c7g.4xlarge")
    assert "DescribeInstances failed" in cost.why_unknown
    assert cost.usd_compute not in (real, Decimal(0))
