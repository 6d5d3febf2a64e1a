from __future__ import annotations

import json
from pathlib import Path

import pytest
import zstandard

LOGS = Path(__file__).with_name("logs")
KEPT = sorted(f"{log.parent.name}/{log.stem}" for log in LOGS.glob("*/*.zstd"))


class FolderStore:
    """A folder as a ByteStore."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def list(self, prefix: str = ""):
        names = (path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())
        return iter(sorted(name for name in names if name.startswith(prefix)))

    def open(self, name: str):
        return (self.root / name).open("rb")


@pytest.fixture
def folder_store():
    """Makes a ByteStore of a folder."""
    return FolderStore


@pytest.fixture
def kept_logs() -> Path:
    """The folder of kept event logs: <spark version>/<shape>.zstd and expected.json."""
    return LOGS


@pytest.fixture
def plain_log():
    """Gives the text of a kept log, by ``<spark version>/<shape>``."""

    def plain(kept: str) -> bytes:
        packed = (LOGS / f"{kept}.zstd").read_bytes()
        return zstandard.ZstdDecompressor().stream_reader(packed).read()

    return plain


@pytest.fixture
def expected():
    """Gives what a kept log's application touched, as counted on disk after it."""

    def load(kept: str) -> list[dict]:
        version, shape = kept.split("/")
        return json.loads((LOGS / version / "expected.json").read_text())[shape]

    return load


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for ``kept`` runs once for every kept log."""
    if "kept" in metafunc.fixturenames:
        metafunc.parametrize("kept", KEPT)
