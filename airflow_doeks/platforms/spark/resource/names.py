"""How the pods of a Spark job are known, whatever operator started it. Spark 3.5 and 4.x, read November 2026."""

from __future__ import annotations

from airflow_doeks.platforms.kubernetes.operator import PodNames

SPARK_PODS = PodNames(
    role_label="spark-role",
    roles={"driver": "driver", "executor": "executor"},
    containers={"driver": "spark-kubernetes-driver", "executor": "spark-kubernetes-executor"},
    lead="driver",
    named={r"-driver$": "driver", r"-exec-": "executor"},
    number_label="spark-exec-id",
)
