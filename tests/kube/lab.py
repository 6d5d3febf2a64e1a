"""A process of the lab whose cluster the tests run on: killed, and started again as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PIDS = Path(os.environ.get("KUBECONFIG", "")).parent / "pids"
NETWORK = "/run/netns/kubelab"
NODE = "10.250.0.1"  # as pods see this machine
OPERATORS = {"kubeflow_spark": "spark-operator-controller", "apache_spark": "apache-spark-operator"}  # as processes
READY = ("kubectl", "get", "--raw", "/readyz")


def is_here() -> bool:
    """True where KUBECONFIG is that of a lab on this machine."""
    return PIDS.is_dir() and Path(NETWORK).exists()


def has(name: str) -> bool:
    """True where a process of that name belongs to the lab."""
    return (PIDS / name).exists()


@contextmanager
def killed(name: str) -> Iterator[None]:
    """SIGKILL for a process of the lab; it runs again, with the same words, at the end of the block."""
    file = PIDS / name
    pid = int(file.read_text().split()[0])
    process = Path(f"/proc/{pid}")
    words = process.joinpath("cmdline").read_bytes().decode().split("\0")[:-1]
    pairs = process.joinpath("environ").read_bytes().decode().split("\0")
    os.kill(pid, signal.SIGKILL)
    while _lives(process):
        time.sleep(0.05)
    try:
        yield
    finally:
        log = (PIDS.parent / "log" / f"{name}.log").open("a")
        again = subprocess.Popen(
            ["nsenter", f"--net={NETWORK}", "--", *words],
            env=dict(pair.split("=", 1) for pair in pairs if "=" in pair),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        file.write_text(f"{again.pid} {_stat(Path(f'/proc/{again.pid}'))[19]}\n")


def _stat(process: Path) -> list[str]:
    """What the kernel tells of a process, from its state on."""
    return process.joinpath("stat").read_text().rpartition(")")[2].split()


def _lives(process: Path) -> bool:
    """False for one that is gone, or that only waits for us, who started it, to look at its end."""
    try:
        return _stat(process)[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def web(folder: Path) -> Iterator[str]:
    """The address under which pods and operators read a folder of this machine."""
    server = [sys.executable, "-u", "-m", "http.server", "0", "--bind", NODE, "--directory", str(folder)]
    command = ["nsenter", f"--net={NETWORK}", "--", *server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        port = process.stdout.readline().split(" port ")[1].split()[0] if process.stdout else ""
        try:
            yield f"http://{NODE}:{port}"
        finally:
            process.terminate()
