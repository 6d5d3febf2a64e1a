"""A ledger's store over plain HTTP, as S3 lists and gives objects, without the client: what is left is our own work."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit

_ITEM = re.compile(r"<Key>(.*?)</Key>.*?<ETag>(.*?)</ETag>")
_MORE = re.compile(r"<NextContinuationToken>(.*?)</NextContinuationToken>")


class HttpStore:
    """Objects below ``http://host/bucket/prefix``; a connection a thread."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self._host = parts.netloc
        self._bucket, _, self._prefix = parts.path.strip("/").partition("/")
        self._local = threading.local()

    def _get(self, path: str) -> bytes:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = HTTPConnection(self._host)
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status == 404:
            raise FileNotFoundError(path)
        return bytes(content)

    def list(self, prefix: str = "") -> Iterator[str]:
        """Names that start with a prefix."""
        for name, _ in self.stamped(prefix):
            yield name

    def stamped(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """The same with their ETags."""
        more = ""
        while True:
            where = quote(f"{self._prefix}/{prefix}", safe="")
            text = self._get(f"/{self._bucket}?list-type=2&prefix={where}{more}").decode()
            for key, tag in _ITEM.findall(text):
                yield unquote(key)[len(self._prefix) + 1 :], tag
            token = _MORE.search(text)
            if token is None:
                return
            more = f"&continuation-token={quote(token[1], safe='')}"

    def open(self, name: str) -> BinaryIO:
        """The object."""
        return io.BytesIO(self._get(f"/{self._bucket}/{quote(self._prefix + '/' + name)}"))
