"""A stream on this machine whose replacement does not get as far as its new run directory."""

from __future__ import annotations

import json

import pytest

from airflow_doeks.model.errors import PlatformError
from airflow_doeks.model.status import Request
from airflow_doeks.platforms.local import runs
from airflow_doeks.platforms.local.streams import STATE, Streams
from airflow_doeks.platforms.patience import Time


def test_a_replacement_that_failed_half_way_keeps_the_state(tmp_path, monkeypatch):
    """A full disk between the old run directory and the new one costs a try, never what the stream knows."""
    started = []

    def plan(body):
        started.append(body["from"])
        return {"files": {}, "cluster": {}}

    def deploy(code):
        identity = {"airflow-doeks/instance": "us"}
        body = {"identity": identity, "from": None, "upgrade": "last-state", "sql_text": None, "code": code}
        return Streams(tmp_path, Time(), lambda _: None).deploy(
            Request("l", "local", "s", code, code, body, is_lasting=True), plan
        )

    def full(*_):
        msg = "the disk is full"
        raise PlatformError(msg, retryable=True)

    deploy("one")
    first = json.loads((tmp_path / "s" / "request.json").read_text())["submitted"]
    ended = {"code": 1, "reason": "", "is_cancelled": False, "ended": first}
    (tmp_path / "s" / "state.json").write_text(json.dumps({"exit": ended}))
    snapshot = tmp_path / STATE / "s" / "checkpoints" / "job" / "chk-7"
    snapshot.mkdir(parents=True)
    (snapshot / "_metadata").write_text("")
    with monkeypatch.context() as patch:
        patch.setattr(runs, "create", full)
        with pytest.raises(PlatformError):
            deploy("two")
    deploy("two")
    assert started[-1] == snapshot.as_uri()
    assert json.loads((tmp_path / "s" / "request.json").read_text())["launch"]["first_submitted"] == first
