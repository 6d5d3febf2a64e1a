"""Delays per month and airline, with the share of late flights in rain and without."""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

COLUMNS = "airline STRING, arr_delay INT, precip DOUBLE, month INT"

data = sys.argv[1]
spark = SparkSession.builder.getOrCreate()
late = f.when(f.col("arr_delay") > 15, 1).when(f.col("arr_delay").isNotNull(), 0)  # noqa: PLR2004 - minutes
marts = (
    spark.read.schema(COLUMNS)
    .parquet(f"{data}/joined/flights")
    .groupBy("month", "airline")
    .agg(
        f.count("*").alias("flights"),
        f.avg("arr_delay").alias("mean_arrival_delay_minutes"),
        f.avg(f.when(f.col("precip") > 0, late)).alias("late_share_in_rain"),
        f.avg(f.when(f.col("precip") == 0, late)).alias("late_share_when_dry"),
    )
)
marts.write.mode("overwrite").parquet(f"{data}/mart/carrier_delays")
spark.stop()
