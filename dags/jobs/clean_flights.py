"""Raw flights, a CSV file a month -> typed Parquet partitioned by month; a flight without departure is cancelled."""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f
from raw_data import land

COLUMNS = (
    "year INT, month INT, day INT, dep_time INT, sched_dep_time INT, dep_delay INT, arr_time INT, "
    "sched_arr_time INT, arr_delay INT, carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING, "
    "air_time INT, distance INT, hour INT, minute INT, time_hour TIMESTAMP"
)

data = sys.argv[1]
spark = SparkSession.builder.getOrCreate()
raw = spark.read.csv(land("flights", data), header=True, schema=COLUMNS, nullValue="NA")
clean = raw.select(
    f.make_date("year", "month", "day").alias("date"),
    "month",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "time_hour",
    "dep_delay",
    "arr_delay",
    f.col("dep_time").isNull().alias("cancelled"),
)
clean.write.partitionBy("month").mode("overwrite").parquet(f"{data}/clean/flights")
spark.stop()
