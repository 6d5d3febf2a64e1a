"""Versions of Airflow are known in one file, and what it binds is what this Airflow wants to be used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from airflow_doeks import compat

PACKAGE = Path(compat.__file__).parent
FLAGS = {"AIRFLOW_VERSION", "IS_AIRFLOW_3"}


def airflow_imports(tree: ast.AST) -> set[str]:
    """Modules of Airflow that a file imports, by statement or by name."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return {name for name in found if name.split(".")[0] == "airflow"}


def test_no_other_file_knows_versions_of_airflow():
    """Outside `compat.py` nothing imports Airflow core or asks for its version; providers are for `hooks/`."""
    faults = []
    for file in PACKAGE.rglob("*.py"):
        place = file.relative_to(PACKAGE).as_posix()
        if place == "compat.py" or place.startswith("cli/scaffold/"):
            continue
        tree = ast.parse(file.read_text("utf-8"))
        imported = {
            name
            for name in airflow_imports(tree)
            if not (place.startswith("hooks/") and name.startswith("airflow.providers."))
        }
        asked = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(tree)} & FLAGS
        asked |= {a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names} & FLAGS
        faults += [f"{place}: {name}" for name in sorted(imported | asked)]

    assert faults == []


def test_every_name_is_there_and_none_is_deprecated():
    """Every name of `compat` resolves on this Airflow without a word of deprecation about what is imported."""
    code = (
        "import warnings, airflow\n"
        "warnings.simplefilter('always')\n"
        "with warnings.catch_warnings(record=True) as heard:\n"
        "    from airflow_doeks import compat\n"
        "    for name in compat.__all__: getattr(compat, name)\n"
        "heard = [one for one in heard if 'timing metrics' not in str(one.message)]\n"  # a setting of 2.11, no name
        "for one in heard:\n"
        "    told = f'{one.category.__module__} {one.message}'\n"
        "    if 'airflow' in told.lower(): print('heard', one.filename, told)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("heard")] == []
