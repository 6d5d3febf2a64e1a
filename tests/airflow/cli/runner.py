"""A click runner that keeps standard output and standard error apart, as terminals do and old clicks do not."""

from __future__ import annotations

import inspect

from click.testing import CliRunner


def runner() -> CliRunner:
    """One of the installed click: from 8.2 on streams are apart, before one has to ask for it."""
    can_mix = "mix_stderr" in inspect.signature(CliRunner).parameters
    return CliRunner(mix_stderr=False) if can_mix else CliRunner()  # type: ignore[call-arg]
