"""What budgets of dollars do to an attempt, on a platform in memory: it is refused, told of, cancelled."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from airflow_doeks.compat import AirflowFailException, TaskDeferred
from airflow_doeks.hooks.settings import load_settings, open_ledger
from airflow_doeks.ledger.estimates import write_estimates
from airflow_doeks.ledger.months import write_month
from airflow_doeks.lifecycle import refused_record
from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.record import Cost, JobFailure, JobRecord, Times
from airflow_doeks.model.status import JobState
from tests.airflow.attempt.test_endings_of_an_attempt import ENTRY, JOB, Try, platform
from tests.fakes.memory_platform import START, MemoryPlatform

__all__ = ["platform"]  # a fixture


def record(task_id: str, usd: str | None, **changes: Any) -> JobRecord:
    """A settled record of a task of the run."""
    identity = JobIdentity("localhost", "orders", "r", task_id, -1, 1, START, task_id, {"team": "sales"})
    plain = refused_record(identity, ENTRY, JobFailure()).record
    cost = Cost(usd_total=usd and Decimal(usd), usd_compute=usd and Decimal(usd))
    return plain.model_copy(update={"cost": cost, **changes})


def carried(task: Try) -> dict[str, Any]:
    """What the trigger of a task carries."""
    with pytest.raises(TaskDeferred) as deferred:
        task.operator.execute(task.context)
    money: dict[str, Any] = deferred.value.trigger.money
    assert deferred.value.kwargs.get("money") == money
    return money


def test_a_task_without_a_budget_carries_none(platform: MemoryPlatform) -> None:
    """Nothing is looked at."""
    assert carried(Try()) is None


def test_a_trigger_carries_the_budget_the_prices_and_the_fewest_executors(platform: MemoryPlatform) -> None:
    """Enough to know what the job costs without its rendering."""
    job = JOB | {"executors": {"min": 2, "max": 9}}
    assert carried(Try(budget_usd="5", job=job, rate_card={"region": "us-east-1"})) == {
        "allowances": [{"what": "budget_usd", "usd": "5", "spent": "0", "shared": ""}],
        "told": [],
        "rate_card": {"region": "us-east-1"},
        "executors_min": 2,
    }


def test_a_budget_that_is_nearly_used_up_is_told_of_and_the_job_goes_on(platform: MemoryPlatform) -> None:
    """Log, pages, and whoever wants to know, once: the task waits on with what was told noted."""
    heard: list[dict[str, Any]] = []
    task = Try(budget_usd="5", on_budget=[heard.append])
    money, text = carried(task), "budget_usd of 5 USD (4.1000 USD so far)"
    (job,) = platform.sent.values()
    event = {"status": platform.observe(job.ref).to_json(), "told": {"budget_usd": text}}
    with pytest.raises(TaskDeferred) as deferred:
        task.operator.execute_complete(task.context, event, money=money)
    assert deferred.value.trigger.money["told"] == ["budget_usd"]
    assert deferred.value.trigger.deferred is not None
    assert [context["budget"] for context in heard] == [[text]]
    assert heard[0]["ti"] is task.context["ti"]
    assert task.xcom["doeks_job"]["budget_told"] == text
    assert not platform.cancelled


def test_a_notifier_that_fails_ends_no_job(platform: MemoryPlatform) -> None:
    """The task waits on."""

    def broken(_: Any) -> None:
        msg = "no channel"
        raise RuntimeError(msg)

    task = Try(budget_usd="5", on_budget=broken)
    money = carried(task)
    (job,) = platform.sent.values()
    event = {
        "status": platform.observe(job.ref).to_json(),
        "told": {"budget_usd": "budget_usd of 5 USD (4.1000 USD so far)"},
    }
    with pytest.raises(TaskDeferred):
        task.operator.execute_complete(task.context, event, money=money)
    assert not platform.cancelled


def test_a_job_that_used_up_its_budget_fails_for_good(platform: MemoryPlatform) -> None:
    """Category `budget`, no retry, and the record says how much."""
    task = Try(budget_usd="5")
    money = carried(task)
    (job,) = platform.sent.values()
    platform.cancel(job.ref)
    text = "budget_usd of 5 USD (5.0100 USD so far)"
    with pytest.raises(AirflowFailException, match="budget: used up its budget_usd of 5 USD"):
        task.operator.execute_complete(
            task.context, {"status": platform.observe(job.ref).to_json(), "overdue": text}, money=money
        )
    failure = task.xcom["doeks_record"]["failure"]
    assert (failure["category"], failure["message"]) == ("budget", f"used up its {text} and was cancelled")


def test_what_earlier_tries_cost_counts(platform: MemoryPlatform) -> None:
    """The settled records of this task's other jobs; one whose cost is not known counts nothing."""
    platform.time.moment = datetime.now(timezone.utc)
    first = Try(budget_usd="5")
    carried(first)
    (job,) = platform.sent.values()
    platform.cancel(job.ref)
    known = next(iter(open_ledger(load_settings()).records()))
    ledger = open_ledger(load_settings())
    ledger.write(known.model_copy(update={"settled_by_try": 1, "cost": Cost(usd_total=Decimal("4.5"))}))
    second = carried(Try(2, budget_usd="5", run_budget_usd="50"))
    assert [one["spent"] for one in second["allowances"]] == ["4.5", "4.5"]  # the run's budget has paid them, too
    for one in list(platform.sent.values()):
        platform.cancel(one.ref)
    ledger.write(known.model_copy(update={"settled_by_try": 1, "cost": Cost(usd_total=Decimal("5.5"))}))
    third = Try(3, budget_usd="5")
    with pytest.raises(AirflowFailException, match="no job was started: the task has used up its budget_usd of 5 USD"):
        third.operator.execute(third.context)
    assert third.xcom["doeks_record"]["failure"]["category"] == "budget"
    assert third.xcom["doeks_record"]["job"]["ref"] is None


def test_a_job_that_is_adopted_is_not_refused_for_what_it_cost_itself(platform: MemoryPlatform) -> None:
    """It succeeded while nobody looked and its record is known: the retry takes it, though its budget is used up."""
    platform.time.moment = datetime.now(timezone.utc)
    first = Try(budget_usd="5")
    carried(first)
    (job,) = platform.sent.values()
    platform.scripts[job.ref] = ((0, JobState.RUNNING), (60, JobState.SUCCEEDED))
    platform.time.sleep(100)
    ledger = open_ledger(load_settings())
    known = next(iter(ledger.records()))
    ledger.write(known.model_copy(update={"settled_by_try": 1, "cost": Cost(usd_total=Decimal("5.5"))}))
    second = Try(2, budget_usd="5")
    assert second.operator.execute(second.context) == str(job.ref)
    assert [one.spent for one in second.operator.allowances] == [0]


def test_a_record_tells_what_was_expected(platform: MemoryPlatform) -> None:
    """The median of the task's last runs, from the submission on; it goes with the trigger, too."""
    ledger, now = open_ledger(load_settings()), datetime.now(timezone.utc)
    past = [
        record("clean", usd, times=Times(submitted=now, ended=now)).model_copy(
            update={"job": record("clean", usd).job.model_copy(update={"state": JobState.SUCCEEDED})}
        )
        for usd in ("1", "3", "7")
    ]
    write_estimates(ledger.store, past, now=now)
    task = Try()
    task.start()
    assert task.xcom["doeks_job"]["submission"]["estimate_usd"] == "3"
    assert [one.cost.estimate_usd for one in ledger.records()] == [3]
    (job,) = platform.sent.values()
    platform.scripts[job.ref] = ((0, JobState.RUNNING), (60, JobState.SUCCEEDED))
    platform.time.sleep(100)
    task.operator.execute_complete(task.context, {"status": platform.observe(job.ref).to_json()})
    assert [(one.job.state, one.cost.estimate_usd) for one in ledger.records()] == [(JobState.SUCCEEDED, 3)]


def test_what_other_tasks_of_the_run_cost_counts_for_its_budget(platform: MemoryPlatform) -> None:
    """From their records in XCom, those without a known cost left out."""
    told = [record("a", "3").model_dump(mode="json"), None, record("b", None).model_dump(mode="json")]
    task = Try(run_budget_usd="10")
    task.context["ti"].xcom_pull = lambda **_: told
    (allowance,) = carried(task)["allowances"]
    assert allowance == {"what": "budget_usd of the run", "usd": "10", "spent": "3", "shared": "orders r"}


def test_a_month_that_is_used_up_starts_no_job(platform: MemoryPlatform) -> None:
    """What reconcile added up by cost tag; before it did, no monthly budget holds."""
    budgets = {"team": {"sales": "100", "growth": "1"}}
    (nothing,) = [carried(Try(monthly_budgets_usd=budgets))]
    assert nothing is None
    now = datetime.now(timezone.utc)
    times = record("a", "1").times.model_copy(update={"submitted": now})
    month = [record("a", "60", times=times), record("b", "39.5", times=times), record("c", None, times=times)]
    write_month(open_ledger(load_settings()).store, month, budgets, now=now)
    (allowance,) = carried(Try(monthly_budgets_usd=budgets))["allowances"]
    assert allowance["what"] == f"budget_usd of team=sales in {now:%Y-%m}"
    assert allowance["spent"] == "99.5"
    write_month(open_ledger(load_settings()).store, [*month, record("d", "0.5", times=times)], budgets, now=now)
    task = Try(monthly_budgets_usd=budgets)
    with pytest.raises(AirflowFailException, match="no job was started"):
        task.operator.execute(task.context)


def test_a_worker_that_waits_itself_looks_after_the_budget(platform: MemoryPlatform) -> None:
    """`deferrable: false`: told of once, then cancelled."""
    heard: list[Any] = []
    task = Try(budget_usd="0.05", deferrable=False, on_budget=heard.append)
    with pytest.raises(AirflowFailException, match=r"used up its budget_usd of 0\.05 USD"):
        task.operator.execute(task.context)
    assert len(heard) == 1
    (job,) = platform.sent.values()
    assert platform.observe(job.ref).state is JobState.CANCELLED
    assert task.xcom["doeks_record"]["failure"]["category"] == "budget"


def test_a_notifier_that_fails_ends_no_job_that_a_worker_waits_for(platform: MemoryPlatform) -> None:
    """The task ends as its job does: here by the budget, not by the fault of who was to be told of it."""
    task = Try(budget_usd="0.05", deferrable=False, on_budget=lambda _: 1 / 0)
    with pytest.raises(AirflowFailException, match=r"used up its budget_usd of 0\.05 USD"):
        task.operator.execute(task.context)


@pytest.mark.parametrize("text", ["five", "0", "-1", "NaN"])
def test_a_budget_that_is_no_amount_is_refused(platform: MemoryPlatform, text: str) -> None:
    """By name, before anything starts."""
    task = Try(budget_usd=text)
    with pytest.raises(AirflowFailException, match="is no amount; expected US dollars above 0"):
        task.operator.execute(task.context)
    assert not platform.sent
