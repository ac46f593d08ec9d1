"""Read a table of concentrations over time that any laboratory or program may have written."""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from panels.files.user_file import MEGABYTE, NotReadable
from panels.text.errors import SheetFault
from panels.text.printable import shown
from tasks.sheets.csv_text import CsvLine, NotUtf8, csv_lines, read_csv_text

Sample = tuple[float, float, bool]
"""Time, concentration (NaN: none given), below the limit of quantification."""
MOST_BYTES = 20 * MEGABYTE
"""Half a million samples."""
LEAST_NUMBER, MOST_NUMBER = 1e-30, 1e30
"""Beyond these an area can no longer be calculated."""
_COLUMNS = frozenset({"time", "conc", "blq"})
_BELOW = "leave conc empty and write 1 in blq"
_WORDS_FOR_BELOW = frozenset(
    "bql blq bloq bloqs lloq belowlloq bll bld blod lod loq nd nq neg negative undetectable "
    "undetected notdetected notquantifiable "
    "notdetectable nondetect nondetected nondetectable dnq unquantifiable".split()
)
"""What laboratories write into a column of concentrations for "below the limit", letters only."""
_IS_BELOW: Mapping[str, bool] = {
    "1": True, "true": True, "yes": True,
    "0": False, "false": False, "no": False, "": False,
}  # fmt: skip

AVERAGED = (
    "A study whose settings say 'kinetics: {nca: {duplicates: average}}' takes their mean "
    "(--study)."
)


def read_series(path: Path, *, repeated: bool = False) -> dict[str, list[Sample]]:
    """Read a CSV table ``time,conc,blq[,group]`` group by group.

    ``blq`` is 1/0, true/false, yes/no or empty (no). ``conc`` may be empty where ``blq`` is true or
    the sample is missing. Groups come in the order in which they first appear; without a group
    column the only one is called "". ``repeated`` lets two samples of a group have one time.
    Raises SheetFault naming the file, the line and what to correct.
    """
    groups: dict[str, list[Sample]] = {}
    seen: dict[tuple[str, float], int] = {}
    for line, row in _rows(path):
        sample = _sample(path, line, row)
        group = row.get("group", "")
        earlier = seen.setdefault((group, sample[0]), line)
        if earlier != line and not repeated:
            raise SheetFault(
                f"{path}, line {line}: same time as line {earlier}: keep one sample a time, "
                f"or name groups. {AVERAGED}"
            )
        groups.setdefault(group, []).append(sample)
    if not groups:
        raise SheetFault(
            f"{path}: no samples. Add one line a sample below the header time,conc,blq."
        )
    return groups


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Read the number of each line and its cells by column."""
    text = _text(path)
    try:
        lines = csv_lines(text)
    except csv.Error as error:
        raise SheetFault(
            f"{path}: not a valid CSV file ({error}). Save it again as comma-separated UTF-8."
        ) from error
    header = _header(path, text, lines[:1])
    for line in lines[1:]:
        if len(line.cells) != len(header):
            raise SheetFault(
                f"{path}, line {line.number}: {len(line.cells)} cells where the header has "
                f"{len(header)}. Use a point as decimal mark."
            )
    return [(line.number, dict(zip(header, line.cells, strict=True))) for line in lines[1:]]


def _text(path: Path) -> str:
    try:
        return read_csv_text(path, MOST_BYTES)
    except FileNotFoundError as error:
        raise SheetFault(f"{path}: cannot be read, because there is no such file.") from error
    except NotReadable as error:
        raise SheetFault(f"{path}: {error}") from error
    except NotUtf8 as error:
        raise SheetFault(
            f"{path}: cannot be read, because it is not UTF-8 text. Save it as CSV UTF-8."
        ) from error


def _header(path: Path, text: str, first: Sequence[CsvLine]) -> list[str]:
    """Give the columns' names in small letters."""
    header = [name.lower() for line in first for name in line.cells]
    if not set(header) >= _COLUMNS or len(set(header)) != len(header):
        present = shown(text.strip().partition("\n")[0].strip())
        raise SheetFault(
            f"{path}, line 1: the header must be time,conc,blq and, if wanted, group, with "
            f"commas; found '{present}'."
        )
    return header


def _sample(path: Path, line: int, row: Mapping[str, str]) -> Sample:
    blq = _IS_BELOW.get(row["blq"].lower())
    if blq is None:
        raise SheetFault(
            f"{path}, line {line}: blq is '{shown(row['blq'])}'. Write 1 for below the limit of "
            f"quantification, else 0."
        )
    time = _number(path, line, "time", row["time"])
    return time, _concentration(path, line, row["conc"]), blq


def _concentration(path: Path, line: int, text: str) -> float:
    """Read a concentration, NaN where none is given.

    "Below the limit" has its own column: a number made of "<0.1" would be one nobody measured.
    """
    if text == "":
        return math.nan
    if _says_below(text):
        raise SheetFault(
            f"{path}, line {line}: conc is '{shown(text)}', which says below the limit of "
            f"quantification: {_BELOW}."
        )
    value = _number(path, line, "conc", text)
    if value < 0:
        raise SheetFault(
            f"{path}, line {line}: conc is negative ({shown(text)}). If it is below the limit of "
            f"quantification, {_BELOW}."
        )
    return value


def _says_below(text: str) -> bool:
    word = re.sub(r"[^a-z<≤]", "", text.lower())
    return word in _WORDS_FOR_BELOW or word.startswith(("<", "≤", "below", "lessthan", "under"))


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        remedy = "Write it with a point as decimal mark"
        if column == "conc":
            remedy += (
                f", or leave it empty where the sample is missing; below the limit of "
                f"quantification, {_BELOW}"
            )
        raise SheetFault(
            f"{path}, line {line}: {column} is '{shown(text)}', not a number. {remedy}."
        )
    if value and not LEAST_NUMBER <= abs(value) <= MOST_NUMBER:
        raise SheetFault(
            f"{path}, line {line}: {column} is '{shown(text)}', which nobody can have measured. "
            f"Correct it."
        )
    return value
