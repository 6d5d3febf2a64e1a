"""Clean flights joined with the airline's name and the weather at departure; no flight is lost or doubled."""

import sys

from pyspark.sql import SparkSession
from raw_data import land

FLIGHTS = (
    "date DATE, month INT, carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING, "
    "time_hour TIMESTAMP, dep_delay INT, arr_delay INT, cancelled BOOLEAN"
)
WEATHER = "origin STRING, time_hour TIMESTAMP, temp DOUBLE, wind_speed DOUBLE, precip DOUBLE, visib DOUBLE"

data = sys.argv[1]
spark = SparkSession.builder.getOrCreate()
flights = spark.read.schema(FLIGHTS).parquet(f"{data}/clean/flights")
weather = spark.read.schema(WEATHER).parquet(f"{data}/clean/weather")
airlines = spark.read.csv(land("airlines", data), header=True, schema="carrier STRING, name STRING")
joined = flights.join(airlines.withColumnRenamed("name", "airline"), "carrier", "left").join(
    weather, ["origin", "time_hour"], "left"
)
joined.write.partitionBy("month").mode("overwrite").parquet(f"{data}/joined/flights")
spark.stop()
