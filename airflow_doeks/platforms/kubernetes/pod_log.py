"""The log of a job's leading pod while it lives, part by part: each line once, marked by the kubelet's time of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_doeks.model.status import JobRef
from airflow_doeks.platforms.kubernetes.resources import Resources
from airflow_doeks.platforms.kubernetes.server import PODS
from airflow_doeks.platforms.protocol import LogPart

SECONDS = 10.0  # for a call: who reads along must not hold up others
PART_BYTES = 256 * 1024
_END = ".999999999Z"  # of a second
FIRST_LINES = 100  # of a log that was there before anybody read it


def read_log(ref: JobRef, resources: Resources, upto: str) -> LogPart:
    """What the newest leading pod printed after ``upto``; nothing before its container runs."""
    names, (namespace, _, _) = resources.operator.pods, ref.path
    container = names.containers[names.lead]
    pods = [pod for pod in resources.pods(ref, SECONDS) if names.role(pod) == names.lead and _runs(pod, container)]
    if not pods:
        return LogPart((), upto)
    pod = max(pods, key=lambda one: str(one["metadata"].get("creationTimestamp")))["metadata"]["name"]
    since: dict[str, object] = {"sinceTime": _whole_second(upto)} if upto else {"tailLines": FIRST_LINES}
    query = {"container": container, "timestamps": True, "limitBytes": PART_BYTES} | since
    text = resources.calls.text(PODS.path(namespace, pod, "log"), query, SECONDS)
    whole = text if text.endswith("\n") or len(text) < PART_BYTES else text[: text.rfind("\n") + 1]
    pairs = [line.partition(" ")[::2] for line in whole.splitlines()]
    new = [(moment, line) for moment, line in pairs if _order(moment) > _order(upto)]
    if pairs and not new and len(whole) < len(text):  # one second alone is more than a part: go on behind it
        told = f"... more than {PART_BYTES >> 10} KiB in a second, cut here"
        return LogPart((told,), pairs[-1][0][:19] + _END)
    return LogPart(tuple(line for _, line in new), new[-1][0] if new else upto)


def _runs(pod: dict[str, object], container: str) -> bool:
    """True of a pod whose container has begun, so that it has a log."""
    status = pod.get("status")
    entries = status.get("containerStatuses") if isinstance(status, dict) else None
    states = [entry.get("state") or {} for entry in entries or () if entry.get("name") == container]
    return any("running" in state or "terminated" in state for state in states)


def _whole_second(upto: str) -> str:
    """As the API counts: lines of the last second come again and are known by their time."""
    second = datetime.fromisoformat(f"{upto[:19]}+00:00") + timedelta(seconds=upto.endswith(_END))
    return second.strftime("%Y-%m-%dT%H:%M:%SZ")


def _order(moment: str) -> tuple[str, str]:
    """A time of RFC 3339 in UTC as what sorts: its fraction has as many digits as it needs."""
    seconds, _, fraction = moment.rstrip("Z").partition(".")
    return seconds, fraction.ljust(9, "0")
