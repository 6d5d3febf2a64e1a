"""One list, then one watch of a Kubernetes API: nothing that happens is lost, whatever goes wrong on the way."""

import asyncio
import contextlib

import pytest

from airflow_doeks.platforms.kubernetes.calls import KubeCalls
from airflow_doeks.platforms.kubernetes.server import Kind, Server
from airflow_doeks.platforms.kubernetes.watch import PAGE_OBJECTS, Watch
from airflow_doeks.platforms.patience import Pace, Patience, Refusal, Time
from tests.fakes.api_server import ApiServer, serving
from tests.fakes.cluster import KUBEFLOW, Cluster

KIND = Kind("sparkoperator.k8s.io", "v1beta2", "sparkapplications", "SparkApplication")


async def at_once(_):
    """Pauses take no time; others run first."""
    await asyncio.sleep(0)


async def until(is_true):
    """Wait for the other side."""
    for _ in range(12000):
        if is_true():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not happen")


TIME = Time(sleep=lambda _: None, asleep=at_once)


class Seen:
    """What a watch told so far, and the end of what it told of one name."""

    def __init__(self, server: ApiServer, **watch):
        self.server, self.states, self.heard, self.tokens = server, {}, [], []
        calls = KubeCalls(self.connect, Patience(Pace(1e9, TIME), TIME), asyncio.to_thread)
        self.watch = Watch(calls, KIND, "sales", "ours", **watch)

    def connect(self):
        token = self.tokens.pop(0) if self.tokens else "a-canary-token"
        return Server(self.server.url, lambda: {"Authorization": f"Bearer {token}"}, who="worker")

    async def run(self):
        async for change in self.watch.changes():
            if change.what == "begins":
                listed = {}
            elif change.what == "synced":
                self.states = listed
            else:
                known = listed if change.what == "present" else self.states
                name, word = self.told(change.item)
                known[name] = word
                if change.what == "deleted":
                    del known[name]
            self.heard.append(change.what)

    def told(self, item):
        if "Name" in item:
            return item["Name"], item["Status"]
        return item["metadata"]["name"], item["status"]["applicationState"]["state"]

    async def until(self, expected):
        await until(lambda: self.states == expected)


@pytest.fixture
def server():
    """An API server without objects."""
    with serving(ApiServer(Cluster())) as made:
        yield made


def put(server, name, word):
    """A resource in a state, made or moved."""
    status = {"applicationState": {"state": word}}
    if (KUBEFLOW, "sales", name) in server.cluster.objects:
        server.cluster.update(KUBEFLOW, "sales", name, {"status": status})
    else:
        metadata = {"name": name, "labels": {"ours": "yes"}}
        server.cluster.create(KUBEFLOW, "sales", {"metadata": metadata, "spec": {}, "status": status})


@contextlib.asynccontextmanager
async def watching(server, **watch):
    """A watch that runs, and what it told."""
    seen = Seen(server, **watch)
    task = asyncio.create_task(seen.run())
    try:
        yield seen
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("as_table", [False, True])
async def test_present_then_changes(server, as_table):
    """Objects, or the printed columns of them: what is there comes first, then what happens, over two connections."""
    put(server, "a", "RUNNING")
    async with watching(server, as_table=as_table) as seen:
        await seen.until({"a": "RUNNING"})
        put(server, "b", "SUBMITTED")
        put(server, "a", "COMPLETED")
        await seen.until({"a": "COMPLETED", "b": "SUBMITTED"})
        server.cluster.remove(KUBEFLOW, "sales", "b")
        await seen.until({"a": "COMPLETED"})
        assert server.calls["list sparkapplications"] == 1
        assert server.connections <= 2


async def test_a_large_list_comes_in_pages(server):
    """A list of any size is asked for by the page."""
    for number in range(PAGE_OBJECTS + 1):
        put(server, f"n{number}", "RUNNING")
    async with watching(server) as seen:
        await seen.until({f"n{number}": "RUNNING" for number in range(PAGE_OBJECTS + 1)})
        assert server.calls["list sparkapplications"] == 2


@pytest.mark.parametrize("as_table", [False, True])
async def test_history_that_is_gone_is_listed_anew(server, as_table, monkeypatch):
    """A watch that is told 410 lists again: what changed, came and went meanwhile is known."""
    monkeypatch.setattr("airflow_doeks.platforms.kubernetes.watch.WATCH_SECONDS", 0.2)
    put(server, "a", "RUNNING"), put(server, "gone", "RUNNING")
    async with watching(server, as_table=as_table) as seen:
        await seen.until({"a": "RUNNING", "gone": "RUNNING"})
        server.is_mute = True
        put(server, "a", "COMPLETED")
        server.cluster.remove(KUBEFLOW, "sales", "gone")
        server.cluster.compact()
        await seen.until({"a": "COMPLETED"})
        assert server.calls["list sparkapplications"] == 2


async def test_a_refusal_that_breaks_off_is_an_outage(server):
    """A 503 whose text is cut is asked again as any other: it ends no feed, and with it no thousand waits."""
    put(server, "a", "RUNNING")
    server.outages, server.cuts = 1, 1
    async with watching(server) as seen:
        await seen.until({"a": "RUNNING"})
    assert server.cuts == 0


async def test_a_server_that_throttles_is_asked_less_and_less(server, monkeypatch, caplog):
    """Pauses grow while nothing is answered, and one line tells of it; once all is well, they begin anew."""
    pauses = []

    async def passes(seconds):
        pauses.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr("random.uniform", lambda _, most: most)
    put(server, "a", "RUNNING")
    server.outages = 8
    seen = Seen(server)
    seen.watch.calls.patience.clock = Time(asleep=passes)
    task = asyncio.create_task(seen.run())
    await seen.until({"a": "RUNNING"})
    await until(lambda: server.watches)
    assert [round(pause, 1) for pause in pauses] == [0.2, 0.6, 1.4, 3.0, 6.2, 10.0, 10.0, 10.0]
    assert caplog.text.count("are followed again once it answers") == 1
    server.outages = 1
    server.break_streams()
    await until(lambda: len(pauses) == 9)
    assert round(pauses[-1], 1) == 0.2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_watch_that_has_no_credentials_for_long_says_so():
    """Perhaps only this process has none: after ten minutes workers must look, which have their own."""
    moment = [0.0]

    async def passes(seconds):
        moment[0] += seconds
        await asyncio.sleep(0)

    def connect():
        raise Refusal(kind="no_credentials", message="no exec plugin `aws` here")

    time = Time(monotonic=lambda: moment[0], asleep=passes)
    calls = KubeCalls(connect, Patience(Pace(1e9, time), time), asyncio.to_thread)

    async def read():
        async for _ in Watch(calls, KIND, "sales", "ours").changes():
            pass

    with pytest.raises(Refusal, match="no exec plugin") as told:
        await asyncio.wait_for(read(), 30)
    assert (told.value.retryable, 600 < moment[0] < 660) == (False, True)


async def test_bookmarks_keep_a_quiet_watch_young(server, monkeypatch):
    """Versions move on by bookmarks: a watch of a quiet kind is not told that it is too old when it is renewed."""
    monkeypatch.setattr("airflow_doeks.platforms.kubernetes.watch.WATCH_SECONDS", 1.0)  # five bookmarks' time
    put(server, "a", "RUNNING")
    async with watching(server) as seen:
        await seen.until({"a": "RUNNING"})
        await until(lambda: server.watches)
        server.cluster.compact()
        await until(lambda: server.calls["watch sparkapplications"] >= 3)
        put(server, "a", "COMPLETED")
        await seen.until({"a": "COMPLETED"})
        assert server.calls["list sparkapplications"] == 1


async def test_an_error_in_the_stream_loses_nothing(server):
    """A stream that ends with an ERROR event is opened again where it stood."""
    status = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcd leader changed"}
    server.stream_errors = [status, status]
    put(server, "a", "RUNNING")
    async with watching(server) as seen:
        await seen.until({"a": "RUNNING"})
        put(server, "a", "COMPLETED")
        await seen.until({"a": "COMPLETED"})


async def test_a_connection_that_says_nothing_is_left(server, monkeypatch):
    """A half-open socket is found out by the read time-out, and what happened meanwhile is told."""
    monkeypatch.setattr("airflow_doeks.platforms.kubernetes.watch.READ_SECONDS", 0.6)
    put(server, "a", "RUNNING")
    async with watching(server) as seen:
        await seen.until({"a": "RUNNING"})
        await until(lambda: server.watches)
        server.is_mute = True
        put(server, "a", "COMPLETED")
        asked = server.calls["watch sparkapplications"]
        await until(lambda: server.calls["watch sparkapplications"] > asked)
        server.is_mute = False
        await seen.until({"a": "COMPLETED"})


async def test_an_api_server_that_is_away_is_waited_for(server, caplog):
    """While the server is away or starts one warning is logged; then the watch goes on and the end of a job is told."""
    put(server, "a", "RUNNING")
    async with watching(server) as seen:
        await seen.until({"a": "RUNNING"})
        server.outages = 5
        server.stream_errors = [{"code": 503, "reason": "ServiceUnavailable", "message": "apiserver is shutting down"}]
        server.break_streams()
        put(server, "a", "COMPLETED")
        await seen.until({"a": "COMPLETED"})
    assert server.outages == 0
    assert len(caplog.records) == 1


async def test_expired_credentials_are_renewed_once(server):
    """A token that expired costs one 401; new credentials are read and nobody is told."""
    put(server, "a", "RUNNING")
    seen = Seen(server)
    seen.tokens = ["an-old-token"]
    task = asyncio.create_task(seen.run())
    await seen.until({"a": "RUNNING"})
    assert server.calls["unauthorized"] == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Busy:
    """Tokens of which the server cannot ask STS for some requests: EKS answers these with 401."""

    def __init__(self, refusals=0):
        self.refusals = refusals

    def __contains__(self, token):
        self.refusals -= 1
        return self.refusals < 0 and token == "a-canary-token"  # noqa: S105 - a fake's


async def test_credentials_that_are_refused_for_a_while_are_waited_out(server, caplog):
    """EKS says 401 to a good token while STS throttles: neither the feed nor its watch ends by it."""
    server.tokens = Busy(7)
    put(server, "a", "RUNNING")
    async with watching(server) as seen:
        await seen.until({"a": "RUNNING"})
        await until(lambda: server.watches)
        server.tokens.refusals = 5  # the next are of the watch
        server.break_streams()
        put(server, "a", "COMPLETED")
        await seen.until({"a": "COMPLETED"})
        assert (seen.watch.may_watch, server.calls["list sparkapplications"]) == (True, 8)
    assert "listed every" not in caplog.text
    assert len([record for record in caplog.records if "refused with 401" in record.message]) == 2


async def test_credentials_that_stay_refused_end_it(server):
    """Who is not known to the server is told so in one line with the next step, and the feed's jobs after a while."""
    moment = [0.0]

    async def passes(seconds):
        moment[0] += seconds
        await asyncio.sleep(0)

    server.tokens.clear()
    seen = Seen(server)
    seen.watch.calls.patience.clock = Time(monotonic=lambda: moment[0], asleep=passes)
    said = r"refused with 401 .as worker.: Unauthorized The credentials are not known"
    with pytest.raises(Refusal, match=said) as told:
        await seen.run()
    assert (told.value.retryable, 600 < moment[0] < 660) == (False, True)


async def test_a_role_without_watch_is_listed(server, monkeypatch, caplog):
    """Where `watch` is refused a list again and again stands in, with one warning that names the verb."""
    monkeypatch.setattr("airflow_doeks.platforms.kubernetes.watch.LIST_SECONDS", 0)
    server.denied = {"watch sparkapplications"}
    put(server, "a", "RUNNING")
    async with watching(server, as_table=True) as seen:
        await seen.until({"a": "RUNNING"})
        put(server, "a", "COMPLETED")
        await seen.until({"a": "COMPLETED"})
    told = [record.message for record in caplog.records]
    assert len(told) == 1
    assert 'cannot watch resource "sparkapplications"' in told[0]
    assert "listed every" in told[0]


async def test_a_role_without_list_ends_it(server):
    """Without `list` nothing can be followed; the message names the verb and where the Role is documented."""
    server.denied = {"list sparkapplications"}
    with pytest.raises(Refusal, match=r'cannot list resource "sparkapplications".*docs/platforms.md has the Role'):
        await Seen(server).run()


async def test_a_missing_definition_ends_it(server):
    """An operator that is not installed is told as that."""
    server.cluster.resources = ()
    with pytest.raises(Refusal, match="The operator is not installed here"):
        await Seen(server).run()
