"""Runs the statements of one SQL file with Spark; a stand-alone PySpark script, sent along with every SQL job.

``spark-submit sql_runner.py FILE``: FILE is a path or a URL that Spark can read. Statements end with ``;``; quotes and
comments are respected, and a script of Spark 4 (``BEGIN ... END``) is one statement. A result is shown up to 20 rows;
the first statement that fails ends the job with its error.
"""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TOKEN = re.compile(
    r"""
      (?P<quoted>'(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | `(?:[^`]|``)*`)
    | (?P<line>--(?:\\\n|[^\n])*)  # Spark continues a comment after a backslash
    | (?P<comment>/\*)
    | (?P<end>;)
    | (?<![.\w])(?:END\s+(?:IF|WHILE|LOOP|FOR|REPEAT) | (?P<close>END(?:\s+CASE)?) | (?P<open>BEGIN|CASE))\b
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_BEFORE_A_SCRIPT = re.compile(r"\s*(?:(?:\w+|`[^`]*`)\s*:\s*)?")  # nothing, or the label of its BEGIN


def split_statements(text: str) -> list[str]:
    """The statements of a SQL text, without those that are only comments; hints (``/*+ ... */``) stay inside."""
    statements, start, words = [], 0, ""  # words: the statement so far without its comments
    position = depth = 0  # depth: how many BEGIN and CASE of a script wait for their END
    while token := _TOKEN.search(text, position):
        words += text[position : token.start()]
        position, kind = token.end(), token.lastgroup
        if kind == "comment":
            position = _end_of_comment(text, position)
        elif kind == "end" and not depth:
            if words.strip():
                statements.append(text[start : token.start()].strip())
            start, words = position, ""
        elif kind != "line":
            if kind == "open" and (depth or (token[0].upper() == "BEGIN" and _BEFORE_A_SCRIPT.fullmatch(words))):
                depth += 1
            elif kind == "close" and depth:
                depth -= 1
            words += token[0]
    if (words + text[position:]).strip():
        statements.append(text[start:].strip())
    return statements


def _end_of_comment(text: str, position: int) -> int:
    """Where the comment ends whose start is before the position; comments may hold comments."""
    depth = 1
    while depth and (edge := _COMMENT_EDGE.search(text, position)):
        depth += 1 if edge[0] == "/*" else -1
        position = edge.end()
    return len(text) if depth else position


def _read(spark: SparkSession, path: str) -> str:
    """The text of the file; not by a query, which lineage would take for an input of the job."""
    if "://" not in path:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - a script that needs nothing
            return file.read()
    jvm, conf = spark._jvm, spark._jsc.hadoopConfiguration()  # noqa: SLF001 - PySpark has no other way to Hadoop's files
    place = jvm.org.apache.hadoop.fs.Path(path)
    stream = place.getFileSystem(conf).open(place)
    try:
        return str(jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
    finally:
        stream.close()


def main(path: str) -> None:
    """Run the file's statements in order."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    statements = split_statements(_read(spark, path))
    if not statements:
        sys.exit(f"{path}: there is no SQL statement in it")
    for number, statement in enumerate(statements, 1):
        first_line = next((line for line in statement.splitlines() if not line.strip().startswith("--")), statement)
        print(f"[{number}/{len(statements)}] {first_line.strip()[:120]}", flush=True)  # noqa: T201 - the driver's log
        started = time.monotonic()
        result = spark.sql(statement)
        if result.columns:
            result.show(truncate=False)
        print(f"[{number}/{len(statements)}] done in {time.monotonic() - started:.1f} s", flush=True)  # noqa: T201
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1])
