"""A record as OpenLineage tells it: datasets with statistics, schema and column lineage, and our cost as a facet."""

from __future__ import annotations

from typing import Any

from airflow_doeks.cost.facet import FACET_NAME, cost_run_facet
from airflow_doeks.model.lineage import Dataset
from airflow_doeks.model.record import JobRecord


def operator_lineage(record: JobRecord) -> Any:
    """What the OpenLineage provider asks an operator for; None where the provider is not installed."""
    try:
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.generated.base import RunFacet
    except ImportError:
        return None
    import attrs

    facet = cost_run_facet(record)
    fields = {key: attrs.field(default=None) for key in facet if not key.startswith("_")}
    cost_facet = attrs.make_class("DoeksCostRunFacet", fields, bases=(RunFacet,), kw_only=True)
    plain = {key: value for key, value in facet.items() if not key.startswith("_")}
    return OperatorLineage(
        inputs=[_input(dataset) for dataset in record.lineage.inputs],
        outputs=[_output(dataset, record.lineage.inputs) for dataset in record.lineage.outputs],
        run_facets={FACET_NAME: cost_facet(**plain, producer=facet["_producer"])},
    )


def _input(dataset: Dataset) -> Any:
    from openlineage.client.event_v2 import InputDataset

    return InputDataset(
        dataset.namespace, dataset.name, inputFacets=_input_statistics(dataset), facets=_facets(dataset)
    )


def _input_statistics(dataset: Dataset) -> dict[str, Any]:
    try:
        from openlineage.client.facet_v2 import input_statistics_input_dataset as statistics
    except ImportError:  # Until MWAA 2.10.3 is dropped: its OpenLineage client does not know the facet.
        return {}
    counts = statistics.InputStatisticsInputDatasetFacet(
        rowCount=dataset.rows, size=dataset.bytes, fileCount=dataset.files
    )
    return {"inputStatistics": counts}


def _output(dataset: Dataset, inputs: tuple[Dataset, ...]) -> Any:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import column_lineage_dataset as columns
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    counts = statistics.OutputStatisticsOutputDatasetFacet(
        rowCount=dataset.rows, size=dataset.bytes, fileCount=dataset.files
    )
    facets = _facets(dataset)
    known = {f"{place.namespace}/{place.name}": place for place in inputs}
    lineage = {}
    for column in dataset.columns:
        if column.inputs is None:
            continue
        origins = [origin.rpartition(":") for origin in column.inputs]
        lineage[column.name] = columns.Fields(
            inputFields=[
                columns.InputField(known[place].namespace, known[place].name, field)
                for place, _, field in origins
                if place in known
            ]
        )
    if lineage:
        facets["columnLineage"] = columns.ColumnLineageDatasetFacet(fields=lineage)
    return OutputDataset(dataset.namespace, dataset.name, outputFacets={"outputStatistics": counts}, facets=facets)


def _facets(dataset: Dataset) -> dict[str, Any]:
    from openlineage.client.facet_v2 import schema_dataset, symlinks_dataset

    facets: dict[str, Any] = {}
    if dataset.columns:
        facets["schema"] = schema_dataset.SchemaDatasetFacet(
            fields=[schema_dataset.SchemaDatasetFacetFields(column.name, column.type) for column in dataset.columns]
        )
    if dataset.symlinks:
        facets["symlinks"] = symlinks_dataset.SymlinksDatasetFacet(
            identifiers=[
                symlinks_dataset.Identifier(*_split(symlink), type="TABLE" if "://" not in symlink else "LOCATION")
                for symlink in dataset.symlinks
            ]
        )
    return facets


def _split(symlink: str) -> tuple[str, str]:
    """Namespace and name of ``namespace/name``; the namespace of a URL ends after its authority."""
    scheme, mark, rest = symlink.partition("://")
    if not mark:
        namespace, _, name = symlink.partition("/")
        return namespace, name
    authority, _, name = rest.partition("/")
    return f"{scheme}://{authority}", name
