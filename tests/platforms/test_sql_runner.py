"""How a SQL file becomes statements."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_doeks.platforms.spark import sql_runner

CASES = {
    "one without an end": ("SELECT 1", ["SELECT 1"]),
    "several": ("SELECT 1;\nSELECT 2;\n", ["SELECT 1", "SELECT 2"]),
    "empty ones": (";;  ;SELECT 1;;\n", ["SELECT 1"]),
    "in quotes": (
        """SELECT ';', "a;b", `c;d`; SELECT 'it''s;', 'a\\';'""",
        ["""SELECT ';', "a;b", `c;d`""", "SELECT 'it''s;', 'a\\';'"],
    ),
    "in comments": (
        "SELECT 1 -- no; end\n, 2 /* nor; here */; SELECT 3",
        ["SELECT 1 -- no; end\n, 2 /* nor; here */", "SELECT 3"],
    ),
    "quote in a comment": ("-- don't\nSELECT 1; -- it's\nSELECT 2", ["-- don't\nSELECT 1", "-- it's\nSELECT 2"]),
    "comment in a string": ("SELECT '--', '/*'; SELECT 2", ["SELECT '--', '/*'", "SELECT 2"]),
    "only comments": ("-- nothing\n/* here; */\n", []),
    "comment after the end": ("SELECT 1; -- the end\n", ["SELECT 1"]),
    "hint": ("SELECT /*+ BROADCAST(a) */ 1;", ["SELECT /*+ BROADCAST(a) */ 1"]),
    "only a quoted name": ("`t`", ["`t`"]),
    "several lines in a string": ("SELECT 'a;\nb';SELECT 2", ["SELECT 'a;\nb'", "SELECT 2"]),
    "script": (
        "BEGIN\n  DECLARE n INT = 1;\n  WHILE n < 3 DO SET n = n + 1; END WHILE;\nEND;\nSELECT 2",
        ["BEGIN\n  DECLARE n INT = 1;\n  WHILE n < 3 DO SET n = n + 1; END WHILE;\nEND", "SELECT 2"],
    ),
    "scripts within one another": (
        "a: begin begin SELECT case when 1 then 2 end; end; IF x THEN SELECT 1; END IF; end a; SELECT 2",
        ["a: begin begin SELECT case when 1 then 2 end; end; IF x THEN SELECT 1; END IF; end a", "SELECT 2"],
    ),
    "script with a case statement": (
        "BEGIN CASE x WHEN 1 THEN SELECT 'END;'; END CASE; /* END; */ END; SELECT 2",
        ["BEGIN CASE x WHEN 1 THEN SELECT 'END;'; END CASE; /* END; */ END", "SELECT 2"],
    ),
    "script after a comment": ("-- so: \nBEGIN SELECT 1; END", ["-- so: \nBEGIN SELECT 1; END"]),
    "names like a script's words": (
        "SELECT begin, t.end FROM t; SELECT CASE WHEN a THEN b END; beginning; SELECT 2",
        ["SELECT begin, t.end FROM t", "SELECT CASE WHEN a THEN b END", "beginning", "SELECT 2"],
    ),
    "script without an end": ("BEGIN SELECT 1; SELECT 2;", ["BEGIN SELECT 1; SELECT 2;"]),
    "comment within a comment": (
        "SELECT 1 /* a /* b; */ c; */; SELECT 2",
        ["SELECT 1 /* a /* b; */ c; */", "SELECT 2"],
    ),
    "nothing": ("", []),
}


@pytest.mark.parametrize("case", CASES)
def test_split(case):
    """Statements end at `;`, but not inside quotes and comments; each is kept as it was written."""
    text, statements = CASES[case]
    assert sql_runner.split_statements(text) == statements


def test_stands_alone(tmp_path):
    """The runner is sent to clusters that do not have this package: it imports nothing of it."""
    script = tmp_path / "sql_runner.py"
    script.write_bytes(Path(sql_runner.__file__).read_bytes())
    code = "import sys, sql_runner; print(*(name for name in sys.modules if 'doeks' in name))"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
