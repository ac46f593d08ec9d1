"""Read from a patient's kinetics table what the front page says of each tube."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

from panels.text.errors import ReconflowError
from tasks.vocabulary.moments import instant
from tasks.vocabulary.severity import worst

DECIDED = frozenset({"accepted", "repeat", "excluded"})
"""What a reviewer can decide of a tube; one that is queried waits for an answer."""
_NEEDED = (
    "patient",
    "visit",
    "day",
    "collected",
    "specimen",
    "panel",
    "population",
    "percent_reference",
    "per_ul",
    "per_ul_high",
    "lod_per_ul",
    "code",
    "flags",
    "tube_sha256",
)
_ADDED_LATER = ("used", "review")
"""Columns that tables of earlier releases lack."""
_NUMBERS = ("per_ul", "per_ul_high", "lod_per_ul", "percent_reference")


@dataclass(frozen=True, slots=True)
class Result:
    """One population of a tube that the patient's results use, its flags, and its row by column."""

    population: str
    code: str
    flags: tuple[str, ...]
    row: Mapping[str, str]

    def cells(self) -> Mapping[str, str | float]:
        """Give what ``print_result`` prints, by column; what is not given is NaN.

        Concentrations and their limits are in cells per µL, percentages in percent.
        """
        return {**self.row, **{name: float(self.row[name] or "nan") for name in _NUMBERS}}


@dataclass(frozen=True, slots=True)
class CountedTube:
    """One tube of a kinetics table.

    ``day`` is in days since the first infusion, ``collected`` as the laboratory wrote it.
    ``results`` are those that the patient's results use, in the strategy's order; ``review`` is
    what a reviewer decided (empty: nobody did).
    """

    sha256: str
    patient: str
    visit: str
    day: float
    collected: str
    specimen: str
    panel: str
    review: str
    results: tuple[Result, ...]

    @property
    def flags(self) -> tuple[str, ...]:
        """Give the flags of all results, each once, as they come."""
        return tuple(dict.fromkeys(word for result in self.results for word in result.flags))

    def drawn_at(self, time_zone: str | None) -> datetime:
        """Give the time of the draw in UTC; ``time_zone`` is the study's."""
        return instant(datetime.fromisoformat(self.collected), time_zone)

    @property
    def is_in_order(self) -> bool:
        """Tell whether the tube is used, and no flag of it stops or is to be looked at."""
        return self.review != "excluded" and worst(self.flags) in ("know", "")

    @property
    def is_decided(self) -> bool:
        """Tell whether a person decided already what the tube is good for."""
        return self.review in DECIDED


def read_counted_tubes(kinetics: bytes) -> list[CountedTube]:
    """Read the tubes of a kinetics table (CSV), in its order, with the results that are used.

    Raises ReconflowError when the table lacks a column. No data frame: to make one of each of some
    hundred patients takes longer than all else that the front page needs.
    """
    lines = csv.reader(io.StringIO(kinetics.decode(), newline=""))
    header = next(lines, [])
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise ReconflowError(
            f"A kinetics table in the store lacks the column {missing[0]}. Run `reconflow run`, "
            f"which makes the tables again."
        )
    tubes: dict[str, list[dict[str, str]]] = {}
    wanted = [name for name in (*_NEEDED, *_ADDED_LATER) if name in header]
    cells_of = itemgetter(*map(header.index, wanted))
    for line in lines:
        row = dict(zip(wanted, cells_of(line), strict=True))
        tubes.setdefault(row["tube_sha256"], []).append(row)
    return [_counted_tube(rows) for rows in tubes.values()]


def _counted_tube(rows: Sequence[Mapping[str, str]]) -> CountedTube:
    first = rows[0]
    return CountedTube(
        sha256=first["tube_sha256"],
        patient=_text(first["patient"]),
        visit=_text(first["visit"]),
        day=float(first["day"]),
        collected=first["collected"],
        specimen=first["specimen"],
        panel=_text(first["panel"]),
        review=first.get("review", ""),
        results=tuple(_result(row) for row in rows if row.get("used") != "N"),
    )


def _result(row: Mapping[str, str]) -> Result:
    flags = tuple(row["flags"].split(";")) if row["flags"] else ()
    return Result(_text(row["population"]), row["code"], flags, row)


def _text(cell: str) -> str:
    """Read a text without the apostrophe that keeps spreadsheets from running it."""
    return cell.removeprefix("'")
