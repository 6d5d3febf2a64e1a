"""Read as text by lint, never imported."""

from pathlib import Path

Path("/tmp/doeks-canary").touch()  # noqa: S108 - whoever imports this is found out


def list_days(since, count=1, *, ds=None):
    """The days."""
    return [since, count, ds]


def anything(**names):
    """All that it is given."""
    return names


BROKEN = "("
