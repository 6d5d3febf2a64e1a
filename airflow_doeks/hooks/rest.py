"""Airflow 3's public REST API, for commands that stand anywhere."""

from __future__ import annotations

from typing import Any

from airflow_doeks.model.errors import PlatformError

_SECONDS = 30.0


class RestApi:
    """One Airflow; ``token`` is a bearer token of a user. What it does not answer is PlatformError."""

    def __init__(self, url: str, token: str | None) -> None:
        import requests

        self.url = url
        self._session = requests.Session()
        self._session.headers.update({"Authorization": f"Bearer {token}"} if token else {})

    def get(self, path: str) -> dict[str, Any] | None:
        """What stands at a path below ``/api/v2``; None for what there is not."""
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The same with another verb. A redirect, as to a login page, is no answer."""
        import requests

        where = f"{self.url.rstrip('/')}/api/v2{path}"
        try:
            answer = self._session.request(method, where, json=body, timeout=_SECONDS, allow_redirects=False)
            if answer.status_code == requests.codes.not_found:
                return None
            if answer.status_code not in (requests.codes.ok, requests.codes.created):
                msg = f"{where}: {answer.status_code} {answer.reason}"
                raise requests.HTTPError(msg)
            found: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError) as error:
            msg = f"Airflow does not answer {method} {path}: {error}"
            raise PlatformError(msg, retryable=True) from error
        return found
