"""Tables that a pushed-down query names."""

from __future__ import annotations

import pytest

from airflow_doeks.lineage.queries import UNKNOWN_QUERY, tables_of_query


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("ITEMS", ("ITEMS",)),
        ("app.orders", ("app.orders",)),
        ("(select ID from ITEMS where V < 10 and 'a@b.example' <> 'x') q", ("ITEMS",)),
        ("(select V from ITEMS where ID=3) SPARK_GEN_SUBQ_0", ("ITEMS",)),
        ("(SELECT a.x FROM app.a JOIN app.b ON a.id = b.id) t", ("app.a", "app.b")),
        ("(select * from a x, b as y, c where x.i = y.i) t", ("a", "b", "c")),
        (
            "(select * from (select * from deep where d = 'from nowhere') i left join side s on true) t",
            ("deep", "side"),
        ),
        ('(select * from "App"."Orders") t', ("App.Orders",)),
        ("(select * from [dbo].[orders]) t", ("dbo.orders",)),
        ("(with recent as (select * from orders) select * from recent) t", ("orders",)),
        ("(select extract(year from d), trim(both 'x' from n) from people) t", ("people",)),
        ("(select /* from comments */ a -- from here\n from t1 union all select a from t2) q", ("t1", "t2")),
        ("(select 1) q", (UNKNOWN_QUERY,)),
        ("(exec p 'secret') q", (UNKNOWN_QUERY,)),
        ("select 'secret' from dual where x=1", (UNKNOWN_QUERY,)),
        ("(", (UNKNOWN_QUERY,)),
        ("(select * from t where name = 'O''Brien, from x') q", ("t",)),
    ],
)
def test_a_query_goes_by_its_tables(query, tables):
    """The tables below FROM and JOIN, whatever stands in literals, comments and functions; else one stable name."""
    assert tables_of_query(query) == tables
