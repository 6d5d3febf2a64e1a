"""What a pipeline means, judged on what is merged: one table of functions from facts to findings.

A check reads facts and gives findings; it changes nothing, knows no other check and no place in a file. The table
names functions by path, so that a pipeline pays for the checks of what it has: the other modules are not imported.
"""

from __future__ import annotations

from airflow_doeks.language.diagnostics import Finding
from airflow_doeks.language.merging import Facts, PipelineFacts
from airflow_doeks.model.engine import load

CHECKS: tuple[tuple[str, str], ...] = (  # of what -> module below this package, and function
    ("pipeline", "meaning:schedule"),
    ("pipeline", "meaning:dates"),
    ("pipeline", "meaning:zones"),
    ("task", "meaning:durations"),
    ("task", "meaning:datasets"),
    ("task", "meaning:role"),
    ("task", "meaning:expand"),
    ("task", "meaning:templates"),
    ("uses", "uses:arguments"),
    ("uses", "uses:platform"),
    ("uses", "uses:allowed"),
    ("job", "job:platform"),
    ("job", "job:work"),
    ("job", "job:code"),
    ("job", "job:quantities"),
    ("job", "job:presets"),
    ("job", "job:release"),
    ("job", "job:properties"),
    ("job", "platform:refusals"),
    ("job", "platform:warnings"),
    ("job", "platform:cost_tags"),
    ("job", "platform:nodes"),
    ("task under policies", "policies:budget"),
    ("job under policies", "policies:cost_tags"),
    ("job under policies", "policies:executors"),
    ("job under policies", "policies:images"),
    ("job under policies", "policies:platforms"),
)


def check(facts: Facts | PipelineFacts) -> list[Finding]:
    """Everything wrong with a task, or with what its pipeline says of itself."""
    applying = _applying(facts)
    found: list[Finding] = []
    for of, name in CHECKS:
        if of in applying:
            said = {one.path for one in found}
            found += [one for one in load(f"{__name__}.{name}")(facts) if not (one.gives_way and one.path in said)]
    return found


def _applying(facts: Facts | PipelineFacts) -> set[str]:
    if isinstance(facts, PipelineFacts):
        return {"pipeline"}
    kinds = {"task", "uses" if facts.job is None else "job"}
    return kinds | {f"{kind} under policies" for kind in kinds} if facts.policies else kinds
