"""Configuration of what EMR runs beside Spark, by its classifications; light to import.

Limits: the shapes Configuration and ConfigurationList of botocore's service model of emr-containers 2020-10-01, read
November 2026; a test holds both against each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_doeks.model.quantities import is_template
from airflow_doeks.platforms.protocol import Finding

CONFIGURATIONS_MAX = 100
PROPERTIES_MAX = 100
TEXT_LENGTH_MAX = 1024
_OURS = {"spark-defaults": "write the properties under `conf`"}  # classifications that are written from other keys
# For hints only. "Supported configuration classifications" on the release pages of EMR on EKS, read November 2026, and
# three that later releases added (the submitter's, the defaults', log4j2), whose page was not read; EMR may know more.
_DOCUMENTED = (
    "core-site",
    "emr-containers-defaults",
    "emr-job-submitter",
    "emrfs-site",
    "spark-env",
    "spark-hive-site",
    "spark-log4j",
    "spark-log4j2",
    "spark-metrics",
)


def merged(*layers: Sequence[Any]) -> list[dict[str, Any]]:
    """Configurations as the API takes them, the last layer's property wins; entries of one classification are one."""
    found: dict[str, dict[str, Any]] = {}
    for one in (plain(item) for layer in layers for item in layer):
        entry = found.setdefault(one["classification"], {"classification": one["classification"]})
        properties = {**entry.get("properties", {}), **_texts(one.get("properties") or {})}
        inner = merged(entry.get("configurations", ()), one.get("configurations") or ())
        entry |= {"properties": properties} if properties else {}
        entry |= {"configurations": inner} if inner else {}
    return list(found.values())


def plain(item: Any) -> Mapping[str, Any]:
    """A configuration as a mapping, whether it is one or the model of one."""
    found: Mapping[str, Any] = item if isinstance(item, Mapping) else item.model_dump()
    return found


def configuration_findings(of_platform: Sequence[Any], of_job: Sequence[Any]) -> list[Finding]:
    """What EMR would refuse of a job's configuration merged over its platform's, and what is not set here."""
    found = list(_findings(of_platform, "configuration of the platform"))
    found += _findings(of_job, "configuration")
    count = len(merged(of_platform, of_job)) + 2  # spark-defaults and emr-job-submitter are ours
    if not found and count > CONFIGURATIONS_MAX:
        found.append(Finding("configuration", f"{count} classifications; EMR takes {CONFIGURATIONS_MAX}", "drop some"))
    return found


def _findings(items: Iterable[Any], path: str) -> Iterator[Finding]:
    for index, one in enumerate(plain(item) for item in items):
        where, name = f"{path}[{index}]", str(one.get("classification") or "")
        if is_template(name):
            yield Finding(f"{where}.classification", "a classification is no template", "write its name")
        elif name in _OURS:
            yield Finding(f"{where}.classification", f"{name} is not set here", _OURS[name])
        elif not _fits(name):
            yield Finding(f"{where}.classification", f"1 to {TEXT_LENGTH_MAX} characters, not blank", "write its name")
        properties = one.get("properties") or {}
        if len(properties) > PROPERTIES_MAX:
            yield Finding(
                f"{where}.properties", f"{len(properties)} properties; EMR takes {PROPERTIES_MAX}", "drop some"
            )
        for key, value in _texts(properties).items():
            if not _fits(key) or not (_fits(value) or is_template(value)):
                text = f"{key[:40]}: key and value have 1 to {TEXT_LENGTH_MAX} characters and are not blank"
                yield Finding(f"{where}.properties", text, "shorten it, or leave it out")
        inner = one.get("configurations") or ()
        if len(inner) > CONFIGURATIONS_MAX:
            yield Finding(f"{where}.configurations", f"{len(inner)}; EMR takes {CONFIGURATIONS_MAX}", "drop some")
        yield from _findings(inner, f"{where}.configurations")


def misspelt(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Classifications that nearly are one that EMR documents, each with that one."""
    for name in names:
        if name in _DOCUMENTED:
            continue
        from difflib import get_close_matches  # good files pay nothing for it

        near = get_close_matches(name, _DOCUMENTED, n=1, cutoff=0.85)
        if near:
            yield name, near[0]


def _fits(text: str) -> bool:
    return len(text) <= TEXT_LENGTH_MAX and bool(text.strip())


def _texts(properties: Mapping[str, Any]) -> dict[str, str]:
    """Properties as text: ``true``, not ``True``."""
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in properties.items()}
