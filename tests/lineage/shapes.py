"""Real Spark applications, one for every shape of read and write; run as a script it makes the kept logs.

Each shape gets a session and an empty folder, and returns what it did: (role, dataset name, folder on disk, format).
Nothing is expected by hand: rows, bytes and files are counted on disk after the application has ended.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

LAKE = Path("/tmp/doeks-lake")  # noqa: S108 - a neutral path that may stand in kept logs


@dataclass(frozen=True)
class Touched:
    """A dataset that a shape read or wrote; ``folder`` is None where it is no file, then counts stand in ``known``."""

    role: str
    name: str
    folder: Path | None = None
    format: str = ""
    known: dict[str, int | None] | None = None
    unseen: tuple[str, ...] = ()  # counts that the log does not hold


Shape = Callable[[Any, Path], list[Touched]]
SHAPES: dict[str, Shape] = {}
CONF: dict[str, dict[str, str]] = {}
FULL_PLANS = {"spark.sql.maxMetadataStringLength": "100000", "spark.sql.debug.maxToStringFields": "2000"}


def shape(**conf: str) -> Callable[[Shape], Shape]:
    """Register a shape; keywords are Spark properties with ``__`` for a dot."""

    def register(function: Shape) -> Shape:
        SHAPES[function.__name__] = function
        CONF[function.__name__] = {key.replace("__", "."): value for key, value in conf.items()}
        return function

    return register


def _write_inputs(folder: Path) -> None:
    (folder / "orders").mkdir(parents=True)
    for part in range(3):
        lines = [
            json.dumps({"id": part * 100 + i, "customer": i % 7, "amount": i * 1.5, "day": f"2026-01-0{1 + i % 3}"})
            for i in range(100)
        ]
        (folder / "orders" / f"{part}.json").write_text("\n".join(lines) + "\n")
    (folder / "customers").mkdir()
    rows = ["customer,name,country"] + [f"{i},name-{i},{'NL' if i % 2 else 'DE'}" for i in range(7)]
    (folder / "customers" / "all.csv").write_text("\n".join(rows) + "\n")


ORDERS = "id BIGINT, customer BIGINT, amount DOUBLE, day STRING"
CUSTOMERS = "customer BIGINT, name STRING, country STRING"


def _orders(spark: Any, lake: Path) -> Any:
    return spark.read.schema(ORDERS).json(str(lake / "orders"))


def _customers(spark: Any, lake: Path) -> Any:
    return spark.read.schema(CUSTOMERS).option("header", "true").csv(str(lake / "customers"))


def _file(role: str, folder: Path, fmt: str) -> Touched:
    return Touched(role, str(folder), folder, fmt)


@shape()
def join_and_aggregate(spark: Any, lake: Path) -> list[Touched]:
    """Two file scans, a join, an aggregate, a Parquet write."""
    from pyspark.sql import functions as f

    joined = _orders(spark, lake).join(_customers(spark, lake), "customer")
    result = joined.groupBy("country").agg(f.sum(f.col("amount") * 2).alias("revenue"), f.count("*").alias("orders"))
    result.write.parquet(str(lake / "revenue"))
    return [
        _file("in", lake / "orders", "json"),
        _file("in", lake / "customers", "csv"),
        _file("out", lake / "revenue", "parquet"),
    ]


@shape()
def partitioned(spark: Any, lake: Path) -> list[Touched]:
    """A partitioned write, read back through one partition, appended to, and a union into another dataset."""
    out = str(lake / "by_day")
    _orders(spark, lake).write.partitionBy("day").json(out)
    _orders(spark, lake).limit(10).write.mode("append").partitionBy("day").json(out)
    one = spark.read.schema(ORDERS).json(out).where("day = '2026-01-02'")
    one.select("id").union(_customers(spark, lake).select("customer")).write.csv(str(lake / "ids"))
    return [
        _file("in", lake / "orders", "json"),
        _file("in", lake / "customers", "csv"),
        Touched("in", out, lake / "by_day" / "day=2026-01-02", "json"),
        _file("out", lake / "by_day", "json"),
        _file("out", lake / "ids", "csv"),
    ]


@shape(spark__sql__sources__partitionOverwriteMode="dynamic")
def dynamic_overwrite(spark: Any, lake: Path) -> list[Touched]:
    """A dynamic partition overwrite that replaces every partition it touches."""
    orders = _orders(spark, lake)
    orders.where("day = '2026-01-01'").write.mode("overwrite").partitionBy("day").json(str(lake / "daily"))
    orders.where("day = '2026-01-02'").write.mode("overwrite").partitionBy("day").json(str(lake / "daily"))
    return [Touched("in", str(lake / "orders"), known={"files": 3}), _file("out", lake / "daily", "json")]


@shape()
def overwritten_twice(spark: Any, lake: Path) -> list[Touched]:
    """A static overwrite replaces what an earlier write of the same job left."""
    for limit in (50, 20):
        _orders(spark, lake).limit(limit).write.mode("overwrite").json(str(lake / "latest"))
    return [_file("out", lake / "latest", "json"), Touched("in", str(lake / "orders"), known={"files": 3})]


@shape()
def self_overwrite(spark: Any, lake: Path) -> list[Touched]:
    """Reads a dataset, caches it, and overwrites it."""
    mine = spark.read.schema(ORDERS).json(str(lake / "orders")).cache()
    mine.count()
    mine.where("amount > 30").write.mode("overwrite").json(str(lake / "orders"))
    return [_file("out", lake / "orders", "json"), Touched("in", str(lake / "orders"), known={"rows": 300, "files": 3})]


@shape()
def cached(spark: Any, lake: Path) -> list[Touched]:
    """One cached scan feeds two writes and is counted once."""
    orders = _orders(spark, lake).cache()
    orders.where("customer < 3").write.json(str(lake / "low"))
    orders.where("customer >= 3").write.json(str(lake / "high"))
    return [
        _file("in", lake / "orders", "json"),
        _file("out", lake / "low", "json"),
        _file("out", lake / "high", "json"),
    ]


@shape()
def tables(spark: Any, lake: Path) -> list[Touched]:
    """CREATE TABLE AS, saveAsTable, INSERT INTO, INSERT OVERWRITE of a table and of a directory, table scans."""
    _orders(spark, lake).createOrReplaceTempView("raw")
    spark.sql("CREATE TABLE made USING parquet AS SELECT id, amount FROM raw")
    _orders(spark, lake).write.format("json").partitionBy("day").saveAsTable("saved")
    spark.sql("CREATE TABLE filled (id BIGINT, amount DOUBLE) USING json")
    spark.sql("INSERT INTO filled SELECT * FROM made")
    spark.sql("INSERT INTO filled SELECT * FROM made WHERE id < 100")
    spark.sql("CREATE TABLE replaced (id BIGINT) USING csv")
    spark.sql("INSERT OVERWRITE replaced SELECT id FROM made")
    spark.sql("INSERT OVERWRITE replaced SELECT id FROM saved WHERE day = '2026-01-01'")
    spark.sql(f"INSERT OVERWRITE DIRECTORY '{lake / 'export'}' USING json SELECT * FROM made")  # noqa: S608 - our own path
    house = lake / "warehouse"
    return [
        _file("in", lake / "orders", "json"),
        _file("in", house / "made", "parquet"),
        Touched("in", str(house / "saved"), house / "saved" / "day=2026-01-01", "json"),
        _file("out", house / "made", "parquet"),
        _file("out", house / "saved", "json"),
        _file("out", house / "filled", "json"),
        _file("out", house / "replaced", "csv"),
        _file("out", lake / "export", "json"),
    ]


@shape(
    spark__sql__catalogImplementation="hive",
    spark__hadoop__javax__jdo__option__ConnectionURL="jdbc:derby:{lake}/metastore;create=true",
)
def hive_tables(spark: Any, lake: Path) -> list[Touched]:
    """Hive text tables: created from a query, inserted into, scanned."""
    _orders(spark, lake).createOrReplaceTempView("raw")
    spark.sql("CREATE TABLE made STORED AS TEXTFILE AS SELECT id, day FROM raw")
    spark.sql("CREATE TABLE filled (id BIGINT) STORED AS TEXTFILE")
    spark.sql("INSERT INTO filled SELECT id FROM made WHERE id < 50")
    house = lake / "warehouse"
    return [
        _file("in", lake / "orders", "json"),
        Touched("in", "spark_catalog.default.made", known={"rows": 300}),
        Touched("out", "spark_catalog.default.made", house / "made", "text"),
        Touched("out", "spark_catalog.default.filled", house / "filled", "text"),
    ]


@shape()
def jdbc(spark: Any, lake: Path) -> list[Touched]:
    """Writes to and reads from a database over JDBC (Derby, embedded)."""
    url = f"jdbc:derby:{lake / 'db'};create=true"
    _orders(spark, lake).write.format("jdbc").option("url", url).option("dbtable", "app.orders").save()
    back = spark.read.format("jdbc").option("url", url).option("dbtable", "app.orders").load()
    back.where("amount > 100").write.json(str(lake / "large"))
    return [
        _file("in", lake / "orders", "json"),
        Touched("in", "app.orders", known={"files": None, "bytes": None}),
        Touched("out", "app.orders", known={"rows": 300, "files": None}),
        _file("out", lake / "large", "json"),
    ]


@shape()
def rdd(spark: Any, lake: Path) -> list[Touched]:
    """RDDs show the path they read; what they write is nowhere in the log."""
    lines = spark.sparkContext.textFile(str(lake / "orders"), 2)
    lines.filter(lambda line: "2026-01-01" in line).saveAsTextFile(str(lake / "filtered"))
    return [Touched("in", str(lake / "orders"), known={"files": None})]


@shape()
def failed_write(spark: Any, lake: Path) -> list[Touched]:
    """A write that succeeds, then one that fails half way."""
    from pyspark.sql import functions as f

    orders = _orders(spark, lake)
    orders.write.json(str(lake / "good"))
    broken = orders.withColumn("x", f.expr("if(id = 250, raise_error('broken row'), id)"))
    try:
        broken.write.json(str(lake / "bad"))
    except Exception as error:  # noqa: BLE001 - any Spark failure is the point
        print("failed as wanted:", type(error).__name__)  # noqa: T201
    return [
        _file("out", lake / "good", "json"),
        Touched("out", str(lake / "bad"), known={"rows": None, "bytes": None, "files": None}),
    ]


@shape()
def file_stream(spark: Any, lake: Path) -> list[Touched]:
    """A file stream into a file sink, one file a batch."""
    stream = spark.readStream.schema(ORDERS).option("maxFilesPerTrigger", 1).json(str(lake / "orders"))
    query = stream.writeStream.format("json").option("path", str(lake / "sunk"))
    query.option("checkpointLocation", str(lake / "ckpt")).trigger(availableNow=True).start().awaitTermination()
    return [_file("in", lake / "orders", "json"), _file("out", lake / "sunk", "json")]


@shape()
def foreach_batch(spark: Any, lake: Path) -> list[Touched]:
    """A file stream whose batches a function writes."""

    def save(frame: Any, _batch: int) -> None:
        frame.write.mode("append").json(str(lake / "batches"))

    stream = spark.readStream.schema(ORDERS).option("maxFilesPerTrigger", 1).json(str(lake / "orders"))
    query = stream.writeStream.foreachBatch(save).option("checkpointLocation", str(lake / "ckpt"))
    query.trigger(availableNow=True).start().awaitTermination()
    return [_file("in", lake / "orders", "json"), _file("out", lake / "batches", "json")]


@shape()
def odd_paths(spark: Any, lake: Path) -> list[Touched]:
    """Paths with spaces, commas, brackets, equals signs and letters beyond ASCII."""
    source, target = lake / "in, [a=b] é", lake / "out (x), y=z] ü"
    shutil.copytree(lake / "orders", source)
    spark.read.schema(ORDERS).json(str(source).replace("[", "\\[").replace("]", "\\]")).write.json(str(target))
    return [_file("in", source, "json"), _file("out", target, "json")]


def _many(spark: Any, lake: Path) -> list[Touched]:
    sources = [lake / f"a_rather_long_name_of_a_source_{i}" for i in range(5)]
    for source in sources:
        shutil.copytree(lake / "orders", source)
    spark.read.schema(ORDERS).json([str(source) for source in sources]).write.json(str(lake / "all"))
    return [_file("out", lake / "all", "json")]


@shape()
def many_paths(spark: Any, lake: Path) -> list[Touched]:
    """Five inputs in one scan, all named in the log."""
    inputs = [Touched("in", str(lake / f"a_rather_long_name_of_a_source_{i}"), known={}) for i in range(5)]
    return [*inputs, *_many(spark, lake)]


@shape(spark__sql__maxMetadataStringLength="100")
def many_paths_cut(spark: Any, lake: Path) -> list[Touched]:
    """The same with Spark's default limits: some inputs are cut off."""
    return _many(spark, lake)


@shape()
def nothing_kept(spark: Any, lake: Path) -> list[Touched]:
    """Sinks that keep nothing, a collect, an empty result: inputs, no outputs."""
    orders = _orders(spark, lake)
    orders.write.format("noop").mode("overwrite").save()
    orders.groupBy("day").count().collect()
    orders.where("1 = 0").collect()
    return [_file("in", lake / "orders", "json")]


@shape()
def python_udf(spark: Any, lake: Path) -> list[Touched]:
    """A Python UDF between scan and write; the schema is inferred by a job of its own."""
    from pyspark.sql import functions as f

    double = f.udf(lambda value: value * 2, "double")
    orders = spark.read.json(str(lake / "orders"))
    orders.select("id", double("amount").alias("twice")).write.json(str(lake / "doubled"))
    return [_file("in", lake / "orders", "json"), _file("out", lake / "doubled", "json")]


@shape(
    spark__master="local-cluster[2,2,1024]",
    spark__dynamicAllocation__enabled="true",
    spark__dynamicAllocation__shuffleTracking__enabled="true",
    spark__dynamicAllocation__maxExecutors="2",
    spark__dynamicAllocation__executorIdleTimeout="1s",
    spark__eventLog__logStageExecutorMetrics="true",
    spark__executor__processTreeMetrics__enabled="true",
    spark__executor__memory="512m",
    spark__task__maxFailures="4",
)
def executors(spark: Any, lake: Path) -> list[Touched]:
    """Executors that come, go idle, are lost in mid-work; Spark tasks that fail and are retried."""
    import time

    context = spark.sparkContext

    def sleepy(i: int) -> int:
        time.sleep(0.5)
        return i

    context.parallelize(range(6), 6).map(sleepy).count()
    marker = lake / "died"

    def dies_once(i: int) -> int:
        if i == 2 and not marker.exists():  # the whole executor goes
            marker.write_text("x")
            daemon = Path(f"/proc/{os.getppid()}/stat").read_text().split()
            os.kill(int(daemon[3]), 9)
        if i == 3 and not (lake / "failed").exists():  # only the Spark task fails
            (lake / "failed").write_text("x")
            message = "once"
            raise ValueError(message)
        time.sleep(0.3)
        return i

    pairs = context.parallelize(range(8), 8).map(lambda i: (dies_once(i) % 3, i))
    pairs.reduceByKey(lambda a, b: a + b, 3).count()
    _orders(spark, lake).repartition(3).write.json(str(lake / "copied"))
    return [_file("in", lake / "orders", "json"), _file("out", lake / "copied", "json")]


PACKAGES = {  # shape -> Spark line -> what it needs from Maven Central; such a shape runs in a process of its own
    "iceberg": {
        "3.5": "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.2",
        "4.1": "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.11.0",
    },
    "delta": {"3.5": "io.delta:delta-spark_2.12:3.3.2", "4.1": "io.delta:delta-spark_4.1_2.13:4.2.0"},
    "kafka": {
        "3.5": "org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.7",
        "4.1": "org.apache.spark:spark-sql-kafka-0-10_2.13:4.1.1",
    },
}


@shape(
    spark__sql__extensions="org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    spark__sql__catalog__ice="org.apache.iceberg.spark.SparkCatalog",
    spark__sql__catalog__ice__type="hadoop",
    spark__sql__catalog__ice__warehouse="{lake}/ice",
)
def iceberg(spark: Any, lake: Path) -> list[Touched]:
    """Iceberg: create from a query, append, overwrite of partitions, delete, merge, read."""
    _orders(spark, lake).createOrReplaceTempView("raw")
    spark.sql("CREATE TABLE ice.mart.made USING iceberg PARTITIONED BY (day) AS SELECT id, amount, day FROM raw")
    spark.sql("CREATE TABLE ice.mart.filled (id BIGINT, amount DOUBLE) USING iceberg")
    spark.sql("INSERT INTO ice.mart.filled SELECT id, amount FROM ice.mart.made")
    spark.table("ice.mart.made").select("id", "amount").where("id < 100").writeTo("ice.mart.filled").append()
    spark.sql("CREATE TABLE ice.mart.replaced (id BIGINT, day STRING) USING iceberg PARTITIONED BY (day)")
    spark.sql("INSERT OVERWRITE ice.mart.replaced SELECT id, day FROM raw")
    spark.sql("CREATE TABLE ice.mart.merged USING iceberg AS SELECT id, amount FROM raw WHERE id < 50")
    spark.sql(
        "MERGE INTO ice.mart.merged t USING (SELECT id, amount FROM raw) s ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET amount = s.amount + 1 WHEN NOT MATCHED THEN INSERT *"
    )
    spark.sql("DELETE FROM ice.mart.merged WHERE id % 10 = 3")
    spark.table("ice.mart.made").write.json(str(lake / "export"))
    house = lake / "ice" / "mart"
    unseen = ("files",) if spark.version < "4" else ()
    return [
        _file("in", lake / "orders", "json"),
        Touched("in", str(house / "made"), known={"rows": 300}),
        Touched("out", str(house / "made"), house / "made" / "data", "parquet", unseen=("files",)),
        Touched("out", str(house / "filled"), house / "filled" / "data", "parquet", unseen=unseen),
        Touched("out", str(house / "replaced"), house / "replaced" / "data", "parquet", unseen=unseen),
        Touched("out", str(house / "merged"), known={}),
        _file("out", lake / "export", "json"),
    ]


@shape(
    spark__sql__extensions="io.delta.sql.DeltaSparkSessionExtension",
    spark__sql__catalog__spark_catalog="org.apache.spark.sql.delta.catalog.DeltaCatalog",
)
def delta(spark: Any, lake: Path) -> list[Touched]:
    """Delta: save to a path, append, create from a query, insert, overwrite, merge, delete, read."""
    _orders(spark, lake).createOrReplaceTempView("raw")
    _orders(spark, lake).write.format("delta").save(str(lake / "saved"))
    _orders(spark, lake).where("id < 50").write.format("delta").mode("append").save(str(lake / "saved"))
    spark.sql("CREATE TABLE made USING delta AS SELECT id, amount FROM raw")
    spark.sql("CREATE TABLE filled (id BIGINT, amount DOUBLE) USING delta")
    spark.sql("INSERT INTO filled SELECT * FROM made")
    spark.read.format("delta").load(str(lake / "saved")).select("id").write.json(str(lake / "export"))
    spark.sql("CREATE TABLE merged USING delta AS SELECT id, amount FROM raw WHERE id < 50")
    spark.sql(
        "MERGE INTO merged t USING (SELECT id, amount FROM raw) s ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET amount = s.amount + 1 WHEN NOT MATCHED THEN INSERT *"
    )
    spark.sql("DELETE FROM merged WHERE id % 10 = 3")
    house = lake / "warehouse"
    return [
        _file("in", lake / "orders", "json"),
        Touched("in", str(lake / "saved"), known={"rows": 350}),  # Delta passes over a file without rows
        _file("in", house / "made", "parquet"),
        _file("out", lake / "saved", "parquet"),
        _file("out", house / "made", "parquet"),
        _file("out", house / "filled", "parquet"),
        Touched("out", str(house / "merged"), known={}),
        _file("out", lake / "export", "json"),
    ]


@shape()
def kafka(spark: Any, lake: Path) -> list[Touched]:
    """Kafka (a broker at DOEKS_KAFKA): a batch write, a batch read, a stream into files, a stream into a topic."""
    servers = os.environ["DOEKS_KAFKA"]
    suffix = str(os.getpid())
    topic, copy = f"orders-{suffix}", f"copy-{suffix}"
    rows = _orders(spark, lake).selectExpr("CAST(id AS STRING) AS key", "day AS value")
    rows.write.format("kafka").option("kafka.bootstrap.servers", servers).option("topic", topic).save()
    options = {"kafka.bootstrap.servers": servers, "subscribe": topic, "startingOffsets": "earliest"}
    spark.read.format("kafka").options(**options).load().selectExpr("CAST(value AS STRING)").write.text(
        str(lake / "batch")
    )
    stream = spark.readStream.format("kafka").options(**options).load().selectExpr("CAST(value AS STRING) AS value")
    sink = stream.writeStream.format("text").option("path", str(lake / "streamed"))
    sink.option("checkpointLocation", str(lake / "c1")).trigger(availableNow=True).start().awaitTermination()
    out = stream.writeStream.format("kafka").option("kafka.bootstrap.servers", servers).option("topic", copy)
    out.option("checkpointLocation", str(lake / "c2")).trigger(availableNow=True).start().awaitTermination()
    return [
        Touched("in", topic, known={"rows": 300}),
        Touched("out", topic, known={"rows": None}),
        _file("out", lake / "batch", "text"),
        _file("out", lake / "streamed", "text"),
    ]


def _files(touched: Touched) -> list[Path]:
    assert touched.folder is not None
    return [path for path in touched.folder.rglob("*") if path.is_file() and not _is_hidden(path, touched.folder)]


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(("_", ".")) for part in path.relative_to(root).parts)


def on_disk(touched: Touched, count_rows: Callable[[Touched], int]) -> dict[str, int | None]:
    """Rows, bytes and files of a dataset as its folder holds them; of no files, what is known."""
    if touched.known is not None or touched.folder is None:
        return touched.known or {}
    files = _files(touched)
    if touched.format == "parquet":
        rows = count_rows(touched)
    else:
        headers = 1 if touched.role == "in" and touched.format == "csv" else 0
        rows = sum(len(path.read_bytes().splitlines()) - headers for path in files)
    counts = {"rows": rows, "bytes": sum(path.stat().st_size for path in files), "files": len(files)}
    return {**counts, **dict.fromkeys(touched.unseen)}


def run(name: str, lake: Path, log_dir: Path, **conf: str) -> list[dict[str, Any]]:
    """Run one shape in an empty lake with its event log in ``log_dir``; what it touched, counted on disk."""
    import pyspark
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    shutil.rmtree(lake, ignore_errors=True)
    _write_inputs(lake)
    log_dir.mkdir(parents=True, exist_ok=True)
    packages = PACKAGES.get(name, {}).get(pyspark.__version__[:3])
    settings = {
        **({"spark.jars.packages": packages} if packages else {}),
        "spark.master": "local[2]",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(lake / "warehouse"),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": log_dir.as_uri(),
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "true",
        "spark.eventLog.compression.codec": "zstd",
        **FULL_PLANS,
        **{key: value.format(lake=lake) for key, value in CONF[name].items()},
        **conf,
    }
    spark = _session(SparkSession, name, settings)
    try:
        touched = SHAPES[name](spark, lake)
    finally:
        spark.stop()
    audit = _session(SparkSession, "audit", {"spark.master": "local[1]", "spark.ui.enabled": "false"})
    try:
        return [
            {"role": t.role, "name": t.name, **on_disk(t, lambda t: audit.read.parquet(str(t.folder)).count())}
            for t in touched
        ]
    finally:
        audit.stop()


def _session(builder: Any, name: str, settings: dict[str, str]) -> Any:
    from pyspark import SparkConf, SparkContext

    conf = SparkConf(loadDefaults=False).setAppName(name).setAll(list(settings.items()))
    session = builder(SparkContext(conf=conf))
    session.sparkContext.setLogLevel("OFF")
    return session


_DROPPED = ("JVM Information", "Hadoop Properties", "System Properties", "Metrics Properties", "Classpath Entries")


def scrubbed(log: bytes) -> bytes:
    """A log without the machine it was made on: environment emptied, its names and paths replaced."""
    lines = []
    for line in log.splitlines():
        if b"SparkListenerEnvironmentUpdate" in line:
            event = json.loads(line)
            event |= {key: {} for key in _DROPPED}
            line = json.dumps(event, separators=(",", ":")).encode()  # noqa: PLW2901 - the scrubbed line
        lines.append(line)
    text = b"\n".join(lines) + b"\n"
    address = re.search(rb'"spark\.driver\.host":"([0-9.]+)"', text)
    machine = {
        f'"{socket.gethostname()}"': '"host-a"',
        sys.prefix: "/opt/venv",
        f"{Path.home()}/": "/home/user/",
        str(Path(__file__).parent): "/opt/program",
    }
    if address is not None:
        machine |= {address[1].decode(): "10.0.0.1", address[1].decode().replace(".", "-"): "10-0-0-1"}
    for name, neutral in machine.items():
        text = text.replace(name.encode(), neutral.encode())
    return re.sub(rb'("spark\.app\.(?:submitTime|startTime)":)"\d+"', rb'\1"0"', text)


def main() -> None:
    """``shapes.py OUT [SHAPE...]``: keep OUT/<spark version>/<shape>.zstd and OUT/<spark version>/expected.json."""
    import pyspark

    out = Path(sys.argv[1]) / pyspark.__version__
    out.mkdir(parents=True, exist_ok=True)
    path = out / "expected.json"
    expected = json.loads(path.read_text()) if path.exists() else {}
    for name in sys.argv[2:] or sorted(SHAPES.keys() - PACKAGES.keys()):
        logs = LAKE.with_name("doeks-logs")
        shutil.rmtree(logs, ignore_errors=True)
        expected[name] = run(name, LAKE, logs)
        (log,) = logs.iterdir()
        raw = zstandard.ZstdDecompressor().stream_reader(log.read_bytes(), read_across_frames=True).read()
        (out / f"{name}.zstd").write_bytes(zstandard.ZstdCompressor(level=19).compress(scrubbed(raw)))
        print(name, log.stat().st_size, (out / f"{name}.zstd").stat().st_size)  # noqa: T201
        path.write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
