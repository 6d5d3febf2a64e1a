"""The shipped Flink example on real Flink through real Airflow: what its SQL read and wrote, and what that cost."""

import csv
import sys
from collections import Counter
from decimal import Decimal

import pytest

from tests.e2e.conftest import ROOT

pytestmark = [pytest.mark.flink, pytest.mark.airflow, pytest.mark.timeout(900)]


@pytest.fixture
def raw(place, monkeypatch):
    """Two months of raw flights, as the Spark example lands them."""
    pytest.importorskip("pyflink", reason="extra local-flink is not installed")
    monkeypatch.syspath_prepend(str(ROOT / "dags" / "jobs"))
    from raw_data import land

    folder = place.data / "raw" / "flights"
    land("flights", str(place.data))
    sys.modules.pop("raw_data")
    for file in folder.glob("*.csv"):
        if file.stem not in ("2013-01", "2013-02"):
            file.unlink()
    return folder


def test_bounded_flink_is_counted_to_the_row(place, raw):
    """Rows in and out are those of the files; vCPU, cost and its shares belong to the two processes that ran."""
    run = place.run(ROOT / "dags" / "pipelines" / "late_flights.yaml")
    (record,) = run.said["records"]
    flights = [row for file in raw.glob("*.csv") for row in csv.DictReader(file.open())]
    late = Counter(row["carrier"] for row in flights if row["arr_delay"] != "NA" and int(row["arr_delay"]) > 15)

    assert (run.code, record["job"]["engine"], record["job"]["state"]) == (0, "flink", "SUCCEEDED")
    (read,) = record["lineage"]["inputs"]
    assert (read["name"], read["rows"]) == (str(raw), len(flights) + 2)  # and two headers
    written = {output["name"]: output for output in record["lineage"]["outputs"]}
    carriers = {row["carrier"] for row in flights}
    assert {name: output["rows"] for name, output in written.items()} == {
        str(place.data / "late" / "flights"): late.total(),
        str(place.data / "late" / "carriers"): len(carriers),
    }
    lines = [line for file in (place.data / "late/carriers").glob("part-*") for line in file.read_text().split()]
    assert {line.split(",")[0]: int(line.split(",")[2]) for line in lines} == {name: late[name] for name in carriers}
    total = Decimal(record["cost"]["usd_total"])
    shares = [Decimal(output["usd"]) for output in written.values()]
    assert all(share > 0 for share in shares)
    assert sum(shares) + Decimal(record["cost"]["usd_unattributed"]) == total > 0
    assert record["lineage"]["complete"]
