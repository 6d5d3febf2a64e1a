"""The `[doeks]` section: defaults, and what a wrong value does."""

from __future__ import annotations

import logging

import pytest

from airflow_doeks.hooks.settings import load_settings
from airflow_doeks.provider_info import OPTIONS, get_provider_info


def test_defaults_need_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a section everything lives below AIRFLOW_HOME and every injection is on."""
    monkeypatch.delenv("AIRFLOW__DOEKS__INSTANCE", raising=False)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/home")
    monkeypatch.setenv("AIRFLOW__WEBSERVER__BASE_URL", "https://airflow.example.org/home")
    settings = load_settings()
    assert settings.ledger_path.endswith("/doeks/ledger")
    assert settings.local_dir.endswith("/doeks/local")
    assert settings.instance == "airflow.example.org"
    assert (settings.inject_event_log, settings.inject_plan_metadata, settings.inject_identity) == (True, True, True)


def test_mwaa_names_the_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """On MWAA the environment's name keeps installations apart."""
    monkeypatch.delenv("AIRFLOW__DOEKS__INSTANCE", raising=False)
    monkeypatch.setenv("AIRFLOW_ENV_NAME", "prod-eu")
    assert load_settings().instance == "prod-eu"


@pytest.mark.parametrize(
    ("option", "value"),
    [("settle_timeout", "soon"), ("settle_timeout", "-3"), ("cancel_timeout", "0"), ("inject_identity", "maybe")],
)
def test_a_wrong_value_is_named_and_the_default_holds(
    option: str, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning that names the setting, what it is and what was expected; the task goes on."""
    monkeypatch.setenv(f"AIRFLOW__DOEKS__{option.upper()}", value)
    with caplog.at_level(logging.WARNING, logger="airflow_doeks.hooks.settings"):
        settings = load_settings()
    (message,) = caplog.messages
    assert f"[doeks] {option} is {value!r}" in message
    assert str(getattr(settings, option)) in {OPTIONS[option]["default"], f"{OPTIONS[option]['default']}.0"}


def test_every_option_is_described() -> None:
    """`airflow providers configs` shows a description and a default for each."""
    options = get_provider_info()["config"]["doeks"]["options"]
    assert all(option["description"] and isinstance(option["default"], str) for option in options.values())
