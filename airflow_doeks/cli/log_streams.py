"""Where Airflow's logs go while a command prints what it was asked for, or says in one line why it cannot."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from rich.console import Console

from airflow_doeks.cli.figures import console


@contextlib.contextmanager
def logs_to_stderr() -> Iterator[Console]:
    """A console for the reader, while what Airflow logs, to standard output too, goes to standard error."""
    with _sent(1, 2) as saved, os.fdopen(saved, "w", closefd=False) as reader:
        yield console(reader)


@contextlib.contextmanager
def no_logs() -> Iterator[None]:
    """Nothing that Airflow logs is shown: for what ends well, or with one line that says all."""
    with open(os.devnull, "w") as nowhere, _sent(1, nowhere.fileno()), _sent(2, nowhere.fileno()):  # noqa: PTH123 - no file
        yield


@contextlib.contextmanager
def _sent(stream: int, where: int) -> Iterator[int]:
    """What is written to a stream's number goes to another; gives a number of the place where it went before."""
    for one in (sys.stdout, sys.stderr):
        one.flush()
    saved = os.dup(stream)
    os.dup2(where, stream)
    try:
        yield saved
    finally:
        for one in (sys.stdout, sys.stderr):
            one.flush()
        os.dup2(saved, stream)
        os.close(saved)
