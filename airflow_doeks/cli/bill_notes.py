"""What a report says of the bill below its table."""

from __future__ import annotations

from airflow_doeks.ledger.calibration import read_calibration
from airflow_doeks.model.stores import ByteStore


def calibration_notes(store: ByteStore) -> list[str]:
    """What a report says of the last bill: by how much its compute is to be corrected; nothing before one was read."""
    try:
        factors = read_calibration(store).factors
    except (OSError, ValueError) as error:
        return [f"What the bill said cannot be read: {error}"]
    used = [f"{one.family} {one.capacity_type} {one.region} x {one.factor:.4f}" for one in factors if one.is_used]
    return [f"Compute on the bill, as last read: {', '.join(used)}."] if used else []
