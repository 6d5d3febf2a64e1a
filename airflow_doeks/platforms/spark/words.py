"""What a job asks of its pods in Kubernetes' own words: properties where Spark has one, else the pod template. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_doeks.platforms.kubernetes.pod_words import template_patch, words_patch
from airflow_doeks.platforms.protocol import JobValues
from airflow_doeks.platforms.spark.effects import ROLES, Effect


def pod_words(job: JobValues) -> Effect:
    """Selectors, labels and annotations as properties; tolerations, volumes and the template itself as patches.

    A template that is still a path is left out: it is read when the job is staged.
    """
    conf = {f"spark.kubernetes.node.selector.{key}": value for key, value in job["node_selector"].items()}
    for role in ROLES:
        for kind, words in (("label", job["labels"]), ("annotation", job["annotations"])):
            conf |= {f"spark.kubernetes.{role}.{kind}.{key}": value for key, value in words.items()}
    patches = [patch for patch in (words_patch(job), template_patch(job["pod_template"])) if patch is not None]
    template = job["pod_template"] if isinstance(job["pod_template"], Mapping) else {}
    for role in ROLES:
        labels = (template.get("metadata") or {}).get("labels") or {}
        conf |= {f"spark.kubernetes.{role}.label.{key}": str(value) for key, value in labels.items()}
    return Effect(conf, pods=dict.fromkeys(ROLES, tuple(patches)) if patches else {})
