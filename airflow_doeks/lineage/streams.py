"""Streaming queries: their progress events name sources and sinks that the plans of their batches do not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_doeks.lineage.counts import Counts
from airflow_doeks.lineage.datasets import Datasets
from airflow_doeks.lineage.names import Name, dataset_name, is_within, name_and_part, without_partitions
from airflow_doeks.lineage.plans import Write

_FILES = re.compile(r"FileStreamSource\[(.*)\]")
_KAFKA = re.compile(r"Kafka\w*\[Subscribe\w*\[(.*?)\]\]")
_FILE_SINK = re.compile(r"FileSink\[(.*)\]")
_KEEPS_NOTHING = ("ForeachBatchSink", "MemorySink", "ConsoleSink", "NoopTable", "ConsoleTable")  # or writes elsewhere


@dataclass
class Streams:
    """Sources and sinks by streaming query."""

    datasets: Datasets
    sources: dict[str, dict[Name, None]] = field(default_factory=dict)
    sinks: dict[str, Write] = field(default_factory=dict)
    last: dict[str, tuple[int, str]] = field(default_factory=dict)  # run -> (batch, time) of its last progress

    def progressed(self, event: Mapping[str, Any]) -> None:
        """StreamingQueryListener.QueryProgressEvent."""
        progress = event["progress"]
        if isinstance(progress, str):  # up to Spark 3.4 it was JSON in JSON
            return
        run, moment = str(progress["runId"]), (int(progress["batchId"]), str(progress["timestamp"]))
        if self.last.get(run, (-1, "")) >= moment:
            return
        self.last[run] = moment
        query = str(progress["id"])
        for source in progress["sources"]:
            self._source(query, str(source["description"]), source.get("numInputRows"))
        self._sink(query, str(progress["sink"]["description"]))

    def source_of(self, query: str, names: tuple[Name, ...]) -> Name | None:
        """The source folder of a streaming query that files of a batch lie in."""
        for source in self.sources.get(query, ()):
            if names and all(is_within(name, source) for name in names):
                return source
        return None

    def _source(self, query: str, text: str, rows: Any) -> None:
        files, kafka = _FILES.fullmatch(text), _KAFKA.match(text)
        if files:
            self.sources.setdefault(query, {})[dataset_name(without_partitions(files[1]))] = None
        elif kafka:
            topics = kafka[1].split(", ")
            counts = Counts(rows if isinstance(rows, int) and rows >= 0 and len(topics) == 1 else None)
            for topic in topics:
                self.datasets.read_more(Name("kafka", topic), query, counts)

    def _sink(self, query: str, text: str) -> None:
        files = _FILE_SINK.fullmatch(text)
        if files:
            name, part = name_and_part(files[1])
            self.sinks[query] = Write(name, "append", part=part)
        elif not any(name in text for name in _KEEPS_NOTHING):
            self.datasets.why.add(
                f"the sink of a streaming query is not named in the log: {text.partition('@')[0][:80]}"
            )
