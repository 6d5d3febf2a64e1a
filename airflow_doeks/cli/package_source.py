"""Where others get this package, which no index holds: the wheel or repository that it came from, or is told to be."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

_UNKNOWN = (
    "CI and MWAA need to know where airflow-doeks comes from, for no package index holds it: "
    "doeks init DIR --package WHEEL, or git+https://...; this one is installed from a folder"
)


@dataclass(frozen=True)
class Source:
    """One place: a wheel, whose bytes go with the project as ``wheels/NAME``, or a URL that pip installs from.

    Attributes:
        files: name in the project -> bytes.
    """

    wheel: str | None = None
    url: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)

    def for_ci(self, folder: str) -> str:
        """What `pip install` is given in a checkout whose project is ``folder``."""
        return f"./{folder}/wheels/{self.wheel}".replace("/./", "/") if self.wheel else self._named()

    def for_mwaa(self) -> str:
        """The line of MWAA's requirements file; a wheel travels in plugins.zip."""
        return f"/usr/local/airflow/plugins/{self.wheel}" if self.wheel else self._named()

    def files_for_mwaa(self) -> dict[str, bytes]:
        """A plugins.zip with the wheel, the same bytes each time; none where pip asks a repository."""
        zipped = io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            for name, data in self.files.items():
                archive.writestr(zipfile.ZipInfo(Path(name).name), data)
        return {"mwaa/plugins.zip": zipped.getvalue()} if self.files else {}

    @property
    def what_to_do(self) -> str:
        """What is left to do; empty if nothing."""
        return "" if self.wheel or self.url else _UNKNOWN

    def _named(self) -> str:
        return f"airflow-doeks @ {self.url}" if self.url else "airflow-doeks @ WHEEL-OR-GIT-URL"


def find_source(told: str | None) -> Source:
    """The place that is told, or the one that pip wrote down when it installed this package."""
    if told is None:
        return _installed_from()
    if told.startswith(("git+", "https://", "http://")):
        return Source(url=told)
    if not (told.endswith(".whl") and Path(told).is_file()):
        msg = f"--package {told}: expected a wheel file (make wheel builds dist/airflow_doeks-*.whl) or git+https://..."
        raise click.UsageError(msg)
    return _wheel(Path(told))


def _installed_from() -> Source:
    try:
        text = distribution("airflow-doeks").read_text("direct_url.json")
    except PackageNotFoundError:
        text = None
    origin = json.loads(text or "{}")
    url = str(origin.get("url", ""))
    if vcs := origin.get("vcs_info"):
        return Source(url=f"{vcs['vcs']}+{url}@{vcs['commit_id']}")
    path = Path(unquote(urlsplit(url).path))
    if url.startswith("file:") and path.suffix == ".whl":
        return _wheel(path) if path.is_file() else Source()
    return Source(url=url) if url.startswith("https:") else Source()


def _wheel(path: Path) -> Source:
    return Source(wheel=path.name, files={f"wheels/{path.name}": path.read_bytes()})
