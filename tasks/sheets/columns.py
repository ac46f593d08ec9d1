"""Name the columns of the sample sheet and read their cells; what can be read two ways is not."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from panels.text.spelling import nearest

REQUIRED_COLUMNS = ("file", "patient", "collected", "panel")
TIME_COLUMNS = ("collected", "acquired")
NUMBER_COLUMNS = (
    "leukocytes_per_ul", "lymphocytes_per_ul", "beads_per_tube", "blood_volume_ul",
    "acquired_volume_ul", "dilution",
)  # fmt: skip
SHEET_COLUMNS = (
    *REQUIRED_COLUMNS, "visit", "specimen", "acquired", "instrument", "batch", "operator",
    *NUMBER_COLUMNS, "control", "car_reagent", "comment",
)  # fmt: skip
IDENTITY_COLUMNS = SHEET_COLUMNS[1:]
"""What a file-name pattern or a keyword may say too: everything but the file itself."""

FEWEST_BEADS = 1000
"""No counting tube holds fewer; 49.713 is the German way to write 49713."""

FEWEST_PER_UL = {"leukocytes_per_ul": 50, "lymphocytes_per_ul": 5}
"""An analyser's counts below these are hardly ever true and most often written in 10⁹/L."""

FIRST_YEAR, LAST_YEAR = 1900, 2100
"""Years outside of these are slips; at the ends of the calendar no time can be taken to another
clock."""

LEAST_NUMBER, MOST_NUMBER = 1e-6, 1e9
"""No volume, count or dilution lies beyond; what does would be lost in the calculation."""
FARTHEST_WEST, FARTHEST_EAST = timedelta(hours=-12), timedelta(hours=14)

Cell = str | float | datetime

_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?"
    r"|\d{8}T\d{4}(\d{2})?(Z|[+-]\d{4})?"
)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_PATIENT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices, with any ending."""
_LONGEST_TEXT = 500
_CELLS_KEPT = 65_536
"""Most cells of a sheet say what others said: the same visit, panel, patient, day."""


@lru_cache(maxsize=_CELLS_KEPT)
def read_cell(column: str, text: str) -> Cell:
    """Read one cell that is not empty; raises ValueError with how to write it."""
    if column in TIME_COLUMNS:
        return read_time(text)
    if column in NUMBER_COLUMNS:
        return _read_number(column, text)
    if column == "patient":
        return read_patient(text)
    if column == "specimen" and text not in {"blood", "marrow"}:
        raise ValueError(
            f"specimen is blood or marrow, not '{text}'{nearest(text, ('blood', 'marrow'))}"
        )
    if column == "control" and text != "batch" and not re.fullmatch(r"fmo:\S.*", text):
        raise ValueError(
            f"control is empty, batch or fmo:<marker> (such as fmo:CD27), not '{text}'"
        )
    return read_text(text)


def contradiction(values: Mapping[str, Cell]) -> str | None:
    """Say when the cells of one tube cannot all be true: lymphocytes are leukocytes."""
    part, whole = values.get("lymphocytes_per_ul"), values.get("leukocytes_per_ul")
    if isinstance(part, float) and isinstance(whole, float) and part > whole:
        return (
            f"{part:g} lymphocytes per µL are more than all leukocytes ({whole:g} per µL). "
            f"Correct the wrong one."
        )
    return None


def read_time(text: str) -> datetime:
    """Read a date with its time as ISO 8601 has it.

    A date alone, or one written another way, is not guessed at. Raises ValueError with how to
    write it.
    """
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError(
            f"'{text}' is a date without time: write it as {text}T08:30 with the true time"
        )
    if not _TIME.fullmatch(text):
        raise ValueError(
            f"'{text}' is not a date-time as ISO 8601 has it: write "
            f"year-month-dayThour:minute, such as 2026-03-01T08:30"
        )
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"'{text}' is no day or time that exists: check it") from error
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"'{text}' is no time of a study: check the year")
    offset = moment.utcoffset()
    if offset is not None and not FARTHEST_WEST <= offset <= FARTHEST_EAST:
        raise ValueError(
            f"'{text}' has an offset from UTC that no place has: check it (Central Europe has "
            f"+01:00, in summer +02:00)"
        )
    return moment


def read_patient(text: str) -> str:
    """Read a pseudonymous patient id, which is also the name of a folder."""
    if not _PATIENT.fullmatch(text):
        raise ValueError(
            f"'{text}' cannot be a patient id: use up to 64 letters (A to Z), digits, '-', "
            f"'_' and '.', such as P01"
        )
    if _DEVICE.fullmatch(text):
        raise ValueError(
            f"'{text}' cannot be a patient id: Windows computers cannot open a folder of this "
            f"name; write P-{text} for instance"
        )
    return text


def read_text(text: str) -> str:
    """Read a word or remark of one line."""
    if len(text) > _LONGEST_TEXT or not text.isprintable():
        raise ValueError(f"the text must be one line of at most {_LONGEST_TEXT} characters")
    return text


def _read_number(column: str, text: str) -> float:
    if "," in text:
        raise ValueError(
            f"'{text}' has a comma: write numbers with a decimal point and nothing between "
            f"thousands, such as 4.5 or 49713"
        )
    if not _NUMBER.fullmatch(text):
        raise ValueError(
            f"'{text}' is not a number: write it as 4.5, without unit, and nothing if it was "
            f"not measured"
        )
    number = float(text)
    _refuse_impossible(column, text, number)
    return number


def _refuse_impossible(column: str, text: str, number: float) -> None:
    """Raise ValueError for a number that cannot have been measured, or is most likely a slip."""
    if number <= 0:
        raise ValueError(f"'{text}' must be above 0: leave it empty if it was not measured")
    if not LEAST_NUMBER <= number <= MOST_NUMBER:
        raise ValueError(f"'{text}' is no number that can have been measured: correct it")
    if column == "beads_per_tube" and number < FEWEST_BEADS:
        raise ValueError(
            f"'{text}' beads in a tube are too few to be true: write the number on the lot "
            f"without a point, such as 49713"
        )
    fewest = FEWEST_PER_UL.get(column, 0)
    if number < fewest:
        hint = ""
        if number * 1000 >= fewest:
            hint = f" Is it in 10⁹/L? Then write {number * 1000:g}."
        raise ValueError(
            f"'{text}' per µL is below {fewest}.{hint} If it is true, leave it empty: it is "
            f"too few to count by"
        )
    if column == "dilution" and number < 1:
        raise ValueError(
            f"'{text}' is below 1: write the final volume over the volume of blood in it, "
            f"such as 10 for 100 µL in 1 mL"
        )
