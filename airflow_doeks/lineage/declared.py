"""Declared reads and writes beside what the job was seen to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from airflow_doeks.lineage.names import SPARK_CATALOG, Name, dataset_name, is_within, without_partitions
from airflow_doeks.model.lineage import Column, Dataset, Lineage

_PLACELESS = frozenset({"kafka", "jdbc", SPARK_CATALOG})  # namespaces of data whose server the log does not name
_FILES = frozenset(  # schemes of files: never those of a topic or a database table
    {"file", "s3", "gs", "abfs", "abfss", "wasb", "wasbs", "adl", "oss", "hdfs", "viewfs", "dbfs"}
)


def merge_declared(lineage: Lineage, reads: Sequence[str], writes: Sequence[str]) -> Lineage:
    """The lineage with declared datasets in it, and a sentence for each that only one side knows.

    A declared URI matches an observed dataset of the same name, one below it, or one that has it as a symlink. If it
    matches none, it is the place of data seen without a server (a topic, a database table) whose name it has or, but
    for topics, ends in after a dot; never is a folder the place of a topic or a database table.
    Where nothing is declared, nothing differs.
    """
    differences = list(lineage.differences)
    doubt = "" if lineage.complete else ", whose lineage is incomplete"
    inputs = _merged(lineage.inputs, reads, ("reads", "read", doubt), differences)
    outputs = _merged(lineage.outputs, writes, ("writes", "written", doubt), differences)
    moved = _moved(lineage.inputs, inputs) | _moved(lineage.outputs, outputs)
    outputs = tuple(_with_columns_of(dataset, moved) for dataset in outputs)
    return lineage.model_copy(update={"inputs": inputs, "outputs": outputs, "differences": tuple(differences)})


def _moved(before: Sequence[Dataset], after: Sequence[Dataset]) -> dict[str, str]:
    """Old name -> new name of the datasets that took their declared place."""
    names = [(f"{old.namespace}/{old.name}", f"{new.namespace}/{new.name}") for old, new in zip(before, after)]  # noqa: B905 - declared ones follow
    return {old: new for old, new in names if old != new}


def _with_columns_of(dataset: Dataset, moved: Mapping[str, str]) -> Dataset:
    """The dataset whose columns name what they were computed from by its new name."""

    def renamed(column: Column) -> Column:
        if column.inputs is None:
            return column
        return column.model_copy(update={"inputs": tuple(_renamed(text, moved) for text in column.inputs)})

    return dataset.model_copy(update={"columns": tuple(map(renamed, dataset.columns))}) if moved else dataset


def _renamed(text: str, moved: Mapping[str, str]) -> str:
    """``namespace/name:column`` with the dataset's new name; the longest old name that it begins with counts."""
    old = max((name for name in moved if text.startswith(f"{name}:")), key=len, default=None)
    return text if old is None else moved[old] + text[len(old) :]


def _merged(
    observed: Sequence[Dataset], declared: Sequence[str], words: tuple[str, str, str], differences: list[str]
) -> tuple[Dataset, ...]:
    key, verb, doubt = words
    merged = list(observed)
    names = {uri: dataset_name(without_partitions(uri)) for uri in declared}
    for uri, name in names.items():
        if any(dataset.source == "declared" and (dataset.namespace, dataset.name) == name for dataset in merged):
            continue
        hits = _hits(merged, name, names.values())
        for i in hits:
            merged[i] = _placed(merged[i], name).model_copy(update={"source": "both"})
        if not hits:
            merged.append(Dataset(namespace=name.namespace, name=name.name, source="declared"))
            differences.append(f"{uri} is declared under {key} but was not seen in the job{doubt}")
    undeclared = [dataset for dataset in merged if dataset.source == "observed"] if declared else []
    differences += [f"{d.namespace}/{d.name} was {verb} but is not declared under {key}" for d in undeclared]
    return tuple(merged)


def _hits(datasets: Sequence[Dataset], name: Name, declared: Collection[Name]) -> list[int]:
    """Indexes of the datasets that a declared name stands for."""
    seen = [i for i, dataset in enumerate(datasets) if _is_same(dataset, name)]
    if seen:
        return seen
    free = [
        i
        for i, dataset in enumerate(datasets)
        if _ends_alike(dataset, name)
        and (_is_alike(dataset, name) or not any(_is_alike(dataset, other) for other in declared))
    ]
    return sorted(free, key=lambda i: -len(datasets[i].name))[:1]  # of `orders` and `app.orders` the one that says more


def _is_same(dataset: Dataset, name: Name) -> bool:
    if str(name) in dataset.symlinks:
        return True
    return is_within(Name(dataset.namespace, dataset.name), name)


def _is_alike(dataset: Dataset, name: Name) -> bool:
    """True if a dataset without a server has the declared name, and the declared place may hold it."""
    scheme = name.namespace.partition(":")[0]
    if (
        dataset.namespace not in _PLACELESS
        or scheme == "file"
        or (dataset.namespace != SPARK_CATALOG and scheme in _FILES)
    ):
        return False
    return dataset.name == _dotted(name)


def _ends_alike(dataset: Dataset, name: Name) -> bool:
    """The same, or the declared name says more in front: its database, its schema. A topic's name is whole."""
    dotted = _dotted(name)
    if dataset.namespace != "kafka" and dotted.endswith(f".{dataset.name}"):
        return _is_alike(dataset, Name(name.namespace, dataset.name))
    return _is_alike(dataset, name)


def _dotted(name: Name) -> str:
    """``db/app/orders`` as a database would name it."""
    return name.name.replace("/", ".")


def _placed(dataset: Dataset, name: Name) -> Dataset:
    if dataset.namespace not in _PLACELESS:
        return dataset
    symlinks = (*dataset.symlinks, f"{dataset.namespace}/{dataset.name}")
    return dataset.model_copy(update={"namespace": name.namespace, "name": name.name, "symlinks": symlinks})
