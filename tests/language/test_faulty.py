"""The error catalogue: each file below faulty/ ends with the exact diagnostics it must give, as `#> ` lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_doeks.language import check_file, check_project
from airflow_doeks.language.codes import codes

FAULTY = Path(__file__).parent / "faulty"
FILES = sorted(str(file.relative_to(FAULTY)) for file in FAULTY.glob("*/**/*.yaml") if b"#> " in file.read_bytes())
# Need several files, thousands of lines, an environment or a bug; shown in test_environments.py, test_fault_limit.py
# and test_broken_file.py.
ELSEWHERE = {"DK113", "DK215", "DK223", "DK901"}


def expected(name: str) -> list[str]:
    """The lines a file ends with."""
    text = (FAULTY / name).read_bytes().decode("utf-8", "replace")
    return [line[3:] for line in text.splitlines() if line.startswith("#> ")]


def _told(found, *, with_help):
    """Lines as a file ends with; what people usually get wrong is answered with the next step, too."""
    lines = []
    for one in found:
        lines += [one.line(), f"  help: {one.help}"] if with_help else [one.line()]
    return lines


@pytest.mark.parametrize("name", FILES)
def test_a_faulty_file_gives_exactly_its_diagnostics(name, monkeypatch):
    """Code, place and words are those written at the end of the file, in that order."""
    monkeypatch.chdir(FAULTY)
    found = check_project(Path(name)) if name.endswith("doeks.yaml") else check_file(name)
    assert _told(found, with_help="/slip_" in name) == expected(name)
    assert found, "a faulty file must be refused or warned about"


def test_the_catalogue_covers_every_code():
    """No diagnostic exists that no faulty file shows."""
    shown = {line.split()[1] for name in FILES for line in expected(name) if not line.startswith("  help:")}
    assert shown == set(codes()) - ELSEWHERE


def test_nothing_in_a_faulty_file_is_executed():
    """Python tags, shell and Jinja of the catalogue leave no trace."""
    assert not Path("/tmp/doeks-canary").exists()  # noqa: S108 - the path that the faulty files try to touch


def test_the_project_of_the_catalogue_is_fine(monkeypatch):
    """What the pipelines are checked against has no fault of its own."""
    monkeypatch.chdir(FAULTY)
    assert check_project(Path("doeks.yaml")) == []
