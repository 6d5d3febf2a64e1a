"""Every code is explained, and its examples do what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_doeks.language import check_file, check_project
from airflow_doeks.language.codes import codes, explain

PACKAGE = Path(__file__).parents[2] / "airflow_doeks"
EXAMPLES = [(code, name) for code, entry in codes().items() for name in ("wrong", "right") if name in entry]


@pytest.mark.parametrize(("code", "name"), EXAMPLES)
def test_an_example_gives_its_code_or_nothing(project, code, name):
    """The wrong example of a code gives exactly that code, the right one gives no diagnostic at all."""
    entry = codes()[code]
    if entry.get("doeks"):
        found = check_project(project.write("doeks.yaml", entry[name]))
    else:
        found = check_file(project.pipeline(entry[name]))
    assert {one.code for one in found} == ({code} if name == "wrong" else set()), found


def test_every_code_in_the_source_is_explained():
    """A code that can be reported has a section, and no section is about a code that cannot."""
    sources = [*(PACKAGE / "language").rglob("*.py"), PACKAGE / "model" / "job_rules.py"]
    used = {code for file in sources for code in re.findall(r'"(DK\d{3})"', file.read_text("utf-8"))}
    assert used == set(codes())


def test_an_unknown_code_is_not_explained():
    """`doeks explain` knows nothing of a code that does not exist."""
    assert explain("DK999") is None
