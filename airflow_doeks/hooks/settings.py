"""The `[doeks]` section, read and checked; a wrong value gives a warning that names it and the default holds."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_doeks.provider_info import OPTIONS

if TYPE_CHECKING:
    from airflow_doeks.ledger import Ledger

log = logging.getLogger(__name__)
SECTION = "doeks"


@dataclass(frozen=True)
class Settings:
    """Values of the `[doeks]` section, defaults filled in. Times are seconds, paths are absolute or URLs."""

    instance: str
    ledger_path: str
    source_url: str
    local_dir: str
    inject_event_log: bool
    inject_plan_metadata: bool
    inject_identity: bool
    settle_timeout: float
    cancel_timeout: float


def load_settings() -> Settings:
    """The settings in force in this process."""
    home = os.path.join(_airflow_home(), "doeks")  # noqa: PTH118 - may be joined to a URL-like home
    return Settings(
        instance=_text("instance") or default_instance(),
        ledger_path=_text("ledger_path") or f"{home}/ledger",
        source_url=_text("source_url"),
        local_dir=_text("local_dir") or f"{home}/local",
        inject_event_log=_flag("inject_event_log"),
        inject_plan_metadata=_flag("inject_plan_metadata"),
        inject_identity=_flag("inject_identity"),
        settle_timeout=_number("settle_timeout"),
        cancel_timeout=_number("cancel_timeout"),
    )


def has_asset_events() -> bool:
    """Whether datasets that are seen are announced; DAGs are made without asking for the other settings."""
    return _flag("asset_events")


def open_ledger(settings: Settings) -> Ledger:
    """The ledger at ``ledger_path``."""
    from airflow_doeks.hooks.stores import open_store
    from airflow_doeks.ledger import Ledger

    return Ledger(open_store(settings.ledger_path))


def default_instance() -> str:
    """The MWAA environment's name, else the host of base_url, else `localhost`."""
    from airflow_doeks.compat import conf

    mwaa = os.environ.get("AIRFLOW_ENV_NAME") or os.environ.get("MWAA__CORE__ENVIRONMENT_NAME")
    if mwaa:
        return mwaa
    for section in ("api", "webserver"):
        host = urlsplit(conf.get(section, "base_url", fallback="") or "").hostname
        if host:
            return host
    return "localhost"


def _airflow_home() -> str:
    from airflow_doeks.compat import airflow_home

    return airflow_home()


def _text(name: str) -> str:
    from airflow_doeks.compat import conf

    return str(conf.get(SECTION, name, fallback=OPTIONS[name]["default"]) or "").strip()


def _flag(name: str) -> bool:
    text = (_text(name) or OPTIONS[name]["default"]).lower()
    if text in {"true", "t", "1", "yes"}:
        return True
    if text in {"false", "f", "0", "no"}:
        return False
    return _wrong(name, text, "true or false") == "True"


def _number(name: str) -> float:
    text = _text(name) or OPTIONS[name]["default"]
    try:
        value = float(text)
    except ValueError:
        value = -1
    return value if value > 0 else float(_wrong(name, text, "a number of seconds above 0"))


def _wrong(name: str, text: str, expected: str) -> str:
    default: str = OPTIONS[name]["default"]
    log.warning("[%s] %s is %r; expected %s. The default %s holds.", SECTION, name, text, expected, default)
    return default
