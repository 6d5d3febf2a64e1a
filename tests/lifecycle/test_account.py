"""One job's accounts from the best facts at hand."""

from datetime import timedelta
from decimal import Decimal

from airflow_doeks.lifecycle.account import account
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.minutes import evenly
from airflow_doeks.model.telemetry import Telemetry
from airflow_doeks.platforms.kubernetes.sightings import life_of
from airflow_doeks.platforms.spark.resource.names import SPARK_PODS
from tests.cost.conftest import NOON, at, card, node, pod

__all__ = ["at", "card", "node", "pod"]


def test_an_account_has_minutes_and_advice(card, pod, node):
    """Dollars per minute sum to the total; a log that shows idle slots gives advice, without a log there is none."""
    facts = Telemetry(pods=(pod(vcpu=4, gib=16),), assumed_node=node())
    (run,) = account(facts, EventLogSummary(), card).minutes
    assert (run.minutes, run.usd_per_minute) == (60, Decimal("0.0032"))
    assert account(facts, EventLogSummary(), card).advice == ()
    idle = account(facts, EventLogSummary(app_id="app-1", slot_ms=1_440_000), card)
    assert [advice.code for advice in idle.advice] == ["idle_executors", "graviton"]


def test_the_driver_holds_its_pod_as_long_as_the_platform_says(card, pod, node, at):
    """A log begins after the JVM and ends before it; volumes are known to the platform alone."""
    logged = pod(role="driver", vcpu=4, gib=16, start=600, seconds=600)
    asked = logged.model_copy(update={"storage_gib": Decimal(0)})
    facts = Telemetry(requested=(asked,), assumed_node=node(), started=at(0), ended=at(3600))
    result = account(facts, EventLogSummary(pods=(logged,)), card)
    assert (result.cost.basis, result.usage.vcpu_seconds, result.cost.usd_storage) == ("event_log", 4 * 3600, 0)


def test_a_claim_that_no_request_tells_of_has_no_known_size(card, pod, node):
    """A pod template's volume: Spark's properties name none, and the pod that was seen has one. Not 0."""
    logged = pod("driver", vcpu=4, gib=16)
    for asked, storage in ((Decimal(0), None), (Decimal(100), Decimal("0.0111111111"))):
        facts = Telemetry(
            pods=(pod("uid", vcpu=4, gib=16, storage_gib=None),),
            requested=(logged.model_copy(update={"storage_gib": asked}),),
            assumed_node=node(),
        )
        assert account(facts, EventLogSummary(pods=(logged,)), card).cost.usd_storage == storage


def test_bytes_between_zones_count_all_that_the_log_holds(card, pod, node):
    """The log's sum is priced; where a part of the log is missing the bytes, and so the transfer, are unknown."""
    pods = (pod(node="a"), pod("1", role="executor", node="b"))
    nodes = (node("a", zone="us-east-1a"), node("b", zone="us-east-1b"))
    summary = EventLogSummary(shuffle_remote_bytes=10 * 1024**3)
    facts = Telemetry(pods=pods, nodes=nodes)
    assert account(facts, summary, card).cost.usd_transfer == Decimal("0.1")  # 10 GiB x (1 - 1/2) x 0.02
    assert account(facts, summary.model_copy(update={"gaps": ("part 1",)}), card).cost.usd_transfer is None


def test_a_life_of_centuries_is_not_believed(card, pod, node):
    """One garbled timestamp: what the pod cost is unknown, with the reason, and there is no series of its minutes."""
    centuries = 900 * 365 * 86400
    pods = (pod(vcpu=4, gib=16), pod("1", vcpu=4, gib=16, seconds=centuries, role="executor"))
    result = account(Telemetry(pods=pods, assumed_node=node()), EventLogSummary(), card)
    assert (result.cost.usd_total, result.minutes) == (None, ())
    why = "1 executor pods whose times lie more than 400 days apart, so that one is broken"
    assert why in result.cost.why_unknown
    assert result.usage.vcpu_seconds == 4 * 3600
    assert evenly(NOON, NOON + timedelta(seconds=centuries), Decimal(1)) == ()


def waiting(name: str, *, is_gone: bool):
    """An executor that Kubernetes found no node for, as the API shows it, an hour after it was made."""
    labels = {"spark-role": "executor", "spark-exec-id": name}
    metadata = {"uid": f"uid-{name}", "labels": labels, "creationTimestamp": f"{NOON:%Y-%m-%dT%H:%M:%SZ}"}
    requests = {"cpu": "4", "memory": "16Gi"}
    spec = {"containers": [{"name": "spark-kubernetes-executor", "resources": {"requests": requests}}]}
    status = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False"}]}
    item = {"metadata": metadata, "spec": spec, "status": status}
    return life_of(item, SPARK_PODS, is_gone=is_gone, now=NOON + timedelta(hours=1)).pod


def test_a_pod_that_waits_for_a_node_costs_nothing(card, pod, node, at):
    """It holds no machine: not while it waits, as a budget sees it, nor when it is deleted before it had one."""
    driver = pod(vcpu=4, gib=16, node="n1")
    facts = Telemetry(pods=(driver, waiting("1", is_gone=False), waiting("2", is_gone=True)), nodes=(node(),))
    cost = account(facts.model_copy(update={"assumed_node": node("n")}), EventLogSummary(), card, now=at(3600)).cost
    assert cost.usd_compute == Decimal("0.192")
    assert "2 executor pods that never started; their time is not counted" in cost.why_unknown


BILLED = {  # second of an executor's request -> seconds billed, of one that registers at 60 and lives to 3600
    60: 3540,
    50: 3550,  # from the request
    46: 3554,
    0: 3554,  # 14 s before registration: the rest was a wait for a node
    -3600: 3554,
    None: 3540,  # no dynamic allocation, no Request Time
}


def test_an_executor_that_waits_for_a_node_costs_nothing_yet(card, pod, node, at):
    """It is billed from its request, but at most the 14 s that an executor takes to start before it registers."""
    for requested, billed in BILLED.items():
        asked = pod("1", vcpu=4, gib=16, start=60, seconds=3540, role="executor")
        asked = asked.model_copy(update={"requested": None if requested is None else at(requested)})
        result = account(Telemetry(assumed_node=node()), EventLogSummary(pods=(asked,)), card)
        assert result.usage.vcpu_seconds == 4 * billed, requested
