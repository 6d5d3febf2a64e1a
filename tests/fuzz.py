"""`make fuzz`: every test that draws examples, with ten times as many and fresh ones, until the time is over.

A file after the other, so that a round is short. Each line holds the seed; the same seed draws the same examples.
"""

from __future__ import annotations

import argparse
import re
import secrets
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "hypothesis", "--hypothesis-profile=fuzz"]


def main() -> int:
    """Run rounds over the files; 1 as soon as one is red, with the command that shows it again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="test files; default: all that draw examples")
    parser.add_argument("--seconds", type=float, default=600, help="after these no file is begun (default: 600)")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(2**32), help="of the first round; the next adds 1"
    )
    options = parser.parse_args()
    files = options.files or sorted(file for file in (ROOT / "tests").rglob("test_*.py") if draws_examples(file))
    started = time.monotonic()
    print(f"fuzz: {len(files)} files for {options.seconds:.0f} s, first seed {options.seed}", flush=True)
    for seed in count(options.seed):
        for file in files:
            spent = time.monotonic() - started
            if spent >= options.seconds:
                print(f"fuzz: nothing found in {spent:.0f} s, last seed {seed}", flush=True)
                return 0
            if not is_green(file, seed):
                print(f"fuzz: again with: make fuzz ARGS='{short(file)} --seed {seed} --seconds 1'", flush=True)
                return 1
    return 0


def draws_examples(file: Path) -> bool:
    """True if a test file uses hypothesis."""
    return "from hypothesis import" in file.read_text("utf-8")


def short(file: Path) -> Path:
    """A file as one names it in this repository."""
    place = file.absolute()
    return place.relative_to(ROOT) if place.is_relative_to(ROOT) else place


def is_green(file: Path, seed: int) -> bool:
    """Run the drawing tests of one file and print its line; all that pytest said if one is red."""
    command = [sys.executable, *COMMAND, f"--hypothesis-seed={seed}", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.strip()] or ["pytest printed nothing"]
    print(f"seed {seed}  {short(file)}  {re.sub(r'^=+ | =+$', '', lines[-1])}", flush=True)
    if done.returncode:
        print(done.stdout, done.stderr, flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
