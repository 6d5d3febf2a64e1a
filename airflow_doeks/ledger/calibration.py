"""How far records were from the bill, in one small object that estimates and reports read."""

from __future__ import annotations

from airflow_doeks.model.billing import Calibration
from airflow_doeks.model.stores import ByteStore

NAME = "v1/calibration.json"


def read_calibration(store: ByteStore) -> Calibration:
    """What the last bill gave; empty if none has been read. May raise OSError, ValueError."""
    try:
        with store.open(NAME) as file:
            return Calibration.model_validate_json(file.read())
    except FileNotFoundError:
        return Calibration()


def write_calibration(store: ByteStore, calibration: Calibration) -> bool:
    """Write it unless it stands there; False if nothing changed."""
    if read_calibration(store) == calibration:
        return False
    store.write(NAME, calibration.model_dump_json(indent=1).encode())
    return True
