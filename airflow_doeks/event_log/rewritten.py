"""Lines of a log that a JSON tool wrote anew, with spaces or keys in another order, as Spark writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_FIRST = {  # event -> keys that are looked for right behind its name
    "SparkListenerStageSubmitted": ("Stage Info",),
    "SparkListenerSQLAdaptiveExecutionUpdate": ("executionId",),
}
_IN_STAGE = ("Stage ID", "Stage Attempt ID")
PRETTY = (
    "the file is JSON of many lines, not an event log, which has one event a line; `jq -c . FILE` writes it so, "
    "`jq -c '.[]' FILE` if it is a list"
)


def as_spark_writes(line: bytes) -> bytes | None:
    """The event of a line, its name first and without spaces; None if it is no event."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("Event"), str):
        return None
    if isinstance(event.get("Stage Info"), dict):
        event["Stage Info"] = _ordered(event["Stage Info"], _IN_STAGE)
    keys = ("Event", *_FIRST.get(event["Event"].rpartition(".")[2], ()))
    return json.dumps(_ordered(event, keys), separators=(",", ":")).encode()


def is_pretty(first: bytes) -> bool:
    """True if a file's first line begins JSON that goes on below, or a list of events."""
    return first.strip() in (b"{", b"[") or first.lstrip().startswith(b"[{")


def _ordered(found: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: found[key] for key in keys if key in found} | {k: v for k, v in found.items() if k not in keys}
