"""What a Flink application left of its jobs, whole or not."""

from __future__ import annotations

import json

import pytest

from airflow_doeks.hooks.stores import LocalStore
from airflow_doeks.lifecycle.job_archives import COUNTERS, read_job_archives

FIRST, SECOND = "a" * 32, "b" * 32


def leave(folder, job_id, counted):
    """The archive of one job that told of no table, and counters of some jobs."""
    told = {"doeks.tables": json.dumps({"options": {}, "reads": [], "writes": []})}
    parts = {"": {"jid": job_id, "state": "FINISHED"}, "/config": {"execution-config": {"user-config": told}}}
    entries = [{"path": f"/jobs/{job_id}{part}", "json": json.dumps(said)} for part, said in parts.items()]
    (folder / job_id).write_text(json.dumps({"archive": entries}))
    line = {"task_id": "v", "operator_name": "o", "name": "numRecordsIn", "subtask_index": "0", "task_attempt_num": "0"}
    lines = [json.dumps({**line, "job_id": one, "value": "1"}) for one in counted]
    (folder / COUNTERS).write_text("\n".join(lines))


@pytest.mark.parametrize(("counted", "is_whole"), [((FIRST,), True), ((FIRST, SECOND), False)])
def test_a_job_that_only_counters_know_makes_lineage_incomplete(tmp_path, counted, is_whole):
    """A job manager that was killed archived some of its jobs; what the others read and wrote is unknown."""
    leave(tmp_path, FIRST, counted)
    found = read_job_archives(LocalStore(tmp_path))
    missing = "1 of its jobs left only counters: its job manager was killed"
    assert (missing in found.why, found.ended_cleanly) == (not is_whole, is_whole)
    assert not (found.lineage and found.lineage.complete and not is_whole)
