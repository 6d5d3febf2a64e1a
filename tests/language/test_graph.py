"""Edges: written, inferred, through groups and from mapped tasks."""

from __future__ import annotations

from airflow_doeks.language import check_file, compile_file


def needs(project, tasks: str) -> dict[str, tuple[str, ...]]:
    """Task id -> what it needs, of a pipeline that has no fault."""
    compiled = compile_file(project.pipeline(f"tasks:\n{tasks}"))
    assert compiled.diagnostics == ()
    return {task.task_id: task.needs for task in compiled.plan.tasks}


def test_a_reader_comes_after_every_writer(project):
    """Edges follow datasets up to the first template; a task that reads what it writes does not wait for itself."""
    found = needs(
        project,
        """\
  report: {uses: empty, reads: [s3://mart/orders/]}
  eu: {uses: empty, writes: ["s3://mart/orders/{{ ds }}"]}
  us: {uses: empty, writes: [s3://mart/orders], reads: [s3://raw/us]}
  fix: {uses: empty, reads: [s3://raw/us], writes: [s3://raw/us]}
""",
    )
    assert found == {"report": ("eu", "us"), "eu": (), "us": ("fix",), "fix": ()}


def test_infer_false_leaves_only_written_edges(project):
    """A pipeline can draw all its edges itself."""
    text = "infer: false\ntasks:\n  a: {uses: empty, writes: [x://a]}\n  b: {uses: empty, reads: [x://a]}\n"
    assert [task.needs for task in compile_file(project.pipeline(text)).plan.tasks] == [(), ()]


def test_groups_nest_and_wait_with_their_first_tasks(project):
    """A group's need holds for its first tasks, needing a group means its last ones, but never its teardown."""
    found = needs(
        project,
        """\
  start: {uses: empty}
  load:
    needs: [start]
    tasks:
      a: {uses: empty}
      deep:
        needs: [a]
        tasks:
          b: {uses: empty}
          c: {uses: empty, needs: [b]}
      clean: {uses: empty, needs: [deep], role: teardown}
  end: {uses: empty, needs: [load]}
""",
    )
    assert found == {
        "start": (),
        "load.a": ("start",),
        "load.deep.b": ("load.a",),
        "load.deep.c": ("load.deep.b",),
        "load.clean": ("load.deep.c",),
        "end": ("load.deep.c",),
    }


def test_a_name_is_looked_up_in_its_own_group_first(project):
    """The sibling of that name is meant, then the one further out; a full id always works."""
    found = needs(
        project,
        """\
  a: {uses: empty}
  g:
    tasks:
      a: {uses: empty}
      b: {uses: empty, needs: [a]}
  h:
    tasks:
      c: {uses: empty, needs: [a, g.b]}
""",
    )
    assert found["g.b"] == ("g.a",)
    assert found["h.c"] == ("a", "g.b")


def test_a_mapped_task_needs_what_it_expands_over(project):
    """`expand: {task: ...}` draws the edge and keeps the full id; a list is kept as it is."""
    text = """\
tasks:
  g:
    tasks:
      list: {uses: empty}
      run: {platform: lake, expand: {task: list}, spark: {main: ../jobs/clean.py, args: ["{{ task.item }}"]}}
  two: {uses: bash, expand: [{bash_command: a}, {bash_command: b}]}
"""
    plan = compile_file(project.pipeline(text)).plan
    run, two = plan.tasks[1:]
    assert (run.needs, run.expand) == (("g.list",), {"task": "g.list"})
    assert two.expand == [{"bash_command": "a"}, {"bash_command": "b"}]
    assert plan.groups == {"g": ""}


def test_a_cycle_through_groups_is_found(project):
    """Two groups that wait for each other are a cycle of their tasks."""
    text = """\
tasks:
  g: {needs: [h], tasks: {a: {uses: empty}}}
  h: {needs: [g], tasks: {b: {uses: empty}}}
"""
    found = check_file(project.pipeline(text))
    assert [(one.code, one.message) for one in found] == [
        ("DK207", "dependency cycle: g.a -> h.b -> g.a (each needs the next)")
    ]


def test_a_broken_task_is_not_also_unknown(project):
    """Who needs a task that is itself faulty gets no diagnostic of its own."""
    text = "tasks:\n  a: {uses: empty, operator: x, needs: 3, tasks: {}}\n  b: {uses: empty, needs: [a]}\n"
    assert {one.task_id for one in check_file(project.pipeline(text))} == {"a"}


def test_hadoops_names_for_s3_are_s3(project):
    """Who reads s3://x waits for who writes s3a://x: lineage knows both as one dataset, too."""
    text = """\
defaults: {platform: laptop}
tasks:
  r: {reads: [s3://acme/x], spark: {main: ../jobs/clean.py}}
  w: {writes: [s3a://acme/x/], spark: {main: ../jobs/clean.py}}
"""
    assert compile_file(project.pipeline(text)).plan.tasks[0].needs == ("w",)
