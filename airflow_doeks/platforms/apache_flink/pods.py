"""The pod template of a Flink job: the platform's, what the job asks of its pods, and what we know it by. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_doeks.platforms.flink.operator import CONTAINER
from airflow_doeks.platforms.kubernetes.labels import full_values, label_forms
from airflow_doeks.platforms.kubernetes.pod_template import PodPatch, merged
from airflow_doeks.platforms.kubernetes.pod_words import template_patch, words_patch

if TYPE_CHECKING:
    from airflow_doeks.model.flink import FlinkJob
    from airflow_doeks.platforms.apache_flink.config import Config


def pod_template(config: Config, job: FlinkJob, tags: Mapping[str, str]) -> dict[str, Any]:
    """What all pods of the job carry; the later of platform, job's template, job's words and ours holds."""
    given, own = config.pod_template or {}, job.pod_template if isinstance(job.pod_template, Mapping) else {}
    patches = [patch for patch in (template_patch(own or None), words_patch(job.plain())) if patch is not None]
    spec = {key: value for key, value in (given.get("spec") or {}).items() if key != "containers"}
    containers = {one.get("name"): one for one in (given.get("spec") or {}).get("containers") or ()}
    main = containers.pop(CONTAINER, {})
    for patch in [*patches, _ours(job)]:
        spec = merged(spec, {key: value for key, value in patch.spec.items() if key != "containers"})
        containers |= {one.get("name"): one for one in patch.spec.get("containers") or ()}
        main = merged(main, patch.container)
    keys = {
        "labels": _texts(own, "labels") | job.labels | label_forms(tags),
        "annotations": _texts(own, "annotations") | job.annotations | full_values(tags),
    }
    metadata = {key: value for key, value in keys.items() if value}
    rest = {key: value for key, value in given.items() if key != "spec"}
    return merged(rest, {"metadata": metadata} if metadata else {}) | {
        "spec": {**spec, "containers": [*containers.values(), {"name": CONTAINER, **main}]}
    }


def _ours(job: FlinkJob) -> PodPatch:
    """Its nodes, its environment, and the log's end as its pods' last words."""
    env: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in job.env.items()]
    for name, secret in job.secrets.items():
        secret_name, _, key = secret.k8s.partition("/")
        env.append({"name": name, "valueFrom": {"secretKeyRef": {"name": secret_name, "key": key}}})
    container = {"terminationMessagePolicy": "FallbackToLogsOnError"} | ({"env": env} if env else {})
    return PodPatch(spec={"nodeSelector": job.node_selector} if job.node_selector else {}, container=container)


def _texts(template: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {key: str(value) for key, value in ((template.get("metadata") or {}).get(kind) or {}).items()}
