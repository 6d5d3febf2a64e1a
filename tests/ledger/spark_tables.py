"""Statements of a file run by real Spark, then a query, its answer as JSON lines; run by test_ddl.py in a process."""

from __future__ import annotations

import json
import sys
from decimal import Decimal

from pyspark.sql import SparkSession

statements, *queries = json.loads(sys.stdin.read())
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
for statement in statements:
    spark.sql(statement)


def text(value: object) -> str:
    """A value as a text that says nothing of how many zeros stand behind it."""
    return str(value.normalize() if isinstance(value, Decimal) else value)


answers = [[[text(value) for value in row] for row in spark.sql(query).collect()] for query in queries]
sys.stdout.write(f"\n{json.dumps(answers)}\n")
