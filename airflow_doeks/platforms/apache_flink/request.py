"""From a Flink job to the FlinkDeployment or FlinkSessionJob that runs it; pure.

FlinkDeployment v1beta1, operator 1.7 to 1.13, and what EMR's operator adds to it, read November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.quantities import MIB, parse_cpu, parse_memory
from airflow_doeks.platforms.apache_flink.pods import pod_template
from airflow_doeks.platforms.flink.conf import own_conf, places, restarts, state_conf

if TYPE_CHECKING:
    from airflow_doeks.model.flink import FlinkJob
    from airflow_doeks.platforms.apache_flink.config import Config
    from airflow_doeks.platforms.protocol import JobValues

# Operator 1.7 takes a job manager that it removed itself for lost, and runs the ended job once more (seen): it must not
# remove any. Who settles a job has its pods removed.
_NOT_TWICE = {
    "kubernetes.operator.jm-deployment.shutdown-ttl": "3650 d",
    "kubernetes.operator.jm-deployment-recovery.enabled": "false",
}
# A program may set any parallelism; it gets no more task managers than the job says, whose count policies know.
MOST_SLOTS = "slotmanager.number-of-slots.max"
NAME_MAX = 45  # of a FlinkDeployment: DefaultValidator of the operator, read November 2026
_VERSION = re.compile(r":v?(\d+)\.(\d+)")  # in an image's tag
_REMOTE_JARS = (1, 19)  # from here on a job with a cluster of its own fetches its jar
_PYTHON_JAR = "local:///opt/flink/opt/flink-python-{}.jar"
_RUN_KEYS = frozenset({"run", "run-started", "try", "spec"})  # differ between deployments of the same stream


def spec(config: Config, job: FlinkJob, name: str, tags: Mapping[str, str], title: str) -> dict[str, Any]:
    """The ``spec`` of the resource. With neither ``tags`` nor ``title`` it is the work alone, whoever asks for it.

    Raises SpecError for a job that cannot run so.
    """
    values, version = job.plain(), flink_version(config, job)
    conf = {
        **({} if job.is_stream else _NOT_TWICE),
        "kubernetes.operator.savepoint.cleanup.enabled": "false",  # what a task returned must stay
        **({"pipeline.name": title} if title else {}),
        **({"jobmanager.archive.fs.dir": archive} if (archive := archive_of(config, name)) else {}),
        **state_conf(
            places(values, config.state, name), version, is_stream=job.is_stream, has_restarts=restarts(job.conf)
        ),
        **own_conf(values),
    }
    if config.session is not None:
        own = {key: value for key, value in conf.items() if not key.startswith("high-availability")}
        return {
            "deploymentName": config.session,
            "flinkConfiguration": dict(sorted(own.items())),
            "job": _job(job, values, version, has_session=True),
        }
    slots = int(job.task_manager.slots)
    conf["taskmanager.numberOfTaskSlots"] = str(slots)
    conf.setdefault(MOST_SLOTS, str(job.task_managers * slots))
    return {
        **_image(config, job),
        **({"flinkVersion": "v{}_{}".format(*version)} if version else {}),
        "serviceAccount": job.service_account or config.service_account,
        "mode": "native",
        "flinkConfiguration": dict(sorted(conf.items())),
        "podTemplate": pod_template(config, job, pod_tags(tags, is_stream=job.is_stream)),
        "jobManager": {"resource": _size(values["job_manager"]), "replicas": 1},
        "taskManager": {"resource": _size(values["task_manager"])},
        "job": _job(job, values, version, has_session=False),
    }


def resource_name(config: Config, name: str) -> str:
    """A job's name as its resource has it: as long as the operator takes, what tells it from others kept whole."""
    start, _, key = name.rpartition("-")
    return name if config.session else f"{start[: NAME_MAX - len(key) - 1].rstrip('-')}-{key}"


def archive_of(config: Config, name: str) -> str | None:
    """Where a job's manager leaves what it knew of the job at its end: plan, counters, failures."""
    return f"{config.state.rstrip('/')}/archives/{name}" if config.state else None


def pod_tags(tags: Mapping[str, str], *, is_stream: bool) -> dict[str, str]:
    """Keys that pods carry: of a stream none that would replace them only because another run deploys it."""
    return {key: value for key, value in tags.items() if not (is_stream and key.partition("/")[2] in _RUN_KEYS)}


def flink_version(config: Config, job: FlinkJob) -> tuple[int, int] | None:
    """Flink's version: the job's word, the platform's, or the image's tag; None where EMR's release decides.

    Raises SpecError where nobody tells.
    """
    image = job.image or config.image or ""
    found = _VERSION.search(image)
    own = config.flink_version if image == (config.image or "") or not found else None
    said = job.flink_version or own
    if said:
        major, minor = said.split(".")
        return int(major), int(minor)
    if found:
        return int(found[1]), int(found[2])
    if config.emr is not None or config.session is not None:
        return None
    if not image:
        msg = "image: neither the job nor the platform names an image; set `image` of the platform in doeks.yaml."
        raise SpecError(msg)
    msg = f"image: the tag of {image!r} does not tell Flink's version; set `flink_version` of the platform."
    raise SpecError(msg)


def _image(config: Config, job: FlinkJob) -> dict[str, Any]:
    """The image, or EMR's release in its place."""
    image, emr = job.image or config.image, config.emr
    own = {"image": image, "imagePullPolicy": config.image_pull_policy} if image else {}
    if emr is None:
        return own
    logs = {"monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": emr.logs}}} if emr.logs else {}
    return {**own, "emrReleaseLabel": job.release or emr.release, "executionRoleArn": emr.role, **logs}


def _job(job: FlinkJob, values: JobValues, version: tuple[int, int] | None, *, has_session: bool) -> dict[str, Any]:
    """What is run, how wide, and from which state."""
    return {
        **_program(job, version, has_session=has_session),
        "parallelism": int(values["parallelism"]),
        "state": "running",
        "upgradeMode": job.upgrade if job.is_stream else "stateless",
        **({"initialSavepointPath": job.from_} if job.from_ else {}),
        **({"allowNonRestoredState": True} if job.allow_non_restored_state else {}),
    }


def _program(job: FlinkJob, version: tuple[int, int] | None, *, has_session: bool) -> dict[str, Any]:
    args = [str(arg) for arg in job.args]
    if job.main is not None:
        files = ["-pyfs", ",".join(_on_node(url) for url in job.py_files)] if job.py_files else []
        jar = _PYTHON_JAR.format(".".join(map(str, version or ())) or "*")
        python = ["-pyclientexec", "python3", "-py", _on_node(job.main), *files]
        return {"jarURI": jar, "entryClass": "org.apache.flink.client.python.PythonDriver", "args": [*python, *args]}
    if job.jar is None:
        msg = "sql: SQL is staged with its runner; set `code` of the platform in doeks.yaml."
        raise SpecError(msg)
    is_remote = not job.jar.startswith(("file:", "local:"))
    if is_remote and version is not None and version < _REMOTE_JARS and not has_session:
        msg = (
            f"jar: Flink {'.'.join(map(str, version))} fetches no jar from {urlsplit(job.jar).scheme}://; put it into "
            "the image (local:///...), keep `code` in a folder that pods see, or use an image of Flink 1.19 or newer."
        )
        raise SpecError(msg)
    return {
        "jarURI": f"local://{_on_node(job.jar)}" if job.jar.startswith("file:") and not has_session else job.jar,
        **({"entryClass": job.class_} if job.class_ else {}),
        **({"args": args} if args else {}),
    }


def _on_node(url: str) -> str:
    """A URL as pods read it: a folder is on the node under the same path."""
    return unquote(urlsplit(url).path) if url.startswith(("file:", "local:")) else url


def _size(pod: Mapping[str, Any]) -> dict[str, Any]:
    """A pod's request; Flink's ``m`` is a mebibyte."""
    return {"cpu": float(parse_cpu(pod["cpu"])), "memory": f"{parse_memory(pod['memory']) // MIB}m"}
