"""Credentials that change, are missing or come late, and outages without end: what a worker and a feed make of them."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest
from botocore.config import Config as BotoConfig
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import JobRef, JobState
from airflow_doeks.platforms.emr_on_eks.platform import Config, Platform
from airflow_doeks.platforms.patience import LONGEST_PAUSE_SECONDS, Pace, Refusal
from tests.fakes.emr_containers import Fault
from tests.platforms.harness_emr_on_eks import ENTRY, world
from tests.platforms.test_emr_on_eks import submit

_THROTTLED_ERROR_CODES = ThrottledRetryableChecker._THROTTLED_ERROR_CODES
_TRANSIENT_ERROR_CODES = TransientRetryableChecker._TRANSIENT_ERROR_CODES


@pytest.fixture
def aws(tmp_path):
    """A fresh fake AWS."""
    with world(tmp_path) as fresh:
        yield fresh


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """The AWS config file of a machine that offers no credentials: no variables, no other file, no metadata."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path / "config"


def late_platform(aws, *, clients_without: float = float("inf")) -> Platform:
    """A platform whose first so many clients find no credentials."""
    made = 0

    def make(service, **where):
        nonlocal made
        if service != "emr-containers":
            return aws.clients().aws(service, **where)
        made += 1
        if made > clients_without:
            return aws.make("emr-containers")
        config = BotoConfig(retries={"total_max_attempts": 1})
        session = boto3.Session(region_name="us-east-1")
        return session.client("emr-containers", endpoint_url=aws.aws.url, config=config)

    return Platform(Config.model_validate(ENTRY), "lake", replace(aws.clients(), aws=make))


async def end_of(platform: Platform, ref: JobRef) -> JobState:
    """The last state the feed tells."""
    async with aclosing(platform.feed(platform.scope(ref), {ref})) as feed:
        async for status in feed:
            if status.state.is_terminal:
                return status.state
    raise AssertionError


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "InvalidClientTokenId"])
def test_a_key_that_was_replaced_is_renewed_once(aws, code):
    """A key rotated in the connection costs one refused call; if the new one is refused too, that is told at once."""
    platform = aws.platform(tokens=iter(["old", "new", "newer"]))
    ref = submit(platform, aws)
    aws.emr.dead_code = code
    aws.emr.dead_tokens.add("old")
    assert platform.observe(ref).state is JobState.QUEUED
    assert aws.emr.calls["expired"] == 1
    aws.emr.dead_tokens |= {"new", "newer"}
    with pytest.raises(Refusal, match=code) as caught:
        platform.observe(ref)
    assert caught.value.kind == "denied"
    assert aws.emr.calls["expired"] == 3


def test_a_submit_waits_for_credentials_that_come_late(aws, bare):
    """Credentials whose source is away for a moment cost no try of the task, though boto3 looks once a client."""
    submit(late_platform(aws, clients_without=1), aws)
    assert len(aws.emr.jobs) == 1


@pytest.mark.parametrize(
    ("offer", "message"),
    [
        ("", "Unable to locate credentials"),
        ("aws_access_key_id = AKIAEXAMPLEEXAMPLE00", "Partial credentials found in .*"),
        ("credential_process = false", "Error when retrieving credentials from .*"),
    ],
)
def test_a_submit_without_credentials_fails_within_15_seconds(aws, bare, offer, message):
    """A worker that has none says so soon, in words that name the connection; the task may be tried again."""
    bare.write_text(f"[default]\n{offer}\n")
    began = aws.emr.now
    with pytest.raises(PlatformError, match=rf"StartJobRun failed: {message}\nNeither the platform") as caught:
        submit(late_platform(aws), aws)
    assert caught.value.retryable
    assert aws.emr.now - began <= timedelta(seconds=15)
    assert not aws.emr.jobs


async def test_a_feed_waits_for_credentials_and_gives_up_after_ten_minutes(aws, bare):
    """A triggerer whose credentials come late follows on; one that never has any hands its jobs to the workers."""
    ref = submit(aws.platform(), aws)
    began = aws.emr.now
    with pytest.raises(PlatformError, match="Unable to locate credentials") as caught:
        await end_of(late_platform(aws), ref)
    assert not caught.value.retryable
    assert timedelta(minutes=10) < aws.emr.now - began < timedelta(minutes=12)
    assert await end_of(late_platform(aws, clients_without=5), ref) is JobState.SUCCEEDED


async def test_an_identity_provider_that_is_away_is_an_outage(aws):
    """STS could not ask the identity provider: the feed asks again."""
    platform = aws.platform()
    ref = submit(platform, aws)
    aws.emr.faults.append(Fault("*", "IDPCommunicationError", 400, times=3))
    assert await end_of(platform, ref) is JobState.SUCCEEDED


@pytest.mark.parametrize("code", sorted({*_THROTTLED_ERROR_CODES, *_TRANSIENT_ERROR_CODES}))
def test_what_botocore_would_repeat_is_repeated(aws, code):
    """Its own retries are off: whatever it knows as throttling or a passing fault is waited out here."""
    platform = aws.platform()
    aws.emr.faults.append(Fault("StartJobRun", code, 400))
    assert submit(platform, aws).type == "emr_on_eks"
    assert aws.emr.calls["StartJobRun"] == 2


def test_an_outage_without_end_is_paused_for_a_minute_at_most():
    """Two thousand refusals in a row, about a day: the pauses neither grow nor end in an error."""
    pace = Pace(5)
    pauses = [pace.refused(throttled=False) for _ in range(2000)]
    assert max(pauses) <= LONGEST_PAUSE_SECONDS
    assert max(pauses[-500:]) > LONGEST_PAUSE_SECONDS / 2
