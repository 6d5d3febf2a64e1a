"""Valid documents that between them use every key of the language; property tests start from these."""

from __future__ import annotations

from typing import Any

_SPARK: dict[str, Any] = {
    "main": "s3://code/clean.jar",
    "class": "com.acme.Clean",
    "args": ["--n", 3, 0.5],
    "conf": {"spark.sql.shuffle.partitions": 200, "spark.sql.ansi.enabled": True},
    "packages": ["org.postgresql:postgresql:42.7.4"],
    "jars": ["s3://code/a.jar"],
    "py_files": ["s3://code/a.zip"],
    "files": ["s3://code/a.txt"],
    "archives": ["s3://code/a.tgz#env"],
    "env": {"MODE": "prod"},
    "secrets": {"PASSWORD": {"k8s": "db/password"}},
    "driver": {"cpu": "500m", "memory": "4Gi"},
    "executors": {"min": 1, "max": 4, "cpu": 2.5, "memory": "16Gi", "gpu": 1, "capacity": "spot"},
    "image": "acme/spark:3.5",
    "release": "emr-7.9.0-latest",
    "presets": ["spot"],
    "on_retry": "restart",
}
_COMMON: dict[str, Any] = {
    "platform": "lake",
    "retries": 2,
    "retry_delay": "1h30m",
    "retry_on": ["spot_loss", "platform"],
    "execution_timeout": 3600,
    "queue_timeout": "2h",
    "startup_timeout": "15m",
    "run_timeout": "3h",
    "budget_usd": 0.5,
    "pool": "default_pool",
    "priority_weight": 3,
    "cost_tags": {"team": "sales"},
}
_EDGES: dict[str, Any] = {
    "needs": [],
    "reads": ["s3://raw/orders"],
    "writes": ["s3://clean/orders/{{ ds }}"],
    "inlets": ["x://in"],
    "outlets": ["x://out"],
    "trigger_rule": "all_done",
    "role": "setup",
    "doc": "Text.",
}
PIPELINE_SEEDS: list[dict[str, Any]] = [
    {
        "description": "All keys.",
        "schedule": {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "covers": "trigger_time"},
        "start_date": "2026-01-01",
        "end_date": "2026-12-31 06:00",
        "timezone": "UTC",
        "catchup": False,
        "max_active_runs": 1,
        "dagrun_timeout": "1d",
        "owner": "sales",
        "tags": ["a"],
        "cost_tags": {"team": "sales"},
        "params": {"n": 1, "deep": {"x": [1, {"y": None}]}},
        "infer": False,
        "defaults": {**_COMMON, "spark": {"presets": ["spot"]}, "flink": {"parallelism": 2}},
        "tasks": {
            "spark": {**_COMMON, **_EDGES, "spark": _SPARK, "expand": [1, "two", {"three": 3}]},
            "sql": {
                "spark": {"sql": "../sql/a.sql", "executors": {"max": "{{ params.n }}"}},
                "expand": {"task": "list"},
            },
            "flink": {
                "flink": {
                    "jar": "s3://a/b.jar",
                    "class": "X",
                    "mode": "streaming",
                    "until": "running",
                    "stable_for": "5m",
                }
            },
            "list": {"uses": "bash", "with": {"bash_command": "date"}, "expand": [{"env": {"A": "b"}}]},
            "group": {
                "description": "Inside.",
                "needs": ["list"],
                "tasks": {"inner": {"tasks": {"end": {"uses": "empty"}}}},
            },
        },
    },
    {"schedule": "@daily", "start_date": "2026-01-01", "tasks": {"t": {"uses": "empty"}}},
    {"schedule": {"assets": {"any": ["s3://raw/orders"]}}, "tasks": {"t": {"uses": "empty"}}},
    {"schedule": {"assets": {"all": ["s3://raw/orders"]}}, "tasks": {"t": {"uses": "empty"}}},
]
DOEKS_SEEDS: list[dict[str, Any]] = [
    {
        "platforms": {
            "laptop": {"type": "local", "priced_as": "m7g.xlarge"},
            "lake": {
                "type": "emr_on_eks",
                "region": "us-east-1",
                "virtual_cluster": "abc",
                "log_rotation": {"size": "1MB", "files": 2},
                "kubernetes": "kubernetes_default",
                "namespace": "sales",
            },
        },
        "environments": {
            "dev": {"platform": "laptop", "variables": {"n": 1, "s": "x", "b": True}},
            "prod": {"cost_tags": {"env": "prod"}},
        },
        "presets": {"big": {"spark": {"conf": {"a": 1}}, "flink": {"parallelism": 2}}},
        "policies": {
            "required_cost_tags": ["team"],
            "allowed_cost_tags": {"team": ["sales"]},
            "max_executors": 200,
            "allowed_images": ["acme/*"],
            "allowed_uses": ["bash"],
            "platforms": {"lake": ["sales/**"]},
            "max_budget_usd": 50,
        },
        "defaults": {"retries": 1},
        "cost_tags": {"owner": "x"},
        "rate_card": {"region": "us-east-1", "file": "rates.yaml"},
    }
]
