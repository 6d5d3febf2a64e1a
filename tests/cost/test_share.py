"""Dollars of a job on its datasets."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from airflow_doeks.cost import share
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.lineage import Dataset, Lineage
from airflow_doeks.model.record import Cost


def summary(*shares, slot_ms=1000, wasted=100):
    """A log's summary with one output per share."""
    outputs = tuple(Dataset(namespace="file", name=f"/d{i}", slot_share=part) for i, part in enumerate(shares))
    return EventLogSummary(slot_ms=slot_ms, slot_ms_wasted=wasted, lineage=Lineage(outputs=outputs))


def test_outputs_pay_by_slot_time_and_the_rest_is_unattributed():
    """Half, a quarter and a quarter that nobody claims: 5, 2.50 and 2.50 of 10 dollars; a tenth of all was waste."""
    cost, lineage = share(Cost(usd_total=10), summary(0.5, 0.25))
    assert [dataset.usd for dataset in lineage.outputs] == [5, Decimal("2.5")]
    assert (cost.usd_unattributed, cost.usd_waste) == (Decimal("2.5"), 1)
    assert cost.usd_total == 10


@given(
    st.decimals(min_value=0, max_value=10**6, places=10),
    st.lists(st.floats(min_value=0, max_value=1), max_size=8),
)
def test_shares_and_the_unattributed_rest_sum_to_the_total(total, parts):
    """To the last digit, for any total and any shares, even shares that add up to more than one."""
    cost, lineage = share(Cost(usd_total=total), summary(*parts))
    paid = [dataset.usd for dataset in lineage.outputs]
    assert sum(paid, cost.usd_unattributed) == total
    assert all(usd >= 0 for usd in [*paid, cost.usd_unattributed])


def test_unknown_slot_time_gives_unknown_dollars():
    """A job whose total or slot time is unknown puts no dollars on its datasets, not even zero."""
    cost, lineage = share(Cost(), summary(0.5))
    assert (cost.usd_unattributed, lineage.outputs[0].usd) == (None, None)
    cost, lineage = share(Cost(usd_total=10), summary(None, 0.5, slot_ms=None))
    assert (cost.usd_unattributed, cost.usd_waste) == (None, None)
    assert {dataset.usd for dataset in lineage.outputs} == {None}


def test_a_failed_job_is_waste_as_a_whole():
    """What did not succeed is wasted to the last cent, even if its log tells nothing."""
    cost, _ = share(Cost(usd_total=10), EventLogSummary(), succeeded=False)
    assert (cost.usd_waste, cost.usd_unattributed) == (10, 10)


def test_a_job_without_outputs_is_unattributed():
    """A job that wrote nothing leaves all its cost unattributed."""
    cost, _ = share(Cost(usd_total=10), summary())
    assert cost.usd_unattributed == 10
