"""Where Airflow looks for the log of a try, so that its UI shows what `doeks run` wrote there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from airflow_doeks import compat


def log_of(dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int) -> Path:
    """The file, by Airflow's own template."""
    from jinja2 import Template

    ti = SimpleNamespace(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index, try_number=try_number)
    template = Template(compat.conf.get("logging", "log_filename_template"))
    return Path(compat.conf.get("logging", "base_log_folder"), template.render(ti=ti, try_number=try_number))
