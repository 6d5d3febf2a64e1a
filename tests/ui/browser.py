"""A real headless Chromium, driven over its DevTools protocol: what a page requested, logged, drew and shows.

Commands and answers are JSON on two pipes, each ended by a zero byte, so nothing need be installed beside it.
"""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
# Chromium reads commands from descriptor 3 and writes answers to 4.
_LISTEN = "import os, sys; os.dup2({}, 3); os.dup2({}, 4); os.execv(sys.argv[1], sys.argv[1:])"


class Pipes:
    """Both ways to a browser."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers, self._heard = commands, answers, b""

    def send(self, message: str) -> None:
        """One command."""
        waiting = message.encode() + b"\0"
        while waiting:
            waiting = waiting[os.write(self._commands, waiting) :]

    def hear(self, seconds: float = 60) -> str:
        """One answer or event; fails if none comes in time."""
        while b"\0" not in self._heard:
            assert select.select([self._answers], [], [], seconds)[0], f"the browser says nothing for {seconds} s"
            found = os.read(self._answers, 1 << 20)
            assert found, "the browser is gone"
            self._heard += found
        message, _, self._heard = self._heard.partition(b"\0")
        return message.decode()


class Tab:
    """One page; ``errors`` and ``hosts`` are what it logged as an error and whom it asked, since ``forget``."""

    def __init__(self, pipes: Pipes) -> None:
        self._pipes = pipes
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
        self._pipes.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while True:
            heard = json.loads(self._pipes.hear())
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

    def forget(self) -> None:
        """Leave the page with all that it still does, and forget what it said and whom it asked."""
        self.call("Page.navigate", url="about:blank")
        self.wait("location.href == 'about:blank'")
        self.errors.clear()
        self.hosts.clear()

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
        self.call("Page.bringToFront")
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        options = {"clip": clip, "captureBeyondViewport": True} if whole else {}
        taken = self.call("Page.captureScreenshot", format="png", **options)
        path.write_bytes(base64.b64decode(taken["data"]))

    def cookies(self) -> str:
        """What the page's site knows its reader by, as a header's value."""
        return "; ".join(f"{one['name']}={one['value']}" for one in self.call("Network.getCookies")["cookies"])


@contextmanager
def browser() -> Iterator[Pipes]:
    """Pipes to a Chromium that runs for as long as the block."""
    assert PROGRAM, "no Chromium on this machine"
    with tempfile.TemporaryDirectory(prefix="doeks-chromium-", ignore_cleanup_errors=True) as profile:
        ends = [*os.pipe(), *os.pipe()]
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (ends[0], ends[3])]
        command = [PROGRAM, *_FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(
            [sys.executable, "-c", _LISTEN.format(*theirs), *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=theirs,
        )
        for end in (ends[0], ends[3], *theirs):
            os.close(end)
        try:
            yield Pipes(ends[1], ends[2])
        finally:
            process.terminate()
            process.wait(20)
            os.close(ends[1])
            os.close(ends[2])
