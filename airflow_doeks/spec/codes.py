"""What each diagnostic code means, at length: `doeks explain CODE` and docs/errors.md."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from airflow_doeks.spec.diagnostics import WARNINGS

_GROUPS = {
    "DK1": "Structure: what the JSON Schema rejects, or what is no document at all",
    "DK2": "Meaning: beyond the schema",
    "DK3": "Policy: what the platform team demands in doeks.yaml",
    "DK4": "Platform: what would be refused when the job is sent",
}


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


def errors_page() -> str:
    """docs/errors.md."""
    parts = ["# Diagnostics", "", "Generated from `airflow_doeks/spec/codes.yaml`. A code never changes its meaning."]
    for code in codes():
        if code[3:] == "01":
            parts += ["", f"# {_GROUPS[code[:3]]}"]
        parts += ["", explain(code) or ""]
    return "\n".join(parts) + "\n"
