"""Writes ten rows and then takes as many seconds as it is told."""

import sys
import time

from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.range(10).write.mode("overwrite").parquet("ten_rows")
time.sleep(float(sys.argv[1]))
spark.stop()
