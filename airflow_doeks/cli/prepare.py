"""`doeks prepare`: what makes jobs on this machine start sooner."""

from __future__ import annotations

import json
import time

import click

from airflow_doeks.platforms.local import class_archive


@click.command()
@click.option("--java", metavar="PATH", help="The `java` that jobs use, if an entry of doeks.yaml names one.")
@click.option("--anew", is_flag=True, help="Make the archive again, though there is one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def prepare(java: str | None, anew: bool, as_json: bool) -> None:
    """Have Java archive Spark's classes: local Spark jobs then start with about half the work.

    Takes about a minute, once for each Python environment, and 200 MB in it. Jobs run without it too.

    \b
    doeks prepare
    doeks prepare --java /usr/lib/jvm/java-21/bin/java
    """  # noqa: D301 - click's mark of text that is not wrapped
    if not as_json:
        click.echo("Archiving Spark's classes for Java (once, about a minute on two cores)", err=True)
    started = time.monotonic()
    found = class_archive.make(java, anew=anew)
    seconds = round(time.monotonic() - started, 1)
    if as_json:
        click.echo(json.dumps({"path": str(found.path), "mib": found.mib, "is_new": found.is_new, "seconds": seconds}))
    else:
        click.echo(
            f"{found.path}: {found.mib} MiB, " + (f"made in {seconds:.0f} s" if found.is_new else "there already")
        )
