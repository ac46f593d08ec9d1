"""Lay the quantities of all tubes out as the kinetics table, one row a tube × population."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from panels.text.errors import ReconflowError, SheetFault
from tasks.counting.counts import TubeCounts
from tasks.counting.quantity import Quantity
from tasks.kinetics.schema import KINETICS
from tasks.kinetics.table_schema import check_shape
from tasks.kinetics.winning_rows import METHOD_ORDER, VISIT_RESULT, judged_winners
from tasks.vocabulary.moments import elapsed_days
from tasks.vocabulary.visit_labels import nominal_day


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
    used = set(judged_winners(records))
    for place, record in enumerate(records):
        record["used"] = "Y" if place in used else "N"
    frame = KINETICS.frame([record[name] for name in KINETICS.names] for record in records)
    check_kinetics(frame)
    return frame


def check_kinetics(frame: pd.DataFrame) -> None:
    """Raise ReconflowError when a kinetics table breaks one of the promises of ``KINETICS``."""
    check_shape(frame, KINETICS, "kinetics")
    for what, rows in _broken_promises(frame).items():
        if rows.any():
            first = frame.iloc[int(rows.argmax())]
            raise ReconflowError(
                f"kinetics table: {what}: patient {first['patient']}, visit {first['visit']}, "
                f"{first['population']} "
                f"({int(rows.sum())} of {len(frame)} rows). The table was not written; this "
                f"is a fault of the program."
            )


def _broken_promises(frame: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Give for each promise of ``KINETICS`` the rows (n,) that break it."""
    column = {name: frame[name].to_numpy() for name in KINETICS.names}
    given, code, method = ~np.isnan(column["per_ul"]), column["code"], column["method"]
    q_or_dnq, nd, ne = (code == "Q") | (code == "DNQ"), code == "ND", code == "NE"
    blood, counted = column["specimen"] == "blood", method != "none"
    low, high, lod, lloq = (
        np.isnan(column[name])
        for name in ("per_ul_low", "per_ul_high", "lod_per_ul", "lloq_per_ul")
    )
    part, whole = column["percent_parent"], column["percent_reference"]
    no_limits = np.isnan(column["percent_low"]) & np.isnan(column["percent_high"])
    same = np.append([False], column["patient"][1:] == column["patient"][:-1])
    return {
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
        "limits of a percentage that is not given": np.isnan(whole) & ~no_limits,
        "a percentage outside its limits": (whole < column["percent_low"])
        | (whole > column["percent_high"]),
        "not detected in blood without upper limit": blood & nd & (high | lod),
        "not evaluable, yet with limits": ne & ~(low & high),
        "out of order in time": same & (np.diff(column["day"], prepend=-np.inf) < 0),
    } | _broken_use(column)


def _broken_use(column: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.bool_]]:
    """Give the rows that break what is promised of ``used``; an older table promises nothing."""
    used, excluded = column["used"] == "Y", column["review"] == "excluded"
    results = list(zip(*(column[name] for name in VISIT_RESULT), strict=True))
    found = set[tuple[str, ...]]()
    again = np.zeros(len(results), dtype=bool)
    for place in np.flatnonzero(used):
        again[place] = results[place] in found
        found.add(results[place])
    noted = (column["used"] == "N") & ~excluded
    unfound = np.array([result not in found for result in results], dtype=bool)
    return {
        "a row of an excluded tube that is used": used & excluded,
        "two rows used for one visit": again,
        "no row used for a visit": noted & unfound,
    }


def _record(
    tube: TubeCounts, quantity: Quantity, infused: Mapping[str, datetime]
) -> dict[str, Any]:
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
        "calibration": tube.calibration,
        "calibration_sha256": tube.calibration_sha256,
        "file": identity.file.rsplit("/", 1)[-1],
        "instrument": identity.instrument or "",
        "batch": identity.batch or "",
        "used": "",
        "corrected": "Y" if count.population in tube.corrected else "N",
        "review": tube.review,
        "nominal_day": nominal_day(identity.visit),
        "percent_low": quantity.percent_low,
        "percent_high": quantity.percent_high,
        "panel_version": tube.panel,
    }


def _row_order(
    record: Mapping[str, object], order: Mapping[str, Sequence[str]]
) -> tuple[object, ...]:
    population, strategy = str(record["population"]), str(record["strategy"])
    ids = list(order.get(strategy, ()))
    place = ids.index(population) if population in ids else len(ids)
    return (
        record["patient"],
        record["day"],
        record["specimen"],
        record["panel"],
        record["tube_sha256"],
        strategy,
        place,
        population,
    )
