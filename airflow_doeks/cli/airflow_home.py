"""Where the commands keep Airflow on this machine, and how they end."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType


def home_of(file: Path, project: Path) -> Path:
    """AIRFLOW_HOME, else `.airflow` beside the nearest doeks.yaml, else in the project."""
    if os.environ.get("AIRFLOW_HOME"):
        return Path(os.environ["AIRFLOW_HOME"]).expanduser().absolute()
    return next((parent for parent in file.parents if (parent / "doeks.yaml").is_file()), project) / ".airflow"


def settle_home(home: Path, dags: Path) -> None:
    """Point Airflow, not yet imported, at its home and the DAG folder."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)  # Airflow's keys, its database and its logs
    os.environ["AIRFLOW_HOME"] = str(home)
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(dags)
    os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")


def interrupt_on_signals() -> None:
    """TERM and HUP, from a CI server or a closed terminal, end a command as Ctrl-C does.

    Ctrl-C has a handler, too: in the place of Python's own, asyncio would put one that only cancels what it runs.
    """

    def interrupt(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
