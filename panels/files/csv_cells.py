"""Write tables as CSV, with no cell that a spreadsheet would run as a formula."""

import re
from collections.abc import Iterable, Iterator, Sequence

RISKY = ("=", "@", "\t", "\r", "\n", "+", "-")
"""The first letters of a text that a spreadsheet might run."""
_ENDS = re.compile(r'[,"\n\r]')
_HARMLESS_SIGN = re.compile(r"[+-][\w.]*")
"""A signed label or number that can call nothing (``-1w``)."""
_NO_CELL = '""'
_ROWS_AT_ONCE = 10_000


def csv_text(header: Iterable[object], rows: Iterable[Sequence[object]]) -> str:
    """Write a table: line feeds at line ends, nothing for None, numbers as Python writes them.

    Every text is made harmless.
    """
    lines = [_line(header), *map(_line, rows)]
    return "".join(f"{line}\n" for line in lines)


def csv_blocks(
    header: Iterable[object], columns: Sequence[Sequence[str | float | None]]
) -> Iterator[str]:
    """Give what ``csv_text`` writes of the rows of these columns, some thousand rows at a time.

    A long table is written several times as fast: every text of a column is judged once.
    """
    yield csv_text(header, ())
    written = [_Written() for _ in columns]
    for start in range(0, max(map(len, columns), default=0), _ROWS_AT_ONCE):
        block = [column[start : start + _ROWS_AT_ONCE] for column in columns]
        texts = [_texts(cells, known) for cells, known in zip(block, written, strict=True)]
        yield "".join(f"{line or _NO_CELL}\n" for line in map(",".join, zip(*texts, strict=True)))


class _Written(dict[str, str]):
    """How each text of a column is written, as it was judged when it came first."""

    def __missing__(self, text: str) -> str:
        self[text] = _quoted(harmless(text))
        return self[text]


def _texts(cells: Sequence[str | float | None], known: _Written) -> list[str]:
    """Write some cells of a column."""
    types = set(map(type, cells))
    if types == {str}:
        return list(map(known.__getitem__, cells))  # type: ignore[arg-type] # all are str
    if types <= {float, type(None)}:
        return ["" if cell is None else repr(cell) for cell in cells]
    return [_quoted(harmless(cell)) for cell in cells]


def _line(cells: Iterable[object]) -> str:
    line = ",".join(_quoted(harmless(cell)) for cell in cells)
    # An empty line would be no row.
    return line or _NO_CELL


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
