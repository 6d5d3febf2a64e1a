"""docs/commands.md from the commands, docs/settings.md from Airflow's section `[doeks]`."""

from __future__ import annotations

import inspect

import click

from airflow_doeks.cli import COMMANDS, main
from airflow_doeks.provider_info import OPTIONS


def _argument(argument: click.Argument) -> str:
    name = (argument.metavar or str(argument.name)).strip("[]").upper() + ("..." if argument.nargs < 0 else "")
    return name if argument.required else f"[{name}]"


def _option_row(option: click.Option) -> str:
    words, meaning = ", ".join(sorted(option.opts, key=len)), option.help or ""
    if isinstance(option.type, click.Choice):
        words, meaning = f"{words} NAME", f"{meaning} One of {', '.join(option.type.choices)}."
    elif not option.is_flag:
        words = f"{words} {option.metavar or option.type.name.upper()}"
    return f"| `{words}` | {meaning} |"


def _paragraph(text: str) -> str:
    """A paragraph of a command's help; one that click does not wrap is a list of examples."""
    examples = text.removeprefix("\b\n")
    return text if examples == text else "\n".join(f"* `{line}`" for line in examples.splitlines())


def _section(words: str, command: click.Command) -> list[str]:
    arguments = [_argument(one) for one in command.params if isinstance(one, click.Argument)]
    text = "\n\n".join(_paragraph(one) for one in inspect.cleandoc(command.help or "").split("\n\n"))
    parts = ["", f"## doeks {words}", "", f"`{' '.join(['doeks', words, *arguments])}`", "", text]
    options = [one for one in command.params if isinstance(one, click.Option)]
    return [*parts, "", "| option | meaning |", "|---|---|", *map(_option_row, options)] if options else parts


def commands_page() -> str:
    """docs/commands.md."""
    parts = [
        "# Commands",
        "",
        "Generated from the commands. Exit codes: 0 fine, 1 findings, 2 wrong use, 3 over budget or lacking in",
        "Airflow, 130 after Ctrl-C.",
    ]
    for name in sorted(COMMANDS):
        command = main.get_command(click.Context(main), name)
        inner = command.commands if isinstance(command, click.Group) else {}
        for words, one in {name: command, **{f"{name} {key}": sub for key, sub in sorted(inner.items())}}.items():
            parts += _section(words, one)
    return "\n".join(parts) + "\n"


def settings_page() -> str:
    """docs/settings.md."""
    parts = [
        "# Settings of Airflow",
        "",
        "Generated. They stand in the section `[doeks]` of `airflow.cfg`, or in variables: `ledger_path` is",
        "`AIRFLOW__DOEKS__LEDGER_PATH`. On Amazon MWAA they are configuration options such as `doeks.ledger_path`.",
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
    ]
    for name, option in OPTIONS.items():
        default = f"`{option['default']}`" if option["default"] else ""
        example = f" Example: `{option['example']}`." if option["example"] else ""
        parts.append(f"| `{name}` | {default} | {option['description']}{example} |")
    return "\n".join(parts) + "\n"
