"""dag-factory's YAML as ours: what carries over, and a note for everything that does not.

Reads both dialects: tasks as a mapping or as a list with ``task_id``, of dag-factory 0.x and 1.x. Runs nothing that
the file names: Python tags and ``__type__`` become notes.
"""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from airflow_doeks.dialects.dag_factory.conversion import DagConversion
from airflow_doeks.dialects.dag_factory.layers import Source, read_dags
from airflow_doeks.dialects.dag_factory.project import Converted, Platforms
from airflow_doeks.model.errors import SpecError

# What a value of another shape than dag-factory's comes to; which value it may be is dag-factory's to say.
_OTHER_SHAPE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, yaml.YAMLError)


def convert(text: str, name: str = "the file", defaults: Sequence[Source] = ()) -> list[Converted]:
    """Our pipelines of a dag-factory file, one a DAG; ``defaults`` are its defaults.yml files, the outermost first.

    Raises SpecError for text that is no dag-factory YAML.
    """
    try:
        loaded = read_dags(Source(name, text), defaults)
    except _OTHER_SHAPE as error:
        msg = f"{name} is not of dag-factory's shape: {error}"
        raise SpecError(msg) from error
    platforms = Platforms()
    conversions = [DagConversion(dag_id, dag, platforms) for dag_id, dag in loaded.dags.items()]
    for conversion in conversions:
        conversion.tell(loaded.notes)
        _run(conversion, name)
    return [conversion.converted() for conversion in conversions]


def _run(conversion: DagConversion, name: str) -> None:
    try:
        conversion.run()
    except _OTHER_SHAPE as error:
        place = f", task {conversion.place}" if conversion.place else ""
        msg = f"{name}: DAG {conversion.dag_id}{place} is not of dag-factory's shape: {error}"
        raise SpecError(msg) from error
    except RecursionError as error:
        msg = f"{name}: nested too deep"
        raise SpecError(msg) from error
