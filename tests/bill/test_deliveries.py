"""Which files of an export are read, by its folders and its manifests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_doeks.bill.deliveries import deliveries
from airflow_doeks.hooks.stores import open_export
from airflow_doeks.model.errors import SpecError

OLD, NEW = "20261113T000000Z-aaa", "20261114T000000Z-bbb"


def make(root: Path, *files: str, manifests: dict[str, list[str]] | None = None) -> Path:
    """An export as AWS lays it out: its files below data/, and what a manifest of each period names."""
    for file in files:
        path = root / "data" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for place, named in (manifests or {}).items():
        path = root / "metadata" / place / "doeks-Manifest.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        urls = [f"s3://acme-billing/cur/doeks/data/{file}" for file in named]
        path.write_text(json.dumps({"executionId": "e", "columns": [], "dataFiles": urls}))
    return root


def read(url: Path | str) -> list[str]:
    """Each delivery in a line, as a user who gave this place reads it."""
    return [str(one) for one in deliveries(*open_export(str(url)))]


@pytest.mark.parametrize("place", ["", "data", "data/", "data/BILLING_PERIOD=2026-11"])
def test_a_delivery_that_is_still_written_is_left_out(place: str, tmp_path: Path) -> None:
    """AWS writes the manifest when all files are there: the folder of last name is not in it yet."""
    period = "BILLING_PERIOD=2026-11"
    whole = [f"{period}/{OLD}/doeks-00001.snappy.parquet", f"{period}/{OLD}/doeks-00002.snappy.parquet"]
    make(tmp_path, *whole, f"{period}/{NEW}/doeks-00001.snappy.parquet", manifests={period: whole})
    assert read(f"{tmp_path}/{place}") == [f"data/{period}/{OLD}: 2 files, as its manifest says"]


def test_a_period_that_was_never_delivered_whole_is_left_out(tmp_path: Path) -> None:
    """On the first of a month its first delivery has no manifest, and that of the month before has."""
    before, now = ("BILLING_PERIOD=2026-11/a.parquet", "BILLING_PERIOD=2026-12/a.parquet")
    make(tmp_path, before, now, manifests={"BILLING_PERIOD=2026-11": [before]})
    assert read(tmp_path / "data") == ["data/BILLING_PERIOD=2026-11: 1 files, as its manifest says"]


def test_the_manifest_of_the_period_holds_before_those_of_its_deliveries(tmp_path: Path) -> None:
    """Each delivery may have its own; the one above them is of the last."""
    period = "BILLING_PERIOD=2026-11"
    files = {folder: f"{period}/{folder}/a.parquet" for folder in (OLD, NEW)}
    named = {f"{period}/{folder}": [file] for folder, file in files.items()}
    make(tmp_path, *files.values(), manifests=named)
    assert read(tmp_path) == [f"data/{period}/{NEW}: 1 files, as its manifest says"]
    make(tmp_path, manifests={period: [files[OLD]]})
    assert read(tmp_path) == [f"data/{period}/{OLD}: 1 files, as its manifest says"]


def test_a_manifest_of_another_export_beside_it_is_none_of_its(tmp_path: Path) -> None:
    """One place may hold an export as Parquet and another as CSV, each with a manifest of the period or without."""
    period = "BILLING_PERIOD=2026-11"
    make(tmp_path / "doeks", f"{period}/a.parquet")
    make(tmp_path / "finance", manifests={period: [f"{period}/finance-00001.csv.gz"]})
    assert read(tmp_path) == [f"doeks/data/{period}: 1 files"]
    make(tmp_path / "doeks", manifests={period: [f"{period}/a.parquet"]})
    assert read(tmp_path) == [f"doeks/data/{period}: 1 files, as its manifest says"]


def test_without_a_manifest_the_last_folder_is_taken(tmp_path: Path) -> None:
    """A copy of the data alone is read as before."""
    make(tmp_path, *(f"BILLING_PERIOD=2026-11/{folder}/a.parquet" for folder in (OLD, NEW)))
    assert read(tmp_path / "data") == [f"data/BILLING_PERIOD=2026-11/{NEW}: 1 files"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps({"dataFiles": ["s3://b/x/data/BILLING_PERIOD=2026-11/b.parquet"]}), "2026-11/b.parquet is not th"),
        ("{}", "is no manifest of an export: it has no list dataFiles"),
        ("<html>", "is no manifest of an export"),
        ("[1]", "is no manifest of an export"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_by_name(text: str, said: str, tmp_path: Path) -> None:
    """A bill that lacks a file is not read as a whole one."""
    make(tmp_path, "BILLING_PERIOD=2026-11/a.parquet", manifests={"BILLING_PERIOD=2026-11": []})
    (tmp_path / "metadata/BILLING_PERIOD=2026-11/doeks-Manifest.json").write_text(text)
    with pytest.raises(SpecError, match=f"doeks-Manifest.json .*{said}"):
        read(tmp_path / "data")


def test_who_may_not_list_the_manifests_reads_the_data(tmp_path: Path) -> None:
    """A policy that allows data/ alone worked before there were manifests here."""
    store, parts = open_export(str(make(tmp_path, "BILLING_PERIOD=2026-11/a.parquet") / "data"))

    class Narrow:
        url, open = store.url, store.open

        def list(self, prefix: str = ""):
            if not prefix.startswith("data/"):
                raise PermissionError(prefix)
            return store.list(prefix)

    assert [str(one) for one in deliveries(Narrow(), parts)] == ["data/BILLING_PERIOD=2026-11: 1 files"]


@pytest.mark.parametrize(
    ("url", "root", "parts"),
    [
        ("s3://b/cur/doeks/data/", "s3://b/cur/doeks", ("data/", "metadata/")),
        ("s3://b/data/BILLING_PERIOD=1/", "s3://b", ("data/BILLING_PERIOD=1/", "metadata/BILLING_PERIOD=1/")),
        ("s3://data", "s3://data", ("",)),
        ("s3://b/cur", "s3://b/cur", ("",)),
        ("data", Path.cwd().as_uri(), ("data/", "metadata/")),
    ],
)
def test_the_manifests_lie_beside_the_data(url: str, root: str, parts: tuple[str, ...]) -> None:
    """An export's data/ is given, or a period of it; metadata/ is its sibling."""
    store, found = open_export(url)
    assert (store.url, found) == (root, parts)
