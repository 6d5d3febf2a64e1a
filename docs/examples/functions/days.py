"""Functions that pipelines/tasks.yaml names; only an Airflow worker imports them."""


def list_days(count: int) -> list[str]:
    """The output of the task: a list, over which others are mapped."""
    return [f"2026-01-{number + 1:02}" for number in range(int(count))]


def list_regions() -> list[str]:
    """As long as the days, to be zipped with them."""
    return ["eu", "us", "ap"]


def count_orders(day: str, ds: str | None = None) -> dict[str, object]:
    """``ds`` is of Airflow's context and comes unasked."""
    return {"day": day, "orders": len(day), "ds": ds}


def is_worth_it(counts: list[dict[str, int]]) -> bool:
    """False skips whatever comes after."""
    return sum(count["orders"] for count in counts) > 0


def which_way(counts: list[dict[str, int]]) -> str:
    """The id of the task that follows, with its group's."""
    return "after.many" if counts[1:] else "after.few"
