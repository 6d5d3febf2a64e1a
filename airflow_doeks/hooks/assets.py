"""Datasets as Airflow's assets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from airflow_doeks import compat
from airflow_doeks.language.graph import stem

# Schemes whose URIs Airflow's providers leave as they are. Asking Airflow imports every provider that has a handler
# (boto3 for s3: half a second of every task's start). Read in amazon 9.39 and google 22, November 2026.
_PLAIN_SCHEMES = frozenset({"s3", "s3a", "s3n", "gs", "abfss", "hdfs"})
_LONGEST = 1500  # characters that the metadata holds of an asset's name; Airflow 3 refuses longer ones


def assets_of(uris: Iterable[str]) -> list[Any]:
    """One asset a dataset: the part of its URI before the first template, where Airflow accepts that."""
    return [asset for asset in map(_asset, dict.fromkeys(map(stem, uris))) if asset is not None]


def asset_of(namespace: str, name: str) -> Any:
    """The asset of an OpenLineage dataset; None where its place has no address, or Airflow has no such asset.

    A table is ``postgresql://host:5432/db/schema/table`` for Airflow's providers, where OpenLineage has points.
    """
    if namespace == "file":
        return _asset(f"file://{name}")
    if "://" not in namespace:
        return None
    path = name.strip("/")
    return _asset(f"{namespace}/{path}".rstrip("/")) or _asset(f"{namespace}/{path.replace('.', '/')}")


def _asset(uri: str) -> Any:
    if "@" in uri:
        from airflow_doeks.model.redaction import public_uri

        uri = public_uri(uri)
    if len(uri) > _LONGEST:
        return None
    if urlsplit(uri).scheme not in _PLAIN_SCHEMES or not urlsplit(uri).netloc:
        try:
            return compat.Asset(uri)
        except ValueError:
            return None
    asset = compat.Asset("plain")
    for attribute in {"name", "uri"} & set(dir(asset)):
        object.__setattr__(asset, attribute, uri)
    return asset
