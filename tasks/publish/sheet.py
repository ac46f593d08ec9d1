"""Lay one table out as a sheet of a workbook: numbers, dates, links, widths and frozen headings."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from panels.files.csv_cells import RISKY
from tasks.publish.tables import Cell
from tasks.publish.wording import POINTS_IN_TIME, amount_text

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.cell import Cell as SheetCell

Value = Cell | datetime
"""What a cell of a sheet holds; a time is local, and has no zone (a spreadsheet knows none)."""
NARROWEST, WIDEST = 9.0, 60.0
"""The least and the greatest width of a column, in characters."""
DATE_FORMAT = "yyyy-mm-dd hh:mm"
MOST_LINKS = 65_000
"""A sheet of Excel holds 65,530 links; one with more is said to be damaged."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_NOT_PLAIN = re.compile(rf"^[{re.escape(''.join(RISKY))}#]|{_CONTROL.pattern}")
"""Texts that a spreadsheet may take for a formula or an error, or may not hold."""
GREY, LINKED = "FF6B7280", "FF0B57D0"


class Link(NamedTuple):
    """Where a cell leads: a file beside the workbook, and a place in it."""

    file: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table as a sheet.

    ``units`` are those of the columns ("as unit": that of the row's column ``unit``), by which
    numbers get their digits. ``frozen`` is the first cell that scrolls. ``links`` are by row and
    column, both from 0. A row whose column ``greyed`` holds N is grey.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Value]]
    units: Sequence[str] = ()
    frozen: str = "A2"
    links: Mapping[tuple[int, int], Link] = field(default_factory=lambda: MappingProxyType({}))
    greyed: str = ""

    def unit(self, row: int, column: int) -> str:
        """Give the unit of a cell; empty where it has none."""
        unit = self.units[column] if self.units else ""
        return str(self.rows[row][self.header.index("unit")]) if unit == "as unit" else unit

    def is_point_in_time(self, row: int, column: int) -> bool:
        """Tell whether a cell in days is a day on the clock, as every day of a visit is."""
        if self.units[column] != "as unit":
            return True
        parameter = self.header.index("parameter")
        return self.rows[row][parameter] in POINTS_IN_TIME


def add_sheet(book: "Workbook", sheet: Sheet) -> None:
    """Write a table into a write-only workbook: bold heading, filter, widths, frozen heading."""
    from openpyxl.utils import get_column_letter

    written = book.create_sheet(sheet.title)
    written.freeze_panes = sheet.frozen
    for place, name in enumerate(sheet.header):
        width = _width([name, *(row[place] for row in sheet.rows)])
        written.column_dimensions[get_column_letter(place + 1)].width = width
    cells = _Cells(written, sheet)
    written.append(cells.heading())
    for number in range(len(sheet.rows)):
        written.append(cells.row(number))
    if sheet.rows:
        whole = f"A1:{get_column_letter(len(sheet.header))}{len(sheet.rows) + 1}"
        written.auto_filter.ref = whole
        if sheet.greyed in sheet.header:
            _grey_out(written, sheet, whole.replace("A1", "A2", 1))


class _Cells:
    """Make the cells of one sheet: what needs a type, a format or a link of its own."""

    def __init__(self, written: Any, sheet: Sheet) -> None:
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.styles import Font, PatternFill
        from openpyxl.worksheet.hyperlink import Hyperlink

        self._new = partial(WriteOnlyCell, written)
        self._hyperlink = Hyperlink
        self._sheet = sheet
        self._linked = Font(color=LINKED, underline="single")
        self._bold, self._shade = Font(bold=True), PatternFill("solid", fgColor="E8EDF2")

    def heading(self) -> list[Any]:
        """Give the cells of the heading."""
        cells = [self._new(name) for name in self._sheet.header]
        for cell in cells:
            cell.font, cell.fill = self._bold, self._shade
        return cells

    def row(self, number: int) -> list[Any]:
        """Give what a row of a write-only sheet takes."""
        row = self._sheet.rows[number]
        return [self._filled(value, number, column) for column, value in enumerate(row)]

    def _filled(self, value: Value, number: int, column: int) -> Any:
        """Give a cell, or the bare value where that is written as it is."""
        link = self._sheet.links.get((number, column))
        if isinstance(value, str):
            is_plain = link is None and not _NOT_PLAIN.search(value)
            return (value or None) if is_plain else self._text(value, link)
        if isinstance(value, float):
            return self._formatted(value, self._number_format(value, number, column))
        if isinstance(value, datetime):
            return self._formatted(value, DATE_FORMAT)
        return value

    def _text(self, text: str, link: Link | None) -> "SheetCell":
        """Write text as text: never as a formula, whatever it starts with.

        Control characters that Excel refuses are replaced.
        """
        cell: SheetCell = self._new()
        cell.value = _CONTROL.sub("\ufffd", text)
        cell.data_type = "s"
        if text.startswith(RISKY):
            cell.quotePrefix = True
        if link is not None:
            cell.hyperlink = self._hyperlink(ref="", target=link.file, location=link.place or None)
            cell.font = self._linked
        return cell

    def _formatted(self, value: float | datetime, shown: str) -> "SheetCell":
        cell: SheetCell = self._new(value)
        cell.number_format = shown
        return cell

    def _number_format(self, value: float, number: int, column: int) -> str:
        unit = self._sheet.unit(number, column)
        in_time = unit == "d" and self._sheet.is_point_in_time(number, column)
        return number_format(value, unit, in_time=in_time)


def number_format(value: float, unit: str, *, in_time: bool = False) -> str:
    """Give the format that shows a number as every page prints it; the cell holds all digits."""
    decimals = len(amount_text(value, unit, in_time=in_time).partition(".")[2])
    return f"0.{'0' * decimals}" if decimals else "0"


def _grey_out(written: Any, sheet: Sheet, rows: str) -> None:
    """Write the rows that hold N in grey, also when somebody sorts them."""
    from openpyxl.formatting.rule import Rule
    from openpyxl.styles import Font
    from openpyxl.styles.differential import DifferentialStyle
    from openpyxl.utils import get_column_letter

    letter = get_column_letter(sheet.header.index(sheet.greyed) + 1)
    grey = DifferentialStyle(font=Font(color=GREY, italic=True))
    rule = Rule(type="expression", formula=[f'${letter}2="N"'], dxf=grey)
    written.conditional_formatting.add(rows, rule)


def _width(column: Iterable[Value]) -> float:
    longest = max(_length(value) for value in column if value is not None)
    return min(WIDEST, max(NARROWEST, 1.5 + longest))


def _length(value: Value) -> int:
    if isinstance(value, datetime):
        return len(DATE_FORMAT)
    return len(f"{value:.4g}" if isinstance(value, float) else str(value))
