"""Write tables as CSV, with no cell that a spreadsheet would run as a formula."""

import re
from collections.abc import Iterable, Sequence

RISKY = ("=", "@", "\t", "\r", "\n", "+", "-")
"""The first letters of a text that a spreadsheet might run."""
_ENDS = re.compile(r'[,"\n\r]')
_HARMLESS_SIGN = re.compile(r"[+-][\w.]*")
"""A signed label or number that can call nothing (``-1w``)."""


def csv_text(header: Iterable[object], rows: Iterable[Sequence[object]]) -> str:
    """Write a table: line feeds at line ends, nothing for None, numbers as Python writes them.

    Every text is made harmless.
    """
    lines = [_line(header), *map(_line, rows)]
    return "".join(f"{line}\n" for line in lines)


def _line(cells: Iterable[object]) -> str:
    line = ",".join(_quoted(harmless(cell)) for cell in cells)
    # An empty line would be no row.
    return line or '""'


def _quoted(text: str) -> str:
    """Quote what would end a cell or a row; Python's writer leaves a carriage return bare."""
    if not _ENDS.search(text):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def harmless(value: object) -> str:
    """Write one cell; a text that a spreadsheet would run gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(float(value))
    if not isinstance(value, str):
        return str(value)
    if not value.startswith(RISKY) or _HARMLESS_SIGN.fullmatch(value):
        return value
    return f"'{value}"
