"""A client of yaml-language-server: an editor without a screen, over the Language Server Protocol."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

_SETTINGS = {"yaml": {"validate": True, "completion": True, "schemaStore": {"enable": False}}}


class Editor:
    """One session with the server; files are open as long as it lasts."""

    def __init__(self, command: str, folder: Path) -> None:
        self._server = subprocess.Popen([command, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._asked = 0
        self._told: dict[str, list[str]] = {}  # URI -> messages of its last diagnostics
        snippets = {"completion": {"completionItem": {"snippetSupport": True}}, "publishDiagnostics": {}}
        hello = {"processId": None, "rootUri": folder.as_uri(), "capabilities": {"textDocument": snippets}}
        self._ask("initialize", hello)
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": _SETTINGS})

    def close(self) -> None:
        """End the server."""
        self._server.kill()
        self._server.communicate()

    def faults(self, file: Path) -> list[str]:
        """What the editor underlines in a file, in words."""
        self._open(file, file.read_text("utf-8"))
        while file.as_uri() not in self._told:
            self._hear()
        return self._told[file.as_uri()]

    def completions(self, file: Path, text: str) -> list[str]:
        """What the editor offers where ``|`` stands in a text."""
        before = text.partition("|")[0].split("\n")
        self._open(file, text.replace("|", "", 1))
        at = {"line": len(before) - 1, "character": len(before[-1])}
        found = self._ask("textDocument/completion", {"textDocument": {"uri": file.as_uri()}, "position": at})
        return [item["label"] for item in found["items"]]

    def _open(self, file: Path, text: str) -> None:
        document = {"uri": file.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})

    def _tell(self, method: str, params: Any, **more: Any) -> None:
        self._send({"method": method, "params": params, **more})

    def _ask(self, method: str, params: Any) -> Any:
        self._asked += 1
        self._tell(method, params, id=self._asked)
        while True:
            heard = self._hear()
            if heard.get("id") == self._asked and "method" not in heard:
                return heard["result"]

    def _send(self, message: dict[str, Any]) -> None:
        assert self._server.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._server.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._server.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        """The server's next message; its questions are answered with nothing."""
        assert self._server.stdout is not None
        length = 0
        while header := self._server.stdout.readline().strip():
            name, _, value = header.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        assert length, "the language server has ended"
        message: dict[str, Any] = json.loads(self._server.stdout.read(length))
        if "method" in message and "id" in message:
            self._send({"id": message["id"], "result": None})
        if message.get("method") == "textDocument/publishDiagnostics":
            params = message["params"]
            self._told[params["uri"]] = [one["message"] for one in params["diagnostics"]]
        return message
