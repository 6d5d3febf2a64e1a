"""Who is told of what: `on_failure` and its like as Airflow's notifiers and their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

TASK_EVENTS = ("on_failure", "on_success", "on_retry", "on_budget")
PIPELINE_EVENTS = ("on_failure", "on_success", "on_missed_deadline")
_SAID = {  # event -> what is told where the notice says nothing
    "on_failure": "failed",
    "on_success": "succeeded",
    "on_retry": "failed and is tried again",
    "on_missed_deadline": "has not met its deadline",
    "on_budget": "nears its {{ budget | join('; ') }}",
}
_WHAT = "{{ dag_run.dag_id }}{% if ti is defined and ti %}.{{ ti.task_id }}{% endif %}"


class Notifier(NamedTuple):
    """A way to tell: the class, our key -> its argument, and the arguments that the event's words go to."""

    path: str
    arguments: Mapping[str, str]
    words: tuple[str, ...]


# Signatures read in the providers amazon 9.0 to 9.39, slack 9.0 to 9.5 and smtp 1.8 to 3.2, November 2026.
NOTIFIERS: Mapping[str, Notifier] = {
    "slack": Notifier(
        "airflow.providers.slack.notifications.slack.SlackNotifier",
        {"channel": "channel", "text": "text", "connection": "slack_conn_id"},
        ("text",),
    ),
    "email": Notifier(
        "airflow.providers.smtp.notifications.smtp.SmtpNotifier",
        {
            "to": "to",
            "subject": "subject",
            "text": "html_content",
            "from": "from_email",
            "connection": "smtp_conn_id",
        },
        ("subject", "html_content"),
    ),
    "sns": Notifier(
        "airflow.providers.amazon.aws.notifications.sns.SnsNotifier",
        {
            "topic": "target_arn",
            "text": "message",
            "subject": "subject",
            "connection": "aws_conn_id",
            "region": "region_name",
        },
        ("message",),
    ),
    "webhook": Notifier(
        "airflow_doeks.notifications.WebhookNotifier",
        {"connection": "connection", "endpoint": "endpoint", "text": "text", "json": "json", "headers": "headers"},
        ("text",),
    ),
}


def listed(written: Any) -> list[Mapping[str, Any]]:
    """The notices of one key, which may be one or several."""
    return list(written) if isinstance(written, list) else [written] if written else []


def notices_of(values: Mapping[str, Any], events: tuple[str, ...]) -> dict[str, tuple[tuple[str, dict[str, Any]], ...]]:
    """Event -> class and arguments of each notifier, for the events that somebody is told of."""
    return {
        event: tuple(
            _notifier(event, notice) for notice in listed(values[event]) if isinstance(notice, dict) and notice
        )
        for event in events
        if values.get(event)
    }


def _notifier(event: str, notice: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if "uses" in notice:
        return notice["uses"].replace(":", "."), dict(notice.get("with") or {})
    ((kind, given),) = notice.items()
    row = NOTIFIERS[kind]
    words = dict.fromkeys(row.words, f"{_WHAT} {_SAID[event]} in {{{{ dag_run.run_id }}}}")
    return row.path, {**words, **{row.arguments[key]: value for key, value in given.items() if value is not None}}
