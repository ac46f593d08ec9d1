"""Write the tables of the whole study as one data set: CSV, Parquet, Excel or SDTM-shaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tasks.export.sdtm import sdtm_tables
from tasks.publish.legend import LegendWords
from tasks.publish.tables import csv_bytes, parquet_bytes, write_atomically
from tasks.publish.workbook import study_workbook_bytes
from tasks.review.restatement import RESTATEMENTS
from tasks.vocabulary.flags import meanings

if TYPE_CHECKING:
    import pandas as pd

    from tasks.export.study_data import StudyData

Format = Literal["csv", "xlsx", "parquet", "sdtm"]


def write_export(
    data: StudyData, kind: Format, folder: Path, restated: pd.DataFrame | None = None
) -> list[Path]:
    """Write a study's tables in one format into ``folder``, and give the files by name.

    With ``restated`` what changed since the data-cut is written too. A workbook inside the results
    leads to the reports and gates; one that is written elsewhere would lead nowhere.
    """
    way = None
    if data.results is not None and folder.resolve().is_relative_to(data.results.resolve()):
        way = "../" * len(folder.resolve().relative_to(data.results.resolve()).parts)
    files = WRITERS[kind](replace(data, way_to_results=way), restated)
    for name, content in files.items():
        write_atomically(folder / name, content)
    return [folder / name for name in sorted(files)]


def _csv(data: StudyData, restated: pd.DataFrame | None) -> Mapping[str, bytes]:
    files = {f"{name}.csv": csv_bytes(frame, schema) for name, frame, schema in data.tables()}
    return files | {"columns.csv": _dictionary(data)} | _restatements(restated)


def _parquet(data: StudyData, restated: pd.DataFrame | None) -> Mapping[str, bytes]:
    files = {
        f"{name}.parquet": parquet_bytes(frame, schema) for name, frame, schema in data.tables()
    }
    return files | {"columns.csv": _dictionary(data)} | _restatements(restated)


def _xlsx(data: StudyData, restated: pd.DataFrame | None) -> Mapping[str, bytes]:
    tables = data.tables()
    if restated is not None:
        tables.append(("restatements", restated, RESTATEMENTS))
    words = LegendWords(meanings(), data.labels)
    return {"study.xlsx": study_workbook_bytes(tables, words, data.way_to_results)}


def _sdtm(data: StudyData, restated: pd.DataFrame | None) -> Mapping[str, bytes]:
    files = {f"{name}.csv": csv_bytes(frame) for name, frame in sdtm_tables(data).items()}
    return files | _restatements(restated)


def _restatements(restated: pd.DataFrame | None) -> dict[str, bytes]:
    if restated is None:
        return {}
    return {"restatements.csv": csv_bytes(restated, RESTATEMENTS)}


def _dictionary(data: StudyData) -> bytes:
    """Write what each column of each table means."""
    import pandas as pd

    rows = [
        (name, schema.grain, c.name, c.unit, c.meaning)
        for name, _, schema in data.tables()
        for c in schema.columns
    ]
    return csv_bytes(pd.DataFrame(rows, columns=["table", "grain", "column", "unit", "meaning"]))


WRITERS: Mapping[Format, Callable[[StudyData, pd.DataFrame | None], Mapping[str, bytes]]] = {
    "csv": _csv,
    "xlsx": _xlsx,
    "parquet": _parquet,
    "sdtm": _sdtm,
}
