"""A small job that loads the classes that jobs load: run by `class_archive` through Spark, with a folder of its own."""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

folder = sys.argv[1]
spark = SparkSession.builder.getOrCreate()
rows = spark.range(1000).select("id", (f.col("id") % 7).alias("day"), f.col("id").cast("string").alias("name"))
rows.write.csv(f"{folder}/csv", header=True)
rows.write.json(f"{folder}/json")
typed = spark.read.csv(f"{folder}/csv", header=True, schema="id BIGINT, day INT, name STRING")
days = spark.read.json(f"{folder}/json").groupBy("day").agg(f.count("*").alias("count"), f.avg("id").alias("mean"))
typed.join(f.broadcast(days), "day", "left").dropDuplicates(["id"]).write.partitionBy("day").parquet(f"{folder}/joined")
spark.read.parquet(f"{folder}/joined").createOrReplaceTempView("joined")
spark.sql(f"CREATE TEMPORARY VIEW again USING parquet OPTIONS (path '{folder}/joined')")
spark.sql(
    f"INSERT OVERWRITE DIRECTORY '{folder}/sums' USING parquet "  # noqa: S608 - a folder of ours
    "SELECT a.day, max(b.mean) AS most, count_if(a.id > 9) AS some "
    "FROM joined a JOIN again b ON a.id = b.id GROUP BY a.day"
)
spark.stop()
