"""Questions over the ledger's records. No Airflow, no store: records come as values."""

from airflow_doeks.report.totals import GROUPINGS, By, Report, Total, dataset_label, report

__all__ = ["GROUPINGS", "By", "Report", "Total", "dataset_label", "report"]
