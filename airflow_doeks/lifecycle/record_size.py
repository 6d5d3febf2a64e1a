"""A record within its size: what it has no room for is cut in steps, the least missed first.

Datasets and cost tags are dropped whole, texts are shortened; who reads a record for a number finds no half of one.
Names of the job and its attempt are cut last. The detail beside the record holds everything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from airflow_doeks.model.record import JobFailure, JobRecord

MAX_RECORD_BYTES = 8192
_TAG_BYTES = 3000
_FIRST_TAG = "team"  # reports group by it


def fitted(record: JobRecord) -> JobRecord:
    """The record, or as much of it as is under ``MAX_RECORD_BYTES``."""
    whole = record
    for step in _STEPS:
        if len(record.model_dump_json().encode()) < MAX_RECORD_BYTES:
            break
        record = step(whole, record)
    return record


def shortened(failure: JobFailure | None) -> JobFailure | None:
    """The failure as a record has room for it."""
    if failure is None:
        return None
    evidence = tuple(first_bytes(line, 200) for line in failure.evidence[:10])
    return failure.model_copy(update={"message": first_bytes(failure.message, 1000), "evidence": evidence})


def first_bytes(text: str, count: int) -> str:
    """As much of a text as fits into ``count`` bytes of UTF-8."""
    return text.encode()[:count].decode(errors="ignore")


def _keep_datasets(keep: int, whole: JobRecord, record: JobRecord) -> JobRecord:
    everything = whole.lineage
    cut = {
        "inputs": everything.inputs[:keep],
        "outputs": everything.outputs[:keep],
        "differences": everything.differences[:keep],
        "truncated": max(len(everything.inputs), len(everything.outputs)) > keep or everything.truncated,
    }
    return record.model_copy(update={"lineage": everything.model_copy(update=cut)})


def _keep_tags(whole: JobRecord, record: JobRecord) -> JobRecord:
    room, kept = _TAG_BYTES, set()
    for key, value in sorted(whole.cost_tags.items(), key=lambda tag: tag[0] != _FIRST_TAG):
        size = _json_bytes(key) + _json_bytes(value) + 6
        if size <= room:
            kept.add(key)
            room -= size
    return record.model_copy(update={"cost_tags": {k: v for k, v in whole.cost_tags.items() if k in kept}})


def _keep_texts(fields: Iterable[str], text_bytes: int, items: int, _whole: JobRecord, record: JobRecord) -> JobRecord:
    data = record.model_dump(mode="json")
    return JobRecord.model_validate(data | {field: _cut(data[field], text_bytes, items) for field in fields})


def _cut(value: Any, text_bytes: int, items: int) -> Any:
    """The value with shorter texts and fewer of them; ``text_bytes`` is more than any number or state takes."""
    if isinstance(value, dict):
        return {_cut(k, text_bytes, items): _cut(v, text_bytes, items) for k, v in list(value.items())[:items]}
    if isinstance(value, list):
        return [_cut(item, text_bytes, items) for item in value[:items]]
    if isinstance(value, str):
        while _json_bytes(value) > text_bytes:
            value = first_bytes(value, len(value.encode()) - max(1, (_json_bytes(value) - text_bytes) // 6))
    return value


def _json_bytes(text: str) -> int:
    """Bytes of a text in JSON, where a control character takes six."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


_TEXTS = ("failure", "lineage", "actual", "cost_tags")
_NAMES = ("job", "attempt")
_ALL_FIELDS = 40  # more than any part of a record has fields
_STEPS: tuple[Callable[[JobRecord, JobRecord], JobRecord], ...] = (
    *(partial(_keep_datasets, keep) for keep in (50, 25, 12)),
    _keep_tags,
    *(partial(_keep_datasets, keep) for keep in (6, 3, 1, 0)),
    partial(_keep_texts, _TEXTS, 500, _ALL_FIELDS),
    partial(_keep_texts, ("cost",), 500, _ALL_FIELDS),
    partial(_keep_texts, _TEXTS, 200, 10),
    partial(_keep_texts, _TEXTS, 64, 5),
    partial(_keep_texts, _NAMES, 500, _ALL_FIELDS),
    partial(_keep_texts, (*_NAMES, "cost"), 200, _ALL_FIELDS),
)
