"""`python -m tests.fakes.doeks_fake_emr`: a fake AWS whose EMR on EKS runs the jobs on this machine's Spark.

A test tool: example pipelines go end to end through StartJobRun. ``s3://`` URLs of code, arguments, logs and event logs
are files below ``--folder``; what a job itself reads and writes must be local paths.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shlex
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobRef, JobState
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.emr_on_eks.request import all_conf
from airflow_doeks.platforms.local import platform as local
from airflow_doeks.platforms.spark.conf import OWNED
from tests.fakes.aws_http import FakeAws, serving
from tests.fakes.emr_containers import FakeEmr, Step
from tests.fakes.s3 import FakeS3

STATES = {
    JobState.QUEUED: "PENDING",
    JobState.STARTING: "SUBMITTED",
    JobState.RUNNING: "RUNNING",
    JobState.SUCCEEDED: "COMPLETED",
    JobState.FAILED: "FAILED",
    JobState.LOST: "FAILED",
    JobState.CANCELLED: "CANCELLED",
}
_LISTS = {
    "--jars": "jars",
    "--py-files": "py_files",
    "--files": "files",
    "--archives": "archives",
    "--packages": "packages",
}
_NOT_HERE = ("spark.kubernetes.", "spark.executorEnv.", *OWNED)


@dataclass(frozen=True)
class SparkRunner:
    """Runs a StartJobRun on platform type `local` and puts its log and event log where EMR would."""

    s3: FakeS3
    platform: local.Platform

    def __call__(self, request: dict[str, Any]) -> tuple[Callable[[], Step], Callable[[], None]]:
        """Start the job; gives its present step and a way to stop it."""
        conf = all_conf(request)
        ref = self.platform.submit(self.platform.render(self._job(request, conf), _identity(request)))
        created = datetime.now(timezone.utc)
        published: list[bool] = []

        def step() -> Step:
            status = self.platform.observe(ref)
            if status.state.is_terminal and not published:
                published.append(True)
                self._publish(request, conf, ref)
            moment = status.ended or status.started or created
            after = max(0.0, (moment - created).total_seconds())
            failed = STATES[status.state] == "FAILED"
            return Step(after, STATES[status.state], status.reason[:256] or None, "USER_ERROR" if failed else None)

        return step, lambda: self.platform.cancel(ref)

    def _job(self, request: dict[str, Any], conf: dict[str, str]) -> SparkJob:
        driver = request["jobDriver"]["sparkSubmitJobDriver"]
        words = shlex.split(driver.get("sparkSubmitParameters") or "")
        flags = dict(zip(words[::2], words[1::2], strict=True))  # each flag of ours has one value
        values: dict[str, Any] = {
            name: [self._here(part) for part in flags[flag].split(",")]
            for flag, name in _LISTS.items()
            if flag in flags
        }
        count, prefix = int(conf.get("spark.executor.instances", "1")), "spark.executorEnv."
        return SparkJob.model_validate(
            values
            | {
                "main": self._here(driver["entryPoint"]),
                "class": flags.get("--class"),
                "args": [self._here(word) for word in driver.get("entryPointArguments", ())],
                "conf": {key: value for key, value in conf.items() if not key.startswith(_NOT_HERE)},
                "env": {k.removeprefix(prefix): v for k, v in conf.items() if k.startswith(prefix)},
                "executors": {"min": count, "cpu": int(conf["spark.executor.cores"])},
            }
        )

    def _here(self, text: str) -> str:
        return str(self.s3.place(text)) if text.startswith("s3://") else text

    def _publish(self, request: dict[str, Any], conf: dict[str, str], ref: JobRef) -> None:
        run = self.platform.local_dir / ref.path[0]
        monitoring = request["configurationOverrides"].get("monitoringConfiguration", {})
        logs = monitoring.get("s3MonitoringConfiguration", {}).get("logUri")
        if logs:
            pod = f"{request['virtualClusterId']}/jobs/{request['id']}/containers/{run.name}/{run.name}-driver"
            place = self.s3.place(logs) / pod / "stdout.gz"
            place.parent.mkdir(parents=True, exist_ok=True)
            text = "\n".join(self.platform.explain(ref).log_tail)
            place.write_bytes(gzip.compress(text.encode()))
        event_log, folder = self.platform.telemetry(ref).event_log, conf.get("spark.eventLog.dir")
        if event_log and folder:
            source = Path(unquote(urlsplit(event_log).path))
            target = self.s3.place(folder) / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)


def _identity(request: dict[str, Any]) -> JobIdentity:
    """One run directory per token, whatever the tags say."""
    token, now = request["clientToken"], datetime.now(timezone.utc)
    tags = {key.removeprefix("airflow-doeks/"): value for key, value in request.get("tags", {}).items()}
    return JobIdentity(
        instance=tags.get("instance", "fake-emr"),
        dag_id=tags.get("dag", request.get("name", "job")),
        run_id=tags.get("run", token),
        task_id=tags.get("task", "job"),
        map_index=int(tags.get("map", -1)),
        try_number=int(tags.get("try", 1)),
        run_started=now,
        attempt_id=token,
    )


def fake_aws(folder: Path) -> FakeAws:
    """A fake AWS on real time whose jobs really run; S3 is ``<folder>/s3``."""
    s3 = FakeS3(folder / "s3")
    platform = local.Platform(local.Config(type="local"), "fake-emr", Clients(local_dir=str(folder / "runs")))
    now = lambda: datetime.now(timezone.utc)  # noqa: E731 - a clock
    return FakeAws(FakeEmr(runner=SparkRunner(s3, platform), clock=now, cancel_seconds=2), s3)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="doeks-fake-emr", description=__doc__)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--folder", type=Path, default=Path("fake-aws"), help="where objects, logs and runs are kept")
    options = parser.parse_args()
    with serving(fake_aws(options.folder.absolute()), options.port) as aws:
        extra = {"region_name": "us-east-1", "endpoint_url": aws.url}
        connection = {"conn_type": "aws", "login": "fake", "password": "not-a-secret", "extra": extra}
        print(f"EMR on EKS, S3, CloudWatch Logs and STS at {aws.url}; objects in {options.folder.absolute()}/s3")  # noqa: T201
        print(f"export AIRFLOW_CONN_AWS_FAKE='{json.dumps(connection)}'", flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main()
