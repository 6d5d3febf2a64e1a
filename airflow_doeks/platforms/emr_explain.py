"""Why an EMR job failed, from what EMR says and the logs in S3 or CloudWatch; and where a person can look.

At most 6 calls: one describe, one list of logs, up to three logs.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from airflow_doeks.model.record import FailureCategory, JobFailure
from airflow_doeks.model.status import JobRef
from airflow_doeks.platforms.emr_calls import AwsCalls, Refusal
from airflow_doeks.platforms.emr_config import Config
from airflow_doeks.platforms.explain import root_cause

CALL_SECONDS = 3.0  # per call, retries included: 6 calls stay below 20 s
TAIL_LINES = 200
READ_LINES = 5000
READ_BYTES = 8 * 1024**2
# Python's output, tracebacks included, goes to the driver's stdout; Spark's log to stderr; the submitter tells of a
# driver that never came to be. The order in which a cause is looked for.
_CONTAINERS = ("driver/stdout", "driver/stderr", "submitter/stderr")

# What stateDetails or an event in it says -> category; the first match holds. Words of Kubernetes and EMR, Nov. 2026.
_DETAILS: tuple[tuple[str, FailureCategory], ...] = (
    (r"ErrImagePull|ImagePullBackOff|InvalidImageName|pull image", "image"),
    (r"OOMKilled|exit ?code:? 137", "oom_driver"),
    (r"exceeded quota", "quota"),
    (r"[Ss]pot[ -]?[Ii]nterruption|node .*(terminated|not ready|NotReady|shut ?down|lost)|NodeLost", "spot_loss"),
    (r"Evicted|evicted|[Pp]reempt", "eviction"),
    (r"[Uu]nschedulable|FailedScheduling|Insufficient (cpu|memory)", "unschedulable"),
    (r"AccessDenied|Access Denied|not authorized|[Ff]orbidden|assume ?role", "permission"),
    (r"timed out|timeout", "timeout"),
)
# EMR's failureReason -> category, where neither details nor logs say more.
_REASONS: dict[str, FailureCategory] = {
    "INTERNAL_ERROR": "platform",
    "CLUSTER_UNAVAILABLE": "platform",
    "USER_ERROR": "user_code",
    "VALIDATION_ERROR": "user_code",
}
_SECRETS = (
    (re.compile(r"(?i)([\w.-]*(?:password|passwd|secret|token|access\.?key|credential)[\w.-]*[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]+"), r"\1***"),  # noqa: E501 - one pattern
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), "***"),
    (re.compile(r"(://[^/\s:@]+:)[^@\s/]+@"), r"\1***@"),
)  # fmt: skip


class _Log(NamedTuple):
    where: str
    lines: tuple[str, ...]


def explain(ref: JobRef, config: Config, emr: AwsCalls, s3: AwsCalls, logs: AwsCalls) -> JobFailure:
    """Category, root cause, evidence and the log's tail; never raises, what could not be read is in the evidence."""
    evidence: list[str] = []
    run = _describe(ref, emr, evidence)
    found: list[_Log] = []
    try:
        found += _from_s3(ref, config, s3) if config.logs else _from_cloudwatch(ref, config, logs)
    except Refusal as refusal:
        evidence.append(f"logs could not be read: {str(refusal).splitlines()[0]}")
    else:
        if not found:
            evidence.append(_no_log(ref, config))
    category, message = _verdict(run, found, evidence)
    tail = next((log.lines for log in found if log.lines), ())
    return JobFailure(
        category=category,
        message=redacted(message),
        evidence=tuple(redacted(line) for line in evidence),
        links=job_links(ref, config),
        log_tail=tuple(redacted(line) for line in tail[-TAIL_LINES:]),
    )


def job_links(ref: JobRef, config: Config) -> dict[str, str]:
    """Names -> URLs of the AWS console. It has no address of a single job: the job is found on its cluster's page."""
    region, (cluster, job_run) = config.region, ref.path
    domain = next((d for start, d in _DOMAINS.items() if region.startswith(start)), "console.aws.amazon.com")
    console = f"https://{region}.{domain}"
    page = f"{console}/emr/home?region={region}#/eks/clusters/{cluster}"
    links = {"Job console": page} | ({} if config.persistent_ui is False else {"Spark UI": page})
    path = f"{cluster}/jobs/{job_run}/"
    if config.logs:
        bucket, _, key = _log_place(config.logs)
        links["Driver log"] = f"{console}/s3/buckets/{bucket}?region={region}&prefix={quote(key + path)}"
    elif config.log_group:
        group = quote(config.log_group, safe="").replace("%", "$25")
        streams = quote(f"?logStreamNameFilter={_streams(config)}{path}", safe="").replace("%", "$")
        links["Driver log"] = f"{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}{streams}"
    return links


_DOMAINS = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}


def redacted(text: str) -> str:
    """The text without values that look like secrets."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def _describe(ref: JobRef, emr: AwsCalls, evidence: list[str]) -> Mapping[str, Any]:
    cluster, job_run = ref.path
    try:
        answer = emr.patiently("describe_job_run", CALL_SECONDS, virtualClusterId=cluster, id=job_run)
    except Refusal as refusal:
        evidence.append(str(refusal).splitlines()[0])
        return {}
    run: Mapping[str, Any] = answer["jobRun"]
    words = (run.get("state"), run.get("failureReason"), run.get("stateDetails"))
    evidence.append("EMR: " + " - ".join(word for word in words if word))
    return run


def _verdict(run: Mapping[str, Any], found: list[_Log], evidence: list[str]) -> tuple[FailureCategory, str]:
    details, reason = run.get("stateDetails") or "", run.get("failureReason") or ""
    said = next((category for pattern, category in _DETAILS if re.search(pattern, details)), None)
    if run.get("state") == "CANCELLED":
        return "cancelled", details or "the job was cancelled"
    for log in found:
        category, message = root_cause(log.lines)
        if category != "unknown":
            evidence.append(f"root cause in {log.where}")
            return said or category, message
    return said or _REASONS.get(reason, "unknown"), details or reason or "neither EMR nor a log tells why"


def _from_s3(ref: JobRef, config: Config, s3: AwsCalls) -> Iterator[_Log]:
    bucket, scheme, key = _log_place(config.logs or "")
    cluster, job_run = ref.path
    prefix = f"{key}{cluster}/jobs/{job_run}/containers/"
    answer = s3.patiently("list_objects_v2", CALL_SECONDS, Bucket=bucket, Prefix=prefix)
    names = [item["Key"] for item in answer.get("Contents", ())]
    for name in _interesting([name.removeprefix(prefix) for name in names]):
        body = s3.patiently("get_object", CALL_SECONDS, Bucket=bucket, Key=prefix + name)["Body"]
        yield _Log(f"{scheme}{bucket}/{prefix}{name}", tuple(_lines(body.read(READ_BYTES))))


def _from_cloudwatch(ref: JobRef, config: Config, logs: AwsCalls) -> Iterator[_Log]:
    if not config.log_group:
        return
    cluster, job_run = ref.path
    prefix = f"{_streams(config)}{cluster}/jobs/{job_run}/containers/"
    group = {"logGroupName": config.log_group}
    answer = logs.patiently("describe_log_streams", CALL_SECONDS, logStreamNamePrefix=prefix, **group)
    names = [stream["logStreamName"].removeprefix(prefix) for stream in answer.get("logStreams", ())]
    for name in _interesting(names):
        page = {"logStreamName": prefix + name, "limit": 1000, "startFromHead": False}
        events = logs.patiently("get_log_events", CALL_SECONDS, **group, **page)["events"]
        yield _Log(f"{config.log_group}:{prefix}{name}", tuple(event["message"].rstrip() for event in events))


def _interesting(names: list[str]) -> list[str]:
    """Names below ``containers/``: the driver's ``<app>/<pod>/<stream>``, then the submitter's ``<pod>/<stream>``."""
    kinds = {}
    for name in names:
        *pods, stream = name.removesuffix(".gz").split("/")
        is_driver = len(pods) == 2 and pods[1].endswith("-driver")  # noqa: PLR2004 - application and pod
        kind = "driver" if is_driver else "submitter" if len(pods) == 1 else None
        if kind:
            kinds[f"{kind}/{stream}"] = name
    return [kinds[kind] for kind in _CONTAINERS if kind in kinds]


def _lines(content: bytes) -> list[str]:
    """The last lines of a log, gzipped or plain; a cut end is fine."""
    if content[:2] == b"\x1f\x8b":
        content = zlib.decompressobj(31).decompress(content)
    return io.TextIOWrapper(io.BytesIO(content), "utf-8", "replace").read().splitlines()[-READ_LINES:]


def _log_place(url: str) -> tuple[str, str, str]:
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    return bucket, f"{scheme}://", f"{key.rstrip('/')}/" if key.strip("/") else ""


def _streams(config: Config) -> str:
    return f"{config.log_stream_prefix}/" if config.log_stream_prefix else ""


def _no_log(ref: JobRef, config: Config) -> str:
    cluster, job_run = ref.path
    where = config.logs or config.log_group
    if not where:
        return "no log to read: set `logs` or `log_group` of the platform"
    return f"no container log of the job yet at {where.rstrip('/')}/{cluster}/jobs/{job_run}/containers/"
