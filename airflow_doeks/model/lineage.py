"""Datasets by the OpenLineage convention, and the lineage of one job."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from airflow_doeks.model.noun import Amount, Number, OpenNoun, OrNewer, Told, Uri


class Column(OpenNoun):
    """A column of a dataset; ``inputs`` are ``namespace/name:column`` it was computed from, None where unknown."""

    name: str
    type: str | None = None
    inputs: tuple[str, ...] | None = None


class Dataset(OpenNoun):
    """Data a job read or wrote. Unknown counts are None, never 0.

    Attributes:
        namespace: OpenLineage namespace: ``file``, ``s3://bucket``, ``kafka://host:port``.
        name: path, key or table below the namespace.
        symlinks: other names of the same data, ``namespace/name`` (a table and its path).
        slot_share: share of the job's Spark-task slot time that went into it, 0 to 1 (outputs only).
        usd: share of the job's cost; None until priced.
        source: observed in the job, declared in the YAML, or both.
        why_unknown: why a count is null.
    """

    namespace: Uri
    name: Uri
    rows: Number | None = None
    bytes: Number | None = None
    files: Number | None = None
    format: str | None = None
    slot_share: float | None = None
    usd: Amount | None = None
    symlinks: tuple[Uri, ...] = ()
    source: Annotated[Literal["observed", "declared", "both"], OrNewer] = "observed"
    columns: tuple[Column, ...] = Field(default=(), exclude=True)  # in the record's detail, not in the record
    why_unknown: str | None = Field(default=None, exclude=True)  # the same


class Lineage(OpenNoun):
    """Input and output datasets of one job.

    Attributes:
        complete: False whenever something was cut, failed or could not be seen.
        truncated: True if datasets were left out of the record (they stand in its detail).
        differences: where declared and observed datasets disagree, in words.
    """

    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    complete: bool = False
    truncated: bool = False
    differences: tuple[Told, ...] = ()
