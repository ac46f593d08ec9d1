"""Choose one row a visit × specimen × population where several tubes report the same population.

The choice is made once, when the table is laid out (``judged_winners``), and stands in its column
``used``. Whoever reads a table follows that column; a table of an earlier edition has none, and is
judged when it is read.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import nan

import pandas as pd

from tasks.counting.intervals import wilson
from tasks.counting.limits import LimitSettings
from tasks.kinetics.rounding import nine_digits
from tasks.kinetics.rows import Row, or_infinite, rows_of

DETECT_EVENTS = LimitSettings().detect_events
METHOD_ORDER = ("bead", "volumetric", "chain", "dual", "none")
"""The methods of counting, best first."""
VISIT_RESULT = ("patient", "visit", "specimen", "population")
"""What one row is chosen for."""
NOTES = frozenset({"Y", "N"})
"""What a table says of a row in its column ``used``: yes or no."""


@dataclass(frozen=True, slots=True)
class KineticRows:
    """The rows of a kinetics table.

    ``tubes`` are those of all tubes that were not excluded; ``visits`` are the winning ones, with
    ``lod_percent`` beside the columns.
    """

    tubes: Sequence[Row]
    visits: Sequence[Row]


def kinetic_rows(frame: pd.DataFrame, detect_events: int = DETECT_EVENTS) -> KineticRows:
    """Read a kinetics table row by row; ``detect_events`` is the study's limit of detection."""
    rows = rows_of(frame)
    limits = _percent_limits(rows, detect_events)
    visits = [rows[index] | {"lod_percent": limits[index]} for index in _winning(rows)]
    return KineticRows([row for row in rows if not _is_excluded(row)], visits)


def winning_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep one row a visit × specimen × population: those that the table says are used."""
    if are_noted(frame):
        return frame[frame["used"] == "Y"]
    return frame.iloc[_winning(rows_of(frame))]


def blood_rows(kinetics: pd.DataFrame, populations: Collection[str]) -> pd.DataFrame:
    """Leave out what is not of these populations in blood, unless it tells which rows are used."""
    if not are_noted(kinetics):
        return kinetics
    return kinetics[(kinetics["specimen"] == "blood") & kinetics["population"].isin(populations)]


def are_noted(frame: pd.DataFrame) -> bool:
    """Tell whether a table notes which rows are used; then so does each part of it."""
    return bool(frame["used"].isin(NOTES).all())


def with_percent_limits(frame: pd.DataFrame, detect_events: int = DETECT_EVENTS) -> pd.DataFrame:
    """Give the winning rows with one more column, ``lod_percent``, which ``print_result`` reads."""
    return winning_rows(frame.assign(lod_percent=percent_limits(frame, detect_events)))


def percent_limits(frame: pd.DataFrame, detect_events: int = DETECT_EVENTS) -> "pd.Series[float]":
    """Give each marrow row's limit of detection in percent of its reference; blood has none.

    It is 100·detect/reference events. The events of the reference are those of its own row in the
    same tube, or of a row whose parent it is. What was not detected lies below that, or below the
    upper 95 % limit (Wilson) of what was seen where it is higher.
    """
    limits = _percent_limits(rows_of(frame), detect_events)
    return pd.Series(limits, index=frame.index, dtype="float64")


def _percent_limits(rows: Sequence[Row], detect_events: int) -> list[float]:
    events = _events_by_population(rows)
    return [_percent_limit(row, events, detect_events) for row in rows]


def _events_by_population(rows: Sequence[Row]) -> Mapping[tuple[str, str, str], int]:
    """Give the events of every (tube, strategy, population or parent gate)."""
    events: dict[tuple[str, str, str], int] = {}
    for row in rows:
        parent = (row["tube_sha256"], row["strategy"], row["parent"])
        events[parent] = max(events.get(parent, 0), row["parent_events"])
    for row in rows:
        events[row["tube_sha256"], row["strategy"], row["population"]] = row["events"]
    return events


def _percent_limit(
    row: Row, events: Mapping[tuple[str, str, str], int], detect_events: int
) -> float:
    if row["specimen"] == "blood":
        return nan
    reference = events.get((row["tube_sha256"], row["strategy"], row["reference"]), 0)
    if reference <= 0:
        return nan
    limit = detect_events / reference
    if row["code"] == "ND":
        seen = int(row["events"])
        limit = max(limit, (seen + 1) / reference, wilson(min(seen, reference), reference).high)
    return 100 * limit


def judged_winners(rows: Sequence[Row]) -> list[int]:
    """Judge which rows of a table are used; gives their places, in its order.

    Nothing of an excluded tube is. Of several tubes of one panel only the best is used, so that
    subsets and wholes come from one tube. Between panels a directly counted row wins if it is
    quantified (bead, volumetric, chain, dual). If none is, the tube that would have seen least
    wins, whatever it saw: a small bead tube's "not detected" must not hide the big tube. An
    evaluable row goes before one that is not; ties go to the better method, the earlier draw, and
    at last the tube's hash.
    """
    candidates: dict[tuple[object, ...], list[int]] = {}
    for index in _in_best_tube(rows):
        result = tuple(rows[index][name] for name in VISIT_RESULT)
        candidates.setdefault(result, []).append(index)
    return sorted(_best(rows, indices) for indices in candidates.values())


def _winning(rows: Sequence[Row]) -> list[int]:
    """Give the places of the winning rows as the table notes them, in its order."""
    if all(row["used"] in NOTES for row in rows):
        return [index for index, row in enumerate(rows) if row["used"] == "Y"]
    return judged_winners(rows)


def _is_excluded(row: Row) -> bool:
    return bool(row["review"] == "excluded")


def _best(rows: Sequence[Row], indices: Sequence[int]) -> int:
    if len(indices) == 1:
        return indices[0]
    best = min(indices, key=lambda index: _rank(rows[index], _method_of, _lloq_of))
    if rows[best]["code"] == "Q":
        return best
    return min(indices, key=lambda index: _rank(rows[index], _lloq_of, _method_of))


def _rank(row: Row, *measures: Callable[[Row], float]) -> tuple[object, ...]:
    return (
        row["code"] == "NE",
        *(measure(row) for measure in measures),
        row["day"],
        row["tube_sha256"],
        row["strategy"],
    )


def _method_of(row: Row) -> float:
    return METHOD_ORDER.index(row["method"])


def _lloq_of(row: Row) -> float:
    return nine_digits(or_infinite(row["lloq_per_ul"]))


def _in_best_tube(rows: Sequence[Row]) -> list[int]:
    """List the rows of each visit's best tube of a panel.

    Populations that only another tube of the panel reports are taken from that one.
    """
    panels: dict[tuple[object, ...], dict[tuple[str, str], list[int]]] = {}
    for index, row in enumerate(rows):
        if _is_excluded(row):
            continue
        panel = (row["patient"], row["visit"], row["specimen"], row["panel"])
        tube = (row["tube_sha256"], row["strategy"])
        panels.setdefault(panel, {}).setdefault(tube, []).append(index)
    kept: list[int] = []
    for tubes in panels.values():
        taken: set[str] = set()
        ranked = sorted(
            tubes, key=lambda tube: _tube_rank(tube, [rows[index] for index in tubes[tube]])
        )
        for tube in ranked:
            kept += [index for index in tubes[tube] if rows[index]["population"] not in taken]
            taken |= {rows[index]["population"] for index in tubes[tube]}
    return kept


def _tube_rank(tube: tuple[str, str], rows: Sequence[Row]) -> tuple[object, ...]:
    """Rank a tube by its rows: the best comes first.

    The best tube has the smallest share of rows that are not evaluable, then the best method, then
    most blood (the lowest limit of detection; in marrow most cells), as the counting chooses the
    tube that ties the others to a concentration.
    """
    return (
        sum(row["code"] == "NE" for row in rows) / len(rows),
        min(map(_method_of, rows)),
        nine_digits(min(or_infinite(row["lod_per_ul"]) for row in rows)),
        -max(row["parent_events"] for row in rows),
        min(row["day"] for row in rows),
        *tube,
    )
