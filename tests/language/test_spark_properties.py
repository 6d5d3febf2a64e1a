"""Properties of Spark: a slip of the pen is an error, what a vendor's build or a module beside Spark reads is not."""

from __future__ import annotations

import pytest

from airflow_doeks.language import check_file
from airflow_doeks.language.spark_conf import fault
from tests.language.conftest import DOEKS

DOCUMENTED = [  # by Spark 3.5 or 4, in modules that are no part of its core: Hive, state stores, Kafka, Connect
    "spark.sql.hive.metastore.version",
    "spark.sql.hive.metastore.jars",
    "spark.sql.hive.metastore.jars.path",
    "spark.sql.hive.metastore.sharedPrefixes",
    "spark.sql.hive.metastore.barrierPrefixes",
    "spark.sql.hive.thriftServer.async",
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled",
    "spark.sql.streaming.stateStore.rocksdb.boundedMemoryUsage",
    "spark.streaming.kafka.maxRatePerPartition",
    "spark.streaming.kafka.consumer.poll.ms",
    "spark.kafka.consumer.cache.capacity",
    "spark.connect.grpc.maxInboundMessageSize",
    "spark.api.mode",
]
OF_VENDORS = [  # which Amazon EMR sets or documents, and others, beside words that Spark has, too
    "spark.stage.attempt.ignoreOnDecommissionFetchFailure",
    "spark.dynamicAllocation.preallocateExecutors",
    "spark.decommissioning.timeout.threshold",
    "spark.blacklist.decommissioning.enabled",
    "spark.files.fetchFailure.unRegisterOutputOnHost",
    "spark.sql.parquet.fs.optimized.committer.optimization-enabled",
    "spark.sql.optimizer.dynamicPartitionPruning.broadcastOnly",
    "spark.sql.adaptive.skewJoin.optimizeWindow.enabled",
    "spark.shuffle.sort.columnarShuffle.enabled",
    "spark.executor.memoryOverhead.reserved",
]
MISSPELT = {
    "spark.sql.shuffle.partition": "spark.sql.shuffle.partitions",
    "spark.sql.shuffel.partitions": "spark.sql.shuffle.partitions",
    "spark.sql.autoBroadcastJoinTreshold": "spark.sql.autoBroadcastJoinThreshold",
    "spark.dynamicAllocation.maxExecutor": "spark.dynamicAllocation.maxExecutors",
    "spark.executor.memoryoverhead": "spark.executor.memoryOverhead",
    "spark.sql.hive.metastore.versoin": "spark.sql.hive.metastore.version",
}


@pytest.mark.parametrize("key", DOCUMENTED)
def test_what_spark_documents_is_no_fault(key):
    """Also where the class that reads it is in another jar."""
    assert fault(key) is None


@pytest.mark.parametrize("key", OF_VENDORS)
def test_what_a_vendor_reads_is_at_most_a_warning(key):
    """A pipeline with it can be loaded."""
    found = fault(key)
    assert found is None or found[0] == "DK230"


@pytest.mark.parametrize("key", MISSPELT)
def test_a_slip_of_the_pen_is_an_error(key):
    """Spark would ignore the property without a word."""
    assert fault(key) == ("DK217", f"no Spark knows the property {key}", f'did you mean "{MISSPELT[key]}"?')


def test_a_platform_team_adds_what_its_build_reads(project):
    """`known_conf` of doeks.yaml holds patterns; what fits one is neither misspelt nor unknown."""
    conf = "{spark.sql.acmeTurbo: true, spark.sql.shuffle.partition: 9, spark.sql.acmeOther: 1}"
    file = project.pipeline(f"tasks: {{t: {{platform: lake, spark: {{main: ../jobs/clean.py, conf: {conf}}}}}}}\n")
    assert [fault.code for fault in check_file(file)] == ["DK230", "DK217", "DK230"]
    project.write("doeks.yaml", f"{DOEKS}known_conf: [spark.sql.acmeT*, spark.sql.shuffle.partition]\n")
    assert [fault.message for fault in check_file(file)] == [
        "neither Spark 3.5 nor 4 knows the property spark.sql.acmeOther"
    ]
