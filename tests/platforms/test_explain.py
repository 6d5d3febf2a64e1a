"""What the end of a driver's log is taken to mean."""

from __future__ import annotations

import pytest

from airflow_doeks.platforms.explain import root_cause

USER_CODE = """\
26/11/20 19:00:00 INFO SparkContext: Running Spark version 4.3.0
Traceback (most recent call last):
  File "/jobs/clean.py", line 7, in <module>
    main()
  File "/jobs/clean.py", line 4, in main
    raise ValueError("no flights in 2013-13")
ValueError: no flights in 2013-13
26/11/20 19:00:02 INFO ShutdownHookManager: Shutdown hook called
"""
CHAINED = """\
Traceback (most recent call last):
  File "/jobs/clean.py", line 3, in <module>
    settings["month"]
KeyError: 'month'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/jobs/clean.py", line 5, in <module>
    raise RuntimeError("bad settings")
RuntimeError: bad settings
"""
WORKER = """\
Traceback (most recent call last):
  File "/jobs/udf.py", line 8, in <module>
    df.collect()
pyspark.errors.exceptions.captured.PythonException:
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "/jobs/udf.py", line 5, in divide
    return 1 / n
ZeroDivisionError: division by zero

26/11/20 19:00:02 INFO SparkContext: Invoking stop() from shutdown hook
"""
ANALYSIS = """\
Traceback (most recent call last):
  File "/jobs/sql.py", line 8, in <module>
    spark.sql("select * from nowhere")
pyspark.errors.exceptions.captured.AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] The table `nowhere` cannot be found.
"""
PY4J = """\
Traceback (most recent call last):
  File "/jobs/write.py", line 8, in <module>
    df.write.parquet("s3a://raw/x")
py4j.protocol.Py4JJavaError: An error occurred while calling o45.parquet.
: java.nio.file.AccessDeniedException: s3a://raw/x: getFileStatus
\tat org.apache.hadoop.fs.s3a.S3AUtils.translateException(S3AUtils.java:255)
Caused by: software.amazon.awssdk.services.s3.model.S3Exception: Access Denied (Service: S3, Status Code: 403)
\tat software.amazon.awssdk.Foo(Foo.java:1)
"""
PY4J_ALONE = """\
Traceback (most recent call last):
  File "/jobs/read.py", line 8, in <module>
    spark.read.parquet("hdfs://nn/x")
py4j.protocol.Py4JJavaError: An error occurred while calling o48.open.
: java.io.FileNotFoundException: File hdfs://nn/x does not exist
\tat org.apache.hadoop.fs.RawLocalFileSystem.open(RawLocalFileSystem.java:1)

26/11/20 19:00:02 INFO ShutdownHookManager: Shutdown hook called
"""
EXECUTOR_OOM = """\
Traceback (most recent call last):
  File "/jobs/join.py", line 8, in <module>
    df.count()
pyspark.errors.exceptions.captured.SparkException: Job aborted due to stage failure: Task 3 in stage 1.0 \
failed 4 times, most recent failure: Lost task 3.3 in stage 1.0 \
(TID 9) (10.0.0.7 executor 4): java.lang.OutOfMemoryError: Java heap space
"""
DRIVER_OOM = EXECUTOR_OOM.replace("executor 4", "executor driver")
JAVA = """\
Exception in thread "main" org.apache.spark.SparkException: Job aborted.
\tat org.apache.spark.Foo(Foo.scala:1)
Caused by: java.net.UnknownHostException: broker-1.kafka
\tat java.base/java.net.Bar(Bar.java:1)
26/11/20 19:00:02 INFO ShutdownHookManager: Shutdown hook called
"""
EXECUTOR_KILLED = """\
26/11/20 19:00:02 ERROR TaskSchedulerImpl: Lost executor 2 on 10.0.0.7: ExecutorLostFailure exit code 137, OOM
"""
MISSING_CLASS = "Error: Failed to load class com.acme.Clean.\n26/11/20 19:00:02 INFO ShutdownHookManager: Bye\n"
MISSING_MODULE = USER_CODE.replace("ValueError: no flights in 2013-13", "ModuleNotFoundError: No module named 'pandas'")
SURVIVED = CHAINED + USER_CODE

CASES = {
    "python exception": (USER_CODE, "user_code", "ValueError: no flights in 2013-13"),
    "first of a chain": (CHAINED, "user_code", "KeyError: 'month'"),
    "inside a Python worker": (WORKER, "user_code", "ZeroDivisionError: division by zero"),
    "analysis": (
        ANALYSIS,
        "user_code",
        "AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] The table `nowhere` cannot be found.",
    ),
    "java cause through Py4J": (
        PY4J,
        "permission",
        "software.amazon.awssdk.services.s3.model.S3Exception: Access Denied (Service: S3, Status Code: 403)",
    ),
    "java exception without a cause": (
        PY4J_ALONE,
        "user_code",
        "java.io.FileNotFoundException: File hdfs://nn/x does not exist",
    ),
    "executor out of memory": (EXECUTOR_OOM, "oom_executor", "java.lang.OutOfMemoryError: Java heap space"),
    "driver out of memory": (DRIVER_OOM, "oom_driver", "java.lang.OutOfMemoryError: Java heap space"),
    "java driver": (JAVA, "network", "java.net.UnknownHostException: broker-1.kafka"),
    "executor killed": (EXECUTOR_KILLED, "oom_executor", EXECUTOR_KILLED.strip()),
    "missing class": (MISSING_CLASS, "dependency", "Error: Failed to load class com.acme.Clean."),
    "missing module": (MISSING_MODULE, "dependency", "ModuleNotFoundError: No module named 'pandas'"),
    "an earlier one was survived": (SURVIVED, "user_code", "ValueError: no flights in 2013-13"),
    "nothing told": ("26/11/20 19:00:02 INFO SparkContext: fine\n", "unknown", ""),
    "empty": ("", "unknown", ""),
}


@pytest.mark.parametrize("case", CASES)
def test_root_cause(case):
    """The exception that ended the job is named in one line, with its category."""
    log, category, message = CASES[case]
    assert root_cause(log.splitlines()) == (category, message)
