"""Spark properties that exist in no Spark: Spark ignores a typo there without a word."""

from __future__ import annotations

import functools
from pathlib import Path

KEYS = Path(__file__).parent / "spark_conf_keys.txt"
_HADOOP = ("fs.", "hadoop.", "hive.", "dfs.", "mapreduce.", "parquet.")
_NEAR = 0.85  # difflib's ratio; below it two Spark properties are different words
_SLIP = 2  # characters that a slip of the pen changes; more is another property, a vendor's perhaps


@functools.lru_cache(maxsize=1)
def known() -> tuple[frozenset[str], tuple[str, ...]]:
    """Keys of Spark 3.5 and 4, and beginnings (they end in a dot) below which any key may stand."""
    lines = [line for line in KEYS.read_text("utf-8").split("\n") if line and not line.startswith("#")]
    return frozenset(lines), tuple(line for line in lines if line.endswith("."))


@functools.lru_cache(maxsize=4096)
def fault(key: str) -> tuple[str, str, str] | None:
    """Code, message and help for a property that Spark would ignore; None for one that it reads, or may.

    An application's own properties (``spark.acme.mode``) are left alone unless they are near a real one.
    """
    keys, beginnings = known()
    if key in keys or key.startswith(beginnings):
        return None
    if not key.startswith("spark."):
        advice = f"write spark.hadoop.{key}" if key.startswith(_HADOOP) else "Spark reads only what starts with spark."
        return "DK217", f"{key} is not a Spark property", advice
    import difflib

    near = difflib.get_close_matches(key, keys, n=1, cutoff=_NEAR)
    if near and _changed(key, near[0]) <= _SLIP:
        return "DK217", f"no Spark knows the property {key}", f'did you mean "{near[0]}"?'
    if near:
        advice = f'a vendor may, then add it to known_conf of doeks.yaml; or did you mean "{near[0]}"?'
        return "DK230", f"neither Spark 3.5 nor 4 knows the property {key}", advice
    if key.split(".")[1] in {one.split(".")[1] for one in keys}:
        advice = "see the configuration page of your Spark version; a property of your own needs another second word"
        return "DK230", f"neither Spark 3.5 nor 4 knows the property {key}", advice
    return None


def _changed(one: str, other: str) -> int:
    """Characters that differ between two texts."""
    import difflib

    steps = difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
    return sum(max(end - start, there - here) for tag, start, end, here, there in steps if tag != "equal")
