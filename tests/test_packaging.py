"""What users install: one small pure wheel that resolves where they need it and costs nothing until used."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("DOEKS_SHARED", ROOT.parent / "shared"))
MWAA = {  # Airflow of an MWAA image -> its Python (aws/amazon-mwaa-docker-images, August 2026)
    "2.10.3": "3.11",
    "2.11.0": "3.12",
    "2.11.2": "3.12",
    "3.0.6": "3.12",
    "3.2.1": "3.12",
    "3.3.1": "3.12",
}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel of `make wheel`."""
    folder = tmp_path_factory.mktemp("wheel")
    command = ["make", "-s", "wheel", f"DIST={folder}", f"VENV={Path(sys.executable).parents[1]}"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    assert done.stdout == f"{built}\n"
    return built


def test_wheel_is_small_and_pure(wheel):
    """One wheel under 3 MB serves every Python and machine, and brings schema, rate cards and scaffold along."""
    names = zipfile.ZipFile(wheel).namelist()

    assert wheel.name.endswith("-py3-none-any.whl")
    assert wheel.stat().st_size < 3_000_000
    assert "airflow_doeks/language/pipeline.schema.json" in names
    assert "airflow_doeks/cli/scaffold/project/.airflowignore" in names
    assert any(name.startswith("airflow_doeks/cost/rate_cards/") for name in names)
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"airflow_doeks"}


@pytest.mark.slow  # an index is asked
@pytest.mark.parametrize("extra", ["", "[openlineage]"])
@pytest.mark.parametrize("airflow", MWAA)
def test_wheel_resolves_on_mwaa(wheel, airflow, extra):
    """`pip install airflow-doeks` finds a solution under the constraints of every MWAA image."""
    if not (SHARED / "mwaa-constraints").is_dir():
        assert "DOEKS_SHARED" not in os.environ, f"DOEKS_SHARED={SHARED} holds no mwaa-constraints"
        pytest.skip("the MWAA constraint files are not here (DOEKS_SHARED)")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert uv, "uv, which make puts into .venv, is needed"
    command = [uv, "pip", "compile", "--quiet", "--no-header", "--python-version", MWAA[airflow], "-"]
    for constraints in (f"mwaa-{airflow}.txt", f"mwaa-essential-{airflow}.txt"):
        command += ["-c", str(SHARED / "mwaa-constraints" / constraints)]
    wanted = f"airflow-doeks{extra} @ {wheel.as_uri()}\napache-airflow=={airflow}\n"

    done = subprocess.run(command, input=wanted, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert f"apache-airflow=={airflow}\n" in done.stdout


def test_dependencies_leave_mwaa_its_own():
    """No dependency names a package that MWAA pins for itself, nor common-compat, which it pins too low."""
    text = (ROOT / "pyproject.toml").read_text("utf-8").lower()
    declared = text.split("\ndependencies = [")[1].split("[project.scripts]")[0]

    found = re.findall(r"common-compat|sqlalchemy|flask|celery|watchtower|gunicorn|gevent|statsd", declared)

    assert found == []


def test_importing_the_package_is_free():
    """`import airflow_doeks` loads nothing but the package's own `__init__`."""
    loaded = modules_after("import airflow_doeks", beyond="import __future__, typing")

    assert loaded == {"airflow_doeks"}


@pytest.mark.airflow
def test_operators_leave_providers_alone():
    """Importing the operators and the sensor imports no provider beyond what Airflow itself imports."""
    loaded = modules_after(
        "import airflow_doeks.operators.job, airflow_doeks.dag_factory",
        beyond="from airflow_doeks.compat import DAG, BaseOperator, BaseOperatorLink, XCom, conf",
    )

    assert {
        name for name in loaded if name.startswith(("airflow.providers", "boto3", "botocore", "kubernetes"))
    } == set()


@pytest.mark.airflow
def test_plugin_is_light():
    """Airflow's import of our plugin imports neither fastapi nor SQLAlchemy nor boto3 for it."""
    loaded = modules_after("import airflow_doeks.ui.plugin", beyond="import airflow.plugins_manager")

    heavy = {"fastapi", "sqlalchemy", "boto3", "botocore", "pyspark", "kubernetes"}
    assert {name.split(".")[0] for name in loaded} & heavy == set()


# Refuses every installed package but those below and what they need themselves.
ONLY = """
import re, sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

def plain(name):
    return re.sub(r"[-_.]+", "-", re.match(r"[\\w.-]+", name)[0]).lower()

allowed, more = set(), {"airflow-doeks", "pydantic", "pyyaml", "pendulum", "click", "rich", "croniter", "zstandard"}
while more:
    name = more.pop()
    allowed.add(name)
    try:
        needed = [] if name == "airflow-doeks" else requires(name) or []
    except PackageNotFoundError:  # for another Python or system
        continue
    more |= {plain(line) for line in needed if "extra ==" not in line} - allowed

class Absent:
    owners = packages_distributions()

    def find_spec(self, name, path=None, target=None):
        owners = {plain(owner) for owner in self.owners.get(name.partition(".")[0], ())}
        if owners and not owners & allowed:
            raise ModuleNotFoundError(f"No module named {name!r}: {sorted(owners)} are not installed", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["lint", "dags/pipelines"],
        ["render", "dags/pipelines/flights.yaml"],
        ["schema"],
        ["explain", "DK104"],
        ["explain", "dags/pipelines/flights.yaml", "--task", "clean_flights"],
        ["report", "--ledger", "{tmp}"],
        ["--help"],
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
def test_checking_works_without_airflow(arguments, tmp_path):
    """The commands that check and report need this package, seven others and what those need: no Airflow, no AWS."""
    arguments = [argument.format(tmp=tmp_path) for argument in arguments]
    code = f"{ONLY}from airflow_doeks.cli import main; main({arguments})"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["airflow", "boto3", "kubernetes", "jinja2", "sqlalchemy"])
def test_what_is_not_asked_for_is_absent_there(name):
    """Even what is installed beside this package, and what Airflow itself brings, cannot be imported by the above."""
    done = subprocess.run([sys.executable, "-c", f"{ONLY}import {name}"], capture_output=True, text=True, check=False)

    assert f"No module named {name!r}" in done.stderr


def test_locks_name_no_index():
    """Lock files pin every package by hash and name no index, so that any mirror serves them."""
    for lock in ROOT.glob("requirements/*.txt"):
        text = lock.read_text("utf-8")
        pins = [line for line in text.splitlines() if "==" in line.split(";")[0]]

        assert "://" not in text, lock
        assert pins, lock
        assert all(line.endswith("\\") for line in pins), lock


def modules_after(statement: str, beyond: str) -> set[str]:
    """Modules that ``statement`` loads in a fresh Python beyond those that ``beyond`` loads."""
    code = f"import sys\n{beyond}\nbefore = set(sys.modules)\n{statement}\nprint(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())
