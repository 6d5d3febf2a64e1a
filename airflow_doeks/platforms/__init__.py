"""Where jobs run: one module a platform type behind one protocol. No prices, no lineage, no Airflow here."""

from __future__ import annotations

import importlib
from types import ModuleType

TYPES = {  # platform type -> module; imported when used
    "emr_on_eks": "airflow_doeks.platforms.emr_on_eks.platform",
    "local": "airflow_doeks.platforms.local.platform",
}

CHECKS = {  # platform type -> module with `check_job` and perhaps `check_cost_tags`; imports no pydantic
    "emr_on_eks": "airflow_doeks.platforms.emr_on_eks.checks",
    "local": "airflow_doeks.platforms.local.checks",
}

REFS = {  # platform type -> the form of its jobs' refs
    "emr_on_eks": "emr_on_eks://<account>.<region>/<virtual-cluster>/<job-run>",
    "local": "local://<host>/<run-dir>",
}


def module(platform_type: str) -> ModuleType:
    """The module of a platform type: ``Config`` (pydantic model of its doeks.yaml entry) and ``Platform``.

    Raises KeyError for an unknown type.
    """
    return importlib.import_module(TYPES[platform_type])
