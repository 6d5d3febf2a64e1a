"""What makes a job whole beyond the types of its keys: the same rules for YAML, for rendered values and for Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_doeks.model.engine import Engine
from airflow_doeks.model.quantities import is_template, meant_memory, parse_cpu, parse_memory

_MEMORY_MIN = 1024**2
_DIGITS_MAX = 300  # of a number of pods; Python refuses to read one above 4,300


class JobFault(NamedTuple):
    """What is wrong with a job. ``path`` leads to the value below the job; ``at_key``: the key is to blame."""

    code: str
    message: str
    path: tuple[str, ...] = ()
    help: str = ""
    at_key: bool = False


def job_faults(engine: Engine, job: Mapping[str, Any]) -> list[JobFault]:
    """Everything that keeps a job of sound values from being whole."""
    return [*work_faults(engine, job), *size_faults(engine, job), *count_faults(engine, job)]


def work_faults(engine: Engine, job: Mapping[str, Any]) -> list[JobFault]:
    """Not exactly one thing to run, or keys of code beside SQL."""
    said = [key for key in engine.work if job.get(key) is not None]
    if len(said) == 1:
        keys = [key for key in engine.code_only if said[0] not in engine.runs_code and job.get(key) is not None]
        return [JobFault("DK211", f"{key} belongs to code, not to {said[0]}", (key,), at_key=True) for key in keys]
    message = f"the job has neither {' nor '.join(engine.work)}; exactly one of them is run"
    if said:
        message = f"the job has both {' and '.join(said)}; exactly one of them is run"
    elif len(engine.work) == 1:
        message = f"the job has no {engine.work[0]}, which is what is run"
    return [JobFault("DK211", message, (), f"write {' or '.join(f'{key}:' for key in engine.work)}", at_key=True)]


def size_faults(engine: Engine, job: Mapping[str, Any]) -> list[JobFault]:
    """Pods of no size; a template is left until it is rendered."""
    found = []
    for pod in engine.pods:
        sizes = job.get(pod) or {}
        cpu, memory = sizes.get("cpu"), sizes.get("memory")
        if cpu is not None and not is_template(cpu) and parse_cpu(cpu) == 0:
            found.append(JobFault("DK210", f"{cpu} is no CPU at all", (pod, "cpu"), "write for example 1 or 500m"))
        if memory is not None and not is_template(memory) and parse_memory(memory) < _MEMORY_MIN:
            meant = meant_memory(int(memory)) if memory.isdigit() else ""
            advice = f"did you mean {meant}?" if meant else "write for example 4Gi"
            found.append(JobFault("DK210", f"{memory} is less than a mebibyte", (pod, "memory"), advice))
    return found


def count_faults(engine: Engine, job: Mapping[str, Any]) -> list[JobFault]:
    """Numbers of pods that cannot be meant; a template is left until it is rendered."""
    pod = engine.counted
    if pod is None:
        return []
    sizes = job.get(pod) or {}
    least, most = sizes.get("min"), sizes.get("max")
    if most == 0 or (most is None and least == 0):
        path = (pod, "max" if most == 0 else "min")
        return [JobFault("DK210", f"a job without {pod} cannot run", path, "at least 1")]
    fewest = 1 if least is None else least
    if isinstance(fewest, (int, float)) and isinstance(most, (int, float)) and fewest > most:
        message = f"{pod}.min {fewest} is above {pod}.max {most}"
        return [JobFault("DK210", message, (pod, "max" if least is None else "min"))]
    return []


def most_pods(engine: Engine, job: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """How many pods of the kind that is counted a job has at most, and the key that says so; a template is given back.

    Only for an engine whose pods are counted.
    """
    if engine.spread is not None:
        total, pod, share = engine.spread
        wanted, each = job.get(total, 1), (job.get(pod) or {}).get(share, 1)
        if not isinstance(wanted, int):
            return wanted, (total,)
        return (-(-wanted // each), (total,)) if isinstance(each, int) else (each, (pod, share))
    sizes = job.get(engine.counted or "") or {}
    most, least = sizes.get("max"), sizes.get("min", 1)
    if most is None:
        return least, (engine.counted or "", "min")
    first = (job.get("conf") or {}).get(engine.starts_with or "")
    if first is not None and least != most:
        digits = str(first)[:_DIGITS_MAX]
        count = int(digits) if digits.isascii() and digits.isdigit() else first
        if is_template(count) or (isinstance(count, int) and isinstance(most, (int, float)) and count > most):
            return count, ("conf", str(engine.starts_with))
    return most, (engine.counted or "", "max")
