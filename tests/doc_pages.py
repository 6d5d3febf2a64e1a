"""Pages of docs/ as stories: their files are written, their commands run, and what these print is compared.

A fence with a title is a file of the project (``title="pipelines/orders.yaml"``). In a fence of language ``console`` a
line that starts with ``$`` is a command and the lines below it are what it prints; ``...`` stands for anything. A
command that is to fail ends in ``# exit code 1``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from airflow_doeks.cli import main

_FENCE = re.compile(r'^( *)```([\w-]*)(?: title="([^"]+)")? *\n(.*?)^\1```', re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"\s+# exit code (\d)$")


@dataclass(frozen=True)
class Fence:
    """A piece of a page between ``` and ```."""

    language: str
    title: str | None
    text: str


@dataclass(frozen=True)
class Command:
    """A command of a page and what it prints; ``lines`` is empty where the page does not say."""

    words: tuple[str, ...]
    lines: tuple[str, ...]
    exit_code: int


def fences(page: Path) -> list[Fence]:
    """All of a page, in order."""
    found = []
    for indent, language, title, text in _FENCE.findall(page.read_text("utf-8")):
        lines = [line.removeprefix(indent) for line in text.splitlines(keepends=True)]
        found.append(Fence(language, title or None, "".join(lines)))
    return found


def commands(fence: Fence) -> Iterator[Command]:
    """The commands of a console."""
    for piece in re.split(r"^\$ ", fence.text, flags=re.MULTILINE)[1:]:
        first, *rest = piece.rstrip("\n").split("\n")
        while first.endswith("\\"):
            first = first[:-1] + rest.pop(0)
        code = _CODE.search(first)
        words = shlex.split(_CODE.sub("", first), comments=True)
        yield Command(tuple(words), tuple(rest), int(code[1]) if code else 0)


def play(page: Path, folder: Path) -> Iterator[tuple[Command, str, int]]:
    """Write a page's files below a folder and run its commands there; each with what it printed and its exit code."""
    for fence in fences(page):
        if fence.title:
            file = folder / fence.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(fence.text, "utf-8")
        for command in commands(fence) if fence.language == "console" else ():
            name, *words = command.words
            if name == "cat":
                yield command, (folder / words[0]).read_text("utf-8"), 0
            else:
                assert name == "doeks", f"{page}: a console may only have doeks and cat, not {name}"
                done = CliRunner().invoke(main, words, env={"COLUMNS": "110"})
                yield command, done.output, done.exit_code


def difference(command: Command, output: str, exit_code: int) -> str:
    """How a command did otherwise than its page says; empty if it did not."""
    told = f"$ {' '.join(command.words)}\n{output}"
    if exit_code != command.exit_code:
        return f"exit code {exit_code}, not {command.exit_code}\n{told}"
    if command.lines and not _fits(output, command.lines):
        return "\n".join(["the page says", *command.lines, "and it is", told])
    return ""


def _fits(output: str, lines: tuple[str, ...]) -> bool:
    """True if the output is the lines, where a line ``...`` is any lines and ``...`` in a line any text."""
    pattern = ""
    for line in lines:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r".*?".join(re.escape(part.rstrip()) for part in line.split("...")) + r" *\n"
    text = "".join(f"{line.rstrip()}\n" for line in output.strip("\n").split("\n"))
    return re.fullmatch(pattern, text) is not None
