"""Build what runs inside of Flink, airflow_doeks/platforms/flink/doeks-flink.jar: `python tools/build_flink_jar.py`.

Needs javac and Flink's jars (extra local-flink). The jar holds the digest of its sources, which a test compares, and
nothing that differs between two builds.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "airflow_doeks" / "platforms" / "flink"
JAR = FOLDER / "doeks-flink.jar"
DIGEST = "META-INF/airflow-doeks-sources.sha256"
RELEASE = "11"  # what Flink 1.18's images run at least
_SERVICE = "META-INF/services/org.apache.flink.metrics.reporter.MetricReporterFactory"
_ALWAYS = (1980, 1, 1, 0, 0, 0)


def sources() -> list[Path]:
    """The Java files, sorted."""
    return sorted((FOLDER / "java").glob("*.java"))


def digest() -> str:
    """64 hex over names and contents of the sources."""
    found = hashlib.sha256()
    for file in sources():
        found.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()


def build() -> None:
    """Compile, and write the jar."""
    spec = importlib.util.find_spec("pyflink")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        sys.exit("Flink's jars are not installed: pip install 'airflow-doeks[local-flink]'")
    with tempfile.TemporaryDirectory() as folder:
        words = ["javac", "--release", RELEASE, "-Xlint:-options", "-cp", f"{places[0]}/lib/*", "-d", folder]
        subprocess.run([*words, *map(str, sources())], check=True)  # noqa: S603 - our own files
        content = {
            str(file.relative_to(folder)).replace(os.sep, "/"): file.read_bytes()
            for file in sorted(Path(folder).rglob("*.class"))
        }
    content |= {_SERVICE: b"airflow_doeks.FinalCounters\n", DIGEST: digest().encode()}
    with zipfile.ZipFile(JAR, "w", zipfile.ZIP_DEFLATED) as jar:
        for name, data in sorted(content.items()):
            jar.writestr(zipfile.ZipInfo(name, _ALWAYS), data, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    build()
