"""Pools, connections and variables of an Airflow: in its metadata database, or through its REST API."""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import quote

from airflow_doeks import compat
from airflow_doeks.hooks.rest import RestApi
from airflow_doeks.lifecycle.needs import Pool
from airflow_doeks.model.errors import PlatformError


class AirflowObjects(Protocol):
    """What `doeks apply` asks of an Airflow; no value of a connection or variable leaves here."""

    def pool(self, name: str) -> Pool | None:
        """The pool as it is; None if there is none."""

    def write_pool(self, pool: Pool, description: str) -> None:
        """Make it, or give it these slots; a description that it has stays."""

    def has_connection(self, name: str) -> bool | None:
        """None: not where this looks, and it cannot look everywhere."""

    def has_variable(self, name: str) -> bool | None:
        """The same."""


class OfDatabase:
    """Of the Airflow of AIRFLOW_HOME, its environment variables and its secrets backend."""

    def pool(self, name: str) -> Pool | None:
        """The pool as it is."""
        model = compat.Pool
        with compat.create_session() as session:
            found = session.query(model.slots, model.include_deferred).filter(model.pool == name).one_or_none()
        return None if found is None else Pool(name, found[0], counts_deferred=bool(found[1]))

    def write_pool(self, pool: Pool, description: str) -> None:
        """Make or change it."""
        model = compat.Pool
        with compat.create_session() as session:
            found = session.query(model).filter(model.pool == pool.name).one_or_none()
            if found is None:
                found = model(pool=pool.name, description=description)
                session.add(found)
            found.slots, found.include_deferred = pool.slots, pool.counts_deferred

    def has_connection(self, name: str) -> bool | None:
        """Looked for where a task would look."""
        try:
            compat.ConnectionModel.get_connection_from_secrets(name)
        except compat.AirflowNotFoundException:
            return False
        return True

    def has_variable(self, name: str) -> bool | None:
        """The same."""
        return compat.VariableModel.get(name, default_var=None) is not None


class OfRestApi:
    """Of an Airflow 3 anywhere; what workers have in their environment or in a secrets backend is not seen."""

    def __init__(self, url: str, token: str | None) -> None:
        self._api = RestApi(url, token)
        if self._api.get("/version") is None:
            msg = f"{url} is no Airflow 3: it has no /api/v2/version"
            raise PlatformError(msg)

    def pool(self, name: str) -> Pool | None:
        """The pool as it is."""
        found = self._api.get(f"/pools/{quote(name, safe='')}")
        return None if found is None else Pool(name, found["slots"], counts_deferred=found["include_deferred"])

    def write_pool(self, pool: Pool, description: str) -> None:
        """Make or change it."""
        size: dict[str, Any] = {"slots": pool.slots, "include_deferred": pool.counts_deferred}
        if self.pool(pool.name) is None:
            self._api.ask("POST", "/pools", {"name": pool.name, "description": description, **size})
        else:
            mask = "&".join(f"update_mask={key}" for key in size)
            self._api.ask("PATCH", f"/pools/{quote(pool.name, safe='')}?{mask}", {"pool": pool.name, **size})

    def has_connection(self, name: str) -> bool | None:
        """Whether the metadata has it."""
        return self._api.get(f"/connections/{quote(name, safe='')}") is not None or None

    def has_variable(self, name: str) -> bool | None:
        """The same."""
        return self._api.get(f"/variables/{quote(name, safe='')}") is not None or None
