"""doeks.yaml: environments, variables, presets, and where every value came from."""

from __future__ import annotations

import tracemalloc

import pytest

from airflow_doeks.language import (
    check_file,
    check_project,
    compile_file,
    dag_id_of,
    file_of,
    pipeline_files,
    refuse_doubles,
)

TWO = """\
platforms:
  laptop: {type: local}
  lake: {type: local}
defaults: {retries: 1, retry_delay: 1m, cost_tags: {a: doeks, b: doeks}}
cost_tags: {owner: platform}
environments:
  dev: {platform: laptop, variables: {size: 2, where: dev, on: false}}
  prod: {cost_tags: {env: prod}, defaults: {retries: 3}, variables: {size: 20, where: prod, on: true}}
presets:
  big: {spark: {conf: {spark.sql.shuffle.partitions: 2000, spark.sql.ansi.enabled: true}, driver: {memory: 8Gi}}}
"""
JOB = """\
defaults: {platform: lake, cost_tags: {b: pipeline}, spark: {driver: {cpu: 2}}}
tasks:
  t:
    spark:
      main: ../jobs/clean.py
      presets: [big, spot]
      args: ["s3://acme-${where}/x", "$${HOME}", "x-${on}"]
      conf: {spark.sql.shuffle.partitions: 10}
      executors: {max: "${size}"}
"""


@pytest.fixture
def job(project):
    """A pipeline with one job beside a doeks.yaml with two environments."""
    project.write("doeks.yaml", TWO)
    return project.pipeline(JOB)


def test_every_layer_has_its_say(job):
    """Presets, doeks.yaml, environment, pipeline defaults, task: the last one wins, mappings merge by key."""
    task = compile_file(job, environment="prod").plan.tasks[0]
    assert task.job == {
        "conf": {"spark.sql.shuffle.partitions": 10, "spark.sql.ansi.enabled": True},
        "driver": {"memory": "8Gi", "cpu": 2},
        "main": "../jobs/clean.py",
        "presets": ["spot"],
        "args": ["s3://acme-prod/x", "${HOME}", "x-true"],
        "executors": {"max": 20},
    }
    assert (task.retries, task.retry_delay_seconds, task.platform["name"]) == (3, 60.0, "lake")
    assert task.cost_tags == {"a": "doeks", "b": "pipeline", "env": "prod", "owner": "platform"}


def test_the_environments_platform_goes_before_the_pipelines(job):
    """`platform` of an environment is where every job runs there."""
    task = compile_file(job, environment="dev").plan.tasks[0]
    assert (task.platform["name"], task.retries, task.job["executors"]) == ("laptop", 1, {"max": 2})
    assert task.source["platform"].endswith("doeks.yaml:7:19")


def test_every_value_knows_where_it_was_written(job):
    """The source of a value is the file, line and column that supplied it, through variables and presets."""
    source = compile_file("pipelines/p.yaml", environment="prod").plan.tasks[0].source
    wanted = {
        "": "pipelines/p.yaml:3:3",
        "spark.main": "pipelines/p.yaml:5:13",
        "spark.args.0": "doeks.yaml:8:87",
        "spark.conf.spark.sql.shuffle.partitions": "pipelines/p.yaml:8:44",
        "spark.conf.spark.sql.ansi.enabled": "doeks.yaml:10:84",
        "spark.driver.cpu": "pipelines/p.yaml:1:76",
        "spark.driver.memory": "doeks.yaml:10:108",
        "spark.executors.max": "doeks.yaml:8:76",
        "retries": "doeks.yaml:8:54",
        "retry_delay": "doeks.yaml:4:37",
        "cost_tags.a": "doeks.yaml:4:56",
        "cost_tags.b": "pipelines/p.yaml:1:43",
        "cost_tags.env": "doeks.yaml:8:27",
        "cost_tags.owner": "doeks.yaml:5:20",
        "platform": "pipelines/p.yaml:1:22",
    }
    assert {key: source.get(key) for key in wanted} == wanted
    assert set(wanted) <= set(source)


def test_lint_checks_every_environment_and_names_those_that_fail(job, project):
    """A fault in one environment names it and points into doeks.yaml; a fault in all names none."""
    text = TWO.replace("size: 20", "size: big") + "policies: {max_executors: 1}\n"
    project.write("doeks.yaml", text)
    found = [(one.code, one.place.line, one.environments) for one in check_file(job)]
    assert found == [("DK303", 7, ("dev",)), ("DK214", 8, ("prod",))]
    assert [one.code for one in check_project(project.path / "doeks.yaml")] == ["DK214"]


def test_the_environment_is_chosen_in_one_order(job, monkeypatch):
    """The argument goes before DOEKS_ENV, that before the default; none chosen while several exist is an error."""
    monkeypatch.setenv("DOEKS_ENV", "prod")
    assert compile_file(job, environment="dev", default="x").plan.environment == "dev"
    assert compile_file(job, default="dev").plan.environment == "prod"
    monkeypatch.delenv("DOEKS_ENV")
    assert compile_file(job, default="dev").plan.environment == "dev"
    (one,) = compile_file(job).diagnostics
    assert (one.code, one.place.line) == ("DK215", 6)
    assert "none is chosen" in one.message


def test_an_unknown_environment_is_told_with_the_setting_that_chose_it(job, monkeypatch):
    """`--env`, DOEKS_ENV or `[doeks] environment`: the one that holds is named."""
    said = compile_file(job, environment="porod").diagnostics[0].message
    assert said == 'there is no environment "porod", which --env chooses; there are dev, prod'
    assert "which [doeks] environment chooses" in compile_file(job, default="porod").diagnostics[0].message
    monkeypatch.setenv("DOEKS_ENV", "porod")
    assert "which DOEKS_ENV chooses" in compile_file(job, default="dev").diagnostics[0].message


def test_a_changed_doeks_yaml_is_read_again(job, project):
    """The cache of a process holds as long as the file does not change."""
    assert compile_file(job, environment="dev").plan is not None
    project.write("doeks.yaml", TWO + "policies: {max_executors: 1}\n")
    assert compile_file(job, environment="dev").plan is None


def test_without_a_doeks_yaml_jobs_run_on_this_machine(project):
    """One platform exists then, `local`; DAG ids and code start at the pipeline's folder."""
    (project.path / "doeks.yaml").unlink()
    file = project.write("alone/p.yaml", "tasks: {t: {spark: {main: job.py}}}\n")
    project.write("alone/job.py", "")
    plan = compile_file(file).plan
    assert (plan.dag_id, plan.tasks[0].platform) == ("p", {"type": "local", "name": "local"})


def test_code_may_be_shared_inside_the_project_but_not_outside(project, tmp_path_factory):
    """A path may climb as far as the folder of doeks.yaml; a symbolic link is judged by where it leads."""
    outside = tmp_path_factory.mktemp("elsewhere") / "job.py"
    outside.write_text("")
    (project.path / "jobs" / "link.py").symlink_to(outside)
    text = "tasks: {t: {platform: lake, spark: {main: ../jobs/%s}}}\n"
    assert compile_file(project.pipeline(text % "clean.py")).plan is not None
    assert [one.code for one in compile_file(project.pipeline(text % "link.py")).diagnostics] == ["DK212"]


def test_dag_ids_lead_to_files_without_a_listing(project):
    """The path below pipelines/ with "/" as "."; hidden folders and doeks.yaml are no pipelines."""
    file = project.pipeline("tasks: {t: {uses: empty}}\n", "sales/eu/orders")
    project.pipeline("tasks: {t: {uses: empty}}\n", ".hidden/x")
    root = project.path / "pipelines"
    assert dag_id_of(file) == dag_id_of(file, root) == "sales.eu.orders"
    assert dag_id_of("pipelines/sales/eu/orders.yaml") == "sales.eu.orders"
    assert file_of("sales.eu.orders", root) == file
    assert (file_of("sales.eu", root), file_of("../doeks", root)) == (None, None)
    assert (pipeline_files(root), [dag_id_of(file, root)]) == ([file], ["sales.eu.orders"])


def test_two_files_of_one_dag_id_are_both_refused(project):
    """a.yaml and a.yml ask for the same id; neither is taken silently."""
    good = "tasks: {t: {uses: empty}}\n"
    project.pipeline(good, "b")
    project.pipeline(good, "a")
    project.write("pipelines/a.yml", good)
    found = refuse_doubles([compile_file(file, root="pipelines") for file in pipeline_files("pipelines")])
    assert [(one.dag_id, one.plan is None, [d.line() for d in one.diagnostics]) for one in found] == [
        ("a", True, ['pipelines/a.yaml:1:1: DK223 DAG id "a" is also that of pipelines/a.yml']),
        ("a", True, ['pipelines/a.yml:1:1: DK223 DAG id "a" is also that of pipelines/a.yaml']),
        ("b", False, []),
    ]


def test_a_fault_in_doeks_yaml_stops_every_pipeline_with_its_place(project):
    """What is wrong with the platform team's file is said with that file's line."""
    project.write("doeks.yaml", "platforms: {lake: {type: local}}\npolicy: {}\n")
    compiled = compile_file(project.pipeline("tasks: {t: {uses: empty}}\n"))
    assert compiled.plan is None
    assert [one.line() for one in compiled.diagnostics] == ['doeks.yaml:2:1: DK104 unknown key "policy"']


def test_a_rate_card_is_found_from_doeks_yaml(project):
    """Its path starts where doeks.yaml stands, whatever folder a worker runs in."""
    card = project.write("rates.yaml", "region: x\n")
    project.write("doeks.yaml", "platforms: {laptop: {type: local}}\nrate_card: {file: rates.yaml}\n")
    plan = compile_file(project.pipeline("tasks: {t: {uses: empty}}\n", "sales/p")).plan
    assert plan.rate_card == {"file": str(card)}


@pytest.mark.parametrize("count", [30, 40])
def test_variables_cannot_fill_the_memory(project, count):
    """A long value of a variable that stands in a text many times, or behind many aliases, is one diagnostic."""
    project.write("doeks.yaml", f"environments: {{dev: {{variables: {{x: {'y' * 100_000}}}}}}}\n")
    many = f"&a '{'${x} ' * count}'"
    file = project.pipeline(f"params:\n  a: {many}\n  b: [{'*a, ' * 1000}]\ntasks: {{t: {{uses: empty}}}}\n")
    tracemalloc.start()
    (fault,) = check_file(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (fault.code, fault.message) == ("DK103", "more than 4,194,304 characters once variables are filled in")
    assert (fault.place.line, peak < 40e6) == (2, True)


NESTED = """\
platforms: {laptop: {type: local}}
presets:
  cheap: {spark: {presets: [spot], conf: {spark.a.x: cheap, spark.a.y: cheap}}}
  big: {spark: {presets: [graviton, cheap, ours], conf: {spark.a.x: big}}}
  ours: {spark: {presets: [big, ours], conf: {spark.a.x: ours, spark.a.z: ours}}}
"""


def test_a_preset_may_list_presets(project):
    """The job gets what each of them says; the preset that lists wins, and a circle ends."""
    project.write("doeks.yaml", NESTED)
    text = "tasks: {t: {spark: {main: ../jobs/clean.py, presets: [big, ndots], conf: {spark.a.z: own}}}}\n"
    task = compile_file(project.pipeline(text)).plan.tasks[0]
    assert task.job == {
        "main": "../jobs/clean.py",
        "presets": ["graviton", "spot", "ndots"],
        "conf": {"spark.a.x": "big", "spark.a.y": "cheap", "spark.a.z": "own"},
    }
    assert task.source["spark.conf.spark.a.y"] == "doeks.yaml:3:72"


def test_a_long_chain_of_presets_is_followed(project):
    """Each lists the next; no recursion of ours is in the way."""
    chain = "".join(f"  p{n}: {{spark: {{presets: [p{n + 1}]}}}}\n" for n in range(3000))
    project.write(
        "doeks.yaml", f"platforms: {{laptop: {{type: local}}}}\npresets:\n{chain}  p3000: {{spark: {{release: a}}}}\n"
    )
    text = "tasks: {t: {spark: {main: ../jobs/clean.py, presets: [p0], release: emr-7.9.0-latest}}}\n"
    assert compile_file(project.pipeline(text)).plan.tasks[0].job["presets"] == []


def test_a_variable_that_names_another_is_told_and_text_is_text(project):
    """A value with ${name} would reach the job as it is; `$${` in a value is `${`, as everywhere."""
    doeks = (
        "platforms: {laptop: {type: local}}\nenvironments: {dev: {variables: {a: x, b: '${a}/y', c: '$${HOME}/y'}}}\n"
    )
    project.write("doeks.yaml", doeks)
    (fault,) = check_project(project.path / "doeks.yaml")
    assert (fault.code, fault.message) == (
        "DK214",
        'variable "b" names ${a}, and variables are not filled in themselves',
    )
    project.write("doeks.yaml", doeks.replace("b: '${a}/y', ", ""))
    (task,) = compile_file(
        project.pipeline("tasks: {t: {spark: {main: ../jobs/clean.py, args: ['${c}', 'z${c}']}}}\n")
    ).plan.tasks
    assert task.job["args"] == ["${HOME}/y", "z${HOME}/y"]
