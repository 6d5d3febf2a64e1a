"""Where Airflow's logs go while a command prints what it was asked for."""

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
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(saved, "w", closefd=False) as reader:
            yield console(reader)
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
