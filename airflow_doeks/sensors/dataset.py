"""Waits until something stands at a place: a file, or a folder with a file in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from airflow_doeks.compat import BaseSensorOperator
from airflow_doeks.hooks.stores import open_store

_FIRST_WILD = re.compile(r"[*?\[]")


class DatasetSensor(BaseSensorOperator):
    """Succeeds when anything is there.

    Args:
        dataset: an ``s3://`` or ``file:`` URI; ``*`` and ``?`` stand for parts of names, ``*`` also for ``/``.
        connection: the Airflow connection that may list it.
    """

    template_fields: Sequence[str] = ("dataset", "connection")

    def __init__(self, *, dataset: str, connection: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.connection = connection

    def poke(self, context: Any) -> bool:  # noqa: ARG002 - Airflow's signature
        """One look; a place that may not be listed fails the task."""
        wild = _FIRST_WILD.search(self.dataset)
        fixed = self.dataset[: wild.start()] if wild else self.dataset.rstrip("/")
        folder, _, start = fixed.rpartition("/")
        pattern = self.dataset[len(folder) + 1 :]
        names = open_store(folder, self.connection).list(start)
        if wild:
            return any(fnmatchcase(name, pattern) for name in names)
        return any(name == start or name.startswith(f"{start}/") for name in names)
