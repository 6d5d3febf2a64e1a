"""The `doeks` command. Exit codes: 0 fine, 1 findings, 2 usage, 3 over budget, or lacking in Airflow, 130 Ctrl-C."""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any

import click

from airflow_doeks.model.errors import PlatformError, SpecError

_INTERRUPTED = 130  # as a shell has it of a program that Ctrl-C ended; click's own is 1, which is findings here
COMMANDS: dict[str, str] = {  # command -> "module:attribute"; imported when used
    "apply": "airflow_doeks.cli.apply:apply",
    "advise": "airflow_doeks.cli.advise:advise",
    "convert": "airflow_doeks.cli.convert:command",
    "cost": "airflow_doeks.cli.cost_commands:cost",
    "ledger": "airflow_doeks.cli.ledger_commands:ledger",
    "lineage": "airflow_doeks.cli.cost_commands:lineage",
    "rates": "airflow_doeks.cli.rates_commands:rates",
    "prepare": "airflow_doeks.cli.prepare:prepare",
    "reconcile": "airflow_doeks.cli.reconcile:reconcile",
    "report": "airflow_doeks.cli.report_command:report_command",
    "init": "airflow_doeks.cli.init:init",
    "estimate": "airflow_doeks.cli.estimate:estimate",
    "explain": "airflow_doeks.cli.explain:explain",
    "lint": "airflow_doeks.cli.lint:lint",
    "render": "airflow_doeks.cli.render:render",
    "schema": "airflow_doeks.cli.schema_command:schema",
    "run": "airflow_doeks.cli.airflow_commands:run",
    "ui": "airflow_doeks.cli.ui_command:ui",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            from airflow_doeks.language.diagnostics import suggestion

            hint = suggestion(name, COMMANDS) or f"commands are {', '.join(sorted(COMMANDS))}"
            ctx.fail(f"there is no command {name!r}; {hint}")
        module, attribute = COMMANDS[name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it was given and cannot use is one line and exit code 2."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a terminal's encoding may lack what a file holds
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader has gone; click ends quietly
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            raise SystemExit(_INTERRUPTED) from None
        except (SpecError, PlatformError) as error:
            raise click.UsageError(str(error)) from error
        except OSError as error:
            message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise click.UsageError(message) from error


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="airflow-doeks")
def main() -> None:
    """Spark and Flink pipelines for Data on EKS: check, run, price and explain them."""
