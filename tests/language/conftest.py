"""A project on disk from text in the test: doeks.yaml, pipelines and the code they name."""

from __future__ import annotations

from pathlib import Path

import pytest

DOEKS = """\
platforms:
  laptop: {type: local, priced_as: m7g.xlarge}
  lake:
    type: emr_on_eks
    region: us-east-1
    virtual_cluster: abcdef0123456789abcdef012
    execution_role: arn:aws:iam::123456789012:role/sales-jobs
    release: emr-7.9.0-latest
    code: s3://acme-code/
    max_jobs: 200
presets: {big_join: {spark: {conf: {spark.sql.shuffle.partitions: 2000}}}}
policies: {allowed_uses: [bash, python]}
"""


class ProjectFolder:
    """A folder with a doeks.yaml, jobs and pipelines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("jobs/clean.py", "sql/rollup.sql", "jobs/job.jar"):
            self.write(name, "")
        self.write("jobs/days.py", "def list_days(since=None):\n    return [1, 2]\n")
        self.write("doeks.yaml", DOEKS)

    def write(self, name: str, text: str | bytes) -> Path:
        """The file with this text; folders are made."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def pipeline(self, text: str | bytes, name: str = "p") -> Path:
        """pipelines/<name>.yaml with this text."""
        return self.write(f"pipelines/{name}.yaml", text)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProjectFolder:
    """A project in a fresh folder, which is also the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOEKS_ENV", raising=False)
    return ProjectFolder(tmp_path)
