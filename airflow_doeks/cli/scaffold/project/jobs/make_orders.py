"""Makes 100,000 orders of 30 days; put your own input here."""

import sys

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
orders = spark.range(100_000).selectExpr(
    "id AS order_id",
    "date_add(DATE '2026-01-01', CAST(id % 30 AS INT)) AS day",
    "CAST(id % 97 AS DECIMAL(10, 2)) AS amount",
)
orders.write.mode("overwrite").parquet(f"{sys.argv[1]}/orders")
spark.stop()
