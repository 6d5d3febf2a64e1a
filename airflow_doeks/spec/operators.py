"""What `uses` may name: aliases with their arguments, so that a typo in `with` is told before any import."""

from __future__ import annotations

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from airflow_doeks.spec import times
from airflow_doeks.spec.diagnostics import suggestion
from airflow_doeks.spec.graph import Entry, Note
from airflow_doeks.spec.rules import shown

_STANDARD = "airflow.providers.standard."
_AMAZON = "airflow.providers.amazon.aws."
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {  # kind of an argument -> accepted types, words
    "text": ((str,), "text"),
    "texts": ((str, list), "text or a list"),
    "list": ((list,), "a list"),
    "number": ((int, float), "a number"),
    "flag": ((bool,), "true or false"),
    "mapping": ((dict,), "a mapping"),
    "duration": ((int, float, str), "a duration such as 90s, 30m or 1h30m"),
    "any": ((object,), "anything"),
}


class Alias(NamedTuple):
    """An operator under a short name: import path, and argument -> kind, ``!`` for those that must be given."""

    path: str
    arguments: dict[str, str]
    is_sensor: bool = False


# Arguments every operator takes and we do not set; Airflow 2.10 to 3.3, read November 2026.
_ANY = {
    "do_xcom_push": "flag",
    "depends_on_past": "flag",
    "queue": "text",
    "email": "texts",
    "email_on_failure": "flag",
}
_SENSOR = {
    "poke_interval": "number",
    "timeout": "number",
    "mode": "text",
    "soft_fail": "flag",
    "exponential_backoff": "flag",
    "deferrable": "flag",
}
# Arguments that have a place of their own in the language -> where.
OWNED = {
    "task_id": "the task's name",
    "retries": "`retries` of the task",
    "retry_delay": "`retry_delay` of the task",
    "trigger_rule": "`trigger_rule` of the task",
    "execution_timeout": "`execution_timeout` of the task",
    "pool": "`pool` of the task",
    "priority_weight": "`priority_weight` of the task",
    "inlets": "`inlets` of the task",
    "outlets": "`outlets` of the task",
    "doc_md": "`doc` of the task",
    "owner": "`owner` of the pipeline",
    "dag": "nothing; the task belongs to its pipeline",
    "task_group": "a group with `tasks`",
}
ALIASES: dict[str, Alias] = {
    "bash": Alias(
        f"{_STANDARD}operators.bash.BashOperator",
        {
            "bash_command": "text!",
            "env": "mapping",
            "append_env": "flag",
            "cwd": "text",
            "output_encoding": "text",
            "skip_on_exit_code": "any",
        },
    ),
    "empty": Alias(f"{_STANDARD}operators.empty.EmptyOperator", {}),
    "latest_only": Alias(f"{_STANDARD}operators.latest_only.LatestOnlyOperator", {}),
    "trigger_dag_run": Alias(
        f"{_STANDARD}operators.trigger_dagrun.TriggerDagRunOperator",
        {
            "trigger_dag_id": "text!",
            "trigger_run_id": "text",
            "conf": "mapping",
            "reset_dag_run": "flag",
            "wait_for_completion": "flag",
            "poke_interval": "number",
            "allowed_states": "list",
            "failed_states": "list",
            "deferrable": "flag",
        },
    ),
    "sns_publish": Alias(
        f"{_AMAZON}operators.sns.SnsPublishOperator",
        {
            "target_arn": "text!",
            "message": "text!",
            "subject": "text",
            "message_attributes": "mapping",
            "aws_conn_id": "text",
            "region_name": "text",
        },
    ),
    "emr_container": Alias(
        f"{_AMAZON}operators.emr.EmrContainerOperator",
        {
            "name": "text!",
            "virtual_cluster_id": "text!",
            "execution_role_arn": "text!",
            "release_label": "text!",
            "job_driver": "mapping!",
            "configuration_overrides": "mapping",
            "client_request_token": "text",
            "aws_conn_id": "text",
            "wait_for_completion": "flag",
            "poll_interval": "number",
            "tags": "mapping",
            "deferrable": "flag",
        },
    ),
    "file_sensor": Alias(
        f"{_STANDARD}sensors.filesystem.FileSensor",
        {"filepath": "text!", "fs_conn_id": "text", "recursive": "flag", **_SENSOR},
        is_sensor=True,
    ),
    "external_task_sensor": Alias(
        f"{_STANDARD}sensors.external_task.ExternalTaskSensor",
        {
            "external_dag_id": "text!",
            "external_task_id": "text",
            "external_task_ids": "list",
            "external_task_group_id": "text",
            "allowed_states": "list",
            "skipped_states": "list",
            "failed_states": "list",
            "execution_delta": "duration",
            "check_existence": "flag",
            **_SENSOR,
        },
        is_sensor=True,
    ),
    "date_time_sensor": Alias(
        f"{_STANDARD}sensors.date_time.DateTimeSensor", {"target_time": "text!", **_SENSOR}, is_sensor=True
    ),
    "time_delta_sensor": Alias(
        f"{_STANDARD}sensors.time_delta.TimeDeltaSensor", {"delta": "duration!", **_SENSOR}, is_sensor=True
    ),
    "s3_key_sensor": Alias(
        f"{_AMAZON}sensors.s3.S3KeySensor",
        {
            "bucket_key": "texts!",
            "bucket_name": "text",
            "wildcard_match": "flag",
            "aws_conn_id": "text",
            "verify": "any",
            "use_regex": "flag",
            **_SENSOR,
        },
        is_sensor=True,
    ),
}
_BY_PATH = {alias.path: alias for alias in ALIASES.values()}
_ALWAYS_ALLOWED = ("airflow_doeks.*", "*.sensors.*")
_NEVER_BY_DEFAULT = ("*BashSensor", "*PythonSensor")  # sensors that run what they are given


def resolve_uses(entry: Entry, note: Note) -> tuple[str | None, dict[str, Any]]:
    """Import path and arguments of a `uses` task; faults in them are noted."""
    name = entry.spec["uses"]
    alias = ALIASES.get(name)
    path = alias.path if alias else name.replace(":", ".")
    if alias is None and "." not in path:
        advice = suggestion(name, ALIASES) or f"aliases are {', '.join(sorted(ALIASES))}"
        note("DK221", f'"{name}" is no alias', entry, ("uses",), help=advice)
        return None, {}
    arguments = dict(entry.spec.get("with") or {})
    for key in arguments:
        if key in OWNED:
            note(
                "DK222", f"{key} is not set under `with`", entry, ("with", key), at_key=True, help=f"write {OWNED[key]}"
            )
    alias = alias or _BY_PATH.get(path)
    if alias is None:
        return path, arguments
    per_item = entry.spec.get("expand")
    items = per_item if isinstance(per_item, list) else []
    typos = {near_argument(alias, key) for key in arguments}
    for key, value in arguments.items():
        arguments[key] = _checked(alias, value, entry, ("with", key), note)
    for index, item in enumerate(items):
        for key, value in item.items():
            _checked(alias, value, entry, ("expand", index, key), note)
    given = typos.union(arguments, *items)
    for key, kind in alias.arguments.items():
        if kind.endswith("!") and key not in given and not isinstance(per_item, dict):
            place = ("with",) if "with" in entry.spec else ("uses",)
            note(
                "DK222",
                f"{name} needs the argument {key}",
                entry,
                place,
                at_key=True,
                help=f"write with: {{{key}: ...}}",
            )
    return path, arguments


def near_argument(alias: Alias, key: str) -> str:
    """The argument that a key which is none may have meant; empty if the key is one."""
    known = {**alias.arguments, **_ANY}
    return "" if key in known or key in OWNED else suggestion(key, known).partition('"')[2].partition('"')[0]


def _checked(alias: Alias, value: Any, entry: Entry, path: tuple[Any, ...], note: Note) -> Any:
    key = path[-1]
    kind = (alias.arguments.get(key) or _ANY.get(key) or "").rstrip("!")
    if key in OWNED:
        return value
    if not kind:
        near = near_argument(alias, key)
        advice = f'did you mean "{near}"?' if near else f"its arguments are {', '.join(alias.arguments) or 'none'}"
        note("DK222", f'{entry.spec["uses"]} has no argument "{key}"', entry, path, at_key=True, help=advice)
        return value
    types, words = _KINDS[kind]
    is_flag_for_number = isinstance(value, bool) and kind in ("number", "duration")
    is_template = isinstance(value, str) and "{{" in value
    if value is None or is_template:
        return value
    if not isinstance(value, types) or is_flag_for_number:
        note("DK222", f"{key}: expected {words}, found {shown(value)}", entry, path)
    elif kind == "duration":
        try:
            return timedelta(seconds=times.seconds(value))
        except ValueError as error:
            note("DK222", f"{key}: {error}", entry, path)
    return value


def is_allowed(name: str, path: str, allowed: list[str]) -> bool:
    """True for sensors, `empty`, our own, and what the platform team allows by alias or pattern."""
    if any(fnmatchcase(text, pattern) for pattern in allowed for text in (name, path)):
        return True
    if path == ALIASES["empty"].path:
        return True
    if any(fnmatchcase(path, pattern) for pattern in _NEVER_BY_DEFAULT):
        return False
    return any(fnmatchcase(path, pattern) for pattern in _ALWAYS_ALLOWED)
