"""Raw hourly weather of the three airports, CSV -> typed Parquet, one row per airport and hour."""

import sys

from pyspark.sql import SparkSession
from raw_data import land

COLUMNS = (
    "origin STRING, year INT, month INT, day INT, hour INT, temp DOUBLE, dewp DOUBLE, humid DOUBLE, wind_dir INT, "
    "wind_speed DOUBLE, wind_gust DOUBLE, precip DOUBLE, pressure DOUBLE, visib DOUBLE, time_hour TIMESTAMP"
)

data = sys.argv[1]
spark = SparkSession.builder.getOrCreate()
raw = spark.read.csv(land("weather", data), header=True, schema=COLUMNS, nullValue="NA")
clean = raw.select("origin", "time_hour", "temp", "wind_speed", "precip", "visib").dropDuplicates(
    ["origin", "time_hour"]
)
clean.write.mode("overwrite").parquet(f"{data}/clean/weather")
spark.stop()
