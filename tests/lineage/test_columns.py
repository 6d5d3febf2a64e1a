"""Column lineage of real plans: where a written column comes from, and where the trail stops."""

from __future__ import annotations

import pytest

from airflow_doeks.lifecycle.event_logs import read_event_log
from airflow_doeks.lineage.columns import written_columns

LAKE = "file//tmp/doeks-lake"


def columns(store, kept: str, output: str) -> dict:
    """Inputs by column of an output of a kept log."""
    lineage = read_event_log(store, f"{kept}.zstd").lineage
    (dataset,) = [dataset for dataset in lineage.outputs if dataset.name.endswith(output)]
    return {column.name: column.inputs for column in dataset.columns}


@pytest.mark.parametrize("version", ["3.5.9", "4.3.0"])
@pytest.mark.parametrize(
    "case",
    [
        (  # through a join and an aggregate; count(*) comes from no column
            "join_and_aggregate",
            "/revenue",
            {
                "country": (f"{LAKE}/customers:country",),
                "revenue": (f"{LAKE}/orders:amount",),
                "orders": (),
            },
        ),
        ("partitioned", "/ids", {"id": (f"{LAKE}/by_day:id", f"{LAKE}/customers:customer")}),  # through a union
        ("python_udf", "/doubled", {"id": (f"{LAKE}/orders:id",), "twice": (f"{LAKE}/orders:amount",)}),
        ("tables", "/replaced", {"id": (f"{LAKE}/warehouse/saved:id",)}),
        ("foreach_batch", "/batches", {"id": None, "customer": None, "amount": None, "day": None}),  # RDD: it stops
    ],
)
def test_columns_are_followed_to_their_sources(version, case, kept_logs, folder_store):
    """Each written column names the input columns it was computed from; None says that the trail stops."""
    shape, output, expected = case
    assert columns(folder_store(kept_logs), f"{version}/{shape}", output) == expected


def test_schemas_of_inputs_have_types(kept_logs, folder_store):
    """An input's schema is what was read of it, with Spark's types."""
    lineage = read_event_log(folder_store(kept_logs), "4.3.0/join_and_aggregate.zstd").lineage
    assert [(column.name, column.type) for column in lineage.inputs[0].columns] == [
        ("customer", "bigint"),
        ("amount", "double"),
    ]


GENERATED = """== Physical Plan ==
Execute InsertIntoHadoopFsRelationCommand (6)
+- WriteFiles (5)
   +- * Project (4)
      +- Window (3)
         +- * Generate (2)
            +- Scan json  (1)


(1) Scan json
Output [2]: [id#0L, tags#1]

(2) Generate
Input [2]: [id#0L, tags#1]
Arguments: explode(tags#1), [id#0L], false, [tag#12]

(3) Window
Input [2]: [id#0L, tag#12]
Arguments: [row_number() windowspecdefinition(tag#12, id#0L ASC NULLS FIRST) AS place#20], [tag#12], [id#0L ASC]

(4) Project [codegen id : 1]
Output [4]: [id#0L, tag#12, place#20, mystery#99]
Input [3]: [id#0L, tag#12, place#20]

(5) WriteFiles
Input [4]: [id#0L, tag#12, place#20, mystery#99]
"""


def test_generators_windows_and_unknowns():
    """Explode and row_number are followed; a number that nothing defines is unknown, not empty."""
    assert written_columns(GENERATED, {0: "in:id", 1: "in:tags"}) == [
        ("id", ("in:id",)),
        ("tag", ("in:tags",)),
        ("place", ("in:id", "in:tags")),
        ("mystery", None),
    ]
