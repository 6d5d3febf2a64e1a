"""One pass over a Spark event log: usage, waste and lineage, in constant memory; its content never raises.

Spark tasks are 94 % of the bytes and are cut, not parsed (``task_end``); a few kinds of event are parsed whole; others
are passed over unread. Whatever is broken is counted and told in ``why``.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from io import BytesIO
from typing import Any

from airflow_doeks.event_log.executors import Executors, moment
from airflow_doeks.event_log.log_files import find_files, whole_lines
from airflow_doeks.event_log.rewritten import PRETTY, as_spark_writes, is_pretty
from airflow_doeks.event_log.stages import Stages, accumulables
from airflow_doeks.event_log.task_end import peak_memory
from airflow_doeks.event_log.times import last_task_time, time_of
from airflow_doeks.model.event_log import EventLogSummary
from airflow_doeks.model.lineage import Lineage
from airflow_doeks.model.plan_reader import FAULTS, PlanReader
from airflow_doeks.model.stores import ByteStore

_STAGE = re.compile(
    rb'\{"Event":"SparkListenerStageSubmitted","Stage Info":\{"Stage ID":(\d+),"Stage Attempt ID":(\d+),'
)
_EXECUTION, _ROOT = b'"spark.sql.execution.id":"', b'"spark.sql.execution.root.id":"'
_PROPERTIES = b'"Properties":{'
_START = b'{"Event":"'
_TASK = b'{"Event":"SparkListenerTask'
_KIND = 23  # bytes of a line before the kind of event: _START and "SparkListener"
_T, _E = b"TE"  # of SparkListenerTaskEnd; no other event that Spark logs has a T there
_SUBMISSION = b'"Submission Time":'
_SUBMITTED = re.compile(rb'"Submission Time":(\d{1,14})')
_RECENT = 2  # stretches of lines: what is held longer leaves a core's cache; older Spark tasks have older times
_SECRET = re.compile(r"secret|password|token|access[.]?key|credential|redacted", re.IGNORECASE)
_MAX_WHY = 20
_WAITING_BYTES = 1 << 20


def read(store: ByteStore, name: str, plans: PlanReader, *, statistics: bool = True) -> EventLogSummary:
    """What the event log ``name`` tells; "" is the only application at the store's root.

    ``plans`` takes what the log tells of SQL and gives the lineage.
    ``statistics=False`` passes over Spark tasks: cost and lineage several times faster; slot time is then that of
    completed stages as their executors measured it, and waste is unknown.
    Raises FileNotFoundError if there is no such log, and OSError if its first byte cannot be read.
    """
    files = find_files(store, name)
    reading = EventLogReading(plans, statistics=statistics)
    gaps = list(files.why)
    for text, begin, end in whole_lines(store, files.names, gaps):
        reading.feed(text, begin, end)
    reading.gaps = tuple(gaps)
    return reading.summary()


class EventLogReading:
    """An event log as far as it was fed; what it tells of SQL goes to ``plans``."""

    def __init__(self, plans: PlanReader, *, statistics: bool = True) -> None:
        self.plans = plans
        self.statistics = statistics
        self.why: list[str] = []
        self.gaps: tuple[str, ...] = ()
        self.facts: dict[str, str] = {}
        self.conf: dict[str, str] = {}
        self.started_ms: Any = None
        self.ended_ms: Any = None
        self.last_ms = 0
        self.broken = 0
        self.first = b""  # line that is not as Spark writes it
        self.waiting: list[tuple[bytes, bytes]] = []  # name and line of events that are not handled yet
        self.waiting_bytes = 0
        self.recent: deque[tuple[bytes, int, int]] = deque(maxlen=_RECENT)
        self.executors = Executors()
        self.stages = Stages()
        self.read_task = self.stages.read_task
        self.handlers: dict[bytes, Callable[[Mapping[str, Any]], None]] = {
            b"SparkListenerLogStart": self._log_start,
            b"SparkListenerApplicationStart": self._application_start,
            b"SparkListenerApplicationEnd": self._application_end,
            b"SparkListenerEnvironmentUpdate": self._environment,
            b"SparkListenerExecutorAdded": self.executors.added,
            b"SparkListenerExecutorRemoved": self.executors.removed,
            b"SparkListenerResourceProfileAdded": self.executors.profile_added,
            b"SparkListenerStageExecutorMetrics": self._stage_metrics,
            b"SparkListenerExecutorMetricsUpdate": self._executor_metrics,
            b"SparkListenerStageCompleted": self._stage_completed,
            **plans.parsed,
        }
        self.unparsed: dict[bytes, Callable[[bytes], None]] = {
            b"SparkListenerStageSubmitted": self._stage_submitted,
            **plans.unparsed,
        }

    def feed(self, text: bytes, begin: int, end: int) -> None:
        """Take the whole lines of ``text[begin:end]``; the last may lack its newline, and none ends behind ``end``."""
        if not text.endswith(b"\n", begin, end):
            text, begin, end = text[begin:end] + b"\n", 0, end - begin + 1
        (self._with_tasks if self.statistics else self._without_tasks)(text, begin, end)
        if end > begin:
            self.recent.append((text, begin, end))

    def _with_tasks(self, text: bytes, begin: int, end: int) -> None:
        find, read_task = text.find, self.read_task
        last = min(end, len(text) - len(_TASK))
        while begin < last:
            stop = find(b"\n", begin)  # there is one: a bound to look for, or a test for none, costs each line a tenth
            if text[begin + _KIND] != _T:  # one byte tells 99 lines of 100
                self._other(text[begin:stop])
            elif text[begin + _KIND + 4] == _E:
                try:
                    read_task(text, begin, stop)
                except FAULTS:
                    self.broken += 1
            elif not text.startswith(_TASK, begin):
                self._other(text[begin:stop])
            begin = stop + 1
        for line in text[begin:end].split(b"\n"):  # too short for an event
            self._other(line)

    def _without_tasks(self, text: bytes, begin: int, _: int) -> None:
        """The same, where of Spark tasks only the kind is looked at: a file's own lines come faster than ``find``."""
        lines = BytesIO(text)
        lines.seek(begin)
        try:
            others = [line for line in lines if line[_KIND] != _T]
        except IndexError:  # one is too short to have a kind
            lines.seek(begin)
            others = [line for line in lines if line[_KIND : _KIND + 1] != b"T"]
        for line in others:
            if line.endswith(b"\n"):  # else it goes on in another text
                self._other(line[:-1])

    def _other(self, line: bytes) -> None:
        name = line[10 : line.find(b'"', 10)].rpartition(b".")[2]
        if name in self.handlers or name in self.unparsed:
            self.waiting.append((name, line))
            self.waiting_bytes += len(line)
            if self.waiting_bytes > _WAITING_BYTES:
                self._handle_waiting()
        elif line.startswith(_START):
            self._seen(time_of(line))  # any event's time counts: where the log has no end, the last one is the end
        elif line.strip():
            self.first = self.first or line[:100]
            text = as_spark_writes(line)
            if text is None:
                self.broken += 1
            else:
                self.feed(text, 0, len(text))

    def _handle_waiting(self) -> None:
        """Many events in a row: twice as fast as one by one between Spark tasks, which sweep the core's cache."""
        for name, line in self.waiting:
            unparsed = self.unparsed.get(name)
            if unparsed is not None:
                unparsed(line)
                continue
            try:
                event = json.loads(line)
                self._seen(event.get("Timestamp", event.get("time")))
                self.handlers[name](event)
            except FAULTS:
                self.broken += 1
        self.waiting.clear()
        self.waiting_bytes = 0

    def _log_start(self, event: Mapping[str, Any]) -> None:
        version = str(event["Spark Version"])
        self.facts["spark_version"] = version
        self.executors.is_emr_image = "amzn" in version  # EMR's builds of Spark say so, e.g. 3.5.6-amzn-1

    def _application_start(self, event: Mapping[str, Any]) -> None:
        self.facts["app_name"] = str(event["App Name"])
        if event.get("App ID"):
            self.facts["app_id"] = str(event["App ID"])
        self.started_ms = event["Timestamp"]

    def _application_end(self, event: Mapping[str, Any]) -> None:
        self.ended_ms = event["Timestamp"]

    def _environment(self, event: Mapping[str, Any]) -> None:
        properties = {str(key): str(value) for key, value in dict(event["Spark Properties"]).items()}
        self.conf.update(properties)
        self.executors.conf = self.conf
        self.plans.configured(self.conf, self.facts.get("spark_version", ""))

    def _stage_metrics(self, event: Mapping[str, Any]) -> None:
        self._peak(str(event["Executor ID"]), event["Executor Metrics"])

    def _executor_metrics(self, event: Mapping[str, Any]) -> None:
        for update in event["Executor Metrics Updated"]:
            self._peak(str(event["Executor ID"]), update["Executor Metrics"])

    def _peak(self, executor: str, metrics: dict[str, Any]) -> None:
        self.stages.measured(executor, peak_memory(metrics))
        if metrics.get("ProcessTreePythonRSSMemory"):
            self.executors.uses_python = True

    def _stage_submitted(self, line: bytes) -> None:
        """Unparsed: mostly the properties of the job, of which two matter."""
        if not _STAGE.match(line):
            line = as_spark_writes(line) or line
        ids, properties = _STAGE.match(line), max(0, line.find(_PROPERTIES))
        execution = _number_after(_EXECUTION, line, properties)
        if ids is None or not line.endswith(b"}"):
            self.broken += 1
            return
        if submitted := _SUBMITTED.search(line, max(0, line.rfind(_SUBMISSION))):
            self._seen(int(submitted[1]))
        stage = self.stages.get(int(ids[1]), int(ids[2]))
        if execution is not None:
            root = _number_after(_ROOT, line, properties)
            self.plans.stage_submitted(stage, execution, execution if root is None else root)
        self.executors.uses_python = self.executors.uses_python or b"Python" in line

    def _stage_completed(self, event: Mapping[str, Any]) -> None:
        info = event["Stage Info"]
        stage = self.stages.get(int(info["Stage ID"]), int(info["Stage Attempt ID"]))
        values = accumulables(info)
        self.plans.stage_completed(stage, info, values)
        self.stages.completed(stage, values, with_totals=not self.statistics)
        stage.started, stage.ended = moment(info.get("Submission Time")), moment(info.get("Completion Time"))
        self._seen(info.get("Completion Time"))

    def _seen(self, epoch_ms: Any) -> None:
        if moment(epoch_ms) is not None and epoch_ms > self.last_ms:
            self.last_ms = epoch_ms

    def summary(self) -> EventLogSummary:
        """What is known; call once, after the last line."""
        self._handle_waiting()
        started, ended = moment(self.started_ms), moment(self.ended_ms)
        if ended is None:
            for stretch in self.recent:
                self._seen(last_task_time(*stretch))
            self.why.append("the log does not hold the application's end")
        if self.broken and not self.facts and is_pretty(self.first):
            self.why.append(PRETTY)
        if self.broken:
            self.why.append(f"{self.broken} broken lines were left out")
        if self.stages.clock_faults:
            self.why.append(f"{self.stages.clock_faults} Spark tasks end before they start; their time is left out")
        if self.stages.count > len(self.stages.found):
            self.why.append(f"only the heaviest of {self.stages.count} stages are listed")
        pods = self.executors.pods(started, ended, self.why)
        has_stages = bool(self.stages.count)
        slot_ms = self.stages.slot_ms if has_stages or ended else None
        found = self.plans.found(slot_ms)
        is_whole = not self.gaps and not self.why and not found.why
        last = moment(max(self.last_ms, self.stages.last_finished_ms)) or moment(self.last_ms)
        return EventLogSummary(
            **self.facts,
            started=started,
            ended=_not_before(started, ended or last),
            ended_cleanly=ended is not None,
            conf={key: "***" if _SECRET.search(key) else value for key, value in self.conf.items()},
            pods=pods,
            lineage=Lineage(inputs=found.inputs, outputs=found.outputs, complete=is_whole),
            slot_ms=slot_ms,
            slot_ms_wasted=self.stages.wasted_ms if self.statistics and slot_ms is not None else None,
            slot_ms_unattributed=None if slot_ms is None else max(0, round(slot_ms - found.attributed_ms)),
            shuffle_remote_bytes=self.stages.shuffle_remote_bytes,
            stages=self.stages.facts() if self.statistics else (),
            peak_memory_bytes=dict(self.stages.memory),
            uses_python=self.executors.uses_python if has_stages else None,
            gaps=self.gaps,
            why=tuple(dict.fromkeys([*self.gaps, *self.why, *found.why]))[:_MAX_WHY],
        )


def _number_after(mark: bytes, line: bytes, start: int) -> int | None:
    begin = line.find(mark, start) + len(mark)
    digits = line[begin : line.find(b'"', begin)] if begin >= len(mark) else b""
    return int(digits) if digits.isdigit() else None


def _not_before(started: datetime | None, ended: datetime | None) -> datetime | None:
    return None if started and ended and ended < started else ended
