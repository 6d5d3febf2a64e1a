"""An archive of Spark's classes, from which Java starts Spark with about half the work (JEP 310, JEP 350).

A JVM that runs Spark reads, checks and links some 17,000 classes of 400 jars before it does anything; from an archive
it maps them. ``make`` runs a small job that uses what jobs use, notes its classes, and has Java archive them, once for
each Java and Spark of an environment. Java itself refuses an archive of other jars, and then runs as without one.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.platforms.local.machine import JVM_OPTIONS, find_java, find_spark_home

_QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # neither run is long enough for more
_SILENT = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")  # an archive that is refused is no news to a job's log
_TRAINING = Path(__file__).parents[1] / "spark" / "training.py"
_SECONDS = 900  # each of the two runs took under one minute on two cores
_MIB = 1 << 20


class Archive(NamedTuple):
    """What there is now: the file, its MiB, and whether it was made just now."""

    path: Path
    mib: int
    is_new: bool


def options(java: str, home: str) -> list[str]:
    """Options of Java that use the archive, if there is one that this user may read."""
    path = _place(java, home)
    return [f"-XX:SharedArchiveFile={path}", *_SILENT] if os.access(path, os.R_OK) else []


def make(wanted: str | None = None, *, anew: bool = False) -> Archive:
    """Make the archive for this machine's Java and this environment's Spark, unless it is there.

    Raises PlatformError if there is no Spark or Java, the environment cannot be written, or Java fails.
    """
    java, home = find_java(wanted, os.environ), find_spark_home()
    path = _place(java, home)
    if os.access(path, os.R_OK) and not anew:
        return Archive(path, path.stat().st_size // _MIB, is_new=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as folder:
            made = _made(java, home, Path(folder))
            made.replace(path)  # whole or not at all, whoever else makes one
    except OSError as error:
        msg = f"the archive of Spark's classes cannot be written to {path.parent}: {error.strerror or error}"
        raise PlatformError(msg) from error
    return Archive(path, path.stat().st_size // _MIB, is_new=True)


def _made(java: str, home: str, folder: Path) -> Path:
    names, archive = folder / "classes.txt", folder / "spark.jsa"
    common = [java, "-cp", f"{home}/jars/*", *JVM_OPTIONS, *_QUICK]
    conf = {
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(folder / "tmp"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": folder.as_uri(),
        "spark.eventLog.compress": "true",
        "spark.sql.shuffle.partitions": "2",
    }
    words = [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    job = [
        "org.apache.spark.deploy.SparkSubmit",
        "--master",
        "local[2]",
        *words,
        str(_TRAINING),
        str(folder / "data"),
    ]
    _run([*common, f"-XX:DumpLoadedClassList={names}", *job], home)
    _run([*common, "-Xshare:dump", f"-XX:SharedClassListFile={names}", f"-XX:SharedArchiveFile={archive}"], home)
    return archive


def _run(argv: Sequence[str], home: str) -> None:
    python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    environment = {**os.environ, **python, "SPARK_HOME": home}
    try:
        done = subprocess.run(  # noqa: S603 - Java, with arguments of this file
            argv, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        msg = f"Java did not archive Spark's classes within {_SECONDS} s"
        raise PlatformError(msg) from error
    if done.returncode:
        last = [line for line in (*done.stdout.splitlines(), *done.stderr.splitlines()) if line.strip()][-3:]
        msg = f"Java could not archive Spark's classes (exit code {done.returncode}): {' / '.join(last)}"
        raise PlatformError(msg)


def _place(java: str, home: str) -> Path:
    """Where the archive of this Java and these jars is: in the Python environment, with which it goes."""
    real = Path(java).resolve()
    stats = ((entry.name, entry.stat()) for entry in os.scandir(f"{home}/jars"))
    jars = sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)  # what Java holds against it
    version = _text(real.parent.parent / "release")
    key = hashlib.sha256(f"{real}\n{version}\n{home}\n{jars}".encode()).hexdigest()[:12]
    return Path(sys.prefix) / "share" / "airflow_doeks" / f"spark-classes-{key}.jsa"


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
