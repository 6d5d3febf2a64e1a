"""Pods on Kubernetes whose image is EMR's: what EMR asks for them is in the cost, also when they are gone."""

from datetime import datetime, timedelta, timezone

import pytest

from airflow_doeks.cost import load_rate_card
from airflow_doeks.lifecycle.account import account
from airflow_doeks.lifecycle.sightings import with_sightings
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.telemetry import Node, Telemetry
from airflow_doeks.platforms.kubernetes.sightings import life_of
from airflow_doeks.platforms.spark.resource.names import SPARK_PODS
from tests.fakes.cluster import PODS
from tests.platforms import harness_apache_flink, harness_apache_spark, harness_kubeflow_spark
from tests.platforms.harness_kubeflow_spark import NAMESPACE
from tests.platforms.test_kubeflow_feed import following
from tests.platforms.test_kubernetes_watch import until

NODE = Node(uid="n", instance_type="m7g.4xlarge")
EMR = {"release": "emr-7.9.0-flink-latest", "role": "arn:aws:iam::123456789012:role/flink-jobs"}


def uplift(facts: Telemetry, summary: EventLogSummary | None = None):
    """What EMR asks for the job."""
    now = max(pod.started for pod in facts.pods) + timedelta(hours=1)
    return account(facts, summary or EventLogSummary(), load_rate_card(), now=now).cost.usd_uplift


async def seen(made, roles, **entry):
    """What a feed tells of the pods of a job that runs, once it told of one of each role."""
    platform = made.platform(**entry)
    ref = platform.submit(platform.render(made.job(), made.identity()))
    async with following(made, {ref}, **entry) as told:
        made.until_running(ref)
        driver = (PODS, NAMESPACE, f"{ref.path[1]}-driver")
        if driver in made.cluster.objects:
            made.cluster.update(
                *driver, {"metadata": {"labels": {"eks-subscription.amazonaws.com/emr.internal.id": "a"}}}
            )
            made.end_pod(driver[2], 0, "Completed")
            await until(lambda: any(one.pod.ended for one in told["sightings"]))
        await until(lambda: {one.pod.role for one in told["sightings"] if one.pod.started} == roles)
        return with_sightings(Telemetry(assumed_node=NODE), told["sightings"])


async def test_a_flink_pod_that_is_gone_was_emrs_all_the_same(tmp_path):
    """The platform says that the operator is EMR's: it holds for what is seen of pods, not only for what is left."""
    with harness_apache_flink.harness(tmp_path) as made:
        assert uplift(await seen(made, {"jobmanager", "taskmanager"}, emr=EMR)) > 0


async def test_emrs_label_tells_its_pods(tmp_path):
    """EMR marks the pods of Spark that its own operator runs: a job without an event log has its uplift, too."""
    with harness_kubeflow_spark.harness(tmp_path) as made:
        facts = await seen(made, {"driver"})
        assert uplift(facts) > 0
    headless = facts.pods[0].model_copy(update={"uid": "driver", "is_emr_image": False})
    assert uplift(facts, EventLogSummary(app_id="a", pods=(headless,))) > 0  # the log's first part is missing


EMRS = "895885662937.dkr.ecr.us-west-2.amazonaws.com/spark/emr-7.9.0:latest"


@pytest.mark.parametrize("harness", [harness_kubeflow_spark, harness_apache_spark])
def test_emrs_own_image_tells_by_its_name(tmp_path, harness):
    """On an operator that is not EMR's no label says so: the estimate, and a job without an event log, know it."""
    with harness.harness(tmp_path) as made:
        platform = made.platform(spark_version="3.5.6")
        for image, is_emrs in ((EMRS, True), ("acme/spark:3.5.6", False)):
            request = platform.render(made.job(image=image), made.identity())
            assert {pod.is_emr_image for pod in platform.asks(request).requested} == {is_emrs}


@pytest.mark.parametrize(
    ("image", "is_emrs"),
    [
        (EMRS, True),
        ("public.ecr.aws/emr-on-eks/spark/emr-7.9.0:latest", True),
        ("1234.dkr.ecr.eu-west-1.amazonaws.com/notebook-spark/emr-6.15.0-spark-rapids:latest", True),
        ("1234.dkr.ecr.eu-west-1.amazonaws.com/flink/emr-7.9.0-flink:latest", True),
        ("acme/spark:3.5.6", False),
        ("acme/spark-emr-like:7", False),
        ("apache/spark/emr-free:1", False),
    ],
)
def test_a_pod_on_an_image_of_emrs_is_emrs(image, is_emrs):
    """Wherever the image is kept, its name is EMR's."""
    metadata = {"uid": "u", "labels": {"spark-role": "driver"}}
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "spark-kubernetes-driver", "image": image}]}}
    assert life_of(pod, SPARK_PODS, is_gone=False, now=datetime.now(timezone.utc)).pod.is_emr_image is is_emrs
