"""The options of spark-submit and spark-sql, one row each, and the parser that every text and argument goes through."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from airflow_doeks.dialects.dag_factory.notes import Note, lost, needless, one_line
from airflow_doeks.dialects.dag_factory.sizes import SIZES


class Option(NamedTuple):
    """What becomes of an option: a key of the job, a Spark property, or nothing for a reason."""

    job: str = ""
    conf: str = ""
    lost: str = ""
    needless: str = ""
    is_flag: bool = False


_PLATFORM = "the platform is chosen by `platform`"
# SparkSubmitOptionParser of Spark 3.5 and 4.1, and the options of spark-sql, read November 2026.
OPTIONS: Mapping[str, Option] = {
    "--class": Option(job="class"),
    "--jars": Option(job="jars"),
    "--packages": Option(job="packages"),
    "--py-files": Option(job="py_files"),
    "--files": Option(job="files"),
    "--archives": Option(job="archives"),
    "--driver-cores": Option(conf="spark.driver.cores"),
    "--driver-memory": Option(conf="spark.driver.memory"),
    "--driver-class-path": Option(conf="spark.driver.extraClassPath"),
    "--driver-java-options": Option(conf="spark.driver.extraJavaOptions"),
    "--driver-library-path": Option(conf="spark.driver.extraLibraryPath"),
    "--executor-cores": Option(conf="spark.executor.cores"),
    "--executor-memory": Option(conf="spark.executor.memory"),
    "--num-executors": Option(conf="spark.executor.instances"),
    "--exclude-packages": Option(conf="spark.jars.excludes"),
    "--repositories": Option(conf="spark.jars.repositories"),
    "--principal": Option(conf="spark.kerberos.principal"),
    "--keytab": Option(conf="spark.kerberos.keytab"),
    "--properties-file": Option(lost="write its properties under `conf`, or as a preset of doeks.yaml"),
    "--total-executor-cores": Option(lost="write `executors: {max: ...}`"),
    "--proxy-user": Option(lost="a job runs as the platform's role or service account"),
    "--queue": Option(lost="`queue` stands with the platform in doeks.yaml"),
    "--name": Option(needless="a job is named after its task"),
    "--master": Option(lost=_PLATFORM),
    "--deploy-mode": Option(lost=_PLATFORM),
    "--remote": Option(lost=_PLATFORM),
    "--kill": Option(lost="a job is ended by ending its task"),
    "--status": Option(lost="a task follows its job"),
    "--supervise": Option(lost="write `retries`", is_flag=True),
    "--verbose": Option(needless="`doeks render` shows what is sent", is_flag=True),
    "--load-spark-defaults": Option(lost="write the properties under `conf`", is_flag=True),
    "--help": Option(needless="it runs nothing", is_flag=True),
    "--usage-error": Option(needless="it runs nothing", is_flag=True),
    "--version": Option(needless="it runs nothing", is_flag=True),
    "--hivevar": Option(lost="write `{{ ... }}` in the SQL file, which Airflow renders"),
    "--define": Option(lost="write `{{ ... }}` in the SQL file, which Airflow renders"),
    "--hiveconf": Option(lost="write a property spark.hadoop.NAME under `conf`"),
    "--database": Option(lost="write USE in the SQL file"),
    "--silent": Option(needless="a job's log is the platform's", is_flag=True),
}
_SHORT = {"-c": "--conf", "-h": "--help", "-v": "--verbose", "-d": "--define", "-S": "--silent", "-H": "--help"}
_LISTS = frozenset({"jars", "packages", "py_files", "files", "archives"})
_LONG_WITH_ONE_DASH = re.compile(r"^-(?=hivevar$|hiveconf$)")  # spark-sql takes both
_TEMPLATE = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_HELD = re.compile("\ue000(\\d+)\ue001")  # a template while the text is split


@dataclass
class Options:
    """Keys of the job and Spark properties that options say, while they are read."""

    job: dict[str, Any] = field(default_factory=dict)
    conf: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)  # property -> the option that gave it, which beats --conf

    def take(self, key: str, option: Option, value: Any) -> None:
        """Note or keep one option; ``key`` is how the source names it."""
        if option.lost:
            self.notes.append(lost(key, value, option.lost))
        elif option.needless:
            self.notes.append(needless(key, value, option.needless))
        elif option.conf:
            self.replace(key, self.conf, option.conf, value)
            self.named[option.conf] = key
            if option.conf not in SIZES:
                self.notes.append(Note(f"`{key}: {one_line(value)}` is the property {option.conf} here", todo=False))
        elif option.job in _LISTS:
            parts = value if isinstance(value, list) else str(value).split(",")
            self.replace(key, self.job, option.job, [str(part).strip() for part in parts if str(part).strip()])
        else:
            self.replace(key, self.job, option.job, value)

    def set(self, text: str) -> None:
        """Keep ``property=value`` of a --conf."""
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            self.notes.append(lost("--conf", text, "it is no property=value"))
        elif name.strip() in self.named:
            self.notes.append(lost("--conf", text, f"{self.named[name.strip()]} goes before it"))
        else:
            self.replace("--conf", self.conf, name.strip(), value)

    def replace(self, key: str, where: dict[str, Any], name: str, value: Any) -> None:
        """Keep a value; one that stood there before is told."""
        if name in where and where[name] != value:
            self.notes.append(lost(name, where[name], f"{key} gives it again, and the last counts"))
        where[name] = value


def read_options(text: str, where: str) -> Options:
    """What the options of a command line say; each word of it is kept or in a note. ``where`` names the text."""
    found = Options()
    try:
        words = _words(text)
    except ValueError as error:
        found.notes.append(lost(where, text, f"it cannot be split into words ({error}); write the job's keys"))
        return found
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=") if word.startswith("-") else (word, "", "")
        name = _SHORT.get(name, _LONG_WITH_ONE_DASH.sub("--", name))
        option = OPTIONS.get(name)
        if option is None and name != "--conf":
            found.notes.append(lost(where, word, "it is no option of spark-submit"))
        elif option is not None and option.is_flag:
            found.take(name, option, value or True)
        else:
            given = value if equals else next(rest, None)
            if given is None:
                found.notes.append(lost(where, word, "its value is missing"))
            elif option is None:
                found.set(given)
            else:
                found.take(name, option, given)
    return found


def _words(text: str) -> list[str]:
    """The words of a command line, quotes taken away; a template is part of one word whatever it holds."""
    if "{%" in text:
        msg = "a template with {% %}"
        raise ValueError(msg)
    templates: list[str] = []

    def hold(match: re.Match[str]) -> str:
        templates.append(match[0])
        return f"\ue000{len(templates) - 1}\ue001"

    held = _TEMPLATE.sub(hold, text)
    return [_HELD.sub(lambda match: templates[int(match[1])], word) for word in shlex.split(held)]
