"""Who a job belongs to, and the names and keys that carry it through every platform.

The keys are promises: adoption, reconciliation and the bill look for them. A key or a rule never changes meaning.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

PREFIX = "airflow-doeks/"
TASK_KEY, MODE = f"{PREFIX}task-key", f"{PREFIX}mode"
LASTING = "streaming"  # the mode of a job without an end of its own; others have none
CLOCK_SKEW = timedelta(minutes=5)  # between Airflow's clock and a platform's; AWS refuses signatures beyond it
LABEL_MAX = 63  # Kubernetes: "Labels and Selectors", value syntax, read November 2026
_LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


def digest(*values: object) -> str:
    """64 hex characters of sha256 over the values as compact JSON; equal values give equal text on every host."""
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def label_value(value: str) -> str:
    """The Kubernetes label form of a value: itself if legal, else ``<first 50 legal characters>-<8 hex of sha256>``."""
    if len(value) <= LABEL_MAX and _LABEL.fullmatch(value):
        return value
    legal = re.sub(r"[^A-Za-z0-9_.-]", "-", value)[:50].strip("-_.") or "x"
    return f"{legal}-{hashlib.sha256(value.encode()).hexdigest()[:8]}"


def slug(text: str, length: int = 36) -> str:
    """A DNS-1035 start of a name: lower case, starts with a letter, at most ``length`` characters."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not plain or not plain[0].isalpha():
        plain = f"j-{plain}"
    return plain[:length].strip("-")


@dataclass(frozen=True)
class JobIdentity:
    """One attempt of one Airflow task, as every platform knows it.

    Attributes:
        instance: ``[doeks] instance``; tells Airflow installations on one platform apart. Held in its label form, which
            tags and labels of every platform take as it is, so that what is written is what is looked for.
        run_started: DagRun.start_date; a run that is cleared after it finished, or deleted and made again, has another.
        attempt_id: ``ti.id`` on Airflow 3, a digest of run and try on 2.x; unique per submission attempt.
        cost_tags: what the job is billed by; key -> full value.
    """

    instance: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    run_started: datetime
    attempt_id: str
    cost_tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "instance", label_value(self.instance))

    @property
    def task_key(self) -> str:
        """64 hex, the same for all tries of one task instance."""
        return digest(self.instance, self.dag_id, self.run_id, self.task_id, self.map_index)

    @property
    def token(self) -> str:
        """64 hex, unique per attempt; sent as the platform's idempotency token (EMR clientToken: at most 64)."""
        return digest(self.task_key, self.attempt_id)

    @property
    def lasting_key(self) -> str:
        """64 hex, the same for all runs of one task: what a job without an end is known by."""
        return digest(self.instance, self.dag_id, self.task_id, self.map_index)

    @property
    def lasting_name(self) -> str:
        """``<slug>-<lasting_key[:12]>``: the one name of a task's job without an end."""
        return f"{slug(f'{self.dag_id}-{self.task_id}')}-{self.lasting_key[:12]}"

    def of_task(self, target: str) -> JobIdentity:
        """The same for the task that a name means: ``task`` of this pipeline, ``pipeline:task`` of another."""
        pipeline, _, task = target.rpartition(":")
        return replace(self, dag_id=pipeline or self.dag_id, task_id=task)

    @property
    def name(self) -> str:
        """``<slug>-<token[:12]>``: DNS-1035, at most 49 characters, one per attempt."""
        return f"{slug(f'{self.dag_id}-{self.task_id}')}-{self.token[:12]}"

    @property
    def task_name(self) -> str:
        """``<slug>-<task_key[:12]>``: the same for all tries, so that a list filtered by name finds them."""
        return f"{slug(f'{self.dag_id}-{self.task_id}')}-{self.task_key[:12]}"

    def tags(self, spec_hash: str) -> dict[str, str]:
        """Every key of this job with its full value; platforms turn them into tags, labels and annotations."""
        keys = {
            "dag": self.dag_id,
            "instance": self.instance,
            "map": str(self.map_index),
            "run": self.run_id,
            "run-started": self.run_started.isoformat(),
            "spec": spec_hash[:16],
            "task": self.task_id,
            "task-key": self.task_key[:16],
            "try": str(self.try_number),
        }
        keys |= {f"tag-{key}": value for key, value in sorted(self.cost_tags.items())}
        return {PREFIX + key: value for key, value in keys.items()}

    def lasting_tags(self, spec_hash: str) -> dict[str, str]:
        """The same of a job without an end: its task's key is that of all runs; run and try are of who sent it last."""
        own = {TASK_KEY: self.lasting_key[:16], MODE: LASTING}
        return self.tags(spec_hash) | own
