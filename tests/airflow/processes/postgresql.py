"""A PostgreSQL server of a test's own, of the programs that are on PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.processes.running import free_port

_USER = "postgres"  # the server does not run as root


@contextmanager
def postgresql() -> Iterator[str]:
    """The SQLAlchemy URL of an empty database, served while the block runs; skips where there is no server."""
    pytest.importorskip("psycopg2", reason="no PostgreSQL driver: pip install psycopg2-binary asyncpg")
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not on PATH")
    folder = Path(tempfile.mkdtemp(prefix="doeks-postgresql-"))
    user = _USER if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    port, data = free_port(), str(folder / "data")

    def call(*command: str) -> None:
        subprocess.run(command, user=user, check=True, capture_output=True, cwd=folder)

    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    call("initdb", "-D", data, "-U", "airflow", "--auth=trust", "-E", "UTF8", "--no-sync")
    call("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql+psycopg2://airflow@127.0.0.1:{port}/postgres"
    finally:
        call("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def rows(url: str, query: str, values: tuple[object, ...]) -> list[dict[str, Any]]:
    """What a query gives, its places written as SQLite has them."""
    import psycopg2
    from psycopg2.extras import RealDictCursor

    plain = url.replace("+psycopg2", "")
    with closing(psycopg2.connect(plain)) as connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(query.replace("?", "%s"), values)
        return [dict(row) for row in cursor.fetchall()]
