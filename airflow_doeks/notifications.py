"""What a DAG names to tell somebody: the notifier behind it is imported when there is something to tell."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_doeks.compat import BaseNotifier


@dataclass(frozen=True)
class Notification:
    """A callback of Airflow that tells by one notifier; ``arguments`` are rendered by it."""

    path: str
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __call__(self, context: Any) -> None:
        """Import the notifier and let it tell."""
        self._notifier()(context)

    def tell(self, context: dict[str, Any]) -> None:
        """The same, but what goes wrong is raised: Airflow 2's notifiers only log it when they are called."""
        notifier = self._notifier()
        if not isinstance(notifier, BaseNotifier):
            notifier(context)
            return
        context |= {name: getattr(notifier, name) for name in notifier.template_fields}
        notifier.render_template_fields(context)
        notifier.notify(context)

    def _notifier(self) -> Any:
        module, _, name = self.path.rpartition(".")
        return getattr(importlib.import_module(module), name)(**self.arguments)


async def tell_missed_deadline(notices: str, context: Any = None, **more: Any) -> None:
    """What Airflow's triggerer awaits; ``notices`` is JSON, a list of path and arguments."""
    for path, arguments in json.loads(notices):
        await asyncio.to_thread(Notification(path, arguments), dict(context or more))


class WebhookNotifier(BaseNotifier):
    """Posts JSON to the host of an Airflow connection of type HTTP, whose password or extra may hold a token.

    Args:
        connection: id of the connection.
        endpoint: path below its host.
        text: the key ``text`` of the JSON, as chats take it, unless ``json`` is given.
        json: the body.
        headers: further headers.
    """

    template_fields: Sequence[str] = ("connection", "endpoint", "text", "json", "headers")

    def __init__(
        self,
        *,
        connection: str,
        endpoint: str = "",
        text: str = "",
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.connection = connection
        self.endpoint = endpoint
        self.text = text
        self.json = json
        self.headers = headers

    def notify(self, context: Any) -> None:  # noqa: ARG002 - Airflow's signature
        """Post it; an answer of 400 and above is an error."""
        from airflow_doeks.hooks.http import post_json

        body = {"text": self.text} if self.json is None else dict(self.json)
        post_json(self.connection, self.endpoint, body, dict(self.headers or {}))
