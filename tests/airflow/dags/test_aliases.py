"""The table of aliases against the operators that are installed."""

from __future__ import annotations

import importlib
import inspect

import pytest

from airflow_doeks import compat
from airflow_doeks.language.operators import aliases

pytestmark = pytest.mark.airflow


@pytest.mark.parametrize("name", sorted(aliases()))
def test_an_alias_names_a_class_with_the_arguments_of_the_table(name):
    """The import path exists on this Airflow, every argument is one of the class or its bases, the needed ones too."""
    alias = aliases()[name]
    module, _, attribute = alias.path.replace("airflow.providers.standard.", compat.STANDARD).rpartition(".")
    operator = getattr(importlib.import_module(module), attribute)
    taken = {
        parameter
        for base in operator.__mro__
        if "__init__" in vars(base)
        for parameter in inspect.signature(base.__init__).parameters
    }
    assert set(alias.takes) - taken == set()
