"""Declared reads and writes beside what the job was seen to do."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_doeks.lineage.names import Name, dataset_name, without_partitions
from airflow_doeks.model.lineage import Dataset, Lineage

_PLACELESS = frozenset({"kafka", "jdbc", "spark"})  # namespaces of data whose server the log does not name


def merge_declared(lineage: Lineage, reads: Sequence[str], writes: Sequence[str]) -> Lineage:
    """The lineage with declared datasets in it, and a sentence for each that only one side knows.

    A declared URI matches an observed dataset of the same name, one below it, or one that has it as a symlink. Data
    seen without its server (a topic, a database table) matches by its last name and takes the declared one.
    Where nothing is declared, nothing differs.
    """
    differences = list(lineage.differences)
    doubt = "" if lineage.complete else ", whose lineage is incomplete"
    inputs = _merged(lineage.inputs, reads, ("reads", "read", doubt), differences)
    outputs = _merged(lineage.outputs, writes, ("writes", "written", doubt), differences)
    return lineage.model_copy(update={"inputs": inputs, "outputs": outputs, "differences": tuple(differences)})


def _merged(
    observed: Sequence[Dataset], declared: Sequence[str], words: tuple[str, str, str], differences: list[str]
) -> tuple[Dataset, ...]:
    key, verb, doubt = words
    merged = list(observed)
    for uri in dict.fromkeys(declared):
        name = dataset_name(without_partitions(uri))
        if any(dataset.source == "declared" and (dataset.namespace, dataset.name) == name for dataset in merged):
            continue
        hits = [i for i, dataset in enumerate(merged) if _is_same(dataset, name)]
        for i in hits:
            merged[i] = _placed(merged[i], name).model_copy(update={"source": "both"})
        if not hits:
            merged.append(Dataset(namespace=name.namespace, name=name.name, source="declared"))
            differences.append(f"{uri} is declared under {key} but was not seen in the job{doubt}")
    undeclared = [dataset for dataset in merged if dataset.source == "observed"] if declared else []
    differences += [f"{d.namespace}/{d.name} was {verb} but is not declared under {key}" for d in undeclared]
    return tuple(merged)


def _is_same(dataset: Dataset, name: Name) -> bool:
    if str(name) in dataset.symlinks:
        return True
    if dataset.namespace in _PLACELESS:
        return name.name.replace("/", ".").endswith(dataset.name) and name.namespace != "file"
    return dataset.namespace == name.namespace and f"{dataset.name}/".startswith(f"{name.name.rstrip('/')}/")


def _placed(dataset: Dataset, name: Name) -> Dataset:
    if dataset.namespace not in _PLACELESS:
        return dataset
    symlinks = (*dataset.symlinks, f"{dataset.namespace}/{dataset.name}")
    return dataset.model_copy(update={"namespace": name.namespace, "name": name.name, "symlinks": symlinks})
