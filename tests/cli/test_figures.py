"""Numbers as people read them."""

from decimal import Decimal

import pytest

from airflow_doeks.cli.figures import count, hours, percent, size, usd


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (usd(Decimal("1234.567")), "1,234.57"),
        (usd(Decimal("0.0345678")), "0.0346"),
        (usd(Decimal("0.00012349")), "0.000123"),
        (usd(Decimal(0)), "0.00"),
        (usd(None), "?"),
        (percent(0.1234), "12.3%"),
        (percent(None), "?"),
        (hours(Decimal(5400)), "1.5000"),
        (hours(None), "?"),
        (count(336776), "336,776"),
        (count(None), "?"),
        (size(512), "512 B"),
        (size(1536), "1.5 KiB"),
        (size(5 * 1024**5), "5120.0 TiB"),
        (size(None), "?"),
    ],
)
def test_figures_are_short_and_unknown_is_never_zero(text, expected):
    """Dollars keep digits where they are small; what is unknown is a question mark."""
    assert text == expected
