"""What the Flink Kubernetes Operator would refuse of a job, told before it is sent; light to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_doeks.model.quantities import is_template
from airflow_doeks.platforms.flink.conf import conf_findings
from airflow_doeks.platforms.kubernetes.pod_words import word_findings
from airflow_doeks.platforms.protocol import Finding, JobValues

if TYPE_CHECKING:
    from airflow_doeks.platforms.apache_flink.config import Config

_OF_PODS = (
    "image",
    "env",
    "secrets",
    "flink_version",
    "service_account",
    "node_selector",
    "tolerations",
    "volumes",
    "labels",
    "annotations",
    "pod_template",
)
# What a job's pods are if it says nothing: of `model/flink.py`, which is not imported where pipelines are checked.
SIZES = {"job_manager": {"cpu": 1, "memory": "2Gi"}, "task_manager": {"cpu": 1, "memory": "2Gi", "slots": 1}}
_FILES = ("jar", "main", "sql")
_MANY = ("py_files",)
# Upgrade -> the folders without which the operator refuses it: its DefaultValidator, read November 2026.
_NEEDED = {"savepoint": ("checkpoints", "savepoints"), "last-state": ("checkpoints",), "stateless": ()}
_FOLDERS = {  # and the properties that name them, in Flink 1.x and 2.x
    "checkpoints": ("state.checkpoints.dir", "execution.checkpointing.dir"),
    "savepoints": ("state.savepoints.dir", "execution.checkpointing.savepoint-dir"),
}
_IN_IMAGE = "put the jars into /opt/flink/lib of the image, or into the job's own jar"
_FETCHED = "the operator itself fetches a session job's jar, and has no files of the job's image"


def check_job(config: Config, job: JobValues) -> list[Finding]:
    """Everything that would be refused, or that would lose what a stream knows; templates are left for later."""
    found = [*conf_findings(job), *word_findings(job)]
    if any(job[key] is not None for key in ("stop", "savepoint")):
        return found
    text, help_ = "pods cannot read a file of this machine", "set `code` of the platform in doeks.yaml"
    files = [(key, job[key]) for key in _FILES] + [
        (f"{key}[{n}]", url) for key in _MANY for n, url in enumerate(job[key])
    ]
    for path, value in files:
        if isinstance(value, str) and "://" not in value and not is_template(value) and not config.code:
            found.append(Finding(path, text, help_))
    if not (job["image"] or config.image or config.emr or config.session):
        found.append(
            Finding("image", "neither job nor platform names an image", "set `image` of the platform in doeks.yaml")
        )
    if job["packages"]:
        found.append(Finding("packages", "pods fetch no packages", _IN_IMAGE))
    if job["jars"]:
        found.append(Finding("jars", "the operator gives a job one jar, and no others", _IN_IMAGE))
    if job["release"] and config.emr is None:
        found.append(Finding("release", "releases are EMR's; here the image says what runs", "write `image`"))
    return [*found, *(_session_findings(job) if config.session else ()), *_state_findings(config, job)]


def _session_findings(job: JobValues) -> list[Finding]:
    """What the pods of a session cluster, which are there before the job, cannot have."""
    kept = [key for key in _OF_PODS if job[key]]
    kept += [f"{pod}.{key}" for pod, own in SIZES.items() for key, size in own.items() if job[pod][key] != size]
    found = [Finding(key, "the session cluster's pods are there before the job", "leave it out") for key in kept]
    if str(job["jar"]).startswith("local:"):
        found.append(Finding("jar", _FETCHED, "write a URL that it can read, such as s3:// or https://"))
    if job["main"]:
        found.append(Finding("main", "in a session cluster the operator runs jars alone", "leave `session` out"))
    return found


def _state_findings(config: Config, job: JobValues) -> list[Finding]:
    """Folders that a stream must have; of checkpoints a session cluster may bring its own."""
    if job["mode"] != "streaming" or config.state is not None:
        return []
    return [
        Finding(
            f"state.{kind}",
            f"an upgrade by {job['upgrade']} needs a folder of {kind}",
            "set it, or `state` of the platform",
        )
        for kind in _NEEDED[job["upgrade"]]
        if job["state"][kind] is None
        and not any(key in job["conf"] for key in _FOLDERS[kind])
        and not (kind == "checkpoints" and config.session)
    ]
