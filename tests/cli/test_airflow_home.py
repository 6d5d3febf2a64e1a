"""Where the commands keep Airflow on this machine."""

from __future__ import annotations

from airflow_doeks.cli.airflow_home import settle_home


def test_a_new_home_is_its_owners_alone(tmp_path, monkeypatch):
    """Airflow's configuration with its keys, its database and its logs are readable by nobody else."""
    for name in ("AIRFLOW_HOME", "AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW__CORE__LOAD_EXAMPLES"):
        monkeypatch.setenv(name, "")
    home = tmp_path / ".airflow"
    settle_home(home, tmp_path)
    settle_home(home, tmp_path)
    assert oct(home.stat().st_mode & 0o777) == "0o700"
