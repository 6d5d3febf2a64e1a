"""`doeks apply` on a real metadata database, and against the REST API of Airflow 3 as its source was read."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_doeks import compat
from airflow_doeks.cli import main
from tests.airflow.cli.runner import runner

PROJECT = """\
platforms:
  laptop: {type: local}
  lake:
    type: kubeflow_spark
    connection: eks
    namespace: sales
    service_account: spark
    image: acme/spark:3.5.9
    max_jobs: MOST
defaults: {platform: laptop}
policies: {allowed_uses: [bash]}
"""
PIPELINE = 'tasks: {a: {uses: bash, with: {bash_command: "echo {{ var.value.bucket }}"}}}\n'


@pytest.fixture(autouse=True)
def metadata() -> None:
    """Airflow's tables, without the pool."""
    compat.initdb()
    with compat.create_session() as session:
        session.query(compat.Pool).filter_by(pool="doeks_lake").delete()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A platform with a pool and a connection, and a pipeline with a variable."""
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "doeks.yaml").write_text(PROJECT.replace("MOST", "20"), "utf-8")
    (tmp_path / "pipelines" / "a.yaml").write_text(PIPELINE, "utf-8")
    monkeypatch.delenv("DOEKS_AIRFLOW_URL", raising=False)
    return tmp_path


def apply(project: Path, *options: str) -> tuple[int, dict[str, str]]:
    """Exit code, and name -> state."""
    done = runner().invoke(main, ["apply", str(project), "--json", *options], catch_exceptions=False)
    printed = done.stdout[done.stdout.index("{\n") :] if "{\n" in done.stdout else '{"found": []}'
    return done.exit_code, {one["name"]: one["state"] for one in json.loads(printed)["found"]}


def test_pools_are_made_once_and_follow_the_file(project: Path, monkeypatch: pytest.MonkeyPatch):
    """A check changes nothing; connections and variables are found where a task would find them, and never made."""
    assert apply(project, "--check") == (3, {"doeks_lake": "missing", "eks": "missing", "bucket": "missing"})
    assert apply(project)[1]["doeks_lake"] == "made"
    monkeypatch.setenv("AIRFLOW_CONN_EKS", "kubernetes://")
    monkeypatch.setenv("AIRFLOW_VAR_BUCKET", "acme")
    assert apply(project) == (0, dict.fromkeys(["doeks_lake", "eks", "bucket"], "there"))
    (project / "doeks.yaml").write_text(PROJECT.replace("MOST", "30"), "utf-8")
    assert apply(project, "--check") == (3, {"doeks_lake": "differs", "eks": "there", "bucket": "there"})
    assert apply(project)[1]["doeks_lake"] == "changed"
    with compat.create_session() as session:
        found = session.query(compat.Pool).filter_by(pool="doeks_lake").one()
        assert (found.slots, found.include_deferred) == (30, True)


def test_a_broken_pipeline_is_said_and_the_others_count(project: Path):
    """Exit code 1 where all that is known to be needed is there."""
    (project / "pipelines" / "a.yaml").write_text("tasks: {a: {uses: emty}}\n", "utf-8")
    (project / "doeks.yaml").write_text("platforms: {laptop: {type: local}}\n", "utf-8")
    done = runner().invoke(main, ["apply", str(project)])
    assert (done.exit_code, "DK221" in done.stderr) == (1, True)


class Airflow(BaseHTTPRequestHandler):
    """Pools as Airflow 3.3 has them: a change names the pool, and what its mask names is set."""

    pools: dict[str, dict[str, Any]]

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        found = {"version": "3.3.2"} if name == "version" else self.pools.get(name)
        self._answer(200 if found else 404, found)

    def do_POST(self) -> None:
        body = self._body()
        self.pools[body["name"]] = body
        self._answer(201, body)

    def do_PATCH(self) -> None:
        where = urlsplit(self.path)
        body, mask = self._body(), parse_qs(where.query)["update_mask"]
        pool = self.pools[where.path.rpartition("/")[2]]
        if body.get("pool") != pool["name"]:
            self._answer(422, {"detail": "Field required"})
            return
        pool |= {key: body[key] for key in mask}
        self._answer(200, pool)

    def _body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def _answer(self, status: int, body: Any) -> None:
        is_known = self.headers.get("Authorization") == "Bearer t0ken"
        self.send_response(status if is_known else 401)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Keep silent."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """An Airflow without pools."""
    Airflow.pools = {}
    found = ThreadingHTTPServer(("127.0.0.1", 0), Airflow)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    monkeypatch.setenv("DOEKS_AIRFLOW_TOKEN", "t0ken")
    yield found
    found.shutdown()


def test_an_airflow_elsewhere_gets_its_pools_and_hides_its_secrets(project: Path, server: ThreadingHTTPServer):
    """What its metadata has not may be in a secrets backend: that is unseen, and counts unless it is allowed."""
    asked = ["--airflow-url", f"http://127.0.0.1:{server.server_port}"]
    unseen = {"eks": "unseen", "bucket": "unseen"}
    assert apply(project, *asked) == (3, {"doeks_lake": "made", **unseen})
    (project / "doeks.yaml").write_text(PROJECT.replace("MOST", "30"), "utf-8")
    assert apply(project, *asked, "--allow-unseen") == (0, {"doeks_lake": "changed", **unseen})
    assert apply(project, *asked, "--allow-unseen") == (0, {"doeks_lake": "there", **unseen})
    assert (Airflow.pools["doeks_lake"]["slots"], Airflow.pools["doeks_lake"]["include_deferred"]) == (30, True)


def test_a_wrong_token_is_a_wrong_use(project: Path, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch):
    """Exit code 2, and the reason."""
    monkeypatch.setenv("DOEKS_AIRFLOW_TOKEN", "other")
    done = runner().invoke(main, ["apply", str(project), "--airflow-url", f"http://127.0.0.1:{server.server_port}"])
    assert (done.exit_code, "401" in done.stderr) == (2, True)
