"""Real Spark jobs, formats x modes x readers, whose logs are held against the disk: `disk_matrix.py make|check OUT`.

``make`` runs with any pyspark (3.0 to 4.x, this package not needed) and keeps OUT/<spark version>/<job>.zstd and
expected.json. ``check`` reads the logs with this package: every count equals the disk, or is null with a reason while
``complete`` is false. It exits with 1 if one is wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FORMATS = ("parquet", "csv", "orc", "json")
Job = Callable[[Any, Path, str], "list[tuple[str, Path]]"]  # gives (role, folder) of what it read and wrote in full
JOBS: dict[str, Job] = {}


def job(function: Job) -> Job:
    """Register a job."""
    JOBS[function.__name__] = function
    return function


def _rows(spark: Any, count: int, parts: int = 4) -> Any:
    return spark.range(0, count, 1, 2).selectExpr("id", "id * 2 AS amount", f"CAST(id % {parts} AS INT) AS p")


@job
def modes(spark: Any, lake: Path, fmt: str) -> list[tuple[str, Path]]:
    """Create, append twice, ignore what is there, ignore what is not."""
    out, fresh = str(lake / "appended"), str(lake / "fresh")
    _rows(spark, 40).write.format(fmt).save(out)
    for count in (10, 7):
        _rows(spark, count).write.format(fmt).mode("append").save(out)
    _rows(spark, 99).write.format(fmt).mode("ignore").save(out)
    _rows(spark, 5).write.format(fmt).mode("ignore").save(fresh)
    return [("out", lake / "appended"), ("out", lake / "fresh")]


@job
def overwrites(spark: Any, lake: Path, fmt: str) -> list[tuple[str, Path]]:
    """Overwritten whole; a partition's folder overwritten after a wider write."""
    out, parts = str(lake / "latest"), str(lake / "parts")
    for count in (50, 20):
        _rows(spark, count).write.format(fmt).mode("overwrite").save(out)
    _rows(spark, 40).write.format(fmt).partitionBy("p").save(parts)
    _rows(spark, 3).drop("p").write.format(fmt).mode("overwrite").save(f"{parts}/p=1")
    return [("out", lake / "latest"), ("out", lake / "parts")]


@job
def dynamic(spark: Any, lake: Path, fmt: str) -> list[tuple[str, Path]]:
    """Partitions replaced as they come: first all, then one that the plan proves, then some."""
    spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    one, some = str(lake / "proven"), str(lake / "unproven")
    for p in (0, 1, 1):
        _rows(spark, 40).where(f"p = {p}").write.format(fmt).mode("overwrite").partitionBy("p").save(one)
    _rows(spark, 40).write.format(fmt).mode("overwrite").partitionBy("p").save(some)
    _rows(spark, 12).where("p > 1").write.format(fmt).mode("overwrite").partitionBy("p").save(some)
    return [("out", lake / "proven"), ("out", lake / "unproven")]


@job
def readers(spark: Any, lake: Path, fmt: str) -> list[tuple[str, Path]]:
    """One dataset read whole, by filters that overlap, by a partition's folder, cached; one read in two partitions."""
    schema = "id BIGINT, amount BIGINT, p INT"
    for name in ("a", "b"):
        _rows(spark, 80).write.format(fmt).partitionBy("p").save(str(lake / name))
    read = spark.read.schema(schema)
    a = read.format(fmt).load(str(lake / "a"))
    a.where("p = 1").write.format(fmt).save(str(lake / "one"))
    a.where("p IN (1, 2)").cache().write.format(fmt).save(str(lake / "two"))
    a.write.format(fmt).save(str(lake / "all"))
    read.format(fmt).load(str(lake / "a" / "p=3")).write.format(fmt).save(str(lake / "three"))
    b = read.format(fmt).load(str(lake / "b"))
    b.where("p = 0").unionByName(b.where("p = 2")).write.format(fmt).save(str(lake / "even"))
    names = ("one", "two", "all", "three", "even")
    folders = [("in", lake / "a"), ("part", lake / "b" / "p=0"), ("part", lake / "b" / "p=2")]
    return [*folders, *(("out", lake / name) for name in names)]


@job
def tables(spark: Any, lake: Path, fmt: str) -> list[tuple[str, Path]]:
    """A table made by a query, filled, one of its partitions overwritten by SQL; one made if it is not there."""
    house = lake / "warehouse"
    _rows(spark, 40).write.format(fmt).saveAsTable("plain")
    _rows(spark, 6).write.insertInto("plain")
    _rows(spark, 40).createOrReplaceTempView("raw")
    spark.sql(f"CREATE TABLE made USING {fmt} PARTITIONED BY (p) AS SELECT * FROM raw")  # noqa: S608 - our own format
    spark.sql("INSERT OVERWRITE TABLE made PARTITION (p = 1) SELECT id, amount FROM raw WHERE id < 5")
    spark.sql(f"CREATE TABLE IF NOT EXISTS plain USING {fmt} AS SELECT * FROM raw")  # noqa: S608 - the same
    spark.sql("SELECT * FROM plain").write.format(fmt).save(str(lake / "copied"))
    return [("in", house / "plain"), ("out", house / "plain"), ("out", house / "made"), ("out", lake / "copied")]


@job
def inferred(spark: Any, lake: Path, fmt: str) -> list[tuple[str, Path]]:
    """A folder of three files read without a schema, with a header where the format has one; an empty folder's rows."""
    source, empty = str(lake / "source"), str(lake / "empty")
    _rows(spark, 30).repartition(3).write.format(fmt).option("header", "true").save(source)
    found = spark.read.format(fmt).option("header", "true").option("inferSchema", "true").load(source)
    found.write.format(fmt).save(str(lake / "copy"))
    _rows(spark, 0).write.format(fmt).save(empty)
    spark.read.schema("id BIGINT, amount BIGINT, p INT").format(fmt).load(empty).write.format(fmt).save(
        str(lake / "no")
    )
    return [("out", lake / "source"), ("in", lake / "source"), ("out", lake / "copy"), ("in", lake / "empty")]


def make(out: Path, names: list[str]) -> None:
    """Run jobs with the pyspark at hand and keep their logs with what lies on the disk after each."""
    import pyspark
    import shapes

    out = out / pyspark.__version__
    out.mkdir(parents=True, exist_ok=True)
    expected: dict[str, Any] = {}
    for fmt in FORMATS:
        for name, run in JOBS.items():
            label = f"{name}_{fmt}"
            if names and label not in names and fmt not in names:
                continue
            shapes.SHAPES[label] = _as_shape(run, fmt)
            shapes.CONF[label] = {}
            logs = shapes.LAKE.with_name("doeks-logs")
            shapes.shutil.rmtree(logs, ignore_errors=True)
            try:
                expected[label] = shapes.run(label, shapes.LAKE, logs)
            except Exception as error:  # noqa: BLE001 - a job that this Spark refuses is no case
                print(label, "not run:", str(error).splitlines()[0][:150])  # noqa: T201
                continue
            (log,) = logs.iterdir()
            raw = shapes.zstandard.ZstdDecompressor().stream_reader(log.read_bytes(), read_across_frames=True).read()
            packed = shapes.zstandard.ZstdCompressor(level=19).compress(shapes.scrubbed(raw))
            (out / f"{label}.zstd").write_bytes(packed)
            (out / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
            print(label, len(packed), flush=True)  # noqa: T201


def _as_shape(run: Job, fmt: str) -> Callable[[Any, Path], list[Any]]:
    import shapes

    def shape(spark: Any, lake: Path) -> list[Any]:
        touched = []
        for role, folder in run(spark, lake, fmt):
            frame = spark.read.format(fmt).option("header", str(folder.name == "source").lower())
            is_empty = folder.name in ("empty", "no")
            rows = 0 if is_empty else frame.load(str(folder)).count() if fmt in ("orc", "parquet") else _lines(folder)
            files = [path for path in folder.rglob("part-*") if path.is_file()]
            files = [path for path in files if role == "out" or path.stat().st_size]  # Spark reads no empty file
            known = {"rows": rows, "bytes": sum(path.stat().st_size for path in files), "files": len(files)}
            touched.append(shapes.Touched(role, str(folder), known=known))
        return touched

    return shape


def _lines(folder: Path) -> int:
    """Rows of text files; those of ``source`` have a header each if they are CSV."""
    files = [path for path in folder.rglob("part-*") if path.is_file()]
    headers = len([path for path in files if folder.name == "source" and path.suffix == ".csv"])
    return sum(len(path.read_bytes().splitlines()) for path in files) - headers


def check(out: Path) -> int:
    """Hold every kept log against its disk; the number of wrong ones."""
    from airflow_doeks.hooks.stores import open_log
    from airflow_doeks.lifecycle.event_logs import read_event_log

    wrong = equal = unknown = 0
    for path in sorted(out.glob("*/expected.json")):
        for label, touched in json.loads(path.read_text()).items():
            summary = read_event_log(*open_log(str(path.with_name(f"{label}.zstd"))))
            faults = faults_of(summary, touched)
            is_complete = summary.lineage.complete
            wrong, equal = wrong + bool(faults), equal + (is_complete and not faults)
            unknown += not is_complete and not faults
            for fault in faults:
                print(f"WRONG {path.parent.name} {label}: {fault}; complete: {is_complete}")  # noqa: T201
            if not is_complete and not faults:
                print(f"told  {path.parent.name} {label}: {'; '.join(summary.why)[:200]}")  # noqa: T201
    print(f"{equal} equal the disk, {unknown} say what is not known, {wrong} wrong")  # noqa: T201
    return wrong


def faults_of(summary: Any, touched: list[dict[str, Any]]) -> list[str]:
    """Where a summary says something that is not so."""
    seen = {("in", d.name): d for d in summary.lineage.inputs} | {("out", d.name): d for d in summary.lineage.outputs}
    wanted: dict[tuple[str, str], dict[str, int]] = {}
    for one in touched:
        role, name = ("in", str(Path(one["name"]).parent)) if one["role"] == "part" else (one["role"], one["name"])
        counts = wanted.setdefault((role, name), dict.fromkeys(("rows", "bytes", "files"), 0))
        for key in counts:
            counts[key] += one[key]
    faults = []
    for key, counts in wanted.items():
        dataset = seen.get(key)
        if dataset is None:
            faults += [] if not summary.lineage.complete else [f"{key} is missing"]
            continue
        told = {name: getattr(dataset, name) for name in counts}
        if any(told[name] not in (None, count) for name, count in counts.items()):
            faults.append(f"{key} is {counts}, told {told}")
        elif None in told.values() and summary.lineage.complete:
            faults.append(f"{key} is {counts}, told {told} without a word")
    extra = {name for role, name in seen if role == "out"} - {name for role, name in wanted if role == "out"}
    unknown_names = {"no", "empty", "a", "b"}
    faults += [f"output {name} is not there" for name in extra if Path(name).name not in unknown_names]
    return faults


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), sys.argv[3:])
    else:
        sys.exit(bool(check(Path(sys.argv[2]))))
