"""What Airflow reads through the `apache_airflow_provider` entry point; data only, imports nothing heavy."""

from __future__ import annotations

from typing import Any

from airflow_doeks import __version__

PAGES = "/doeks"  # where the pages of `ui` stand, below Airflow's web server


def _option(description: str, default: str, *, kind: str = "string", example: str | None = None) -> dict[str, Any]:
    return {
        "description": description,
        "type": kind,
        "default": default,
        "example": example,
        "version_added": "0.1.0",
    }


OPTIONS: dict[str, dict[str, Any]] = {
    "instance": _option(
        "Name of this Airflow installation; it keeps installations that share a platform apart. "
        "Up to 63 letters, digits, '-', '_' and '.', the ends a letter or digit; of another name jobs carry its legal "
        "characters and a digest that keeps it apart. Empty: the MWAA environment's name, else the host of base_url; "
        "`localhost`, which is everybody's, is refused by a platform that several Airflows may share.",
        "",
        example="prod-eu",
    ),
    "ledger_path": _option(
        "Where records are kept: a folder or an s3:// URL. Empty: the folder doeks/ledger below AIRFLOW_HOME.",
        "",
        example="s3://acme-data/doeks-ledger",
    ),
    "source_url": _option(
        "Where pipelines can be read: the page of a task links to it. `{file}` is the YAML's path from the folder of "
        "the DAG file, `{line}` the task's line. Empty: the page names file and line without a link.",
        "",
        example="https://github.com/acme/flows/blob/main/dags/{file}#L{line}",
    ),
    "local_dir": _option(
        "Where platform type `local` keeps its run directories; shared by worker and triggerer. "
        "Empty: the folder doeks/local below AIRFLOW_HOME.",
        "",
        example="/opt/airflow/doeks",
    ),
    "environment": _option(
        "Which environment of doeks.yaml holds here; --env and DOEKS_ENV go before it.", "", example="prod"
    ),
    "inject_event_log": _option(
        "Have every Spark job write an event log; without it cost rests on requests and lineage on declarations.",
        "True",
        kind="boolean",
    ),
    "inject_plan_metadata": _option(
        "Keep plan metadata whole (spark.sql.maxMetadataStringLength, spark.sql.debug.maxToStringFields), "
        "so that lineage is complete.",
        "True",
        kind="boolean",
    ),
    "inject_identity": _option(
        "Write DAG, run, task and try into spark.doeks.* properties, so that the event log names its task.",
        "True",
        kind="boolean",
    ),
    "asset_events": _option(
        "Announce datasets that a job was seen to write and that its task does not declare as asset events, through "
        "the alias doeks/DAG/TASK, so that the Assets page and schedules see them.",
        "True",
        kind="boolean",
    ),
    "settle_timeout": _option(
        "Seconds a task may spend on cost and lineage after its job ended.", "10", kind="integer"
    ),
    "cancel_timeout": _option(
        "Seconds to wait for the end of a job that is being cancelled before it is started anew.", "120", kind="integer"
    ),
}


def _field(label: str) -> dict[str, Any]:
    return {"label": label, "schema": {"type": ["string", "null"]}}


EMR_HOOK_NAME = "Amazon EMR on EKS"
EMR_FORM: dict[str, Any] = {  # the form of a connection of type `emr_on_eks`
    "conn-fields": {
        "aws_conn_id": _field("AWS connection"),
        "region_name": _field("Region"),
        "virtual_cluster": _field("Virtual cluster"),
        "endpoint_url": _field("Endpoint URL of EMR containers"),
    },
    "ui-field-behaviour": {
        "hidden-fields": ["host", "schema", "login", "password", "port", "extra"],
        "relabeling": {},
        "placeholders": {
            "aws_conn_id": "aws_default",
            "region_name": "us-east-1",
            "virtual_cluster": "abcdef0123456789abcdef012",
            "endpoint_url": "empty: AWS's own",
        },
    },
}


def get_provider_info() -> dict[str, Any]:
    """Name, operators, hooks, triggers, links and settings in the schema of Airflow providers."""
    return {
        "package-name": "airflow-doeks",
        "name": "Data on EKS",
        "description": "Spark and Flink jobs from YAML on EMR on EKS, Kubernetes operators or locally, "
        "submitted once, explained, with cost and lineage.",
        "versions": [__version__],
        "operators": [
            {
                "integration-name": "Data on EKS",
                "python-modules": ["airflow_doeks.operators.emr_virtual_cluster", "airflow_doeks.operators.job"],
            },
        ],
        "hooks": [
            {"integration-name": "Data on EKS", "python-modules": ["airflow_doeks.hooks.emr_on_eks"]},
        ],
        "connection-types": [
            {
                "hook-class-name": "airflow_doeks.hooks.emr_on_eks.EmrOnEksHook",
                "hook-name": EMR_HOOK_NAME,
                "connection-type": "emr_on_eks",
                **EMR_FORM,
            },
        ],
        "sensors": [
            {"integration-name": "Data on EKS", "python-modules": ["airflow_doeks.sensors.job"]},
        ],
        "triggers": [
            {"integration-name": "Data on EKS", "python-modules": ["airflow_doeks.triggers.job"]},
        ],
        "extra-links": [
            "airflow_doeks.operators.links.SparkUILink",
            "airflow_doeks.operators.links.DriverLogLink",
            "airflow_doeks.operators.links.ConsoleLink",
            "airflow_doeks.operators.links.FlinkUILink",
            "airflow_doeks.operators.links.SavepointsLink",
            "airflow_doeks.operators.links.CostLink",
        ],
        "config": {"doeks": {"description": "Settings of airflow-doeks.", "options": OPTIONS}},
    }
