"""Lay the quantities of all tubes out as kinetic tables: one long, one as a laboratory would print it."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from panels.text.errors import ReconflowError, SheetFault
from tasks.counting.counts import TubeCounts
from tasks.counting.limits import LimitSettings
from tasks.counting.quantity import Quantity
from tasks.kinetics.rounding import nine_digits
from tasks.kinetics.rows import Row, rows_of
from tasks.kinetics.schema import KINETICS, TableSchema
from tasks.vocabulary.moments import elapsed_days
from tasks.vocabulary.populations import population_rank

DETECT_EVENTS = LimitSettings().detect_events
METHOD_ORDER = ("bead", "volumetric", "chain", "dual", "none")
VISIT_COLUMNS = ["patient", "visit", "day", "collected", "specimen"]
_MISSING = ""


def kinetics_frame(
    rows: Iterable[tuple[TubeCounts, Quantity]],
    *,
    infused: Mapping[str, datetime],
    order: Mapping[str, Sequence[str]],
) -> pd.DataFrame:
    """Lay out one row a tube × population with the columns of ``KINETICS``.

    ``infused`` is each patient's first infusion; ``order`` gives the population ids of each
    strategy in its order. Raises SheetFault for a patient without infusion.
    """
    records = sorted(
        (_record(tube, quantity, infused) for tube, quantity in rows),
        key=lambda record: _row_order(record, order),
    )
    frame = KINETICS.frame([record[name] for name in KINETICS.names] for record in records)
    check_kinetics(frame)
    return frame


def check_kinetics(frame: pd.DataFrame) -> None:
    """Raise ReconflowError when a kinetics table breaks one of the promises of ``KINETICS``."""
    check_shape(frame, KINETICS, "kinetics")
    column = {name: frame[name].to_numpy() for name in KINETICS.names}
    given, code, method = ~np.isnan(column["per_ul"]), column["code"], column["method"]
    q_or_dnq, nd, ne = (code == "Q") | (code == "DNQ"), code == "ND", code == "NE"
    blood, counted = column["specimen"] == "blood", method != "none"
    low, high, lod, lloq = (
        np.isnan(column[name])
        for name in ("per_ul_low", "per_ul_high", "lod_per_ul", "lloq_per_ul")
    )
    part, whole = column["percent_parent"], column["percent_reference"]
    same = np.append([False], column["patient"][1:] == column["patient"][:-1])
    broken: dict[str, NDArray[np.bool_]] = {
        "unknown code": ~(q_or_dnq | nd | ne),
        "unknown method": ~np.isin(method.astype(str), METHOD_ORDER),
        "more events than the parent": (column["events"] < 0)
        | (column["events"] > column["parent_events"]),
        "a concentration that was not detected": given & ~q_or_dnq,
        "a concentration without method": given & ~counted,
        "detected in blood without concentration": blood & q_or_dnq & ~given,
        "a concentration of zero or less": given & ~(column["per_ul"] > 0),
        "a concentration without limits": given & (low | high | lod | lloq),
        "a concentration outside its limits": (column["per_ul"] < column["per_ul_low"])
        | (column["per_ul"] > column["per_ul_high"]),
        "an empty population that counts as detected": (column["events"] == 0) & q_or_dnq,
        "not detected, yet with a percentage": nd & ~(np.isnan(whole) & np.isnan(part)),
        "a percentage of zero or less": (whole <= 0) | (part <= 0),
        "not detected in blood without upper limit": blood & nd & (high | lod),
        "not evaluable, yet with limits": ne & ~(low & high),
        "out of order in time": same & (np.diff(column["day"], prepend=-np.inf) < 0),
    }
    for what, rows in broken.items():
        if rows.any():
            first = frame.iloc[int(rows.argmax())]
            raise ReconflowError(
                f"kinetics table: {what}: patient {first['patient']}, visit {first['visit']}, "
                f"{first['population']} "
                f"({int(rows.sum())} of {len(frame)} rows). The table was not written; this "
                f"is a fault of the program."
            )


def check_shape(frame: pd.DataFrame, schema: TableSchema, name: str) -> None:
    """Raise ReconflowError when a table has other columns than its schema, or repeats a key."""
    if list(frame.columns) != schema.names:
        raise ReconflowError(
            f"{name} table: the columns are {', '.join(frame.columns)}; they must be "
            f"{', '.join(schema.names)}."
        )
    repeated = frame.duplicated(list(schema.key))
    if repeated.any():
        first = frame.loc[repeated, list(schema.key)].iloc[0]
        raise ReconflowError(
            f"{name} table: there must be {schema.grain}, but {', '.join(map(str, first))} "
            f"comes twice."
        )


@dataclass(frozen=True, slots=True)
class KineticRows:
    """The rows of a kinetics table: ``tubes``, all of them; ``visits``, the winning ones, with ``lod_percent`` beside the columns."""

    tubes: Sequence[Row]
    visits: Sequence[Row]


def kinetic_rows(frame: pd.DataFrame, detect_events: int = DETECT_EVENTS) -> KineticRows:
    """Read a kinetics table row by row; ``detect_events`` is the study's limit of detection."""
    rows = rows_of(frame)
    limits = _percent_limits(rows, detect_events)
    return KineticRows(
        rows, [rows[index] | {"lod_percent": limits[index]} for index in _winning(rows)]
    )


def winning_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep one row a visit × specimen × population where several tubes of a visit report the same population.

    Of several tubes of one panel only the best is used, so that subsets and wholes come from one
    tube. Between panels a directly counted row wins if it is quantified (bead, volumetric, chain,
    dual). If none is, the tube that would have seen least wins, whatever it saw: a small bead
    tube's "not detected" must not hide the big tube. An evaluable row goes before one that is not;
    ties go to the better method, the earlier draw, and at last the tube's hash.
    """
    return frame.iloc[_winning(rows_of(frame))]


def _winning(rows: Sequence[Row]) -> list[int]:
    candidates: dict[tuple[object, ...], list[int]] = {}
    for index in _in_best_tube(rows):
        row = rows[index]
        candidates.setdefault(
            (row["patient"], row["visit"], row["specimen"], row["population"]), []
        ).append(index)
    return sorted(
        indices[0] if len(indices) == 1 else _best(rows, indices) for indices in candidates.values()
    )


def _best(rows: Sequence[Row], indices: Sequence[int]) -> int:
    best = min(indices, key=lambda index: _rank(rows[index], _method_of, _lloq_of))
    sure = rows[best]["code"] == "Q"
    return (
        best if sure else min(indices, key=lambda index: _rank(rows[index], _lloq_of, _method_of))
    )


def _rank(row: Row, *first: Callable[[Row], float]) -> tuple[object, ...]:
    return (
        row["code"] == "NE",
        *(measure(row) for measure in first),
        row["day"],
        row["tube_sha256"],
        row["strategy"],
    )


def _method_of(row: Row) -> float:
    return METHOD_ORDER.index(row["method"])


def _lloq_of(row: Row) -> float:
    return nine_digits(_or_infinite(row["lloq_per_ul"]))


def _or_infinite(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _in_best_tube(rows: Sequence[Row]) -> list[int]:
    """List the rows of each visit's best tube of a panel, and those of populations that only another tube of it reports.

    The best tube has the smallest share of rows that are not evaluable, then the best method, then
    most blood (the lowest limit of detection; in marrow most cells), as the counting chooses the
    tube that ties the others to a concentration.
    """
    tubes: dict[tuple[object, ...], dict[tuple[str, str], list[int]]] = {}
    for index, row in enumerate(rows):
        visit = (row["patient"], row["visit"], row["specimen"], row["panel"])
        tubes.setdefault(visit, {}).setdefault((row["tube_sha256"], row["strategy"]), []).append(
            index
        )
    kept: list[int] = []
    for own in tubes.values():
        taken: set[str] = set()
        for _, indices in sorted(
            own.items(), key=lambda tube: _worth([rows[index] for index in tube[1]], tube[0])
        ):
            kept += [index for index in indices if rows[index]["population"] not in taken]
            taken |= {rows[index]["population"] for index in indices}
    return kept


def _worth(rows: Sequence[Row], tube: tuple[str, str]) -> tuple[object, ...]:
    """Rank a tube by its rows: the best comes first."""
    return (
        sum(row["code"] == "NE" for row in rows) / len(rows),
        min(map(_method_of, rows)),
        nine_digits(min(_or_infinite(row["lod_per_ul"]) for row in rows)),
        -max(row["parent_events"] for row in rows),
        min(row["day"] for row in rows),
        *tube,
    )


def percent_limits(frame: pd.DataFrame, detect_events: int = DETECT_EVENTS) -> "pd.Series[float]":
    """Give each marrow row's limit of detection in percent of its reference, 100·detect/reference events; blood has none.

    The events of the reference are those of its own row in the same tube, or of a row whose parent
    it is. A limit is never put below what was seen and still not called detected.
    """
    return pd.Series(
        _percent_limits(rows_of(frame), detect_events), index=frame.index, dtype="float64"
    )


def _percent_limits(rows: Sequence[Row], detect_events: int) -> list[float]:
    known: dict[tuple[str, str, str], int] = {}
    for row in rows:
        place = (row["tube_sha256"], row["strategy"], row["parent"])
        known[place] = max(known.get(place, 0), row["parent_events"])
    known |= {
        (row["tube_sha256"], row["strategy"], row["population"]): row["events"] for row in rows
    }
    limits = []
    for row in rows:
        reference = (
            known.get((row["tube_sha256"], row["strategy"], row["reference"]), 0)
            if row["specimen"] != "blood"
            else 0
        )
        needed = max(detect_events, int(row["events"]) + 1 if row["code"] == "ND" else 0)
        limits.append(100 * needed / reference if reference > 0 else math.nan)
    return limits


def wide_frame(
    frame: pd.DataFrame, detect_events: int = DETECT_EVENTS, rows: KineticRows | None = None
) -> pd.DataFrame:
    """Lay a kinetics table out with one row a visit × specimen and one column a population, printed as a laboratory would.

    Where tubes share a population ``winning_rows`` decides; day and time are those of the visit's
    first tube. An empty cell means that no tube of the visit measures the population.
    ``detect_events`` is the study's; ``rows`` are those of ``kinetic_rows``, where they are known
    already.
    """
    read = rows or kinetic_rows(frame, detect_events)
    populations = sorted({row["population"] for row in read.tubes}, key=population_rank)
    visits: dict[tuple[str, str, str], list[object]] = {}
    for row in read.tubes:
        visits.setdefault(_visit_of(row), [row[name] for name in VISIT_COLUMNS])
    printed = {(*_visit_of(row), row["population"]): print_result(row) for row in read.visits}
    lines = [
        [*told, *(printed.get((*key, population), _MISSING) for population in populations)]
        for key, told in visits.items()
    ]
    return pd.DataFrame(lines, columns=[*VISIT_COLUMNS, *populations])


def _visit_of(row: Row) -> tuple[str, str, str]:
    return row["patient"], row["visit"], row["specimen"]


def with_percent_limits(frame: pd.DataFrame, detect_events: int = DETECT_EVENTS) -> pd.DataFrame:
    """Give the winning rows with one more column, ``lod_percent``, as ``print_result`` wants them."""
    return winning_rows(frame.assign(lod_percent=percent_limits(frame, detect_events)))


def print_result(row: Mapping[Any, Any]) -> str:
    """Print one result as a laboratory would: ``12.3``, ``2.1 (DNQ)``, ``<1.1``, ``ND`` or ``NE``.

    A value that was detected but not quantified is printed and marked, as the rare-event
    laboratories report it; one that was not detected is "less than" the tube's limit of detection.
    Marrow has no concentration: percent of reference, with ``lod_percent`` as the limit of what was
    not detected (``<0.03 %``).
    """
    code = row["code"]
    value, limit, unit = row["per_ul"], row["lod_per_ul"], ""
    if row["specimen"] != "blood":
        value, limit, unit = row["percent_reference"], row.get("lod_percent"), " %"
    if code == "ND":
        return f"<{_digits(limit)}{unit}" if pd.notna(limit) else "ND"
    if code == "NE" or pd.isna(value):
        return "NE"
    return f"{_digits(value)}{unit}" + (" (DNQ)" if code == "DNQ" else "")


def _digits(value: object) -> str:
    """Round to what a count can carry: whole numbers from 100, one decimal from 1, else two significant digits."""
    number = float(str(value))
    if number >= 100:
        return f"{number:.0f}"
    return (
        f"{number:.1f}" if number >= 1 else f"{float(f'{number:.2g}'):.10f}".rstrip("0").rstrip(".")
    )


def _record(
    tube: TubeCounts, quantity: Quantity, infused: Mapping[str, datetime]
) -> dict[str, object]:
    identity, count = tube.identity, quantity.count
    if identity.patient not in infused:
        raise SheetFault(
            f"patients.csv: patient {identity.patient} has tubes but no infusion. Add a line "
            f"with the time of the infusion."
        )
    return {
        "patient": identity.patient,
        "visit": identity.visit,
        "day": elapsed_days(infused[identity.patient], identity.collected, identity.time_zone),
        "collected": identity.collected.isoformat(),
        "specimen": identity.specimen,
        "panel": identity.panel,
        "population": count.population,
        "events": count.events,
        "parent": count.parent,
        "parent_events": count.parent_events,
        "percent_parent": quantity.percent_parent,
        "reference": count.reference,
        "percent_reference": quantity.percent_reference,
        "per_ul": quantity.per_ul,
        "per_ul_low": quantity.per_ul_low,
        "per_ul_high": quantity.per_ul_high,
        "lod_per_ul": quantity.lod_per_ul,
        "lloq_per_ul": quantity.lloq_per_ul,
        "code": quantity.code,
        "method": quantity.method,
        "flags": ";".join(quantity.flags),
        "strategy": tube.strategy,
        "strategy_sha256": tube.strategy_sha256,
        "tube_sha256": identity.tube_sha256,
        "panel_sha256": tube.panel_sha256,
    }


def _row_order(
    record: Mapping[str, object], order: Mapping[str, Sequence[str]]
) -> tuple[object, ...]:
    population, strategy = str(record["population"]), str(record["strategy"])
    ids = list(order.get(strategy, ()))
    place = ids.index(population) if population in ids else len(ids)
    whose = (
        record["patient"],
        record["day"],
        record["specimen"],
        record["panel"],
        record["tube_sha256"],
    )
    return *whose, strategy, place, population
