"""Places that hold bytes by name: a folder, an S3 prefix through the amazon hook's client."""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from airflow_doeks.hooks.aws import DEFAULT_CONNECTION, resolve_connection
from airflow_doeks.model.errors import SpecError
from airflow_doeks.model.stores import READERS, ByteStore

_S3_SCHEMES = {"s3", "s3a", "s3n"}  # one place by the names of Hadoop's clients
_READ_BYTES = 1 << 20
_EXPORT = re.compile(r"(?:(?P<root>.*[^/:])/)?data(?P<period>/BILLING_PERIOD=[^/]+)?")
_UNFINISHED = re.compile(r"\.[^/]*\.[0-9a-f]{32}")
_MISSING = {"NoSuchKey", "404", "NotFound"}
_FORBIDDEN = {"AccessDenied", "403", "Forbidden"}


def open_store(url: str, connection: str | None = None) -> ByteStore:
    """The store at a folder, ``file://`` or ``s3://`` URL; nothing is touched yet. SpecError for other schemes."""
    scheme = urlsplit(url).scheme if "://" in url or url.startswith("file:") else ""
    if scheme in _S3_SCHEMES:
        return S3Store(url, connection)
    if scheme in ("", "file"):
        return LocalStore(_path(url))
    msg = f"{url!r}: {scheme}:// is not a place for records, code or logs; give a folder or an s3:// URL"
    raise SpecError(msg)


def open_log(url: str, connection: str | None = None) -> tuple[ByteStore, str]:
    """The store around a file or folder, and its name in it."""
    plain = url.rstrip("/")
    if "://" in plain and not plain.startswith("file:"):
        parent, _, name = plain.rpartition("/")
        return open_store(parent, connection), name
    path = _path(plain).absolute()
    return LocalStore(path.parent), path.name


def open_export(url: str) -> tuple[ByteStore, tuple[str, ...]]:
    """The store of an AWS export, and the prefixes that matter in it.

    Given is the export's ``data/`` or a billing period of it, whose manifests lie beside, below ``metadata/``; of any
    other place all is looked at.
    """
    found = _EXPORT.fullmatch(url.rstrip("/"))
    if found is None:
        return open_store(url), ("",)
    period = found["period"] or ""
    return open_store(found["root"] or "."), (f"data{period}/", f"metadata{period}/")


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path)) if url.startswith("file:") else Path(url).expanduser()


class LocalStore:
    """A folder; made at the first write."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()
        self.url = self.root.as_uri()

    def list(self, prefix: str = "") -> Iterator[str]:
        """Names that start with ``prefix``, sorted; folders that cannot hold one are not entered."""
        folder, _, start = prefix.rpartition("/")
        found = []
        for where, folders, files in os.walk(self.root / folder):
            below = Path(where).relative_to(self.root).as_posix()
            if where == str(self.root / folder):
                folders[:] = [name for name in folders if name.startswith(start)]
            names = (f"{below}/{name}" if below != "." else name for name in files if not _UNFINISHED.fullmatch(name))
            found += [name for name in names if name.startswith(prefix)]
        yield from sorted(found)

    def stamped(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Names with the file's number and time: a file that was written anew has another number."""
        for name in self.list(prefix):
            with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                status = os.stat(f"{self.root}/{name}")  # noqa: PTH116 - a hundred thousand at a time
                yield name, f"{status.st_ino}.{status.st_mtime_ns}"

    def open(self, name: str) -> BinaryIO:
        """The file; FileNotFoundError if there is none."""
        return (self.root / name).open("rb")

    def write(self, name: str, content: bytes) -> None:
        """Written beside its place and renamed, so that no reader sees a part."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{uuid4().hex}")
        try:
            with new.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise

    def delete(self, name: str) -> None:
        """Gone afterwards, whether it was there or not."""
        (self.root / name).unlink(missing_ok=True)


class S3Store:
    """A bucket and prefix. Every failure is an OSError: FileNotFoundError, PermissionError, or one that may pass."""

    def __init__(self, url: str, connection: str | None = None, *, client: Any = None) -> None:
        self.bucket = urlsplit(url).netloc
        prefix = urlsplit(url).path.strip("/")
        self.prefix = f"{prefix}/" if prefix else ""
        self.url = f"s3://{self.bucket}/{prefix}".rstrip("/")
        self._connection = connection or DEFAULT_CONNECTION
        self._client = client

    @property
    def client(self) -> Any:
        """The boto3 client, made when it is first used."""
        if self._client is None:
            from airflow.providers.amazon.aws.hooks.s3 import S3Hook
            from botocore.config import Config

            name = resolve_connection(self._connection).name
            known = S3Hook(aws_conn_id=name).config  # of the connection
            pool = max(READERS, getattr(known, "max_pool_connections", 0))
            config = known.merge(Config(max_pool_connections=pool))
            self._client = S3Hook(aws_conn_id=name, config=config).get_conn()
        return self._client

    def list(self, prefix: str = "") -> Iterator[str]:
        """Keys below the prefix, a page of 1,000 at a time; S3 gives them sorted."""
        for name, _ in self.stamped(prefix):
            yield name

    def stamped(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Keys with their ETag, which the listing holds anyway."""
        with self._translated(prefix):
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix):
                for item in page.get("Contents", ()):
                    if not item["Key"].endswith("/"):  # a folder that the console made
                        yield item["Key"][len(self.prefix) :], str(item.get("ETag", ""))

    def open(self, name: str) -> BinaryIO:
        """The object as a stream; nothing is put on disk."""
        with self._translated(name):
            body = self.client.get_object(Bucket=self.bucket, Key=self.prefix + name)["Body"]
        return io.BufferedReader(_Body(self, name, body), _READ_BYTES)

    def write(self, name: str, content: bytes) -> None:
        """S3 shows an object when it is complete."""
        with self._translated(name):
            self.client.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=content)

    def delete(self, name: str) -> None:
        """Gone afterwards; S3 does not mind a missing key."""
        with self._translated(name):
            self.client.delete_object(Bucket=self.bucket, Key=self.prefix + name)

    @contextlib.contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        from airflow_doeks.model.redaction import redacted

        where = f"{self.url}/{name}"
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _MISSING:
                raise FileNotFoundError(where) from None
            if code in _FORBIDDEN:
                msg = f"{where}: access denied with connection {self._connection!r}: {redacted(str(error))}"
                raise PermissionError(msg) from None
            msg = f"{where}: {redacted(str(error))}"
            raise OSError(msg) from None
        except BotoCoreError as error:
            msg = f"{where}: {redacted(str(error))}"
            raise OSError(msg) from None


class _Body(io.RawIOBase):
    """The body of an S3 answer as a file, its failures translated."""

    def __init__(self, store: S3Store, name: str, body: Any) -> None:
        self._store, self._name, self._body = store, name, body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._store._translated(self._name):  # noqa: SLF001 - one class in two
            block = self._body.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._body.close()
        super().close()
