"""A file with thousands of faults costs no more than one with a hundred, and its last line counts the rest."""

from __future__ import annotations

import tracemalloc

import pytest

from airflow_doeks.language import check_file, check_project, compile_file

LENGTH = 4000
KEYS = "".join(f"key{n}: 1\n" for n in range(LENGTH)) + "tasks: {t: {uses: empty}}\n"
TASKS = "tasks:\n" + "".join(f"  t{n}: {{uses: bsah}}\n" for n in range(LENGTH))
DOUBLES = "tasks: {t: {uses: empty}}\nparams:\n" + "  key: 1\n" * (LENGTH + 1)
UNSET = "tasks: {t: {uses: empty}}\nparams:\n" + "".join(f"  k{n}: '${{x}} ${{x}}'\n" for n in range(LENGTH))


@pytest.mark.parametrize(("text", "code"), [(KEYS, "DK104"), (TASKS, "DK221"), (DOUBLES, "DK201"), (UNSET, "DK213")])
def test_of_many_faults_a_hundred_are_told_and_the_rest_is_counted(project, text, code):
    """Whoever finds them, structure or meaning: a hundred with their places, and the last line tells of the others."""
    file = project.pipeline(text)
    tracemalloc.start()
    found = check_file(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [one.code for one in found] == [code] * 100 + ["DK113"]
    assert found[-1].line().endswith(f"{LENGTH - 100:,} more faults are not shown")
    assert peak < 40e6
    assert compile_file(file).plan is None


def test_the_diagnostics_of_a_file_share_its_lines(project):
    """A file's text is kept once, however many faults it has."""
    found = check_file(project.pipeline(KEYS))
    assert len({id(one.lines) for one in found[:-1]}) == 1


def test_doeks_yaml_is_counted_like_a_pipeline(project):
    """Its faults beyond the hundredth are a number, too, of its structure as of its meaning."""
    names = "".join(f"    p{n}: ['*']\n" for n in range(150))
    for text in (KEYS, f"policies:\n  platforms:\n{names}"):
        found = check_project(project.write("doeks.yaml", text))
        assert (len(found), found[-1].code) == (101, "DK113")


def test_every_warning_is_told(project):
    """Warnings stop no pipeline, so no number of them hides one or becomes an error."""
    tasks = "".join(f"  t{n}: {{uses: bash, with: {{bash_command: '{{{{ ds }}}}'}}}}\n" for n in range(150))
    compiled = compile_file(
        project.pipeline("schedule: {assets: {any: [s3://raw/orders]}}\nstart_date: 2026-01-01\ntasks:\n" + tasks)
    )
    assert [one.code for one in compiled.diagnostics] == ["DK219"] * 150
    assert compiled.plan is not None
