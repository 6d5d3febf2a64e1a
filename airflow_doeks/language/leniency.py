"""Where policies do not hold, or only warn: exceptions with a reason, and the list ``warn``, by policy."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from airflow_doeks.language.diagnostics import Finding
from airflow_doeks.language.merging import Facts, PipelineFacts

POLICIES = {  # code -> the policy behind it
    "DK301": "required_cost_tags",
    "DK302": "allowed_cost_tags",
    "DK303": "max_executors",
    "DK304": "allowed_images",
    "DK305": "allowed_uses",
    "DK306": "platforms",
    "DK307": "max_budget_usd",
    "DK308": "max_cpu",
    "DK309": "max_memory",
    "DK310": "required_presets",
}


def eased(facts: Facts | PipelineFacts, found: Iterable[Finding]) -> list[Finding]:
    """The findings without those that an exception lets pass; those of a policy under ``warn`` stop nothing."""
    pipeline = facts if isinstance(facts, PipelineFacts) else facts.pipeline
    policies = pipeline.setting.data.get("policies") or {}
    where = pipeline.dag_id.replace(".", "/")
    # Of what the schema refuses something harmless is left, which need not be whole.
    exceptions = [one for one in policies.get("exceptions") or () if isinstance(one, dict)]
    passed = [
        one.get("policy")
        for one in exceptions
        if any(fnmatchcase(where, pattern.removesuffix(".yaml")) for pattern in one.get("pipelines") or ())
    ]
    mild = policies.get("warn") or ()
    kept = [one for one in found if _policy(one) not in passed]
    return [one._replace(is_warning=True) if _policy(one) in mild else one for one in kept]


def _policy(finding: Finding) -> str:
    name = "" if finding.is_firm else POLICIES.get(finding.code, "")
    return "max_task_managers" if name == "max_executors" and "task_manager" in finding.path else name
