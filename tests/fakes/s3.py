"""A tiny S3 over a folder, enough for the real boto3 client: put, get with ranges, head, delete, list."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

ACTIONS = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "DELETE": "s3:DeleteObject"}
Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class FakeS3:
    """Object ``key`` of ``bucket`` is the file ``<folder>/<bucket>/<key>``; a key ending in ``/`` is a folder.

    ``calls`` counts them by the IAM action that each needs; ``lists_once`` where nothing changes.
    """

    folder: Path
    calls: Counter[str] = field(default_factory=Counter)
    lists_once: bool = False
    listed: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)

    def place(self, url: str) -> Path:
        """The file behind an ``s3://`` URL."""
        return self.folder / url.removeprefix("s3://")

    def handle(
        self, method: str, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """One request in path style."""
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        is_list = not key and method == "GET"
        self.calls["s3:ListBucket" if is_list else ACTIONS[method]] += 1
        if is_list:
            return self._list(bucket, query)
        file = self.folder / bucket / key
        if method == "PUT":
            return _put(file, key, headers, body)
        if method == "DELETE":
            file.unlink(missing_ok=True)
            return 204, {}, b""
        if not file.is_file():
            return 404, {}, _error("NoSuchKey", key)
        content = file.read_bytes()
        first, status = 0, 200
        asked = headers.get("range", "")
        if asked:
            start, _, end = asked.removeprefix("bytes=").partition("-")
            first, status = int(start) if start else max(len(content) - int(end), 0), 206
            content = content[first : int(end) + 1] if start and end else content[first:]
        tags = {
            "ETag": _etag(content),
            "Content-Type": "binary/octet-stream",
            "Last-Modified": "Fri, 20 Nov 2026 12:00:00 GMT",
        }
        if status == 206:
            tags["Content-Range"] = f"bytes {first}-{first + len(content) - 1}/{file.stat().st_size}"
        return status, tags, content

    def _list(self, bucket: str, query: Mapping[str, list[str]]) -> Answer:
        prefix = query.get("prefix", [""])[0]
        after = query.get("continuation-token", query.get("start-after", [""]))[0]
        most = int(query.get("max-keys", ["1000"])[0])
        found = self._objects(bucket)
        facts = {name: more for name, *more in found if name.startswith(prefix) and name > after}
        names = list(facts)
        delimiter = query.get("delimiter", [""])[0]
        folders: list[str] = []
        if delimiter:
            inner = [name[len(prefix) :].partition(delimiter) for name in names]
            folders = sorted({prefix + head + delimiter for head, mark, _ in inner if mark})
            names = [name for name, (_, mark, _) in zip(names, inner, strict=True) if not mark]
        rows = "".join(
            f"<Contents><Key>{quote(name)}</Key><Size>{facts[name][0]}</Size><ETag>{escape(facts[name][1])}</ETag>"
            "<LastModified>2026-11-20T12:00:00.000Z</LastModified></Contents>"
            for name in names[:most]
        )
        rows += "".join(f"<CommonPrefixes><Prefix>{quote(name)}</Prefix></CommonPrefixes>" for name in folders)
        cut = len(names) > most
        more = f"<NextContinuationToken>{escape(names[most - 1])}</NextContinuationToken>" if cut else ""
        text = (
            f"<ListBucketResult><Name>{bucket}</Name><KeyCount>{min(len(names), most)}</KeyCount>"
            f"<EncodingType>url</EncodingType><IsTruncated>{str(cut).lower()}</IsTruncated>{more}{rows}</ListBucketResult>"
        )
        return 200, {"Content-Type": "application/xml"}, text.encode()

    def _objects(self, bucket: str) -> list[tuple[str, int, str]]:
        """Name, size and ETag of each object."""
        if bucket in self.listed:
            return self.listed[bucket]
        root = self.folder / bucket
        names = sorted(
            (file.relative_to(root).as_posix() + ("/" if file.is_dir() else ""), file)
            for file in root.rglob("*")
            if file.is_file() or not any(file.iterdir())
        )
        found = [(name, file.stat().st_size, _etag(_content(file))) for name, file in names]
        if self.lists_once:
            self.listed[bucket] = found
        return found


def _put(file: Path, key: str, headers: Mapping[str, str], body: bytes) -> Answer:
    if "aws-chunked" in headers.get("content-encoding", ""):
        return 501, {}, _error("NotImplemented", "aws-chunked")
    if headers.get("x-amz-copy-source"):
        return 501, {}, _error("NotImplemented", "copy")
    if key.endswith("/"):
        file.mkdir(parents=True, exist_ok=True)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    return 200, {"ETag": _etag(body)}, b""


def _content(file: Path) -> bytes:
    """Of an object; a folder that the console made holds nothing."""
    return file.read_bytes() if file.is_file() else b""


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _error(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>".encode()
