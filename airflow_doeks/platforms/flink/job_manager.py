"""What a job manager tells of its job: failures, counters, checkpoints, lag. Flink's REST API, 1.17 to 2.3, Nov 2026.

Whoever can reach one gives ``ask``: path below the API's root -> the answer, which raises what it may raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Ask = Callable[[str], Any]
Json = Mapping[str, Any]
FAILURES_MAX = 5
_NEVER_RAN = ("INITIALIZING", "CREATED", "FAILED")  # FAILED: a job that runs is restarted, not failed
# Of a source's subtasks: metric -> key of the facts, and how those of all subtasks are one. Only connectors that know
# what waits for them have these (Kafka does); FLIP-33.
_LAGS = {"pendingRecords": ("lag_records", "sum"), "currentEmitEventTimeLag": ("lag_ms", "max")}


def failures(ask: Ask, job_id: str) -> str:
    """The stack traces of the job's last failures, the latest last; empty if it had none."""
    told = ask(f"jobs/{job_id}/exceptions?maxExceptions={FAILURES_MAX}")
    entries = (told.get("exceptionHistory") or {}).get("entries") or ()
    traces = [str(entry.get("stacktrace") or "") for entry in reversed(entries)]
    return "\n".join(trace for trace in traces or [str(told.get("root-exception") or "")] if trace)


def checkpoints(ask: Ask, job_id: str) -> int:
    """How many checkpoints the job completed since it was started last."""
    return int((ask(f"jobs/{job_id}/checkpoints").get("counts") or {}).get("completed") or 0)


def has_no_job(ask: Ask) -> bool:
    """True for a job manager that answers and has no job, or only such as never came up."""
    jobs = ask("jobs/overview").get("jobs") or ()
    return all(job.get("state") in _NEVER_RAN for job in jobs)


def unsaved(ask: Ask, job_id: str) -> str:
    """Why the job's last checkpoint or savepoint that failed did; empty if none failed, or nobody says."""
    failed = (ask(f"jobs/{job_id}/checkpoints").get("latest") or {}).get("failed") or {}
    return str(failed.get("failure_message") or "").strip()


def living(ask: Ask, job_id: str) -> dict[str, Any]:
    """What a record's detail keeps of a job that runs, lag included."""
    job = ask(f"jobs/{job_id}")
    return facts(job, ask(f"jobs/{job_id}/checkpoints")) | _lag(ask, job)


def facts(job: Json, checkpoints: Json) -> dict[str, Any]:
    """What a record's detail keeps of a job; ``job`` is of ``jobs/<id>``, ``checkpoints`` of what is below it."""
    counts, latest = checkpoints.get("counts") or {}, (checkpoints.get("latest") or {}).get("completed") or {}
    read, written = _ends(job)
    return {
        "id": job.get("jid"),
        "name": job.get("name"),
        "state": job.get("state"),
        "type": job.get("job-type"),
        "duration_ms": job.get("duration"),
        "restarts": counts.get("restored"),
        "checkpoints": counts.get("completed"),
        "checkpoint_ms": latest.get("end_to_end_duration"),
        "checkpoint_bytes": latest.get("state_size"),
        "records_in": read,
        "records_out": written,
    }


def _ends(job: Json) -> tuple[int | None, int | None]:
    """Records that came in by sources and went into sinks since the last restart; None for what no vertex counts.

    A vertex counts what passes between vertices: of one that begins with a source what it sends on, of one that ends
    with a sink what it takes. What a vertex that is both reads and writes stays inside of it.
    """
    nodes = {str(node.get("id")): node for node in (job.get("plan") or {}).get("nodes") or ()}
    feeds = {str(one.get("id")) for node in nodes.values() for one in node.get("inputs") or ()}
    vertices = {str(one.get("id")): one.get("metrics") or {} for one in job.get("vertices") or ()}
    sources = [name for name, node in nodes.items() if not node.get("inputs")]
    sinks = [name for name in nodes if name not in feeds]
    read = [_counted(vertices.get(name, {}), "read-records") or _counted(vertices.get(name, {}), "write-records")
            for name in sources]  # fmt: skip
    written = [_counted(vertices.get(name, {}), "read-records") for name in sinks if name not in sources]
    return _sum(read), _sum(written) if len(written) == len(sinks) else None


def _counted(metrics: Json, name: str) -> int | None:
    """A counter of a vertex; 0 is none, since some sources count nothing."""
    return int(metrics.get(name) or 0) or None if metrics.get(f"{name}-complete") else None


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _lag(ask: Ask, job: Json) -> dict[str, Any]:
    """How far its sources are behind, as far as all that tell do."""
    found: dict[str, list[float]] = {}
    for vertex in _sources(job):
        path = f"jobs/{job.get('jid')}/vertices/{vertex}/subtasks/metrics"
        for metric in ask(path) or ():
            name = str(metric.get("id")).rpartition(".")[2]
            if name in _LAGS:
                key, how = _LAGS[name]
                told = ask(f"{path}?get={metric['id']}&agg={how}")
                found.setdefault(key, []).extend(float(one[how]) for one in told or () if one.get(how) is not None)
    return {key: int(sum(found[key]) if how == "sum" else max(found[key])) if found.get(key) else None
            for key, how in _LAGS.values()}  # fmt: skip


def _sources(job: Json) -> Iterator[str]:
    for node in (job.get("plan") or {}).get("nodes") or ():
        if not node.get("inputs"):
            yield str(node.get("id"))
