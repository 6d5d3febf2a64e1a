"""The suite itself: it draws the same examples every time, and a hang in it is a failure with its stack."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONFTEST = Path(__file__).with_name("conftest.py")


def pytest_of(folder: Path, text: str, *arguments: str) -> str:
    """What pytest prints of a test file of its own, under this suite's settings and conftest.py."""
    (folder / "conftest.py").write_text(CONFTEST.read_text("utf-8"), "utf-8")
    (folder / "test_it.py").write_text(text, "utf-8")
    command = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    command += ["--rootdir", str(folder), "-p", "pytest_timeout", "-p", "_hypothesis_pytestplugin", *arguments]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # Airflow's plug-ins take seconds to load
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False).stdout


def test_a_hang_is_a_failure_with_its_stack(tmp_path):
    """A test without an end is ended at its limit, the place where it hung is told, and the next test runs."""
    told = pytest_of(
        tmp_path,
        "def search_for_ever():\n    while True:\n        pass\n\n"
        "def test_hangs():\n    search_for_ever()\n\n"
        "def test_next():\n    pass\n",
        "--timeout=0.5",
    )

    assert "    def search_for_ever():" in told
    assert "Timeout (>0.5s)" in told
    assert "1 failed, 1 passed" in told


def test_every_test_has_a_limit(tmp_path):
    """Five minutes, and twenty for a test on real processes."""
    told = pytest_of(
        tmp_path,
        "import pytest\n\n"
        "@pytest.fixture\ndef limit(request):\n"
        "    mark = request.node.get_closest_marker('timeout')\n"
        "    return mark.args[0] if mark else request.config.getini('timeout')\n\n"
        "def test_quick(limit):\n    print('seconds', limit)\n\n"
        "@pytest.mark.slow\ndef test_slow(limit):\n    print('seconds', limit)\n",
    )

    assert [line for line in told.splitlines() if "seconds" in line] == ["test_it.py seconds 300", ".seconds 1200"]


def test_examples_are_the_same_every_time(tmp_path):
    """`make test` is never red by luck: what a property is tried on changes only with the test, or by `make fuzz`."""
    text = (
        "from hypothesis import given, strategies as st\n\n"
        "@given(st.integers())\ndef test_draws(number):\n    print('drawn', number)\n"
    )

    def drawn(*arguments):
        return [line for line in pytest_of(tmp_path, text, *arguments).splitlines() if "drawn" in line]

    same, again, fresh = drawn(), drawn(), drawn("--hypothesis-profile=fuzz")
    assert (same == again, len(same)) == (True, 100)
    assert fresh[: len(same)] != same
