"""What the end of a driver's log is taken to mean."""

from __future__ import annotations

import pytest

from airflow_doeks.platforms.root_cause import category_of, root_cause

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
CRASHED_WORKER = """\
Traceback (most recent call last):
  File "/jobs/udf.py", line 8, in <module>
    rdd.collect()
py4j.protocol.Py4JJavaError: An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 0.0 failed 1 times, \
most recent failure: Lost task 0.0 in stage 0.0 (TID 0) (10.0.0.7 executor 1): org.apache.spark.SparkException: \
Python worker exited unexpectedly (crashed). Consider setting 'spark.python.worker.faulthandler.enabled'
\tat org.apache.spark.Foo(Foo.scala:1)
Caused by: java.io.EOFException
\tat java.base/java.io.DataInputStream.readInt(DataInputStream.java:386)
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
    "a worker of Python is gone": (
        CRASHED_WORKER,
        "user_code",
        "Python worker exited unexpectedly (crashed). Consider setting 'spark.python.worker.faulthandler.enabled'",
    ),
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


PASSING = {  # the innermost exception -> its category; texts as the clients write them
    "com.amazonaws.services.s3.model.AmazonS3Exception: Please reduce your request rate. (Service: Amazon S3; "
    "Status Code: 503; Error Code: SlowDown; Request ID: X; S3 Extended Request ID: Y)": "platform",
    "com.amazonaws.services.s3.model.AmazonS3Exception: We encountered an internal error. Please try again. "
    "(Service: Amazon S3; Status Code: 500; Error Code: InternalError; Request ID: X)": "platform",
    "com.amazon.ws.emr.hadoop.fs.shaded.com.amazonaws.services.s3.model.AmazonS3Exception: Slow Down (Service: "
    "Amazon S3; Status Code: 503; Error Code: 503 Slow Down; Request ID: X)": "platform",
    "software.amazon.awssdk.services.s3.model.S3Exception: Please reduce your request rate. (Service: S3, "
    "Status Code: 503, Request ID: X) (SDK Attempt Count: 6)": "platform",
    "org.apache.hadoop.fs.s3a.AWSServiceThrottledException: PUT 0-byte object on orders": "platform",
    "software.amazon.awssdk.services.glue.model.ThrottlingException: Rate exceeded (Service: Glue, "
    "Status Code: 400, Request ID: X)": "platform",
    "MetaException(message:Rate exceeded (Service: AWSGlue; Status Code: 400; Error Code: ThrottlingException; "
    "Request ID: X))": "platform",
    "java.util.concurrent.TimeoutException: Futures timed out after [300 seconds]": "timeout",
    "org.apache.spark.rpc.RpcTimeoutException: Futures timed out after [120 seconds]. This timeout is controlled by "
    "spark.rpc.askTimeout": "timeout",
    "org.apache.iceberg.exceptions.CommitFailedException: Cannot commit: stale table metadata": "platform",
    "org.apache.iceberg.exceptions.ValidationException: Found new conflicting delete files that can apply to records "
    "matching true": "platform",
    "io.delta.exceptions.ConcurrentAppendException: [DELTA_CONCURRENT_APPEND] Files were added": "platform",
    "org.apache.spark.sql.delta.MetadataChangedException: The metadata of the Delta table has been changed": "platform",
    "org.postgresql.util.PSQLException: FATAL: sorry, too many clients already": "platform",
}
PASSING_IN_PYTHON = {
    "botocore.exceptions.ClientError: An error occurred (SlowDown) when calling the PutObject operation (reached max "
    "retries: 4): Please reduce your request rate.": "platform",
    "botocore.errorfactory.ThrottlingException: An error occurred (ThrottlingException) when calling the GetTable "
    "operation: Rate exceeded": "platform",
    "delta.exceptions.ConcurrentAppendException: [DELTA_CONCURRENT_APPEND] Files were added": "platform",
    'psycopg2.OperationalError: connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  sorry, too many '
    "clients already": "platform",
}
STAYS_USER_CODE = (
    "ValueError: timeout must be above 0",
    "ValueError: Futures timed out is no event type; known are SlowDown, InternalError",
    "RuntimeError: Rate exceeded the limit of 5 % bad rows",
    "KeyError: 'TimeoutException: Futures timed out after'",
    "java.lang.IllegalArgumentException: Status Code: 503 is not a flight",
    "java.util.concurrent.TimeoutException: my own patience",
    "java.util.ConcurrentModificationException: mutated while iterating",
    "com.acme.delta.DeltaException: bad delta",
    "com.amazonaws.services.s3.model.AmazonS3Exception: No bucket (Service: S3; Status Code: 404; Error Code: X)",
    "botocore.errorfactory.NoSuchKey: An error occurred (NoSuchKey) when calling the GetObject operation: 503",
    # The commit may have happened: running it again may write the rows twice.
    "org.apache.iceberg.exceptions.CommitStateUnknownException: Cannot determine whether the commit was successful",
    "org.apache.iceberg.exceptions.ValidationException: Cannot find field 'x' in struct",
    'org.postgresql.util.PSQLException: ERROR: relation "orders" does not exist',
)


@pytest.mark.parametrize("cause", PASSING)
def test_what_passes_is_not_the_jobs_own_fault(cause):
    """A busy service or another writer that came first, behind Py4J: worth another try, unlike `user_code`."""
    log = PY4J_ALONE.replace("java.io.FileNotFoundException: File hdfs://nn/x does not exist", cause)
    assert root_cause(log.splitlines()) == (PASSING[cause], cause[:500])


@pytest.mark.parametrize("error", PASSING_IN_PYTHON)
def test_what_passes_in_python(error):
    """The same from a client that the driver's own Python uses."""
    log = USER_CODE.replace("ValueError: no flights in 2013-13", error)
    assert root_cause(log.splitlines()) == (PASSING_IN_PYTHON[error], error)


@pytest.mark.parametrize("error", STAYS_USER_CODE)
def test_a_jobs_own_error_that_speaks_of_such_things_stays_its_own(error):
    """Words of a busy service in a job's own exception do not make it worth a try."""
    assert category_of(error) == "user_code"
