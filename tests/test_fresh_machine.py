"""`make` on a machine that nobody prepared: which Python it takes, and what it says when there is none."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WORKS = "#!/bin/sh\nexit 0\n"
SHIM_TO_NOWHERE = "#!/bin/sh\necho 'command not found' >&2\nexit 127\n"
WITHOUT_VENV = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; *print*) echo 3.11;; esac\nexit 0\n'


@pytest.fixture
def find_python(tmp_path):
    """Runs the search with only the given programs on PATH: name -> script."""

    def search(programs: dict[str, str], chosen: str = "") -> subprocess.CompletedProcess[str]:
        for name, script in programs.items():
            (tmp_path / name).write_text(script, encoding="utf-8")
            (tmp_path / name).chmod(0o755)
        return subprocess.run(
            ["/bin/sh", str(ROOT / "requirements" / "find-python.sh"), chosen],
            env={"PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    return search


def test_a_working_python_is_found_behind_a_broken_one(find_python, tmp_path):
    """A name on PATH that does not run is passed over."""
    found = find_python({"python3.12": SHIM_TO_NOWHERE, "python3": WORKS})

    assert found.stdout == f"{tmp_path}/python3\n"


def test_newest_tested_python_is_preferred(find_python, tmp_path):
    """Python 3.12 is taken before others that work."""
    found = find_python({"python3.10": WORKS, "python3.12": WORKS, "python3": WORKS})

    assert found.stdout == f"{tmp_path}/python3.12\n"


def test_a_python_without_venv_is_told_in_one_line(find_python):
    """Debian's python3 without python3-venv gives one line that says what to install."""
    found = find_python({"python3": WITHOUT_VENV})

    assert found.returncode == 1
    assert found.stderr == (
        "python3 cannot make a virtual environment: install its venv module "
        "(Debian, Ubuntu: apt install python3.11-venv)\n"
    )


def test_no_python_is_told_in_one_line(find_python):
    """A machine without a fitting Python is told which ones fit and how to name one."""
    found = find_python({})

    assert found.returncode == 1
    assert (
        found.stderr == "no working Python 3.10 to 3.13 on PATH: install one, or name it with PYTHON=/path/to/python\n"
    )


def test_a_wrong_choice_is_told_in_one_line(find_python):
    """PYTHON= is taken at its word, and named if it does not fit."""
    found = find_python({"python3": WORKS, "python3.9": SHIM_TO_NOWHERE}, chosen="python3.9")

    assert found.stderr == "PYTHON=python3.9 does not work or is not Python 3.10 to 3.13\n"
