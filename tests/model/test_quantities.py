"""Kubernetes quantities and durations as exact numbers."""

from decimal import Decimal

import pytest

from airflow_doeks.model.quantities import (
    MIB,
    gib,
    parse_cpu,
    parse_duration,
    parse_memory,
    parse_quantity,
    parse_spark_memory,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4Gi", 4 * 1024**3),
        ("512Mi", 512 * 1024**2),
        ("1.5Gi", 3 * 1024**3 // 2),
        ("16G", 16 * 10**9),
        ("100k", 100_000),
        ("8Ki", 8192),
        ("2Ti", 2 * 1024**4),
        (" 7 ", 7),
        (7, 7),
    ],
)
def test_memory_is_bytes(text, number):
    """Binary and decimal suffixes as the Kubernetes API reference defines them."""
    assert parse_memory(text) == number


@pytest.mark.parametrize("text", ["4GB", "4gi", "-1Gi", "Gi", "1 Gi", "1e3", "", "٤Gi x"])
def test_other_memory_is_refused_with_the_forms_that_are_allowed(text):
    """What Kubernetes would read otherwise, or not at all, is not guessed at."""
    with pytest.raises(ValueError, match="write for example 512Mi, 4Gi or 16G"):
        parse_memory(text)


@pytest.mark.parametrize(
    ("text", "number"), [(2, "2"), ("0.5", "0.5"), ("500m", "0.5"), (0.1, "0.1"), ("1500m", "1.5")]
)
def test_cpu_is_exact(text, number):
    """Cores and millicores, a float as it is written."""
    assert parse_cpu(text) == Decimal(number)


def test_a_small_or_large_float_is_cpu_too():
    """Python writes such floats with an exponent, Kubernetes does not."""
    assert (parse_cpu(0.00001), parse_cpu(1e16)) == (Decimal("0.00001"), Decimal(10**16))


@pytest.mark.parametrize("text", ["2 cores", "m", "-1", "1M", "", float("inf")])
def test_other_cpu_is_refused(text):
    """The message shows the forms that are allowed."""
    with pytest.raises(ValueError, match=r"write for example 1, 0\.5 or 500m"):
        parse_cpu(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172800), (45, 45), ("0.5", 0.5)]
)
def test_durations_are_seconds(text, seconds):
    """A number is seconds; units may be combined."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["1w", "h", "1h 30m", "-5s", "", "5 s"])
def test_other_durations_are_refused(text):
    """The message shows the forms that are allowed."""
    with pytest.raises(ValueError, match="write for example 90s, 30m, 1h30m"):
        parse_duration(text)


def test_gib_is_exact():
    """Bytes become GiB without rounding."""
    assert gib(1024**3 * 3 // 2) == Decimal("1.5")


@pytest.mark.parametrize("text", ["36501d", "99999999d", "36500d1s", 4e9, "9" * 400])
def test_durations_past_the_last_date_are_refused(text):
    """A hundred years is the most: Airflow adds durations to dates."""
    assert parse_duration("36500d") == 36500 * 86400
    with pytest.raises(ValueError, match="expected at most 36500d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("2", 2), ("500m", "0.5"), ("1e3", 1000), ("12E", 12 * 10**18), ("1.5Gi", 1.5 * 1024**3), ("7n", "0.000000007")],
)
def test_what_kubernetes_answers_is_read_in_every_form(text, value):
    """A quantity of the API is exact, whatever suffix or exponent it comes with."""
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "infinity", "NaN", "-1", "1 Gi", "1e", "0x10"])
def test_what_is_no_quantity_is_refused(text):
    """Nothing that is no number of something passes for one."""
    with pytest.raises(ValueError, match="is not a Kubernetes quantity"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "mib"), [("512m", 512), ("2g", 2048), ("1024", 1024), ("3GB", 3072), ("1048576k", 1024), ("1T", 1024**2)]
)
def test_sizes_of_spark(text, mib):
    """Spark's letters are binary, and a bare number of its memory properties is MiB."""
    assert parse_spark_memory(text) == mib * MIB
