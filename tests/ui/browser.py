"""A real headless Chromium, driven over its DevTools protocol: what a page requested, logged, drew and shows."""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_ADDRESS = re.compile(r"DevTools listening on (ws://\S+)")


class Tab:
    """One page; ``errors`` and ``hosts`` are what it logged as an error and whom it asked, since it was opened."""

    def __init__(self, address: str) -> None:
        from websockets.sync.client import connect  # Airflow 2 has none, where pages are not looked at

        self._open = ExitStack()
        self._socket = self._open.enter_context(connect(address, max_size=None))
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Answer of one command."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while True:
            heard = json.loads(self._socket.recv(timeout=60))
            if heard.get("id") == number:
                assert "error" not in heard, f"{method}: {heard['error']}"
                return dict(heard["result"])
            self._note(heard)

    def _note(self, heard: dict[str, Any]) -> None:
        method, told = heard.get("method"), heard.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(told["exceptionDetails"])[:400])
        elif method == "Runtime.consoleAPICalled" and told["type"] == "error":
            self.errors.append(json.dumps(told["args"])[:400])
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.errors.append(f"{told['entry']['text']} {told['entry'].get('url', '')}"[:400])
        elif method == "Network.requestWillBeSent":
            parts = urlsplit(told["request"]["url"])
            if parts.scheme in {"http", "https", "ws", "wss"}:
                self.hosts.add(parts.netloc)

    def show(self, *, width: int, height: int = 1000, dark: bool = False) -> None:
        """The window's size and the colours that its reader prefers."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str, until: str = "document.readyState == 'complete'", seconds: float = 60) -> None:
        """Go to a URL and wait until an expression holds there."""
        self.call("Page.navigate", url=url)
        self.wait(f"location.href != 'about:blank' && ({until})", seconds)

    def wait(self, expression: str, seconds: float = 60) -> None:
        """Wait until an expression holds; fails with what the page shows otherwise."""
        until = time.monotonic() + seconds
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < until, f"{expression} does not hold: {self.value('document.body.innerText')}"
            time.sleep(0.2)

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives; None where it throws, as on a page that is not there yet."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return None if "exceptionDetails" in found else found["result"].get("value")

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the page, as long as it is."""
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    def close(self) -> None:
        """Forget the page."""
        self._open.close()


@contextmanager
def browser() -> Iterator[str]:
    """The address of a Chromium that runs for as long as the block."""
    assert PROGRAM, "no Chromium on this machine"
    with tempfile.TemporaryDirectory(prefix="doeks-chromium-", ignore_cleanup_errors=True) as profile:
        command = [PROGRAM, *_FLAGS, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr
            yield next(match[1] for line in process.stderr if (match := _ADDRESS.search(line)))
        finally:
            process.terminate()
            process.wait(20)
