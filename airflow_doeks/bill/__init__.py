"""AWS's bill (CUR 2.0 with split cost allocation data, Parquet) to what each record cost. DuckDB is given to it."""

from airflow_doeks.bill.charges import charges
from airflow_doeks.bill.export import Export, read_export

__all__ = ["Export", "charges", "read_export"]
