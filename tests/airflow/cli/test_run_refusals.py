"""`doeks run` where Airflow cannot work: one line on the terminal, the traceback in the log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.airflow


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("sqlite:////nowhere/airflow.db", "unable to open database file"),  # when it is used
        ("sqlite:///airflow.db", "Cannot use relative path"),  # when Airflow is imported
    ],
)
def test_a_fault_of_airflow_is_a_line_and_its_traceback_is_kept(tmp_path, database, said):
    """Exit code 1; the line names the log, which tells where Airflow stopped."""
    (tmp_path / "p.yaml").write_text("schedule: null\ntasks: {t: {uses: empty}}\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "DOEKS_"))}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("doeks")), "run", "p.yaml"],
        cwd=tmp_path,
        env=environment | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database},
        capture_output=True,
        text=True,
        check=False,
    )
    log = tmp_path / ".airflow" / "doeks" / "runs" / "p.log"
    assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (1, False)
    assert "Airflow stopped: " in done.stdout
    assert said in done.stdout
    assert f"Log: {log}\n" in done.stdout
    assert "Traceback" in log.read_text()
    assert said in log.read_text()
