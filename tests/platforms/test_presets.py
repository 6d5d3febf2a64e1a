"""Presets for Spark on Kubernetes: exact keys, composition, conflicts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from itertools import combinations
from pathlib import Path

import pytest

from airflow_doeks.event_log.executors import Executors
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.job import SparkJob
from airflow_doeks.platforms.kubernetes.pod_template import merged, pod_template
from airflow_doeks.platforms.kubernetes.sightings import life_of
from airflow_doeks.platforms.protocol import JobValues
from airflow_doeks.platforms.spark.conf import memory_bytes, sizing_conf, split_memory
from airflow_doeks.platforms.spark.effects import ROLES, Surroundings
from airflow_doeks.platforms.spark.gang import POD_GROUP
from airflow_doeks.platforms.spark.pods import pod_conf, requested_pods
from airflow_doeks.platforms.spark.presets import PRESETS, effect_of, preset_findings
from airflow_doeks.platforms.spark.resource.names import SPARK_PODS

START = datetime(2026, 11, 20, tzinfo=timezone.utc)
AROUND = Surroundings(queue="root.sales")


def job(*presets, **fields) -> JobValues:
    """A job with these presets."""
    return SparkJob(main="s3://c/m.py", presets=presets, **fields).plain()


def test_spot_falls_back_and_leaves_its_node_in_time():
    """Preset spot: driver and submitter on demand, executors on either, moved off within the 120 s notice."""
    effect = effect_of(job("spot"), AROUND)
    assert effect.conf == {
        "spark.kubernetes.driver.node.selector.karpenter.sh/capacity-type": "on-demand",
        "spark.decommission.enabled": "true",
        "spark.storage.decommission.enabled": "true",
        "spark.storage.decommission.rddBlocks.enabled": "true",
        "spark.storage.decommission.shuffleBlocks.enabled": "true",
        "spark.executor.decommission.forceKillTimeout": "120s",
    }
    assert effect.submitter_nodes == {"karpenter.sh/capacity-type": "on-demand"}
    template = pod_template("executor", effect.pods["executor"])
    assert template["spec"]["terminationGracePeriodSeconds"] == 115
    terms = template["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    spot_or_not = {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot", "on-demand"]}
    assert terms == {"nodeSelectorTerms": [{"matchExpressions": [spot_or_not]}]}
    assert "driver" not in effect.pods


def test_managed_node_groups_have_their_own_labels():
    """On EKS managed node groups the capacity type is another label with other words."""
    conf = effect_of(job("spot_only"), Surroundings(nodes="managed")).conf
    assert conf["spark.kubernetes.executor.node.selector.eks.amazonaws.com/capacityType"] == "SPOT"
    assert conf["spark.kubernetes.driver.node.selector.eks.amazonaws.com/capacityType"] == "ON_DEMAND"


def test_executors_on_fargate_carry_the_label_of_their_profile():
    """`executors.capacity: fargate` puts executors on the platform's profile; the driver stays on nodes."""
    fargate = job(executors={"capacity": "fargate"})
    around = Surroundings(fargate_profile="spark-executors")
    assert effect_of(fargate, around).conf == {
        "spark.kubernetes.executor.label.eks.amazonaws.com/fargate-profile": "spark-executors"
    }
    assert preset_findings(fargate, around) == []


@pytest.mark.parametrize(
    ("presets", "executors", "profile", "path", "message"),
    [
        ((), {}, None, "executors.capacity", "the platform names no Fargate profile"),
        (("graviton",), {}, "p", "presets", "graviton is nothing that Fargate has"),
        (("spot",), {}, "p", "presets", "spot is nothing that Fargate has"),
        ((), {"gpu": 1}, "p", "executors.gpu", "Fargate has no GPUs"),
    ],
)
def test_what_fargate_has_not_is_refused(presets, executors, profile, path, message):
    """Before it is sent, and again when it is rendered: nothing that was asked for is silently dropped."""
    asked = job(*presets, executors={"capacity": "fargate"} | executors)
    (finding,) = preset_findings(asked, Surroundings(fargate_profile=profile))
    assert (finding.path, finding.message) == (path, message)
    assert finding.help
    with pytest.raises(SpecError, match=message):
        effect_of(asked, Surroundings(fargate_profile=profile))


def test_capacity_of_the_executors_is_a_preset_unless_one_is_named():
    """`executors.capacity: spot` means spot_only; next to preset spot the preset's fallback holds."""
    spot = {"executors": {"capacity": "spot"}}
    assert effect_of(job(**spot), AROUND) == effect_of(job("spot_only"), AROUND)
    assert effect_of(job("spot", **spot), AROUND) == effect_of(job("spot"), AROUND)


def test_gang_members_are_as_large_as_the_pods():
    """YuniKorn's task groups hold exactly the pods' CPU and memory, overhead included, and as many as must start."""
    sized = job("yunikorn", driver={"cpu": "500m", "memory": "3Gi"}, executors={"min": 2, "cpu": 4, "memory": "16Gi"})
    effect = effect_of(sized, AROUND)
    groups = json.loads(effect.pods["driver"][1].annotations["yunikorn.apache.org/task-groups"])
    assert groups == [
        {"name": "spark-driver", "minMember": 1, "minResource": {"cpu": "500m", "memory": "3072Mi"}},
        {"name": "spark-executor", "minMember": 2, "minResource": {"cpu": "4000m", "memory": "16384Mi"}},
    ]
    split = split_memory(sized, "executor", memory_bytes(sized["executors"]))
    assert split.heap_mib + split.overhead_mib == 16384
    assert sizing_conf(sized)["spark.executor.instances"] == "2"
    assert effect.conf["spark.kubernetes.executor.label.queue"] == "root.sales"
    assert effect.conf["spark.kubernetes.driver.annotation.yunikorn.apache.org/app-id"] == "{{APP_ID}}"


def test_a_gangs_devices_are_those_that_its_pods_request():
    """GPUs of a device plugin are a part of the room that is kept; claimed ones are no resource of any node."""
    sized = {"executors": {"min": 2, "cpu": 4, "memory": "16Gi", "gpu": 2}}

    def rooms(*presets):
        around = Surroundings(queue="sales", gpu_claim_template="one")
        yunikorn, volcano = (effect_of(job(*presets, gang, **sized), around) for gang in ("yunikorn", "volcano"))
        annotations = {key: text for patch in yunikorn.pods["driver"] for key, text in patch.annotations.items()}
        driver, executor = json.loads(annotations["yunikorn.apache.org/task-groups"])
        group = json.loads(volcano.conf["spark.kubernetes.scheduler.volcano.podGroupTemplateJson"])
        found = (driver["minResource"], executor["minResource"], group["spec"]["minResources"])
        return [room.get("nvidia.com/gpu") for room in found]

    assert rooms() == [None, "2", "4"]
    assert rooms("gpu_claim") == [None, None, None]


def test_a_gang_of_no_executors_names_none():
    """With executors.min 0 there is no executor group: minMember 0 is invalid."""
    effect = effect_of(job("yunikorn", executors={"min": 0, "max": 4}), AROUND)
    groups = json.loads(effect.pods["driver"][1].annotations["yunikorn.apache.org/task-groups"])
    assert [group["name"] for group in groups] == ["spark-driver"]
    assert "executor" not in effect.pods


def test_local_disks_have_the_name_that_spark_looks_for():
    """Spark shuffles to a volume only if its name starts with spark-local-dir-; the mount is writable by Spark."""
    effect = effect_of(job("nvme"), Surroundings(owner="999:1000"))
    volumes = [key for key in effect.conf if ".volumes." in key]
    assert volumes
    assert all(".spark-local-dir-1." in key for key in volumes)
    init = pod_template("executor", effect.pods["executor"])["spec"]["initContainers"][0]
    assert init["command"] == ["chown", "-R", "999:1000", "/data1"]
    assert init["volumeMounts"] == [{"name": "spark-local-dir-1", "mountPath": "/data1"}]


def test_same_zone_ties_executors_to_their_own_driver():
    """Executors follow the driver of the same attempt, not the driver of another job in the namespace."""
    labels = {"airflow-doeks/task-key": "abc", "airflow-doeks/try": "1"}
    patch = effect_of(job("same_zone"), Surroundings(labels=labels)).pods["executor"][0]
    term = patch.spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    assert term["labelSelector"]["matchLabels"] == {"spark-role": "driver", **labels}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("spot", "on_demand"), "spot and on_demand exclude each other"),
        (("graviton", "graviton_preferred"), "graviton and graviton_preferred exclude each other"),
        (("nvme", "pvc_reuse"), "nvme and pvc_reuse exclude each other"),
    ],
)
def test_presets_that_exclude_each_other_are_a_finding(names, message):
    """Two presets that cannot both hold are told at lint time, with the one to keep."""
    assert [finding.message for finding in preset_findings(job(*names), AROUND)] == [message]


def test_every_other_pair_of_presets_composes():
    """All pairs but the excluded ones set no property to two values and make valid templates of both roles."""
    excluded = 0
    for pair in combinations(PRESETS, 2):
        both, around = job(*pair, executors={"gpu": 1}), replace(AROUND, gpu_claim_template="one")
        if preset_findings(both, around):
            excluded += 1
            continue
        effect = effect_of(both, around)
        singles = [PRESETS[name](both, around) for name in pair]
        assert all(single.conf.items() <= effect.conf.items() for single in singles)
        for role in ROLES:
            template = pod_template(role, effect.pods.get(role, ()))
            assert template is None or len(template["spec"]["containers"]) == 1
    assert excluded == 9


def test_every_spark_property_of_every_preset_exists():
    """No preset sets a property that Spark 3.5 does not read, Volcano's 4.x (lists extracted from their jars)."""
    import os

    shared = Path(os.environ.get("DOEKS_SHARED", Path(__file__).parents[3] / "shared"))
    listed = shared / "reference" / "spark-conf-keys-3.5.txt"
    if not listed.is_file():
        pytest.skip("DOEKS_SHARED does not name the folder of extracted keys")
    known = set(listed.read_text().split()) | {POD_GROUP} & set(
        listed.with_stem("spark-conf-keys-4").read_text().split()
    )
    open_ended = (
        ".node.selector.",
        ".annotation.",
        ".label.",
        ".volumes.",
        ".resource.gpu.",
        "spark.metrics.conf.",
        "spark.rapids.",
    )
    for name, preset in PRESETS.items():
        for key in preset(job(), AROUND).conf:
            assert key in known or any(part in key for part in open_ended), f"{name}: {key}"


def test_templates_merge_deeply():
    """Mappings merge, lists follow each other without doubles, and of two scalars the later holds."""
    assert merged({"a": {"x": 1, "l": [1]}, "b": 1}, {"a": {"y": 2, "l": [1, 2]}, "b": 2}) == {
        "a": {"x": 1, "l": [1, 2], "y": 2},
        "b": 2,
    }


def test_a_volcano_gang_is_as_large_as_what_must_start():
    """Its PodGroup wants room for driver, least executors and their GPUs; one member starts, the driver."""
    around = Surroundings(queue="sales", priority_class="etl-high")
    asked = job("volcano", executors={"min": 4, "max": 20, "cpu": 4, "memory": "16Gi", "gpu": 1})
    conf = effect_of(asked, around).conf
    group = json.loads(conf["spark.kubernetes.scheduler.volcano.podGroupTemplateJson"])
    least = {"cpu": "17000m", "memory": "67584Mi", "nvidia.com/gpu": "4"}
    wanted = {"minMember": 1, "minResources": least, "queue": "sales", "priorityClassName": "etl-high"}
    assert group == {"apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "PodGroup", "spec": wanted}
    assert conf["spark.kubernetes.scheduler.name"] == "volcano"


@pytest.mark.parametrize(("nodes", "label"), [("karpenter", "reserved"), ("managed", "CAPACITY_BLOCK")])
def test_reserved_executors_wait_for_what_is_reserved(nodes, label):
    """Capacity blocks and reservations are one capacity type, the driver stays on demand."""
    conf = effect_of(job("reserved"), Surroundings(nodes=nodes)).conf
    assert [value for key, value in conf.items() if ".executor.node.selector." in key] == [label]
    assert preset_findings(job("reserved", "spot"), AROUND)[0].message == "reserved and spot exclude each other"


@pytest.mark.parametrize(
    ("presets", "gpu", "template", "message"),
    [
        (("rapids",), 0, None, "rapids needs a GPU"),
        (("gpu_claim",), 0, "one", "gpu_claim needs a GPU"),
        (("gpu_claim",), 1, None, "the platform names no ResourceClaimTemplate"),
        (("rapids", "gpu_claim", "gpu_nodes"), 1, "one", None),
    ],
)
def test_gpu_presets_ask_for_gpus(presets, gpu, template, message):
    """A preset for GPUs without one, or a claim without its template, is told before the job is sent."""
    found = preset_findings(job(*presets, executors={"gpu": gpu}), Surroundings(gpu_claim_template=template))
    assert [finding.message for finding in found] == ([message] if message else [])


def test_gpus_are_counted_however_they_are_asked_for():
    """By a device plugin's resource or by claims: what is priced has as many GPUs as the job asked for."""
    counts = []
    for presets in ((), ("gpu_claim",)):
        asked = job(*presets, executors={"gpu": 2, "max": 1})
        effect = effect_of(asked, Surroundings(gpu_claim_template="one"))
        conf = {**effect.conf, **sizing_conf(asked), **pod_conf(asked, "185:0")}
        pods = requested_pods(conf, since=None, until=None, node_labels="karpenter").pods
        summary = Executors(conf=conf)
        summary.added({"Executor ID": "1", "Timestamp": 1, "Executor Info": {"Total Cores": 1}})
        seen = life_of(pod_with(effect, conf), SPARK_PODS, is_gone=False, now=START)
        counts.append((pods[1].gpu, summary.pods(None, None, [])[1].gpu, seen.pod.gpu))
    assert counts == [(2, 2, 2), (2, 2, 2)]


def pod_with(effect, conf):
    """An executor's pod as Spark makes it of these properties."""
    start = "spark.kubernetes.executor.annotation."
    requests = {"cpu": "1", "memory": "2Gi"}
    if "spark.executor.resource.gpu.vendor" in conf:
        requests["nvidia.com/gpu"] = conf["spark.executor.resource.gpu.amount"]
    template = pod_template("executor", effect.pods.get("executor", ())) or {"spec": {"containers": [{}]}}
    [container] = template["spec"]["containers"]
    claims = container.get("resources", {})
    container["resources"] = {**claims, "requests": requests}
    annotations = {key[len(start) :]: value for key, value in conf.items() if key.startswith(start)}
    metadata = {"uid": "1", "labels": {"spark-role": "executor"}, "annotations": annotations}
    return {"metadata": metadata, "spec": template["spec"]}
