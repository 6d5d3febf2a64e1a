"""What `--help` shows of every command."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from airflow_doeks.cli import COMMANDS, main


def _paths() -> list[tuple[str, ...]]:
    """Every command, and every command of a group."""
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        found += [(name, inner) for inner in getattr(command, "commands", ())] or [(name,)]
    return found


@pytest.mark.parametrize("path", _paths(), ids=" ".join)
def test_examples_stand_in_lines_of_their_own(path):
    """An example can be copied: none is wrapped into another, and no mark of ours is shown."""
    done = CliRunner().invoke(main, [*path, "--help"], terminal_width=80)
    assert (done.exit_code, "\\b" in done.stdout) == (0, False)
    assert all(line.count("doeks " + path[0]) <= 1 for line in done.stdout.splitlines())
