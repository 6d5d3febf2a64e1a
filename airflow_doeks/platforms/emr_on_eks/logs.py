"""Where the logs of an EMR job are, in S3 or CloudWatch: for us to read and for a person to open."""

from __future__ import annotations

import contextlib
import itertools
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple
from urllib.parse import quote

from airflow_doeks.model.status import JobRef
from airflow_doeks.model.stores import ByteStore
from airflow_doeks.platforms.aws_calls import AwsCalls
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.emr_on_eks.config import Config
from airflow_doeks.platforms.patience import Refusal

CALL_SECONDS = 3.0  # per call of EMR, CloudWatch and Kubernetes, its repetitions included
READ_LINES = 5000
TAIL_BYTES = 4 * 1024**2
_CHUNK_BYTES = 1024**2
LIST_MAX = 1000  # one call of S3
_GZIP = 31  # zlib: gzip with the largest window
# Python's output, tracebacks included, goes to the driver's stdout; Spark's log to stderr; the submitter tells of a
# driver that never came to be. The order in which a cause is looked for.
CONTAINERS = ("driver/stdout", "driver/stderr", "submitter/stderr")
_DOMAINS = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}


class Log(NamedTuple):
    """The end of one container's log."""

    where: str
    lines: tuple[str, ...]


def job_links(ref: JobRef, config: Config) -> dict[str, str]:
    """Names -> URLs of the AWS console. It has no address of a single job: the job is found on its cluster's page."""
    region, (cluster, job_run) = config.region, ref.path
    domain = next((d for start, d in _DOMAINS.items() if region.startswith(start)), "console.aws.amazon.com")
    console = f"https://{region}.{domain}"
    page = f"{console}/emr/home?region={region}#/eks/clusters/{cluster}"
    links = {"Job console": page} | ({} if config.persistent_ui is False else {"Spark UI": page})
    path = f"{cluster}/jobs/{job_run}/"
    if config.logs:
        bucket, _, key = config.logs.removeprefix("s3://").partition("/")
        key = f"{key.rstrip('/')}/" if key.strip("/") else ""
        links["Driver log"] = f"{console}/s3/buckets/{bucket}?region={region}&prefix={quote(key + path)}"
    elif config.log_group:
        group = quote(config.log_group, safe="").replace("%", "$25")
        streams = quote(f"?logStreamNameFilter={_streams(config)}{path}", safe="").replace("%", "$")
        links["Driver log"] = f"{console}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}{streams}"
    return links


def read_logs(ref: JobRef, config: Config, clients: Clients, logs: AwsCalls, most: int) -> Iterator[Log]:
    """At most ``most`` logs, the most telling first; one list, then a call each. Raises OSError and Refusal."""
    if config.logs:
        return _from_store(ref, clients.store(config.logs, config.connection), most)
    return _from_cloudwatch(ref, config, logs, most)


def _from_store(ref: JobRef, store: ByteStore, most: int) -> Iterator[Log]:
    prefix = _containers(ref)
    names = [name.removeprefix(prefix) for name in itertools.islice(store.list(prefix), LIST_MAX)]
    for name in _interesting(names, ref, is_cut=len(names) == LIST_MAX)[:most]:
        with contextlib.suppress(FileNotFoundError), store.open(prefix + name) as body:
            yield Log(f"{store.url}/{prefix}{name}", tuple(_lines(iter(partial(body.read, _CHUNK_BYTES), b""))))


def _from_cloudwatch(ref: JobRef, config: Config, logs: AwsCalls, most: int) -> Iterator[Log]:
    if not config.log_group:
        return
    prefix = f"{_streams(config)}{_containers(ref)}"
    group = {"logGroupName": config.log_group}
    answer = logs.patiently("describe_log_streams", CALL_SECONDS, logStreamNamePrefix=prefix, **group)
    names = [stream["logStreamName"].removeprefix(prefix) for stream in answer.get("logStreams", ())]
    for name in _interesting(names, ref, is_cut="nextToken" in answer)[:most]:
        page = {"logStreamName": prefix + name, "limit": 1000, "startFromHead": False}
        with _unless_gone():
            events = logs.patiently("get_log_events", CALL_SECONDS, **group, **page)["events"]
            yield Log(f"{config.log_group}:{prefix}{name}", tuple(event["message"].rstrip() for event in events))


def _containers(ref: JobRef) -> str:
    cluster, job_run = ref.path
    return f"{cluster}/jobs/{job_run}/containers/"


def _interesting(names: list[str], ref: JobRef, *, is_cut: bool) -> list[str]:
    """Names below ``containers/``: the driver's ``<app>/<pod>/<stream>``, then the submitter's ``<pod>/<stream>``.

    A list that was cut short (50 streams, 1,000 objects) may hold executors only: EMR calls the driver of a job run
    ``spark-<job run>-driver``, and the application is known from its executors.
    """
    if is_cut:
        suffix = ".gz" if names[0].endswith(".gz") else ""
        places = {name.split("/")[0] for name in names if name.count("/") == 2}  # noqa: PLR2004 - application and pod
        streams = ("stdout", "stderr")
        names = names + [f"{app}/spark-{ref.path[1]}-driver/{stream}{suffix}" for app in places for stream in streams]
    kinds = {}
    for name in names:
        *pods, stream = name.removesuffix(".gz").split("/")
        is_driver = len(pods) == 2 and pods[1].endswith("-driver")  # noqa: PLR2004 - application and pod
        kind = "driver" if is_driver else "submitter" if len(pods) == 1 else None
        if kind:
            kinds[f"{kind}/{stream}"] = name
    return [kinds[kind] for kind in CONTAINERS if kind in kinds]


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    """A log that is not there is no log; whatever else was refused is told."""
    try:
        yield
    except Refusal as refusal:
        if refusal.kind != "gone":
            raise


def _lines(chunks: Iterable[bytes]) -> list[str]:
    """The last lines of a log, gzipped or plain; a cut end is fine."""
    tail = b""
    for part in _plain(chunks):
        tail = (tail + part)[-TAIL_BYTES:]
    return tail.decode("utf-8", "replace").splitlines()[-READ_LINES:]


def _plain(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What was gzipped, also if it is several archives one behind the other."""
    archive, is_gzip = zlib.decompressobj(_GZIP), None
    for chunk in chunks:
        is_gzip = chunk.startswith(b"\x1f\x8b") if is_gzip is None else is_gzip
        while is_gzip and chunk:
            yield archive.decompress(chunk)
            chunk = archive.unused_data  # noqa: PLW2901 - the next archive
            archive = zlib.decompressobj(_GZIP) if archive.eof else archive
        yield chunk


def _streams(config: Config) -> str:
    return f"{config.log_stream_prefix}/" if config.log_stream_prefix else ""


def no_log(ref: JobRef, config: Config) -> str:
    """Why no log was found, or what to set so that there are any."""
    where = config.logs or config.log_group
    if not where:
        return "no log to read: set `logs` or `log_group` of the platform"
    return f"no container log of the job yet at {where.rstrip('/')}/{_containers(ref)}"
