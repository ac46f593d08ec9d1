"""Write tables as CSV so that no spreadsheet runs what stands in a cell."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

RISKY = ("=", "@", "\t", "\r", "\n", "+", "-")
"""How a text begins that a spreadsheet might run."""
_HARMLESS_SIGN = re.compile(r"[+-][\w.]*")
"""A signed label or number that can call nothing (``-1w``)."""


def csv_text(header: Iterable[object], rows: Iterable[Sequence[object]]) -> str:
    """Write a table: line feed at line ends, nothing for None, numbers as Python writes them, every text harmless."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([harmless(name) for name in header])
    writer.writerows([harmless(value) for value in row] for row in rows)
    return written.getvalue()


def harmless(value: object) -> str:
    """Write one cell; a text that a spreadsheet would run gets an apostrophe in front."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(float(value)) if isinstance(value, float) else str(value)
    if not value.startswith(RISKY) or _HARMLESS_SIGN.fullmatch(value):
        return value
    return f"'{value}"
