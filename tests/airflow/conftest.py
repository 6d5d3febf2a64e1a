"""One throw-away AIRFLOW_HOME for tests that need Airflow in this process."""

from __future__ import annotations

import os
import tempfile

import pytest

# Before anything imports Airflow: it reads its home once.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="doeks-airflow-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
os.environ.setdefault("AIRFLOW__DOEKS__INSTANCE", "tests")  # platforms that are shared refuse `localhost`


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below this folder needs Airflow."""
    for item in items:
        if "/tests/airflow/" in item.path.as_posix():
            item.add_marker(pytest.mark.airflow)


@pytest.fixture(scope="session")
def aliases_are_known() -> None:
    """Airflow 2 looks for the alias of a schedule in its metadata while it makes the DAG."""
    from airflow_doeks import compat

    if not compat.IS_AIRFLOW_3:
        compat.initdb()
