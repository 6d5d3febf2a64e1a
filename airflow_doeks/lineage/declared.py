"""Declared reads and writes beside what the job was seen to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_doeks.lineage.names import dataset_name
from airflow_doeks.model.lineage import Dataset, Lineage


def merge_declared(lineage: Lineage, reads: Sequence[str], writes: Sequence[str]) -> Lineage:
    """The lineage with declared datasets in it, and a sentence for each that only one side knows.

    A declared URI matches an observed dataset of the same name, an observed one below it, or one of its symlinks.
    Where nothing is declared, nothing differs.
    """
    differences = list(lineage.differences)
    inputs = _merged(lineage.inputs, reads, ("reads", "read"), differences, is_whole=lineage.complete)
    outputs = _merged(lineage.outputs, writes, ("writes", "written"), differences, is_whole=lineage.complete)
    update: dict[str, Any] = {"inputs": inputs, "outputs": outputs, "differences": tuple(differences)}
    return lineage.model_copy(update=update)


def _merged(
    observed: Sequence[Dataset],
    declared: Sequence[str],
    words: tuple[str, str],
    differences: list[str],
    *,
    is_whole: bool,
) -> tuple[Dataset, ...]:
    key, verb = words
    merged = list(observed)
    is_declared = [False] * len(observed)
    for uri in dict.fromkeys(declared):
        namespace, name = dataset_name(uri)
        hits = [i for i, dataset in enumerate(observed) if _is_same(dataset, namespace, name)]
        for i in hits:
            merged[i] = merged[i].model_copy(update={"source": "both"})
            is_declared[i] = True
        if not hits:
            merged.append(Dataset(namespace=namespace, name=name, source="declared"))
            seen = "was not seen in the job" if is_whole else "was not seen in the job, whose lineage is incomplete"
            differences.append(f"{uri} is declared under {key} but {seen}")
    if declared:
        for dataset, known in zip(observed, is_declared, strict=True):
            if not known:
                differences.append(f"{dataset.namespace}/{dataset.name} was {verb} but is not declared under {key}")
    return tuple(merged)


def _is_same(dataset: Dataset, namespace: str, name: str) -> bool:
    if f"{namespace}/{name}" in dataset.symlinks:
        return True
    is_below = dataset.name == name or dataset.name.startswith(name.rstrip("/") + "/")
    return dataset.namespace == namespace and is_below
