"""One paged list for all jobs of a virtual cluster: a thousand waiting tasks cost what one costs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.platforms.aws_calls import AwsCalls
from airflow_doeks.platforms.emr_on_eks.states import ACTIVE, ENDED, address, legible, lost
from airflow_doeks.platforms.patience import Refusal

FEW_JOBS = 2  # up to here describing each costs less than a list
PAGE_SIZE, JOBS_PER_PAGE = 50, 5  # a page of ended jobs is worth its call while it holds 5 that are looked for


async def feed(
    emr: AwsCalls, cluster: str, wanted: AbstractSet[JobRef], list_seconds: float
) -> AsyncIterator[JobStatus]:
    """Living jobs by one paged list a cycle; wanted jobs that it no longer holds ended and are looked up.

    A job that ends just behind the page that showed it is missed by the next cycle's list only, and told at that
    cycle's end: cycles start early by twice what the last one took, so that ends are told within ``list_seconds``.
    Throttling and outages are waited out; raises PlatformError when the service refuses for good.
    """
    born: dict[JobRef, datetime] = {}
    while True:
        seen: set[JobRef] = set()
        began = emr.clock.monotonic()
        if len(wanted) > FEW_JOBS:
            async for status in _pages(emr, cluster, states=ACTIVE):
                seen.add(status.ref)
                if status.ref in wanted and status.submitted:
                    born[status.ref] = status.submitted
                yield status
            async for status in _ended(emr, cluster, wanted - seen, born):
                seen.add(status.ref)
                yield status
        for ref in wanted - seen:
            for status in await _look(emr, ref):
                yield status
        born = {ref: born[ref] for ref in wanted if ref in born}
        took = emr.clock.monotonic() - began
        early = max(2 * took, list_seconds / 20)
        await emr.clock.asleep(max(list_seconds - took - early, list_seconds / 10))


async def _ended(
    emr: AwsCalls, cluster: str, missing: AbstractSet[JobRef], born: Mapping[JobRef, datetime]
) -> AsyncIterator[JobStatus]:
    """Many jobs that ended at once by a list; it is left when describing the rest is cheaper."""
    if len(missing) <= FEW_JOBS:
        return
    known = [born[ref] for ref in missing if ref in born]
    since = {"createdAfter": min(known)} if len(known) == len(missing) else {}
    left, read = set(missing), 0
    async for status in _pages(emr, cluster, states=ENDED, **since):
        read += 1
        tells = status.state is not JobState.FAILED or status.reason
        if status.ref in left and tells:
            left.discard(status.ref)
            yield status
        if not left or read > PAGE_SIZE * len(missing) / JOBS_PER_PAGE:
            return


async def _pages(emr: AwsCalls, cluster: str, **filters: Any) -> AsyncIterator[JobStatus]:
    async for run in emr.pages_of_feed("list_job_runs", "jobRuns", virtualClusterId=cluster, **filters):
        for status in legible([run]):
            yield status


async def _look(emr: AwsCalls, ref: JobRef) -> list[JobStatus]:
    cluster, job_run = address(ref)
    try:
        answer = await emr.forever("describe_job_run", virtualClusterId=cluster, id=job_run)
    except Refusal as refusal:
        if refusal.kind != "gone":
            raise
        return [lost(ref)]
    return list(legible([answer["jobRun"]]))
