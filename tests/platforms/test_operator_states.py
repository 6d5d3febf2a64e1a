"""What every operator's words for a job are taken to mean."""

import pytest

from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.apache_spark.states import OPERATOR as APACHE
from airflow_doeks.platforms.kubeflow_spark.states import OPERATOR as KUBEFLOW


@pytest.mark.parametrize("operator", [KUBEFLOW, APACHE], ids=lambda operator: operator.type)
def test_a_word_that_an_operator_invents_is_no_end(operator, caplog):
    """It is still running, warned about once; every word that is known has its row."""
    assert {operator.state("Teleporting"), operator.state("Teleporting")} == {JobState.RUNNING}
    (warning,) = [record.message for record in caplog.records if "'Teleporting'" in record.message]
    assert warning.startswith(f"the {operator.title} gives state 'Teleporting'")
    assert warning.endswith("it is taken as still running")
    assert {word: operator.state(word) for word in operator.states} == dict(operator.states)
