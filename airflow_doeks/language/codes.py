"""What each diagnostic code means, at length: `doeks explain CODE` and docs/errors.md."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from airflow_doeks.language.diagnostics import WARNINGS


@functools.lru_cache(maxsize=1)
def codes() -> dict[str, dict[str, Any]]:
    """Code -> ``title``, ``text``, and examples ``wrong`` and ``right`` where a file can show it."""
    import yaml

    found: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("codes.yaml").read_text("utf-8"))
    return found


def explain(code: str) -> str | None:
    """A code's section as Markdown; None if there is no such code."""
    entry = codes().get(code)
    if entry is None:
        return None
    kind = "warning" if code in WARNINGS else "error"
    parts = [f"## {code} {entry['title']}", "", f"{entry['text'].strip()} ({kind})"]
    file = "doeks.yaml" if entry.get("doeks") else "pipeline"
    for name in ("wrong", "right"):
        if name in entry:
            parts += ["", f"{name.capitalize()} ({file}):", "```yaml", entry[name].rstrip(), "```"]
    return "\n".join(parts)
