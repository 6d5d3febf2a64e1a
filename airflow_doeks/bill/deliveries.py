"""Which files of an export are the bill: of each billing period one delivery, complete.

AWS Data Exports user guide, "Understanding export delivery" and "Data Exports manifest file reference", read November
2026: data lies in ``data/BILLING_PERIOD=<month>/``, in a folder of its own for each delivery where old ones are kept;
``metadata/BILLING_PERIOD=<month>/<export>-Manifest.json`` names the files of the last one (``dataFiles``) and comes
when all of them are there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.stores import ByteStore

METADATA = "metadata"
_PERIOD = "BILLING_PERIOD="
_MANIFEST = re.compile(r"(.*/)metadata/BILLING_PERIOD=([^/]+)/(?:[^/]+/)?[^/]*Manifest\.json")


class Delivery(NamedTuple):
    """The Parquet files of one billing period, and the manifest that says so; "" where there is none."""

    folder: str
    names: Sequence[str]
    manifest: str = ""

    def __str__(self) -> str:
        """In one line."""
        by = self.manifest and ", as its manifest says"
        return f"{self.folder or '.'}: {len(self.names)} files{by}"


def deliveries(store: ByteStore, parts: Sequence[str] = ("",)) -> list[Delivery]:
    """What to read below the prefixes ``parts``: of each period what its manifest names, else the folder of last name.

    A period without a manifest in an export that has some is not delivered yet, and left out. SpecError for several
    exports (each has the same money), and for a manifest whose files are not all there. May raise OSError.
    """
    newest: dict[str, list[str]] = {}
    manifests: dict[tuple[str, str], str] = {}  # by export and period: another export may lie beside
    for name in sorted(
        _names(store, parts), key=lambda name: (-name.count("/"), name)
    ):  # the manifest above deliveries' own
        if name.endswith(".parquet"):
            newest.setdefault(name.rpartition("/")[0], []).append(name)
        elif found := _MANIFEST.fullmatch(f"{unquote(store.url)}/{name}"):
            manifests[found[1], found[2]] = name
    last: dict[str, str] = {}
    periods: dict[str, list[str]] = {}
    exports: set[str] = set()
    for folder in sorted(newest):
        # The place that was given may be a period itself: its deliveries are the folders in it.
        before, mark, period = f"{unquote(store.url)}/{folder}".partition(_PERIOD)
        exports.update([before] if mark else [])
        key = period.partition("/")[0] if mark else before
        last[key] = folder
        periods.setdefault(key, []).extend(newest[folder])
    if len(exports) > 1:
        msg = f"{store.url} holds {len(exports)} exports, which tell the same: give one of {', '.join(sorted(exports))}"
        raise SpecError(msg)
    export = next(iter(exports), "").removesuffix("data/")
    mine = {period: name for (where, period), name in manifests.items() if where == export}
    if not mine:
        return [Delivery(folder, sorted(newest[folder])) for folder in last.values()]
    return [_named(store, mine[key], periods[key]) for key in last if key in mine]


def _names(store: ByteStore, parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        try:
            yield from store.list(part)
        except PermissionError:  # noqa: PERF203 - two parts
            if not part.startswith(METADATA):  # who may read the data alone reads them as if there were no manifest
                raise


def _named(store: ByteStore, manifest: str, names: Sequence[str]) -> Delivery:
    """The files that a manifest names: by what follows the period's mark, for an export may be copied elsewhere."""
    there = {_below(f"{unquote(store.url)}/{name}"): name for name in names}
    with store.open(manifest) as content:
        text = content.read()
    try:
        files = [_below(str(one)) for one in json.loads(text)["dataFiles"]]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{store.url}/{manifest} is no manifest of an export: it has no list dataFiles"
        raise SpecError(msg) from error
    if missing := sorted(set(files) - there.keys()):
        msg = f"{store.url}/{manifest} names {len(files)} files, of which {missing[0]} is not there: copy it as well"
        raise SpecError(msg)
    found = sorted(there[file] for file in files)
    return Delivery(found[0].rpartition("/")[0] if found else manifest, found, manifest)


def _below(name: str) -> str:
    return name.rpartition(_PERIOD)[2]
