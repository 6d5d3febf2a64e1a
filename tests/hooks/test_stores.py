"""A folder and S3 behave alike: the same questions to both; S3 through a real boto3 client on a tiny server."""

from __future__ import annotations

import threading

import boto3
import pytest
from botocore.config import Config as BotoConfig

from airflow_doeks.hooks.stores import LocalStore, S3Store, open_log, open_store
from airflow_doeks.model.errors import SpecError
from tests.fakes.aws_http import FakeAws, serving
from tests.fakes.emr_containers import FakeEmr
from tests.fakes.s3 import FakeS3

KEYS = {"aws_access_key_id": "A" * 20, "aws_secret_access_key": "s"}


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """URL of a server whose buckets are folders, and the folder."""
    folder = tmp_path_factory.mktemp("s3")
    with serving(FakeAws(FakeEmr(), FakeS3(folder))) as aws:
        yield aws.url, folder


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path, s3):
    """An empty store."""
    if request.param == "folder":
        return LocalStore(tmp_path / "a ledger")
    url, _ = s3
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **KEYS)
    return S3Store(f"s3://bucket/{request.node.name}", client=client)


def test_empty(store):
    """A store that nothing was written to lists nothing; nothing has to be made first."""
    assert list(store.list()) == list(store.list("v1/x")) == []


def test_write_read_list_delete(store):
    """What is written is read back; names are listed sorted, by any prefix, not only by whole folders."""
    names = ["v1/day=2026-11-19/b.json", "v1/day=2026-11-20/a.json", "v1/day=2026-11-20/a=1/ü (2).json", "v2"]
    for name in reversed(names):
        store.write(name, name.encode())
    assert list(store.list()) == names
    assert list(store.list("v1/day=2026-11-2")) == names[1:3]
    assert list(store.list("v1/day=2026-11-20/")) == names[1:3]
    assert list(store.list("v")) == names
    assert list(store.list("v1/day=2026-11-20/a.")) == names[1:2]
    with store.open(names[2]) as file:
        assert (file.read(3), file.read()) == (b"v1/", names[2][3:].encode())
    store.write("v2", b"new")
    with store.open("v2") as file:
        assert file.read() == b"new"
    store.delete("v2")
    store.delete("v2")
    assert list(store.list("v2")) == []


def test_an_object_that_was_written_anew_has_another_stamp(store):
    """Names come with stamps; the one of an object that nobody touched stays."""
    store.write("v1/a", b"1")
    store.write("v1/b", b"1")
    before = dict(store.stamped("v1/"))
    store.write("v1/a", b"2")
    after = dict(store.stamped("v1/"))
    assert sorted(before) == list(store.list("v1/"))
    assert (before["v1/a"] == after["v1/a"], before["v1/b"] == after["v1/b"]) == (False, True)


def test_missing_name(store):
    """A name that is not there is FileNotFoundError, and the message holds it."""
    with pytest.raises(FileNotFoundError, match=r"no/such\.json"):
        store.open("no/such.json")


def test_readers_see_whole_objects(tmp_path):
    """Whoever reads while a record is rewritten sees the old or the new one, never a part or a half-written name."""
    store = LocalStore(tmp_path)
    contents = [bytes([65 + n]) * 300_000 for n in range(2)]
    store.write("a.json", contents[0])
    stop = threading.Event()

    def rewrite():
        while not stop.is_set():
            for content in contents:
                store.write("a.json", content)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(200):
            with store.open("a.json") as file:
                assert file.read() in contents
            assert list(store.list()) == ["a.json"]
    finally:
        stop.set()
        writer.join()


def test_failures_are_os_errors():
    """Every failure of S3 is an OSError that names the object, so that accounting never fails a job by surprise."""
    once = BotoConfig(retries={"total_max_attempts": 1})
    client = boto3.client("s3", endpoint_url="http://127.0.0.1:9", region_name="us-east-1", config=once, **KEYS)
    with pytest.raises(OSError, match=r"s3://bucket/x/a\.json"):
        S3Store("s3://bucket/x", client=client).write("a.json", b"")


@pytest.mark.airflow
def test_s3_through_a_connection(s3, monkeypatch):
    """The client comes from the amazon hook: endpoint and keys of the named Airflow connection hold."""
    url, folder = s3
    extra = f'{{"endpoint_url": "{url}", "region_name": "us-east-1"}}'
    conn = f'{{"conn_type": "aws", "login": "{"A" * 20}", "password": "s", "extra": {extra}}}'
    monkeypatch.setenv("AIRFLOW_CONN_LEDGER_WRITER", conn)
    open_store("s3://acme/ledger/", "ledger_writer").write("a.json", b"{}")
    assert (folder / "acme/ledger/a.json").read_bytes() == b"{}"


def test_open_store_by_url(tmp_path):
    """A folder, a file URL with escapes and the s3 spellings of Hadoop open; another scheme is refused in words."""
    assert open_store(str(tmp_path)).url == tmp_path.as_uri()
    assert open_store("file:///tmp/a%20b").url == "file:///tmp/a%20b"
    assert open_store("file:/tmp/a").url == "file:///tmp/a"
    assert open_store("s3a://bucket/logs/").url == "s3://bucket/logs"
    with pytest.raises(SpecError, match=r"ftp://host/x.*give a folder or an s3:// URL"):
        open_store("ftp://host/x")


def test_open_log(tmp_path):
    """An event log is opened by its name in the place around it, whether file or folder, with or without a slash."""
    log = tmp_path / "spark events" / "eventlog_v2_local-1"
    log.mkdir(parents=True)
    for url in (log.as_uri(), str(log), f"{log}/"):
        store, name = open_log(url)
        assert (store.url, name) == (log.parent.as_uri(), "eventlog_v2_local-1")
    store, name = open_log("s3://logs/spark-events/x/")
    assert (store.url, name) == ("s3://logs/spark-events", "x")
