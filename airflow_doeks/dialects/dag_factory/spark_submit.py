"""Arguments of SparkSubmitOperator as our `spark:` job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_doeks.dialects.dag_factory.notes import Taken, lost, nowhere
from airflow_doeks.dialects.dag_factory.options import OPTIONS, Options
from airflow_doeks.dialects.dag_factory.sizes import in_order, sized
from airflow_doeks.dialects.dag_factory.values import python_object, without_objects
from airflow_doeks.model.engine import SPARK

_RENAMED = {"java_class": "--class", "yarn_queue": "--queue"}  # argument -> the option that is not spelt like it
_NOWHERE = {
    "conn_id": nowhere("where a job runs stands in doeks.yaml: name a `platform`"),
    "spark_binary": nowhere("the platform has its own Spark"),
    "status_poll_interval": nowhere("the platform says how often a job is looked at"),
    "use_krb5ccache": nowhere("a job runs as the platform's role or service account"),
}
ARGUMENTS = frozenset(
    {"application", "application_args", "conf", "env_vars", "status_poll_interval", *_RENAMED, *_NOWHERE}
    | {name.removeprefix("--").replace("-", "_") for name in OPTIONS if name != "--class"}
)


def job_of(arguments: Mapping[str, Any]) -> Taken | None:
    """The job of a SparkSubmitOperator, None if it has no `application`.

    Raises TypeError for a `conf` or `env_vars` that is no mapping.
    """
    found = Options()
    plain = {key: without_objects(value) for key, value in arguments.items() if value is not None}
    for key, value in plain.items():
        option = OPTIONS.get(_RENAMED.get(key, f"--{key.replace('_', '-')}"))
        if value is None:
            found.notes.append(python_object(key, arguments[key]))
        elif key == "conf":
            _conf(found, value)
        elif key == "application":
            found.job["main"] = value
        elif key == "application_args":
            found.job["args"] = list(value) if isinstance(value, list) else [value]
        elif key == "env_vars":
            found.job["env"] = {name: str(text) for name, text in dict(value).items()}
        elif key in _NOWHERE:
            found.notes += _NOWHERE[key](key, value).notes
        elif option is not None and not (option.is_flag and value is False):
            found.take(key, option, value)
        else:
            found.notes.append(lost(key, value))
    if "main" not in found.job:
        return None
    sizes, notes = sized(found.conf)
    return Taken({SPARK.name: in_order({**found.job, **sizes})}, notes=(*found.notes, *notes))


def _conf(found: Options, conf: Mapping[str, Any]) -> None:
    for name, value in dict(conf).items():
        if name in found.named:
            found.notes.append(lost(name, value, f"`{found.named[name]}` goes before it"))
        else:
            found.conf[name] = value
