"""The archive of Spark's classes: used where there is one, made whole or not at all, refused with Java's own words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from airflow_doeks.cli import main
from airflow_doeks.model.errors import PlatformError
from airflow_doeks.platforms.local import class_archive, launch
from airflow_doeks.platforms.local.machine import JVM_OPTIONS, find_java, find_spark_home

BODY = {
    "asked": {"vcpu": "1", "memory_mib": 1024, "heap_mib": 512},
    "class": None,
    "main": "job.py",
    "args": [],
    "env": {},
    "run_dir": "/run",
    **dict.fromkeys(launch.FILE_OPTIONS, ()),
}
ARCHIVES = """\
#!/bin/sh
for word in "$@"; do case "$word" in
-XX:DumpLoadedClassList=*) echo java/lang/Object > "${word#*=}" ;;
-XX:SharedClassListFile=*) read -r name < "${word#*=}" ;;
-XX:SharedArchiveFile=*) echo "$name" > "${word#*=}" ;;
esac; done
"""
FAILS = """\
#!/bin/sh
echo "Error: the heap is too small" >&2
exit 3
"""


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Java 17 whose work a test writes, in an environment of its own."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    found = tmp_path / "jdk" / "bin" / "java"
    found.parent.mkdir(parents=True)
    (tmp_path / "jdk" / "release").write_text('JAVA_VERSION="17.0.15"\n', encoding="utf-8")
    found.write_text(ARCHIVES, encoding="utf-8")
    found.chmod(0o755)
    return found


def shared(java: Path, **conf: str) -> list[str]:
    """What a job's command says of an archive."""
    argv = launch.plan({**BODY, "conf": conf}, str(java))["argv"]
    return [word for word in argv if word.startswith("-XX:SharedArchiveFile=")]


def test_a_job_starts_from_the_archive_once_there_is_one(java: Path) -> None:
    """Made from the classes that a job loaded; a second time it is there already. Other jars in front: without it."""
    assert shared(java) == []
    made = class_archive.make(str(java))
    assert made.is_new
    assert made.path.read_text("utf-8") == "java/lang/Object\n"
    assert shared(java) == [f"-XX:SharedArchiveFile={made.path}"]
    assert shared(java, **{"spark.driver.extraClassPath": "/more/*"}) == []
    assert not class_archive.make(str(java)).is_new
    assert class_archive.make(str(java), anew=True).is_new
    assert [file.name for file in made.path.parent.iterdir()] == [made.path.name]


def test_another_java_has_an_archive_of_its_own(java: Path) -> None:
    """An upgrade of Java leaves the old archive unused."""
    class_archive.make(str(java))
    (java.parents[1] / "release").write_text('JAVA_VERSION="21.0.8"\n', encoding="utf-8")
    assert shared(java) == []


def test_jars_that_were_installed_anew_want_an_archive_anew(java: Path, tmp_path: Path) -> None:
    """Java refuses one of jars with another time, and would start without any."""
    jars = tmp_path / "spark" / "jars"
    jars.mkdir(parents=True)
    (jars / "spark.jar").touch()
    before = class_archive._place(str(java), str(jars.parent))
    os.utime(jars / "spark.jar", (0, 0))
    assert class_archive._place(str(java), str(jars.parent)) != before


def test_an_archive_that_cannot_be_looked_at_is_none(java: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job starts without it; who would make it is told why that cannot be."""
    monkeypatch.setattr(sys, "prefix", f"/{'x' * 300}")
    assert shared(java) == []
    with pytest.raises(PlatformError, match="cannot be written to"):
        class_archive.make(str(java))


def test_java_that_fails_is_told_and_leaves_nothing(java: Path) -> None:
    """Its last words, and no half archive that a job would start from."""
    java.write_text(FAILS, encoding="utf-8")
    with pytest.raises(PlatformError, match=r"exit code 3.*the heap is too small"):
        class_archive.make(str(java))
    assert list((Path(sys.prefix) / "share" / "airflow_doeks").iterdir()) == []
    assert shared(java) == []


def test_the_command_says_what_there_is(java: Path) -> None:
    """For people and for programs."""
    told = CliRunner().invoke(main, ["prepare", "--java", str(java)])
    assert (told.exit_code, "MiB, made in" in told.stdout) == (0, True)
    assert "there already" in CliRunner().invoke(main, ["prepare", "--java", str(java)]).stdout
    assert '"is_new": false' in CliRunner().invoke(main, ["prepare", "--java", str(java), "--json"]).stdout


def test_java_takes_the_archive_of_this_environment() -> None:
    """With `-Xshare:on` a JVM that cannot use its archive does not start."""
    java, home = find_java(None, os.environ), find_spark_home()
    options = class_archive.options(java, home)
    if not options:
        pytest.skip("no archive was made in this environment (doeks prepare)")
    words = [java, "-cp", f"{home}/jars/*", *JVM_OPTIONS, *options, "-Xshare:on", "-version"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
