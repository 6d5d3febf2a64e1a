"""What a pipeline may not do, however it is written."""

from __future__ import annotations

import pytest

from airflow_doeks.language import check_file
from airflow_doeks.language.operators import is_allowed

SPARK = "airflow_doeks.operators.job.SparkJobOperator"


@pytest.mark.parametrize("allowed", ["'*'", "airflow_doeks.*", SPARK])
def test_no_allow_list_lets_a_job_past_the_policies(project, allowed):
    """`uses` never names the operator of a Spark job, and the diagnostic tells what to write instead."""
    project.write("doeks.yaml", f"policies: {{allowed_uses: [{allowed}], max_executors: 1}}\n")
    (fault,) = check_file(project.pipeline(f"tasks: {{t: {{uses: {SPARK}, with: {{job: {{main: a.py}}}}}}}}\n"))
    assert (fault.code, fault.help) == ("DK305", "write spark: with the job's keys below it")


def test_of_our_own_only_what_runs_no_job_is_always_allowed():
    """Sensors and the operators of EMR virtual clusters need no allow-list; every other class of ours does."""
    names = ("operators.emr_virtual_cluster.EmrVirtualClusterCreateOperator", "sensors.job.JobSensor")
    assert all(is_allowed(f"airflow_doeks.{name}", f"airflow_doeks.{name}", ()) for name in names)
    assert not is_allowed("airflow_doeks.dag_builder.build_dag", "airflow_doeks.dag_builder.build_dag", ())
