"""Write tables as one Excel workbook whose bytes depend on nothing but the tables."""

import io
import re
import zipfile
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from tasks.kinetics.schema import KINETICS, PARAMETERS
from tasks.kinetics.table_schema import TableSchema
from tasks.kinetics.wide_table import IN_MARROW, VISIT_COLUMNS
from tasks.publish.legend import LEGEND, OFFSET, LegendWords, legend_rows, wide_schema
from tasks.publish.sheet import MOST_LINKS, Link, Sheet, Value, add_sheet
from tasks.publish.tables import Cell, cells

if TYPE_CHECKING:
    import pandas as pd
    from openpyxl import Workbook

EPOCH = (1980, 1, 1, 0, 0, 0)
WIDE_SHEET = "kinetics wide"
FIRST_EXCEL_YEAR = 1900
FROZEN = {"kinetics": "C2", "parameters": "E2", WIDE_SHEET: "F2"}
"""The first cell that scrolls, by sheet."""


def workbook_bytes(
    kinetics: "pd.DataFrame",
    wide: "pd.DataFrame",
    parameters: "pd.DataFrame",
    words: LegendWords,
) -> bytes:
    """Give the workbook kinetics.xlsx: the three tables as sheets, and a legend.

    Links are relative to the patient's folder in results. Times of collection are local date-times;
    the column ``utc_offset`` at the end of a sheet says how far they are from UTC, where
    that was written.
    """
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    add_sheet(book, _sheet("kinetics", kinetics, KINETICS, results="../../"))
    add_sheet(book, _wide_sheet(wide))
    add_sheet(book, _sheet("parameters", parameters, PARAMETERS))
    marrow = kinetics[kinetics["specimen"] != "blood"]
    references = dict(zip(marrow["population"], marrow["reference"], strict=True))
    described = wide_schema([str(name) for name in wide.columns], words.labels, references)
    schemas = {"kinetics": KINETICS, WIDE_SHEET: described, "parameters": PARAMETERS}
    add_sheet(book, Sheet("legend", LEGEND, legend_rows(words, schemas)))
    return _saved(book)


def study_workbook_bytes(
    tables: "Sequence[tuple[str, pd.DataFrame, TableSchema]]",
    words: LegendWords,
    results: str | None = None,
) -> bytes:
    """Give a workbook of the study: each table (name, rows, schema) as a sheet, and a legend.

    ``results`` leads from the workbook's folder to the results of the study (``../../``); without
    it there are no links.
    """
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    for name, frame, schema in tables:
        add_sheet(book, _sheet(name, frame, schema, results=results))
    legend = legend_rows(words, {name: schema for name, _, schema in tables})
    add_sheet(book, Sheet("legend", LEGEND, legend))
    return _saved(book)


def _sheet(
    title: str, frame: "pd.DataFrame", schema: TableSchema, *, results: str | None = None
) -> Sheet:
    """Lay a table out with its times as dates, and links where ``results`` leads to the pages."""
    header, units = schema.names, [column.unit for column in schema.columns]
    rows: list[list[Value]] = [list(row) for row in cells(frame, schema)]
    links = {} if results is None else _links(header, rows, results)
    if "collected" in header:
        _part_times(rows, header.index("collected"))
        header, units = [*header, OFFSET], [*units, ""]
    frozen = FROZEN.get(title, "B2")
    return Sheet(title, header, rows, units, frozen, links, greyed="used")


def _wide_sheet(wide: "pd.DataFrame") -> Sheet:
    header = [str(name) for name in wide.columns]
    rows: list[list[Value]] = [[_number(value) for value in row] for row in cells(wide)]
    units = ["d" if name == "day" else "" for name in VISIT_COLUMNS]
    units += ["%" if name.endswith(IN_MARROW) else "1/uL" for name in header[len(units) :]]
    _part_times(rows, header.index("collected"))
    return Sheet(WIDE_SHEET, [*header, OFFSET], rows, [*units, ""], FROZEN[WIDE_SHEET])


def _links(
    header: Sequence[str], rows: Sequence[Sequence[Value]], results: str
) -> dict[tuple[int, int], Link]:
    """Lead from patients to their reports, and from the population of a tube to its gate.

    A table too long for so many links leads from each patient's first row to the report.
    """
    is_long = 2 * len(rows) > MOST_LINKS
    links: dict[tuple[int, int], Link] = {}
    if "patient" in header:
        place, seen = header.index("patient"), set[str]()
        for number, row in enumerate(rows):
            name = str(row[place])
            if not (is_long and name in seen):
                links[number, place] = Link(f"{results}patients/{quote(name)}/report.html")
            seen.add(name)
    if {"tube_sha256", "population"} <= set(header) and not is_long:
        tube, place = header.index("tube_sha256"), header.index("population")
        for number, row in enumerate(rows):
            if row[tube]:
                page = f"{results}tubes/{quote(str(row[tube])[:12])}/gating.html"
                links[number, place] = Link(page, f"gate={quote(str(row[place]))}")
    return links


def _part_times(rows: Sequence[list[Value]], place: int) -> None:
    """Make the times of a column local date-times, with their offsets at the ends of the rows."""
    for row in rows:
        row[place], offset = _local_time(row[place])
        row.append(offset)


def _local_time(value: Value) -> tuple[Value, str]:
    """Part an ISO 8601 time into the local date-time and its offset from UTC, where it has one.

    What is no such time, or lies before the first day a spreadsheet knows, stays as it is.
    """
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return value, ""
    if moment.year < FIRST_EXCEL_YEAR:
        return value, ""
    offset = "" if moment.tzinfo is None else moment.isoformat(timespec="seconds")[19:]
    return moment.replace(tzinfo=None), offset


def _number(printed: Cell) -> Cell:
    """Turn a printed result that is nothing but a number back into one."""
    if isinstance(printed, str) and re.fullmatch(r"\d+(\.\d+)?", printed):
        return float(printed)
    return printed


def _saved(book: "Workbook") -> bytes:
    written = io.BytesIO()
    book.save(written)
    return _timeless(written.getvalue())


def _timeless(book: bytes) -> bytes:
    """Pack a workbook again with the times it was saved at taken out."""
    written = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book)) as old,
        zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "docProps/core.xml":
                content = re.sub(
                    rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*",
                    rb"\g<1>1980-01-01T00:00:00Z",
                    content,
                )
            new.writestr(zipfile.ZipInfo(entry.filename, EPOCH), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()
