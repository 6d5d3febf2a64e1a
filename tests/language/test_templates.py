"""Templates of a task are looked at wherever they were written, as Jinja reads them."""

from __future__ import annotations

import pytest

from airflow_doeks.language import check_file
from tests.language.conftest import DOEKS

TASK = "tasks: {t: {spark: {main: ../jobs/clean.py, presets: [mine]}}}\n"
MINE = DOEKS.replace("presets: {", "presets: {mine: {spark: {env: {M: x}}}, ")


def told(project, pipeline, doeks=MINE):
    """Code and place of each diagnostic."""
    project.write("doeks.yaml", doeks)
    return [(one.code, one.place.file) for one in check_file(project.pipeline(pipeline).relative_to(project.path))]


@pytest.mark.parametrize(
    ("doeks", "file"),
    [
        (f"{MINE}defaults: {{platform: laptop, spark: {{args: ['{{{{ ds }}']}}}}\n", "doeks.yaml"),
        (MINE.replace("M: x", "M: '{{ ds }'") + "defaults: {platform: laptop}\n", "doeks.yaml"),
        (f"{MINE}environments: {{dev: {{platform: laptop, cost_tags: {{a: '{{{{ ds }}'}}}}}}\n", "doeks.yaml"),
    ],
)
def test_a_broken_template_is_told_whichever_place_gives_it(project, doeks, file):
    """Defaults, presets and cost tags of doeks.yaml reach the job as its own values do."""
    assert told(project, TASK, doeks) == [("DK218", file)]


def test_what_a_pipelines_defaults_ask_for_is_known(project):
    """Parameters and XComs of `defaults` are looked for, too."""
    defaults = (
        "defaults: {platform: laptop, spark: {args: ['{{ params.day }}', '{{ ti.xcom_pull(task_ids=\"no\") }}']}}\n"
    )
    assert told(project, defaults + TASK) == [("DK240", "pipelines/p.yaml"), ("DK206", "pipelines/p.yaml")]


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        ("echo ${#names[@]}", ["DK218"]),  # Airflow: Missing end of comment tag
        ("echo {# a {{ comment #} {{ run_id }}", []),
        ("echo {{ '{#' }}", []),
        ("echo {# one #} {# two", ["DK218"]),
    ],
)
def test_what_jinja_takes_for_a_comment_is_one(project, command, codes):
    """`{#` begins a comment, inside of which nothing counts."""
    text = f'tasks: {{t: {{uses: bash, with: {{bash_command: "{command}"}}}}}}\n'
    assert [code for code, _ in told(project, text)] == codes


def test_what_is_never_rendered_may_hold_anything(project):
    """Markdown of a task is shown as it is written."""
    assert told(project, "tasks: {t: {uses: empty, doc: '# Title {#anchor} {{'}}\n") == []


def test_a_slip_that_tasks_inherit_is_told_once(project):
    """One place, one message, of no task; what stands at a task is told of that task."""
    defaults = "defaults: {platform: laptop, spark: {conf: {sparc.x: 1}}}\n"
    text = f"{defaults}tasks: {{a: &a {{spark: {{main: ../jobs/clean.py}}}}, b: *a}}\n"
    (fault,) = check_file(project.pipeline(text))
    assert (fault.code, fault.task_id) == ("DK217", None)
    (fault,) = check_file(project.pipeline(text.replace(", b: *a", "")))
    assert fault.task_id == "a"


def test_a_group_has_no_output_to_pull(project):
    """Airflow would render None; a task of the group has one."""
    pull = "{{ ti.xcom_pull('g') }}"
    text = f'tasks: {{g: {{tasks: {{a: {{uses: empty}}}}}}, b: {{uses: bash, with: {{bash_command: "{pull}"}}}}}}\n'
    (fault,) = check_file(project.pipeline(text))
    assert (fault.code, fault.message) == ("DK206", '"g" is a group; only a task has an output')
    assert check_file(project.pipeline(text.replace("'g'", "'g.a'"))) == []
