"""The pyspark at hand against the disk: formats x modes x readers (`disk_matrix.py` does the same for any other)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("disk_matrix.py")


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("fmt", ["parquet", "csv", "json", "orc"])
def test_no_real_job_tells_a_wrong_number(fmt, tmp_path):
    """Every count equals the disk, or is null with a reason while lineage says that it is not complete."""
    pytest.importorskip("pyspark")
    for command in ("make", "check"):
        arguments = [sys.executable, str(SCRIPT), command, str(tmp_path), *([fmt] if command == "make" else [])]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.strip().endswith("0 wrong"), done.stdout
    assert not done.stdout.startswith("0 equal")
