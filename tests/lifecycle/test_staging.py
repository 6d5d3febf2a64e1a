"""How code gets from the project's folder to where a remote job can read it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from airflow_doeks.lifecycle.staging import plan_staging, project_root, stage
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.flink import FlinkJob
from airflow_doeks.model.job import SparkJob
from airflow_doeks.platforms.spark import sql_runner


class MemoryStore:
    """A byte store in a dict that counts its writes."""

    def __init__(self, url="s3://code"):
        self.url, self.objects, self.writes = url, {}, 0

    def list(self, prefix=""):
        return iter(sorted(name for name in self.objects if name.startswith(prefix)))

    def open(self, name):
        return io.BytesIO(self.objects[name])

    def write(self, name, content):
        self.objects[name] = content
        self.writes += 1

    def delete(self, name):
        self.objects.pop(name, None)


def sha(text: str) -> str:
    """What content is named by."""
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project: doeks.yaml, pipelines/ with the YAML, jobs/ beside it."""
    (tmp_path / "doeks.yaml").write_text("platforms: {}\n")
    for name, text in {"jobs/clean.py": "print(1)", "jobs/lib.zip": "zip", "pipelines/q.sql": "select 1"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path / "pipelines"


def test_content_names_the_object(folder):
    """A staged file's URL is the code store, the sha256 of its content and its own name; URLs stay as they are."""
    job = SparkJob(
        main="../jobs/clean.py",
        py_files=("../jobs/lib.zip",),
        jars=("s3://j/x.jar",),
        archives=("../jobs/lib.zip#env",),
    )
    store = MemoryStore("s3://acme-code/team/")
    staged = stage(job, str(folder), store)
    assert staged.main == f"s3://acme-code/team/{sha('print(1)')}/clean.py"
    assert staged.py_files == (f"s3://acme-code/team/{sha('zip')}/lib.zip",)
    assert staged.archives == (f"s3://acme-code/team/{sha('zip')}/lib.zip#env",)
    assert staged.jars == ("s3://j/x.jar",)
    assert store.objects == {f"{sha('print(1)')}/clean.py": b"print(1)", f"{sha('zip')}/lib.zip": b"zip"}


def test_staging_twice_writes_once(folder):
    """What the store already holds is not sent again."""
    store = MemoryStore()
    first = stage(SparkJob(main="../jobs/clean.py"), str(folder), store)
    assert stage(SparkJob(main="../jobs/clean.py"), str(folder), store) == first
    assert store.writes == 1


def test_planning_writes_nothing(folder):
    """A plan holds the uploads and the final job, so that `doeks render` shows real URLs without sending anything."""
    plan = plan_staging(SparkJob(main="../jobs/clean.py"), str(folder), "s3://code/")
    assert plan.job.main == f"s3://code/{plan.uploads[0].name}"
    assert plan.uploads[0].content == b"print(1)"


def test_sql_becomes_the_runner_with_the_rendered_text(folder):
    """A SQL job is staged as Airflow rendered it and run by the bundled runner; its text is not part of the request."""
    store = MemoryStore()
    job = SparkJob(sql="q.sql").model_copy(update={"sql_text": "select '2026-01-01'"})
    staged = stage(job, str(folder), store)
    runner = hashlib.sha256(Path(sql_runner.__file__).read_bytes()).hexdigest()
    assert staged.main == f"s3://code/{runner}/sql_runner.py"
    assert staged.args == (f"s3://code/{sha(job.sql_text)}/q.sql",)
    assert staged.sql is None
    assert staged.sql_text is None
    assert store.objects[f"{sha(job.sql_text)}/q.sql"] == b"select '2026-01-01'"


def test_without_a_store_paths_become_absolute(folder):
    """A platform that shares the file system is given absolute paths, and the rendered SQL stays with the job."""
    job = SparkJob(sql="q.sql", files=("../jobs/lib.zip",)).model_copy(update={"sql_text": "select 2"})
    staged = stage(job, str(folder), None)
    assert staged.sql == str(folder / "q.sql")
    assert staged.files == (str(folder.parent / "jobs" / "lib.zip"),)
    assert staged.sql_text == "select 2"


@pytest.mark.parametrize("path", ["../../secret.py", "/etc/passwd", "link.py"])
def test_nothing_outside_the_project_is_read(folder, path):
    """A path that leaves the folder of doeks.yaml, also through a symlink, is refused with both places named."""
    (folder.parent.parent / "secret.py").write_text("x")
    (folder / "link.py").symlink_to("/etc/hostname")
    with pytest.raises(SpecError, match=r"main: .* is outside the project, .*\nThe project is "):
        stage(SparkJob(main=path), str(folder), MemoryStore())


@pytest.mark.parametrize("rest", ["file:///etc/passwd", "/etc/passwd", " file:/etc/passwd", "passwd"])
def test_no_second_file_hides_behind_a_url(folder, rest):
    """Spark begins another file at a comma: what follows a URL there must be one, too."""
    with pytest.raises(SpecError, match=r"files\[0\]: .* holds a comma, where Spark begins another file"):
        stage(SparkJob(main="s3://code/a.py", files=(f"s3://code/b.txt,{rest}",)), str(folder), MemoryStore())
    both = SparkJob(main="s3://code/a.py", files=("s3://code/b.txt,s3://code/c.txt",))
    assert stage(both, str(folder), MemoryStore()) == both


def test_a_missing_file_is_named_with_where_it_was_looked_for(folder):
    """The error of a missing file says where relative paths start."""
    with pytest.raises(SpecError, match=rf'py_files\[0\]: "nope.py" does not exist\n.*{folder}'):
        stage(SparkJob(main="../jobs/clean.py", py_files=("nope.py",)), str(folder), None)


def test_without_a_project_file_the_yamls_folder_is_the_border(tmp_path):
    """Without a doeks.yaml upward, code stays below the folder of the YAML."""
    assert project_root(tmp_path / "a") == tmp_path / "a"


def test_a_flink_job_brings_its_jars_and_its_sql(folder):
    """What a Flink job names is staged as a Spark job's; its SQL is run by a jar of ours, in the mode of the job."""
    job = FlinkJob(sql="q.sql", jars=("../jobs/lib.zip", "s3://j/x.jar"), sql_text="select 2", mode="streaming")
    store = MemoryStore()
    staged = stage(job, str(folder), store)
    assert (staged.sql, staged.sql_text, staged.class_) == (None, None, "airflow_doeks.SqlRunner")
    assert staged.args == ("streaming", f"s3://code/{sha('select 2')}/q.sql")
    assert staged.jar.endswith("/doeks-flink.jar")
    assert store.objects[staged.jar.removeprefix("s3://code/")][:2] == b"PK"
    assert staged.jars == (f"s3://code/{sha('zip')}/lib.zip", "s3://j/x.jar")
    assert stage(FlinkJob(jar="../jobs/lib.zip"), str(folder), store).jar == staged.jars[0]
    assert plan_staging(FlinkJob(stop="deploy"), str(folder), "s3://code").uploads == ()


def test_a_pod_template_of_the_project_is_read_when_the_job_is_staged(folder):
    """What is sent holds the template itself, so that a change of the file is a change of the job."""
    (folder / "pods.yaml").write_text("spec: {priorityClassName: batch}\n")
    job = SparkJob(main="../jobs/clean.py", pod_template="pods.yaml")
    assert plan_staging(job, str(folder), "s3://code").job.pod_template == {"spec": {"priorityClassName": "batch"}}
    (folder / "pods.yaml").write_text("- spec\n")
    with pytest.raises(SpecError, match=r"^pod_template: .*pods.yaml is no pod template"):
        plan_staging(job, str(folder), None)
    with pytest.raises(SpecError, match=r"^pod_template: .*outside the project"):
        plan_staging(SparkJob(main="../jobs/clean.py", pod_template="../../pods.yaml"), str(folder), None)
