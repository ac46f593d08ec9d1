"""Read comma-separated text that a person or a program wrote: its letters, its lines, its cells.

This is the one reader of such files. It says what kind of thing is wrong and where; the sheets and
the series of concentrations each say in sentences of their own what to do about it.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from panels.files.user_file import NotReadable, read_user_file

EMPTY_TOO = 4
"""So many times the lines a file may have with those that are empty, or go on inside of quotes."""
_FIRST_BYTES = 4000
"""Where a zero byte shows that each letter takes two bytes, or that this is no text."""


class NotUtf8(Exception):
    """The letters of a file cannot be known.

    ``line`` counts lines from 1 and has the first byte that is not UTF-8; it is None where the
    whole file is UTF-16 or no text at all.
    """

    def __init__(self, line: int | None) -> None:
        """Keep the line."""
        super().__init__(line)
        self.line = line


@dataclass(frozen=True, slots=True)
class CsvLine:
    """One line of cells, trimmed; ``number`` counts lines of the file from 1."""

    number: int
    cells: tuple[str, ...]


def read_csv_text(path: Path, most_bytes: int, *, follow: bool = True) -> str:
    """Read the letters of a file of at most ``most_bytes``; a link is read with ``follow``.

    Raises FileNotFoundError where there is no such file, NotReadable where it is no regular file
    or too large, and NotUtf8.
    """
    content = read_user_file(path, most_bytes, follow=follow)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content[:_FIRST_BYTES]:
        raise NotUtf8(None)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotUtf8(content[: error.start].count(b"\n") + 1) from error


def csv_lines(text: str, most_lines: int | None = None) -> list[CsvLine]:
    """Split text into the lines that hold something, the first one included.

    A line that goes on inside of quotes has the number at which it begins. Raises csv.Error where
    the quotes do not fit, and NotReadable for more than ``most_lines`` below the first.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[CsvLine] = []
    start = 1
    for cells in reader:
        trimmed = tuple(cell.strip() for cell in cells)
        if any(trimmed):
            lines.append(CsvLine(start, trimmed))
        if most_lines is not None:
            _refuse_too_many(len(lines), reader.line_num, most_lines)
        start = reader.line_num + 1
    return lines


def _refuse_too_many(filled: int, read: int, most_lines: int) -> None:
    if filled > most_lines + 1 or read > EMPTY_TOO * most_lines:
        raise NotReadable(
            f"the sheet has more than {most_lines:,} lines and was not read. Is it another file?"
        )
