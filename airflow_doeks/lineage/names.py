"""Names of datasets by the OpenLineage convention, from the URIs and table names that Spark and people write.

Source: OpenLineage, "Naming Conventions" (spec/Naming.md), read November 2026.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from airflow_doeks.model.redaction import public_uri

_SCHEMES = {  # how storage connectors spell a scheme -> how OpenLineage spells it
    "s3a": "s3",  # Hadoop's S3 connector
    "s3n": "s3",  # its predecessor
}
SPARK_CATALOG = "spark"  # namespace of tables in a catalog that has no address
_ROOTED = frozenset({"hdfs", "viewfs", "dbfs"})  # file systems: the name keeps its leading slash
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(/.*)", re.DOTALL)
_PARTITION = re.compile(r"/[A-Za-z_][\w-]*=[^/]*/*$")
_PATHS = re.compile(r", (?=[a-z][a-z0-9+.-]*:/)")  # a comma inside a path is not followed by a scheme


class Name(NamedTuple):
    """An OpenLineage dataset name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def dataset_name(uri: str) -> Name:
    """(namespace, name) of a URI, or of a local path, which becomes absolute.

    ``s3a://raw/orders/`` is ``("s3://raw", "orders")``; ``file:/data/x`` and ``/data/x`` are ``("file", "/data/x")``.
    """
    match = _URI.match(public_uri(uri))
    if match is None:
        return Name("file", str(Path(uri).absolute()))
    scheme, rest = match[1].lower(), match[2]
    scheme = _SCHEMES.get(scheme, scheme)
    authority, path = "", rest
    if rest.startswith("//"):
        authority, _, path = rest[2:].partition("/")
        path = "/" + path
    path = path.rstrip("/") or "/"
    if scheme == "file":
        return Name("file", re.sub("^/+", "/", path))
    name = path if scheme in _ROOTED else path.lstrip("/") or "/"
    return Name(f"{scheme}://{authority}", name)


def is_within(name: Name, folder: Name) -> bool:
    """True of a folder and all below it, by whole parts of the path; all of a bucket is within its root."""
    root = folder.name.rstrip("/")
    return name.namespace == folder.namespace and (not root or f"{name.name}/".startswith(f"{root}/"))


def without_partitions(path: str) -> str:
    """A path without the ``key=value`` folders at its end."""
    while match := _PARTITION.search(path):
        path = path[: match.start()]
    return path


def name_and_part(path: str) -> tuple[Name, str]:
    """The dataset that a written path belongs to and the partition of it: ``ds=2026-01-01/h=1``, "" for the whole."""
    whole = without_partitions(path)
    return dataset_name(whole), path[len(whole) :].strip("/")


class Location(NamedTuple):
    """The paths of a scan; ``is_whole`` is False if Spark cut some off."""

    paths: tuple[str, ...]
    is_whole: bool


def parse_location(text: str) -> Location:
    """Paths of a scan's ``Location``: ``InMemoryFileIndex(2 paths)[file:/a, file:/b]``.

    With one path the whole bracket is it, because a path may hold commas and brackets; Spark 2 told no number.
    """
    head, bracket, inner = text.partition("[")
    if not bracket:
        return Location((), is_whole=False)
    count = re.search(r"\((\d+) paths\)", head)
    is_closed = inner.endswith("]")
    inner = inner[:-1] if is_closed else inner
    if count is None and len(listed := _PATHS.split(inner)) > 1:
        count_told = len(listed) if is_closed and not inner.endswith("...") else len(listed) + 1
    else:
        count_told = 1 if count is None else int(count[1])
    if count_told == 1:
        is_cut = not is_closed or inner in ("", "...")
        return Location(() if is_cut else (inner,), is_whole=not is_cut)
    paths = _PATHS.split(inner)
    if paths and (not is_closed or paths[-1].endswith("...")):
        last = paths.pop()
        if last.endswith(", ...") and is_closed:  # whole paths, then the mark of what was left out
            paths.append(last.removesuffix(", ..."))
    return Location(tuple(paths), is_whole=len(paths) == count_told)


def table_name(table: str, conf: Mapping[str, str]) -> Name:
    """The name of a table that no path is known for: in its metastore, else in Spark's own catalog.

    An Iceberg catalog of type hadoop keeps tables below its warehouse, so there the path is known.
    """
    catalog, _, rest = table.partition(".")
    warehouse = conf.get(f"spark.sql.catalog.{catalog}.warehouse")
    if rest and warehouse and conf.get(f"spark.sql.catalog.{catalog}.type") == "hadoop":
        return dataset_name(f"{warehouse.rstrip('/')}/{rest.replace('.', '/')}")
    metastore = conf.get("spark.hadoop.hive.metastore.uris") or conf.get("hive.metastore.uris")
    if metastore and catalog == "spark_catalog" and rest:
        return Name(f"hive://{urlsplit(metastore.split(',')[0]).netloc}", rest)
    return Name(SPARK_CATALOG, table)


def session_table(table: str, conf: Mapping[str, str]) -> Name:
    """The name of a table of Spark's own catalog: before Spark 3.4 plans leave the catalog out, and ``default`` too."""
    parts = unquoted(table).split(".")
    if len(parts) == 1:
        return Name(SPARK_CATALOG, parts[0])
    return table_name(".".join(parts if len(parts) > 2 else ["spark_catalog", *parts]), conf)  # noqa: PLR2004 - catalog, database, table


def unquoted(identifier: str) -> str:
    """```a`.`b``` as ``a.b``."""
    return identifier.replace("`", "").strip()
