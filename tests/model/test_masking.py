"""Every border where somebody else's text enters an exception, a log line or a record masks it, whoever speaks."""

from __future__ import annotations

import json
import re
import traceback
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from airflow_doeks.attempt.job import read_rendered_job
from airflow_doeks.hooks.stores import S3Store
from airflow_doeks.lineage import dataset_name
from airflow_doeks.model.engine import SPARK
from airflow_doeks.model.errors import PlatformError, SpecError
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Cost, JobFailure
from airflow_doeks.model.redaction import redacted
from airflow_doeks.model.status import JobRef, JobState, JobStatus
from airflow_doeks.model.telemetry import Telemetry
from airflow_doeks.platforms.aws_calls import AwsCalls
from airflow_doeks.platforms.kubernetes.server import server_of
from airflow_doeks.platforms.patience import Pace, Patience, Refusal, Time

SECRET = "hunter2"  # noqa: S105 - a canary
SAID = (  # who says it -> how a secret stands in it
    "1 validation error detected: Value '[--db-password, hunter2, --day, 2026-11-20]' failed to satisfy constraint",
    "ValidationException: entryPointArguments [/jobs/m.py, --api-token, hunter2]",
    "jdbc:postgresql://etl:hunter2@db:5432/mart: connection refused",
    "redis://:hunter2@cache:6379/0 is down",
    "s3a://AKIAEXAMPLEEXAMPLE00:hun/ter2/hunter2@raw/orders does not exist",
    "java.sql.SQLException: login failed for password=hunter2",
)


@pytest.mark.parametrize("said", SAID)
def test_every_noun_masks_what_it_is_told(said: str) -> None:
    """Refusals, states, failures, whys, differences and SQL errors: in text, in JSON, and when they are read again."""
    ref = JobRef("emr_on_eks://1.us-east-1/a/b")
    failure = JobFailure(message=said, evidence=(said,), log_tail=(said,), links={"Driver log": said})
    nouns = [
        str(PlatformError(said)),
        json.dumps(JobStatus(ref, JobState.FAILED, reason=said).to_json()),
        str(JobStatus(ref, JobState.FAILED, reason=said)),
        repr(failure),
        repr(Cost(unknown=("compute",), why_unknown=said)),
        repr(Lineage(differences=(said,))),
        repr(EventLogSummary(why=(said,))),
        repr(Telemetry(why=(said,))),
    ]
    for text in nouns:
        assert SECRET not in text
        assert "***" in text


@pytest.mark.parametrize(
    ("uri", "namespace", "name"),
    [
        ("s3a://etl:hunter2@raw/orders/", "s3://raw", "orders"),
        ("s3a://AKIAEXAMPLEEXAMPLE00:hun/ter2@raw/orders", "s3://raw", "orders"),
        ("ftp://:hunter2@host:21/in/x", "ftp://host:21", "in/x"),
        ("sftp://bob:hun@ter2@host/in/x", "sftp://host", "in/x"),
        ("https://hunter2@host/in/x", "https://host", "in/x"),
        ("wasbs://c@acme.net/in/x?sv=2020&sig=hunter2", "wasbs://c@acme.net", "in/x?sv=2020&sig=***"),
        ("https://b.s3/in/x?X-Amz-Signature=hunter2", "https://b.s3", "in/x?X-Amz-Signature=***"),
        ("abfss://lake@acme.dfs.core.windows.net/orders", "abfss://lake@acme.dfs.core.windows.net", "orders"),
        ("s3://raw/a:b@c/secret_level=3", "s3://raw", "a:b@c/secret_level=3"),
    ],
)
def test_a_datasets_name_lets_nobody_in(uri: str, namespace: str, name: str) -> None:
    """Who may read data is no part of its name; names of containers, folders and partitions stay what they are."""
    assert dataset_name(uri) == (namespace, name)
    dataset = Dataset(namespace=uri.rsplit("/", 1)[0], name=uri.rsplit("/", 1)[1], symlinks=(uri,))
    assert not {"hunter2", "ter2", "hun"} & set(re.findall(r"\w+", dataset.model_dump_json()))


def test_lists_without_quotes_are_masked_item_by_item() -> None:
    """The value behind a secret's name goes, the next argument stays."""
    text = "[--db-password, hunter2, --run, r1]"
    assert redacted(text) == "[--db-password, ***, --run, r1]"
    assert redacted("[--token, --other, x]") == "[--token, --other, x]"


def test_plain_text_is_left_alone() -> None:
    """What holds no secret is given back as it is."""
    moment = datetime(2026, 11, 20, tzinfo=timezone.utc).isoformat()
    for text in ("", moment, "ValueError: no flights in 2013-13", "s3://raw/orders is empty", "exit code 1"):
        assert redacted(text) == text


def told_by(error: BaseException) -> str:
    """What a log holds of an error that is logged with its causes."""
    return "".join(traceback.format_exception(error))


def test_the_traceback_of_a_refusal_of_aws_is_masked() -> None:
    """Airflow logs an error with its causes: what AWS said stands there once, masked."""

    class Client:
        def start_job_run(self) -> None:
            answer = {"Error": {"Code": "ValidationException", "Message": "Value [--db-password, hunter2] failed"}}
            raise ClientError(answer, "StartJobRun")

    calls = AwsCalls(Client, lambda: "me", Patience(Pace(9.0), Time()))
    with pytest.raises(Refusal) as refused:
        calls.once("start_job_run")
    assert SECRET not in told_by(refused.value)
    assert "--db-password, ***" in told_by(refused.value)


def test_the_traceback_of_a_failed_exec_plugin_is_masked() -> None:
    """What a kubeconfig's plugin printed may hold the token it was to give."""

    class Settings:
        host = "http://cluster"

        def auth_settings(self) -> dict[str, dict[str, str]]:
            msg = "exec: process returned 1. token=hunter2"
            raise ValueError(msg)

    with pytest.raises(Refusal) as refused:
        server_of(SimpleNamespace(configuration=Settings())).headers()
    assert SECRET not in told_by(refused.value)


def test_the_traceback_of_a_value_that_the_model_refuses_does_not_show_it() -> None:
    """A rendered variable of the wrong type may be a secret."""
    rendered = {"main": "s3://code/a.py", "env": {"DB_PASSWORD": ["hunter2"]}}
    with pytest.raises(SpecError) as refused:
        read_rendered_job(rendered, SPARK, folder="/", source={}, platform={"type": "local"}, render=str)
    assert SECRET not in told_by(refused.value)


def test_the_traceback_of_a_store_that_refuses_is_masked() -> None:
    """What S3 said stands in the error alone."""

    class Client:
        def put_object(self, **_: object) -> None:
            raise ClientError({"Error": {"Code": "InvalidToken", "Message": "token=hunter2 is not valid"}}, "PutObject")

    store = S3Store("s3://bucket/", "aws_default", client=Client())
    with pytest.raises(OSError, match="InvalidToken") as refused:
        store.write("x", b"")
    assert SECRET not in told_by(refused.value)
