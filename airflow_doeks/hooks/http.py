"""Posts to the host of an Airflow connection of type HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow.providers.http.hooks.http import HttpHook


def post_json(connection: str, endpoint: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """Post ``body`` below the connection's host; raises AirflowException for an answer of 400 and above."""
    HttpHook(method="POST", http_conn_id=connection).run(
        endpoint, data=json.dumps(body), headers={"Content-Type": "application/json", **headers}
    )
