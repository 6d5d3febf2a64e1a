"""Calls a function of a Python file of the project, which only the worker imports; Airflow's operators do the rest."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_doeks import compat
from airflow_doeks.compat import AirflowFailException, BaseOperator
from airflow_doeks.operators.job import code_folder_of, item_of

_python = importlib.import_module(f"{compat.STANDARD}operators.python")
_Python: Any = _python.PythonOperator
_Branch: Any = _python.BranchPythonOperator
_ShortCircuit: Any = _python.ShortCircuitOperator


def _not_loaded() -> None:
    """Stands for the function until the task runs."""


class _OfFile(BaseOperator):
    """The part that finds the function.

    Args:
        file: Python file, relative to ``folder``; it must stand below the folder of the nearest doeks.yaml.
        function: its name.
        folder: relative to the DAG file's folder unless absolute.
        source: dotted path below the task -> ``file:line:col`` in the YAML, for errors.
        item, item_keys: as of a `JobOperator`.
    """

    def __init__(
        self,
        *,
        file: str,
        function: str,
        folder: str = "",
        source: Mapping[str, str] | None = None,
        item: Any = None,
        item_keys: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(python_callable=_not_loaded, **kwargs)
        self.file = file
        self.function = function
        self.folder = folder
        self.source = {} if source is None else source
        self.item = item_of(item, item_keys)

    def execute(self, context: Any) -> Any:
        """Import the file, then as Airflow's operator; a function that is not there is worth no retry."""
        from airflow_doeks.lifecycle.staging import CodeRefused, code_file

        where = self.source.get("") or self.file
        try:
            file = code_file(self.file, code_folder_of(self), "file")
        except CodeRefused as error:
            msg = f"{where}: {error}"
            raise AirflowFailException(msg) from error
        self.python_callable = _function_of(file, self.function)
        if self.python_callable is None:
            msg = f"{where}: {file} has no function {self.function!r}"
            raise AirflowFailException(msg)
        return super().execute(context)


def _function_of(file: Path, name: str) -> Callable[..., Any] | None:
    """A function of a file, which may import what stands beside it; None if it has none of that name."""
    module_name = f"doeks_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # what it defines can be pickled
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    return found if callable(found) else None


class FunctionOperator(_OfFile, _Python):
    """The function's return value is the task's output."""


class BranchOperator(_OfFile, _Branch):
    """The function returns the id of the task that follows, with its groups' ids, or a list of them."""


class ShortCircuitOperator(_OfFile, _ShortCircuit):
    """What follows is skipped where the function returns nothing that is true."""
