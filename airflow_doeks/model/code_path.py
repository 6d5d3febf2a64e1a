"""Which files a job may bring: the one rule for lint, staging, templates and whoever else reads one.

Nothing here looks at a disk: who asks says how symlinks are followed and where files are.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable

PROJECT_FILE = "doeks.yaml"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://?")
_OF_THIS_MACHINE = re.compile(r"file:", re.IGNORECASE)


def is_url(value: str) -> bool:
    """True for what a platform fetches itself: no file of the project, nor of the machine that reads it."""
    return _URL.match(value) is not None and not _OF_THIS_MACHINE.match(value) and not _hides_a_file(value)


def _hides_a_file(value: str) -> bool:
    return "," in value and not all(map(is_url, value.split(",")))


def project_file(folder: str, is_file: Callable[[str], bool]) -> str | None:
    """The nearest doeks.yaml, upward from an absolute folder."""
    at = folder
    while True:
        candidate = os.path.join(at, PROJECT_FILE)  # noqa: PTH118 - ten times cheaper than Path, at every task start
        if is_file(candidate):
            return candidate
        parent = os.path.dirname(at)  # noqa: PTH120
        if parent == at:
            return None
        at = parent


def located(path: str, folder: str) -> str:
    """The file that a path of the YAML means; without the ``#name`` that a file is unpacked under."""
    return os.path.normpath(os.path.join(folder, path.partition("#")[0]))  # noqa: PTH118


def refusal(value: str, folder: str, root: str, real: Callable[[str], str]) -> str | None:
    """Why the file behind a value, written or rendered, may not be read; None if it may, and for a URL.

    Args:
        value: of a key that names a file.
        folder: absolute, where relative paths start.
        root: absolute, the folder of the nearest doeks.yaml, or ``folder`` without one.
        real: follows symlinks of an absolute path.
    """
    if _OF_THIS_MACHINE.match(value):
        return f'"{value}" names a file of the machine that reads it'
    if is_url(value):
        return None
    if _URL.match(value):
        return f'"{value}" holds a comma, where Spark begins another file; write each of them by itself'
    name = value.partition("#")[0]
    if "\0" in value or not name.strip():
        return f"{value!r} is no path"
    if os.path.isabs(name) or not is_below(real(located(name, folder)), real(root)):  # noqa: PTH117
        return f'"{value}" is outside the project, the folder of {PROJECT_FILE}'
    return None


def is_below(file: str, root: str) -> bool:
    """True if a real path is inside a real folder."""
    return file.startswith(root.rstrip(os.sep) + os.sep)
