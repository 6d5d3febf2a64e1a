"""Shared pieces of the cost tests: a clock at zero and short ways to say pod and node."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from airflow_doeks.cost import load_rate_card
from airflow_doeks.model.telemetry import Node, Pod

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


@pytest.fixture
def card():
    """The newest bundled card of us-east-1."""
    return load_rate_card()


@pytest.fixture
def at():
    """Seconds after noon as an instant."""
    return lambda seconds: NOON + timedelta(seconds=seconds)


@pytest.fixture
def pod(at):
    """A pod of one hour; every field can be given."""

    def make(uid="driver", vcpu="1", gib="4", seconds=3600, *, start=0, role="driver", **more):
        ended = None if seconds is None else at(start + seconds)
        return Pod(uid=uid, role=role, vcpu=vcpu, memory_gib=gib, **{"started": at(start), "ended": ended} | more)

    return make


@pytest.fixture
def node():
    """A node of a known type."""

    def make(uid="n1", kind="m5.xlarge", **more):
        return Node(uid=uid, instance_type=kind, **more)

    return make


@pytest.fixture
def total():
    """The components of a cost, added by hand."""

    def add(cost):
        names = ("compute", "uplift", "storage", "transfer", "shared", "idle")
        return sum((getattr(cost, f"usd_{name}") or Decimal(0) for name in names), Decimal(0))

    return add
