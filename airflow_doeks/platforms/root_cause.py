"""The root cause in a driver's log: the first Python or Java exception that led to the end, and what kind it is.

Pure: lines in, words out. Drivers log many exceptions that they survive, so the last one is taken and followed inward:
from the driver through Py4J and Spark to the line of the job that raised.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_doeks.model.record import FailureCategory

MESSAGE_MAX = 500

_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = (  # what Python prints between an exception and the one it led to
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_IN_THREAD = re.compile(r'Exception in thread "[^"]*" (.+)')
_CAUSE = re.compile(r"(?:Caused by)?: (.+)")  # Py4J writes the outermost Java exception behind a bare colon
_LOST_TASK = re.compile(r"most recent failure: Lost task .*?executor (\w+)\): (.+)")
_LOG_LINE = re.compile(r"\d\d(\d\d)?[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d")
_WRAPPERS = re.compile(  # exceptions that carry somebody else's failure
    r"py4j\.protocol\.Py4JJavaError|pyspark\.errors\.exceptions\.captured\.\w+|[\w.]*(Spark|Streaming\w*)Exception"
)
# A worker of Python is gone; Java's cause of it is only that nothing more can be read from it. On a node with cgroup v1
# the kernel ends one for lack of memory and leaves its executor alive; else it is a crash in native code.
_WORKER_CRASHED = re.compile(r"Python worker exited unexpectedly.*")
_NOT_A_CAUSE = "org.apache.spark.SparkUserAppException"  # says only that the Python driver ended
_CAPTURED = "pyspark.errors.exceptions.captured."

# Error codes with which AWS's services ask for patience; botocore's standard retry mode and S3's list, November 2026.
_BUSY = (
    r"(\w*Throttl\w*|SlowDown|503 Slow Down|TooManyRequests\w*|RequestLimitExceeded|ProvisionedThroughputExceeded\w*|"
    r"InternalError|InternalFailure|InternalServer\w*|ServiceUnavailable\w*|RequestTimeout\w*|50[0234])\b"
)
_DATABASE_IS_BUSY = (  # PostgreSQL: appendix A, classes 53 and 57
    r"(sorry, too many clients|remaining connection slots|"
    r"the database system is (starting up|shutting down|in recovery))"
)
_CATEGORIES: tuple[tuple[str, FailureCategory], ...] = (  # words of a root cause -> category, first match wins
    (
        r"(Lost task .*executor (?!driver)\w+\)|ExecutorLostFailure).*(OutOfMemory|OOM|137|memory limits)",
        "oom_executor",
    ),
    (r"OutOfMemoryError|MemoryError|insufficient memory for the Java Runtime|maxResultSize", "oom_driver"),
    (r"ExecutorLostFailure.*(decommission|spot|[Nn]ode)", "spot_loss"),
    (r"ExecutorLostFailure", "platform"),  # Spark does not know why; not a reason to give up
    (r"ModuleNotFound|ImportError|ClassNotFound|NoClassDefFound|NoSuchMethodError", "dependency"),
    (r"unresolved dependency|Failed to load class|DATA_SOURCE_NOT_FOUND|Failed to find .*data source", "dependency"),
    (
        r"Access ?Denied|AccessControl|Permission ?(Error|denied)|Forbidden|not authorized|Status Code: 403",
        "permission",
    ),
    (r"UnknownHost|ConnectException|Connection ?(Error|refused|reset|timed out)|SocketTimeout|gaierror", "network"),
    (r"NoRouteToHost|ConnectTimeout|Name or service not known|Temporary failure in name resolution", "network"),
    # What passes: a service was busy, another writer came first. A row begins with the exception's class or holds an
    # AWS client's own wording, so that a job's own error that merely speaks of a time-out stays the job's.
    (r"^[\w.$]*(Throttl\w*|TooManyRequests|SlowDown|AWSStatus50[0234])Exception\b", "platform"),
    (r"\(Service: [^()]{1,80}Status Code: (429|50[0234])\b", "platform"),
    (rf"\(Service: [^()]{{1,80}}Error Code: {_BUSY}", "platform"),
    (rf"^botocore\.[\w.]+: An error occurred \({_BUSY}\) when calling", "platform"),
    (r"^[\w.$]*TimeoutException: Futures timed out after", "timeout"),  # Scala's, of broadcasts and Spark's own calls
    (r"^org\.apache\.iceberg\.exceptions\.CommitFailedException\b", "platform"),
    (r"^org\.apache\.iceberg\.exceptions\.ValidationException: Found .*conflicting", "platform"),
    (r"^([\w$]+\.)*delta\.([\w$]+\.)*(Concurrent\w+|MetadataChanged|ProtocolChanged)Exception\b", "platform"),
    (rf"^[\w.$]*(PSQLException|OperationalError): .*FATAL: +{_DATABASE_IS_BUSY}", "platform"),
)
_SAID_PLAINLY: tuple[tuple[str, FailureCategory], ...] = (  # lines that tell the cause without an exception
    (r"ExecutorLostFailure.*(OOM|137|memory limits)", "oom_executor"),
    (r"java\.lang\.OutOfMemoryError|insufficient memory for the Java Runtime", "oom_driver"),
    (r"unresolved dependency: \S+", "dependency"),
    (r"Error: Failed to load class \S+", "dependency"),
    (r"can't open file .*\[Errno 2\]", "user_code"),
)


def root_cause(lines: Sequence[str]) -> tuple[FailureCategory, str]:
    """What ended the job, from its driver's log: a category and one line; ``("unknown", "")`` if it does not tell."""
    plain = [line.rstrip() for line in lines]
    found = max(_last_python(plain), _last_java(plain))
    if found[0] >= 0:
        return _inward(found[1], plain[found[0] :])
    for pattern, category in _SAID_PLAINLY:
        line = next((line for line in plain if re.search(pattern, line)), None)
        if line is not None:
            return category, line.strip()[:MESSAGE_MAX]
    return "unknown", ""


def category_of(message: str) -> FailureCategory:
    """The category of an exception's text; one that no row of the table knows is the job's own fault.

    Airflow does not retry ``user_code`` unless told to, so a row is due for whatever another try may mend.
    """
    return next((category for pattern, category in _CATEGORIES if re.search(pattern, message)), "user_code")


def last_words(lines: Sequence[str]) -> str:
    """The last line that is not Spark's own logging: what a job printed before it gave up; empty if there is none."""
    spoken = (line.strip() for line in reversed(lines))
    return next((line[:MESSAGE_MAX] for line in spoken if line and not _LOG_LINE.match(line)), "")


def _last_python(lines: Sequence[str]) -> tuple[int, str]:
    """Line number and text of the exception that the last traceback ends in; of a chain, the one it began with."""
    starts = [index for index, line in enumerate(lines) if line.endswith(_TRACEBACK)]
    while len(starts) > 1 and any(line in _CHAINED for line in lines[starts[-2] : starts[-1]]):
        starts.pop()
    for index in range(starts[-1] + 1 if starts else len(lines), len(lines)):
        text = lines[index]
        if text and not text[0].isspace():
            more = next((line.strip() for line in lines[index + 1 :] if line.strip()), "")
            return index, f"{text} {more}" if text.endswith(":") else text
    return -1, ""


def _last_java(lines: Sequence[str]) -> tuple[int, str]:
    """Line number and text of the last exception that ended a JVM thread."""
    for index in range(len(lines) - 1, -1, -1):
        match = _IN_THREAD.match(lines[index])
        if match and not match[1].startswith(_NOT_A_CAUSE):
            return index, match[1]
    return -1, ""


def _inward(text: str, rest: Sequence[str]) -> tuple[FailureCategory, str]:
    """From an exception that wraps another to the innermost: the Spark task's own, else the last Java cause."""
    whole = text
    if _WRAPPERS.match(text) or rest[0].startswith("Exception in thread"):
        end = next((index for index, line in enumerate(rest) if _LOG_LINE.match(line)), len(rest))
        whole = "\n".join([text, *rest[1:end]])
        causes = [match[1] for line in rest[:end] if (match := _CAUSE.match(line.strip()))]
        lost = _LOST_TASK.search(whole)
        text = causes[-1] if causes else lost[2] if lost else text
        if text == "java.io.EOFException" and (crashed := _WORKER_CRASHED.search(whole)):
            text = crashed[0]
        if lost and lost[1] != "driver" and category_of(f"Lost task executor {lost[1]}) {text}") == "oom_executor":
            return "oom_executor", text[:MESSAGE_MAX]
    return category_of(text), text.removeprefix(_CAPTURED)[:MESSAGE_MAX]
