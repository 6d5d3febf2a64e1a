"""The task of the bundled pipeline `doeks_reconcile`: settles what ended unheard, ends what nobody waits for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow_doeks.compat import AirflowException, BaseOperator


class ReconcileOperator(BaseOperator):
    """Holds all jobs of this Airflow that have no settled record against its task states; returns how many of each.

    Before Airflow 3.1 it also tells of runs that have not met the `deadline` of their pipeline.

    Args:
        project: a folder of the project, relative to the DAG file: the nearest doeks.yaml upward names the platforms.
        environment: of doeks.yaml; DOEKS_ENV or `[doeks] environment` if left out.
        platforms: name -> entry, in the place of doeks.yaml's, for DAGs without one.
        since_days: running records submitted that many days ago are looked at; living jobs are whatever their age.
        orphan_after: how long a task is over before its job is cancelled.

    Fails if a job could not be dealt with; the next run finds it again.
    """

    template_fields: Sequence[str] = ()

    def __init__(
        self,
        *,
        project: str = ".",
        environment: str | None = None,
        platforms: Mapping[str, Mapping[str, Any]] | None = None,
        since_days: int = 7,
        orphan_after: timedelta = timedelta(minutes=10),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project, self.environment, self.platforms = project, environment, platforms
        self.since_days, self.orphan_after = since_days, orphan_after

    def execute(self, context: Any) -> dict[str, int]:  # noqa: ARG002 - Airflow's signature
        """One pass."""
        from airflow_doeks.attempt.reconciling import Reconciler, counts
        from airflow_doeks.hooks.platforms import project_of
        from airflow_doeks.hooks.settings import load_settings
        from airflow_doeks.hooks.task_states import of_this_place

        fileloc = getattr(self.get_dag(), "fileloc", None)
        folder = Path(fileloc).parent / self.project if fileloc else Path(self.project)
        project = project_of(folder, self.environment)
        platforms = project.known_platforms
        if self.platforms is not None:
            platforms = {name: {**entry, "name": name} for name, entry in self.platforms.items()}
        reconciler = Reconciler(
            settings=load_settings(),
            platforms=platforms,
            tasks=of_this_place(),
            since=(datetime.now(timezone.utc) - timedelta(days=self.since_days)).date(),
            rate_card=project.rate_card,
            orphan_after=self.orphan_after,
        )
        findings = []
        for finding in reconciler.run():
            findings.append(finding)
            if finding.trouble is not None:
                self.log.warning("%s: %s", finding.ref, finding.trouble)
            elif finding.decision is not None:
                self.log.info("%s: %s, because %s", finding.ref, finding.decision.need.value, finding.decision.why)
        shared = list(reconciler.share())
        for day in shared:
            self.log.info("Shared cost: %s", day)
        reconciler.add_up_month(project.monthly_budgets_usd)
        reconciler.look_back()
        tally = {**counts(findings), "stale_sightings": sum(1 for _ in reconciler.stale())}
        tally["trouble"] += sum(day.trouble is not None for day in shared)
        tally |= self._watch_deadlines(folder, reconciler, tally["trouble"])
        self.log.info("%s", tally)
        if tally["trouble"]:
            msg = f"{tally['trouble']} jobs could not be dealt with; each is a warning in this log"
            raise AirflowException(msg)
        return tally

    def _watch_deadlines(self, folder: Path, reconciler: Any, troubled: int) -> dict[str, int]:
        """Tell of runs that missed their deadline, where Airflow does not."""
        from airflow_doeks.attempt.late_runs import watch_deadlines
        from airflow_doeks.hooks.runs import runs_of_this_place

        try:
            runs = runs_of_this_place()
        except PermissionError as error:
            self.log.warning("Deadlines are not watched here: %s", error)
            return {}
        told = list(watch_deadlines(folder, self.environment, runs, reconciler.settings))
        for one in told:
            level = logging.INFO if one.trouble is None else logging.WARNING
            self.log.log(level, "%s has missed its deadline: %s", one.what, one.trouble or "told")
        failed = sum(one.trouble is not None for one in told)
        return {"late_runs": len(told) - failed, "trouble": troubled + failed}
