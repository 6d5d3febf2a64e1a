"""Waits for a job that somebody else started; never cancels it, leaves no record."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from airflow_doeks.compat import AirflowException, AirflowFailException, AirflowSkipException, BaseSensorOperator
from airflow_doeks.hooks.platforms import connect
from airflow_doeks.lifecycle import Budgets
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.platforms.protocol import saving
from airflow_doeks.platforms.registry import TYPES
from airflow_doeks.triggers.job import JobTrigger, event_status


class JobSensor(BaseSensorOperator):
    """Succeeds when the job succeeded, or runs, or saved its state so often; fails with its root cause when it did not.

    Args:
        ref: the job ref, e.g. the XCom of a SparkJobOperator or ``emr_on_eks://<account>.<region>/<vc>/<job-run>``.
        platform: an entry of doeks.yaml as a dict with ``name`` and ``type``.
        until: ``finished``, or ``running``: well, without a restart, for ``stable_for`` seconds.
        checkpoints: completed checkpoints of the running job that are waited for instead, of a job that takes some;
            looked at every ``poke_interval``, not in the triggerer.
        deferrable: wait in the triggerer (default); else poke or reschedule as any sensor. `timeout` holds in each.
    """

    template_fields: Sequence[str] = ("ref",)

    def __init__(
        self,
        *,
        ref: str,
        platform: Mapping[str, Any],
        until: Literal["finished", "running"] = "finished",
        stable_for: float = 0.0,
        checkpoints: int | None = None,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.until = until
        self.stable_for = stable_for
        self.checkpoints = checkpoints
        self.ref = ref
        self.platform = platform
        self.deferrable = True if deferrable is None else deferrable

    def poke(self, context: Any) -> bool:  # noqa: ARG002 - Airflow's signature
        """One look at the job."""
        platform, ref = connect(self.platform), self._job()
        status = platform.observe(ref)
        if self._verdict(status):
            return True
        if self.checkpoints is not None:
            return saving(platform).checkpoints(ref) >= self.checkpoints
        if self.until == "finished" or status.state is not JobState.RUNNING or not status.is_well:
            return False
        since = max((moment for moment in (status.started, status.changed) if moment is not None), default=None)
        return since is not None and datetime.now(timezone.utc) - since >= timedelta(seconds=self.stable_for)

    def execute(self, context: Any) -> Any:
        """Look once, then wait in the triggerer; not deferrable: as any sensor."""
        if not self.deferrable or self.checkpoints is not None:
            return super().execute(context)
        if not self.poke(context):
            now = datetime.now(timezone.utc).isoformat()
            waiting = JobTrigger(
                ref=self.ref,
                submitted=now,
                platform=dict(self.platform),
                budgets=Budgets().to_json(),
                owns_job=False,
                stable_for=self.stable_for if self.until == "running" else None,
            )
            self.defer(trigger=waiting, method_name="execute_complete", timeout=timedelta(seconds=float(self.timeout)))
        return self.ref

    def execute_complete(self, context: Any, event: Mapping[str, Any]) -> str:
        """The job ended, or the worker has to look because the triggerer cannot: then it waits as any sensor."""
        status = event_status(event)
        if status is None or status.state is JobState.LOST:  # perhaps to the triggerer alone
            why = event.get("error") if status is None else status.reason
            self.log.warning("The triggerer does not see %s (%s): the worker looks", self.ref, why)
            super().execute(context)
        else:
            self._verdict(status)
        return self.ref

    def _job(self) -> JobRef:
        """The ref after rendering; a template that finds nothing renders to None or to nothing."""
        form = TYPES[self.platform["type"]].ref
        if not re.fullmatch(re.sub("<[^>]+>", r"[^/\\s]+", form.replace(".", r"\.")), str(self.ref)):
            msg = (
                f"ref: {str(self.ref)[:200]!r} is no job of platform {self.platform.get('name')!r}; expected {form}, "
                "the return value of the task that submits the job. That task must have run before this one."
            )
            raise AirflowFailException(msg)
        return JobRef(self.ref)

    def _verdict(self, status: JobStatus) -> bool:
        if not status.state.is_terminal or status.state is JobState.SUCCEEDED:
            return status.state.is_terminal
        failure = connect(self.platform).explain(status.ref)
        msg = f"{self.ref} {status.state.value}: {failure.category}: {failure.message}"
        raise (AirflowSkipException if self.soft_fail else AirflowException)(msg)
