"""`doeks convert` writes pipelines and tells what a person must look at."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from airflow_doeks.cli import main

SOURCE = """\
sales.daily: {schedule: null, tasks: {a: {operator: airflow.operators.empty.EmptyOperator}}}
other: {schedule: null, tasks: {a: {operator: x.Y}}}
"""
DAILY = """\
# Converted from the dag-factory DAG sales.daily.
schedule: null
tasks:
  a:
    uses: empty
"""


def test_each_dag_is_written_to_the_file_of_its_id(tmp_path):
    """`--out` writes a file a DAG, with its id as path, and never over a file that exists unless told to."""
    source = tmp_path / "old.yml"
    source.write_text(SOURCE)
    command = ["convert", str(source), "--out", str(tmp_path / "pipelines")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert f"{source}: other: a: x.Y must be in `allowed_uses` of doeks.yaml" in done.stderr
    assert (tmp_path / "pipelines" / "sales" / "daily.yaml").read_text() == DAILY
    again = CliRunner().invoke(main, command)
    assert (again.exit_code, "--force" in again.stderr) == (2, True)
    assert CliRunner().invoke(main, [*command, "--force"]).exit_code == 1


def test_without_a_folder_the_pipelines_are_printed(tmp_path):
    """On stdout each pipeline follows the name of the file it belongs in; nothing is written."""
    source = tmp_path / "old.yml"
    source.write_text(SOURCE.splitlines()[0])
    done = CliRunner().invoke(main, ["convert", str(source)])
    assert (done.exit_code, done.stdout) == (0, f"# ---- pipelines/sales/daily.yaml\n{DAILY}\n")
    source.write_text("- nothing")
    done = CliRunner().invoke(main, ["convert", str(source)])
    assert (done.exit_code, "expected dag-factory YAML" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "dag_id", ["'/tmp/doeks-outside/y:'", "../up", "'../../up'", "a/b", "a..b", "'.'", "''", "'a b'"]
)
def test_an_id_that_is_no_path_of_a_pipeline_is_refused(tmp_path, monkeypatch, dag_id):
    """Nothing is written, inside the folder or out of it."""
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "old.yml"
    source.write_text(f"fine: {{schedule: null, tasks: {{}}}}\n{dag_id}: {{schedule: null, tasks: {{}}}}\n")
    done = CliRunner().invoke(main, ["convert", str(source), "--out", "in/pipelines"])
    assert (done.exit_code, "is no path of a pipeline" in done.stderr) == (2, True)
    assert list(tmp_path.rglob("*")) == [source]
    assert not Path("/tmp/doeks-outside").exists()  # noqa: S108 - where the id leads


def test_an_alias_bomb_is_one_line(tmp_path):
    """Nine levels of aliases are refused before they are written out, also where they are merged."""
    source = tmp_path / "old.yml"
    bomb = "".join(f"b{n}: &b{n} {{tasks: [{', '.join([f'*b{n - 1}'] * 9)}]}}\n" for n in range(1, 10))
    merged = "".join(f"b{n}: &b{n} {{<<: [{', '.join([f'*b{n - 1}'] * 9)}]}}\n" for n in range(1, 10))
    for scalar, text in (("x", bomb), ("x", merged), ("x" * 9000, f"b1: {{tasks: [{'*b0, ' * 900}]}}\n")):
        source.write_text(f"b0: &b0 {{tasks: [{scalar}]}}\n{text}")
        done = CliRunner().invoke(main, ["convert", str(source)])
        assert (done.exit_code, done.stdout) == (2, "")
        assert "more than 50,000 values once aliases are expanded" in done.stderr
    source.write_text("a: &a {tasks: [*a]}")
    assert "more than 50,000 values" in CliRunner().invoke(main, ["convert", str(source)]).stderr


@pytest.mark.parametrize(
    ("dag", "said"),
    [
        ("{tasks: 5}", "`tasks` is neither a mapping of mappings nor a list of mappings with `task_id`"),
        ("{tasks: [5]}", "`tasks` is neither"),
        ("{tasks: {a: 5}}", "`tasks` is neither"),
        ("{tasks: [{operator: x}]}", "`tasks` is neither"),
        ("{tasks: {a: {operator: x.Y}}, task_groups: [x]}", "`task_groups` is neither"),
        (
            "{tasks: {a: {operator: x.Y, dependencies: 5}}}",
            "task a is not of dag-factory's shape: `dependencies` is no",
        ),
        ("{tasks: {a: {operator: x.Y, expand: 5}}}", "task a is not of dag-factory's shape"),
        ("{tasks: {a: {operator: x.Y, expand: {b: 5}}}}", "task a is not of dag-factory's shape"),
        ("{tasks: {a: {operator: x.Y, partial: 5}}}", "task a is not of dag-factory's shape"),
        ("{tasks: {a: {operator: x.SparkSubmitOperator, conf: 5}}}", "task a is not of dag-factory's shape"),
        ("{tasks: {}, default_args: 5}", "DAG d is not of dag-factory's shape"),
        ("{tasks: {}, start_date: 2024-13-45}", "month must be in 1..12"),
        ("{tasks: {}, tags: !tag x}", "DAG d is not of dag-factory's shape"),
        (f"{{tasks: {{a: {'[' * 3000}", "nested too deep"),
    ],
)
def test_values_of_another_shape_are_one_line(tmp_path, dag, said):
    """What dag-factory would not take is told with the file and the DAG, never as a traceback."""
    source = tmp_path / "old.yml"
    source.write_text(f"d: {dag}")
    done = CliRunner().invoke(main, ["convert", str(source)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"Error: {source}: " in done.stderr
    assert said in " ".join(done.stderr.split())


def test_an_expansion_that_airflow_would_refuse_is_left_out(tmp_path):
    """Three lists of a thousand are a thousand million tasks; nobody waits for them to be written."""
    source = tmp_path / "old.yml"
    many = str(list(range(1000)))
    source.write_text(
        f"d: {{schedule: null, tasks: {{a: {{operator: x.Y, expand: {{a: {many}, b: {many}, c: {many}}}}}}}}}"
    )
    done = CliRunner().invoke(main, ["convert", str(source)])
    assert "it makes 1,000,000,000 task instances, Airflow at most 1,024" in done.stderr


def project_of(tmp_path: Path, files: dict[str, str]) -> None:
    """Files below the folder, by their path."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)


SALES = "sales: {tasks: [{task_id: t, operator: airflow.operators.empty.EmptyOperator}]}\n"


def test_defaults_beside_and_above_the_file_are_merged_in(tmp_path):
    """The nearest wins a key, default_args add up, tags add up; each file that was read is named."""
    files = {
        "a/defaults.yml": "{default_args: {owner: far, pool: p}, schedule: '@weekly', tags: [far]}",
        "a/b/defaults.yaml": "{default_args: {owner: ann, start_date: 2026-01-01, retries: 4}, schedule: '@daily', "
        "tags: [b]}",
        "a/b/sales.yml": SALES,
    }
    project_of(tmp_path, files)
    done = CliRunner().invoke(main, ["convert", str(tmp_path / "a/b/sales.yml")])
    head = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    assert head[:5] == [
        "schedule: '@daily'",
        "start_date: 2026-01-01",
        "owner: ann",
        "tags: [b, far]",
        "defaults: {pool: p, retries: 4}",
    ]
    assert all(f"{tmp_path / name} is merged in, as dag-factory does" in done.stderr for name in list(files)[:2])


def test_the_search_for_defaults_ends_where_it_is_told_to(tmp_path):
    """`--defaults-path` is dag-factory's defaults_config_path: above it nothing is read; elsewhere it is one more."""
    project_of(
        tmp_path,
        {
            "defaults.yml": "{default_args: {owner: top}}",
            "a/defaults.yml": "{default_args: {owner: a}}",
            "a/b/sales.yml": SALES,
            "other/defaults.yml": "{default_args: {owner: other}}",
        },
    )
    for path, owner in (("a", "a"), ("a/b", None), ("other", "other"), (".", "a")):
        command = ["convert", str(tmp_path / "a/b/sales.yml"), "--defaults-path", str(tmp_path / path)]
        owners = [line for line in CliRunner().invoke(main, command).stdout.splitlines() if line.startswith("owner")]
        assert owners == ([f"owner: {owner}"] if owner else [])


def test_a_key_of_defaults_yml_goes_before_the_file_s_own_default(tmp_path):
    """As in dag-factory's code, though not its docs; a note says which one counts."""
    project_of(
        tmp_path,
        {
            "defaults.yml": "{default_args: {owner: outer}, schedule: '@weekly'}",
            "sales.yml": f"default: {{default_args: {{owner: inner}}, schedule: '@daily'}}\n{SALES}",
        },
    )
    done = CliRunner().invoke(main, ["convert", str(tmp_path / "sales.yml")])
    assert "schedule: '@weekly'\nowner: inner\n" in done.stdout
    assert "`default.schedule: @daily` did not carry over: a defaults.yml gives it, too, and that counts" in done.stderr


def test_defaults_that_a_python_file_gives_are_told(tmp_path):
    """A loader is Python and is not run; the line that gives defaults is named."""
    project_of(
        tmp_path, {"sales.yml": SALES, "load.py": "import x\nx.load(globals(), defaults_config_dict={'a': 1})\n"}
    )
    done = CliRunner().invoke(main, ["convert", str(tmp_path / "sales.yml")])
    assert done.exit_code == 1
    assert f"{tmp_path / 'load.py'}:2 gives dag-factory `defaults_config_dict`, which is not read here" in done.stderr


EMR = """\
lake:
  schedule: null
  default_args: {aws_conn_id: aws_jobs, region_name: eu-west-1}
  tasks:
    - task_id: t
      operator: airflow.providers.amazon.aws.operators.emr.EmrContainerOperator
      virtual_cluster_id: abcdef0123456789abcdef012
      execution_role_arn: arn:aws:iam::123456789012:role/jobs
      release_label: emr-7.9.0-latest
      job_driver: {sparkSubmitJobDriver: {entryPoint: s3://code/x.py}}
      configuration_overrides:
        monitoringConfiguration:
          persistentAppUI: ENABLED
          s3MonitoringConfiguration: {logUri: s3://logs/emr/}
          cloudWatchMonitoringConfiguration: {logGroupName: /emr/jobs, logStreamNamePrefix: shop}
          containerLogRotationConfiguration: {rotationSize: 100MB, maxFilesToKeep: 3}
    - {task_id: b, operator: airflow.operators.bash.BashOperator, bash_command: echo 1}
"""
PROJECT = """\
# What the converted pipelines need; the platform team decides.
platforms:
  emr:
    type: "emr_on_eks"
    region: "eu-west-1"
    connection: "aws_jobs"
    virtual_cluster: "abcdef0123456789abcdef012"
    execution_role: "arn:aws:iam::123456789012:role/jobs"
    release: "emr-7.9.0-latest"
    persistent_ui: true
    logs: "s3://logs/emr/"
    log_group: "/emr/jobs"
    log_stream_prefix: "shop"
    log_rotation: {"size": "100MB", "files": 3}
policies:
  allowed_uses: ["bash"]
"""


def test_facts_of_the_platform_become_a_doeks_yaml(tmp_path):
    """What the jobs said of their virtual cluster, and the operators in use; the output lints as it is."""
    project_of(tmp_path, {"old.yml": EMR})
    done = CliRunner().invoke(main, ["convert", str(tmp_path / "old.yml"), "--out", str(tmp_path / "new")])
    assert (done.exit_code, (tmp_path / "new" / "doeks.yaml").read_text()) == (0, PROJECT)
    linted = CliRunner().invoke(main, ["lint", str(tmp_path / "new")])
    assert (linted.exit_code, linted.stdout) == (0, "1 pipeline: 0 errors\n")


def test_a_doeks_yaml_that_is_there_stays(tmp_path):
    """The entry is printed for whoever owns the file; what lint then refuses is a TODO at the head of the pipeline."""
    project_of(tmp_path, {"old.yml": EMR, "doeks.yaml": "platforms: {laptop: {type: local}}\n"})
    done = CliRunner().invoke(main, ["convert", str(tmp_path / "old.yml"), "--out", str(tmp_path / "pipelines")])
    assert PROJECT in done.stdout
    assert (done.exit_code, (tmp_path / "doeks.yaml").read_text()) == (1, "platforms: {laptop: {type: local}}\n")
    todo = '# TODO b: `doeks lint` refuses it, DK305: "bash" is not on the allow-list'
    assert todo in (tmp_path / "pipelines" / "lake.yaml").read_text()


def test_jobs_of_several_clusters_name_their_platform(tmp_path):
    """Two virtual clusters are two platforms; jobs of one cluster share its entry."""
    other = EMR.replace("lake:", "pond:").replace("abcdef0123456789abcdef012", "zzz").replace("eu-west-1", "eu-west-2")
    project_of(tmp_path, {"old.yml": EMR + other + EMR.replace("lake:", "sea:")})
    done = CliRunner().invoke(main, ["convert", str(tmp_path / "old.yml")])
    assert [line.strip() for line in done.stdout.splitlines() if "platform: " in line] == [
        "platform: emr",
        "platform: emr_2",
        "platform: emr",
    ]
    assert 'emr_2:\n    type: "emr_on_eks"\n    region: "eu-west-2"\n' in done.stdout


def test_what_lint_asks_for_is_said_at_once(tmp_path):
    """A schedule whose source has no fixed start is a TODO in the file, not a surprise of lint."""
    project_of(
        tmp_path, {"old.yml": "d: {schedule: '@daily', tasks: {t: {operator: airflow.operators.empty.EmptyOperator}}}"}
    )
    done = CliRunner().invoke(main, ["convert", str(tmp_path / "old.yml"), "--out", str(tmp_path / "new")])
    text = (tmp_path / "new" / "d.yaml").read_text()
    assert text.startswith(
        "# Converted from the dag-factory DAG d.\n# TODO the pipeline: `doeks lint` refuses it, DK205:"
    )
    assert (done.exit_code, "DK205: a schedule without start_date never runs" in done.stderr) == (1, True)
