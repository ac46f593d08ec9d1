"""Write a patient's tables as one Excel workbook whose bytes depend on nothing but the tables."""

import io
import math
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from panels.files.csv_cells import RISKY
from tasks.kinetics.schema import KINETICS, PARAMETERS
from tasks.kinetics.table_schema import TableSchema
from tasks.publish.tables import Cell, cells
from tasks.publish.wording import CODES, METHODS
from tasks.vocabulary.reasons import Why

if TYPE_CHECKING:
    import pandas as pd
    from openpyxl import Workbook
    from openpyxl.cell import Cell as SheetCell

EPOCH = (1980, 1, 1, 0, 0, 0)
LEGEND = ["about", "term", "meaning"]
WIDE_SHEET = "kinetics wide"
WIDE_GRAIN = (
    "one row a visit and specimen; blood in cells per µL, marrow in percent of the reference"
)
NARROWEST, WIDEST = 9.0, 60.0
"""The least and the greatest width of a column, in characters."""


def workbook_bytes(
    kinetics: "pd.DataFrame",
    wide: "pd.DataFrame",
    parameters: "pd.DataFrame",
    flag_meanings: Mapping[str, str],
    contradictions: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Give the workbook kinetics.xlsx: the three tables as sheets, and a legend.

    The legend explains codes, methods, columns and flags. It begins with the concentrations that
    contradict each other: (visit, sentence with both values and their ratio).
    """
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    _add_sheet(book, "kinetics", KINETICS.names, cells(kinetics, KINETICS))
    printed = [[_number(value) for value in row] for row in cells(wide)]
    _add_sheet(book, WIDE_SHEET, list(wide.columns), printed)
    _add_sheet(book, "parameters", PARAMETERS.names, cells(parameters, PARAMETERS))
    legend: list[list[Cell]] = [
        ["contradicted concentrations", visit, sentence] for visit, sentence in contradictions
    ]
    legend.append(["sheets", WIDE_SHEET, WIDE_GRAIN])
    legend += _legend({"kinetics": KINETICS, "parameters": PARAMETERS}, flag_meanings)
    _add_sheet(book, "legend", LEGEND, legend)
    return _saved(book)


def study_workbook_bytes(
    tables: "Sequence[tuple[str, pd.DataFrame, TableSchema]]", flag_meanings: Mapping[str, str]
) -> bytes:
    """Give a workbook of the study: each table (name, rows, schema) as a sheet, and a legend."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    for name, frame, schema in tables:
        _add_sheet(book, name, schema.names, cells(frame, schema))
    legend = _legend({name: schema for name, _, schema in tables}, flag_meanings)
    _add_sheet(book, "legend", LEGEND, legend)
    return _saved(book)


def _saved(book: "Workbook") -> bytes:
    written = io.BytesIO()
    book.save(written)
    return _timeless(written.getvalue())


def _number(printed: Cell) -> Cell:
    """Turn a printed result that is nothing but a number back into one."""
    if isinstance(printed, str) and re.fullmatch(r"\d+(\.\d+)?", printed):
        return float(printed)
    return printed


def _legend(
    schemas: Mapping[str, TableSchema], flag_meanings: Mapping[str, str]
) -> list[list[Cell]]:
    rows: list[list[Cell]] = [["sheets", name, schema.grain] for name, schema in schemas.items()]
    rows.append(
        ["sheets", "empty cell", "not measured; a zero would mean measured, and none found"]
    )
    rows += [["code", code, meaning] for code, meaning in CODES.items()]
    rows += [["method", method, meaning] for method, meaning in METHODS.items()]
    rows += [["reason in a definition", why.value, why.sentence] for why in Why]
    rows += [["flag", flag, meaning] for flag, meaning in sorted(flag_meanings.items())]
    for name, schema in schemas.items():
        rows += _column_legend(name, schema)
    return rows


def _column_legend(sheet: str, schema: TableSchema) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for column in schema.columns:
        unit = f" [{column.unit}]" if column.unit else ""
        rows.append([f"column of {sheet}", column.name, f"{column.meaning}{unit}"])
    return rows


def _add_sheet(book: "Workbook", title: str, header: list[str], rows: list[list[Cell]]) -> None:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter

    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    widths = [_width([name, *(row[i] for row in rows)]) for i, name in enumerate(header)]
    for i, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(i)].width = width
    bold, shade = Font(bold=True), PatternFill("solid", fgColor="E8EDF2")
    head = [WriteOnlyCell(sheet, name) for name in header]
    for cell in head:
        cell.font, cell.fill = bold, shade
    sheet.append(head)
    for row in rows:
        sheet.append([_filled(sheet, value) for value in row])
    if rows:
        sheet.auto_filter.ref = f"A1:{get_column_letter(len(header))}{len(rows) + 1}"


def _filled(sheet: Any, value: Cell) -> Any:
    """Give what a row of a write-only sheet takes for a value: whole numbers as they are."""
    from openpyxl.cell import WriteOnlyCell

    if not isinstance(value, str | float):
        return value
    cell = WriteOnlyCell(sheet)
    if isinstance(value, str):
        return _text(cell, value)
    cell.value, cell.number_format = value, _number_format(value)
    return cell


def _number_format(value: float) -> str:
    """Give the format that shows three significant digits; the cell holds them all."""
    if not value:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"0.{'0' * min(digits, 12)}" if digits > 0 else "0"


def _text(cell: "SheetCell", text: str) -> "SheetCell":
    """Write text as text: never as a formula, whatever it starts with.

    Control characters that Excel refuses are replaced.
    """
    cell.value = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "\ufffd", text)
    cell.data_type = "s"
    if text.startswith(RISKY):
        cell.quotePrefix = True
    return cell


def _width(column: Iterable[Cell]) -> float:
    longest = max(len(str(value)) for value in column if value is not None)
    return min(WIDEST, max(NARROWEST, 1.5 + longest))


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
