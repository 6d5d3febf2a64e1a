"""Which Airflows may submit to a platform that others share."""

from __future__ import annotations

import pytest

from airflow_doeks.attempt.identity import check_instance
from airflow_doeks.model.errors import SpecError

LAKE = {"name": "lake", "type": "emr_on_eks"}
LAPTOP = {"name": "laptop", "type": "local"}


@pytest.mark.parametrize(
    ("instance", "entry", "is_refused"),
    [
        ("localhost", LAKE, True),
        ("127.0.0.1", LAKE, True),
        ("laptop-ann", LAKE, False),
        ("localhost", LAPTOP, False),  # nobody else submits to this machine
    ],
)
def test_an_airflow_without_a_name_of_its_own_submits_to_its_own_machine_only(
    instance: str, entry: dict[str, str], is_refused: bool
) -> None:
    """Two laptops on one virtual cluster would adopt and cancel each other's jobs; the message says what to set."""
    if not is_refused:
        check_instance(instance, entry)
        return
    with pytest.raises(SpecError, match=r"no name of its own(.|\n)*platform 'lake'(.|\n)*AIRFLOW__DOEKS__INSTANCE"):
        check_instance(instance, entry)
