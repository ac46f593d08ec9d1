"""Gather what the pages in the browser need of a patient (docs/pages.md, kind ``patient``)."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks.counting.counts import TubeCounts
from tasks.publish.patient_record import PatientRecord
from tasks.publish.wording import CODES, METHODS, split_words
from tasks.vocabulary.moments import comparable, elapsed_days
from tasks.vocabulary.populations import NAMED, population_rank
from tasks.vocabulary.severity import severity_of, worst, worst_first
from tasks.vocabulary.tube_identity import TubeIdentity

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
SHORT = 12
"""So many characters of a tube's SHA-256 name its folder and its data."""
_FAMILIES = {each.id: each.family for each in NAMED}
_DAY_LABEL = re.compile(r"D(-?\d{1,5})")

Json = dict[str, Any]


def patient_series(
    record: PatientRecord, kinetics: "pd.DataFrame", sentences: Sequence[str] = ()
) -> Json:
    """Give a patient's visits, tubes and results as plain values; None is not measured.

    ``sentences`` are those that the patient's report begins with.
    """
    counts, references = _counts(record, kinetics)
    tubes = [
        _counted_tube(record, tube, counts.get(tube.identity.tube_sha256[:SHORT], {}))
        for tube in record.tubes
    ]
    present = {tube["sha256"] for tube in tubes}
    tubes += [
        _tube(record, control) for control in record.controls if control.tube_sha256 not in present
    ]
    words = {word for tube in tubes for word in tube["flags"]}
    words |= {word for rows in counts.values() for row in rows.values() for word in row["flags"]}
    return {
        "format": FORMAT,
        "patient": record.patient,
        "infusions": {name: time.isoformat() for name, time in record.infusions.items()},
        "baseline": _baseline(record, tubes),
        "populations": _populations(record, kinetics, references),
        "codes": CODES,
        "methods": METHODS,
        "flags": {
            word: {
                "severity": severity_of(word),
                "sentence": record.flag_meanings.get(word, ""),
            }
            for word in worst_first(sorted(words))
        },
        "sentences": list(sentences),
        "visits": _visits(tubes),
        "tubes": sorted(tubes, key=_tube_order),
        "counts": counts,
    }


def _counts(
    record: PatientRecord, kinetics: "pd.DataFrame"
) -> tuple[dict[str, dict[str, Json]], dict[tuple[str, str], str]]:
    """Give every row of the kinetics table by tube and population, and what percentages are of.

    The latter is, by specimen and population, the reference of the first row.
    """
    from tasks.kinetics.schema import KINETICS
    from tasks.kinetics.winning_rows import kinetic_rows, percent_limits
    from tasks.publish.tables import cells

    detect = record.limits.detect_events
    used = {_key(row) for row in kinetic_rows(kinetics, detect).visits}
    corrected = {
        (tube.identity.tube_sha256, name) for tube in record.tubes for name in tube.corrected
    }
    counts: dict[str, dict[str, Json]] = {}
    references: dict[tuple[str, str], str] = {}
    limits = percent_limits(kinetics, detect).tolist()
    for values, limit in zip(cells(kinetics, KINETICS), limits, strict=True):
        row = dict(zip(KINETICS.names, values, strict=True)) | {"lod_percent": limit}
        place = (str(row["tube_sha256"]), str(row["population"]))
        result = _result(row, record.gate(str(row["strategy"]), place[1]))
        result |= {"used": _key(row) in used, "corrected": place in corrected}
        counts.setdefault(place[0][:SHORT], {})[place[1]] = result
        references.setdefault((str(row["specimen"]), place[1]), str(row["reference"]))
    return counts, references


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["tube_sha256"], row["strategy"], row["population"]


def _result(row: Mapping[str, Any], gate: str) -> Json:
    from tasks.kinetics.wide_table import print_result

    return {
        "gate": gate,
        "events": row["events"],
        "parent": row["parent"],
        "parent_events": row["parent_events"],
        "percent_parent": row["percent_parent"],
        "percent": row["percent_reference"],
        "reference": row["reference"],
        "per_ul": row["per_ul"],
        "low": row["per_ul_low"],
        "high": row["per_ul_high"],
        "lod": row["lod_per_ul"],
        "lloq": row["lloq_per_ul"],
        "printed": print_result(row),
        "code": row["code"],
        "method": row["method"],
        "flags": split_words(row["flags"]),
    }


def _counted_tube(record: PatientRecord, tube: TubeCounts, results: Mapping[str, Json]) -> Json:
    """Describe a counted tube with the flags of all its ``results``."""
    words = [
        *tube.flags,
        *(word for count in tube.counts.values() for word in count.flags),
        *(word for row in results.values() for word in row["flags"]),
    ]
    return _tube(record, tube.identity) | {
        "strategy": tube.strategy,
        "calibration": tube.calibration,
        "counted": True,
        "counted_as": tube.counted_as,
        "correction": tube.correction_sha256,
        "flags": worst_first(sorted(set(words))),
        "severity": worst(words),
        "review": tube.review,
        "corrected": sorted(tube.corrected, key=population_rank),
    }


def _tube(record: PatientRecord, tube: TubeIdentity) -> Json:
    """Describe a tube that was not counted; a control of another patient has no visit here."""
    own = tube.patient == record.patient
    return {
        "sha12": tube.tube_sha256[:SHORT],
        "sha256": tube.tube_sha256,
        "file": tube.file,
        "panel": tube.panel,
        "specimen": tube.specimen,
        "visit": tube.visit if own else "",
        "day": _day(record, tube) if own else None,
        "collected": tube.collected.isoformat(),
        "instrument": tube.instrument or "",
        "batch": tube.batch or "",
        "operator": tube.operator or "",
        "control": tube.control or "",
        "strategy": "",
        "calibration": "",
        "counted": False,
        "counted_as": "",
        "correction": "",
        "flags": [],
        "severity": "",
        "review": "",
        "corrected": [],
    }


def _day(record: PatientRecord, tube: TubeIdentity) -> float | None:
    """Give the tube's day on the patient's clock, where it can be known."""
    first: datetime | None = record.infused_first()
    if first is None or not comparable(first, tube.collected, record.time_zone):
        return None
    return round(elapsed_days(first, tube.collected, record.time_zone), 9)


def _tube_order(tube: Json) -> tuple[bool, float, str, str, str]:
    day = tube["day"]
    return day is None, day or 0.0, tube["panel"], tube["specimen"], tube["sha256"]


def _visits(tubes: Sequence[Json]) -> list[Json]:
    """List the visits of the patient's own tubes by day; a visit's day is that of its first."""
    own = [tube for tube in sorted(tubes, key=_tube_order) if tube["visit"] and not tube["control"]]
    first: dict[str, Json] = {}
    for tube in own:
        first.setdefault(tube["visit"], tube)
    return [
        {
            "visit": visit,
            "nominal_day": nominal_day(visit),
            "day": tube["day"],
            "collected": tube["collected"],
        }
        for visit, tube in first.items()
    ]


def nominal_day(visit: str) -> int | None:
    """Read the planned day from a visit's label, ``D28`` or ``D-7``; other labels name none."""
    named = _DAY_LABEL.fullmatch(visit)
    return int(named[1]) if named else None


def _baseline(record: PatientRecord, tubes: Sequence[Json]) -> str | None:
    """Name the visit that others are compared with: the one of the sheet, else the last before."""
    before = [
        tube
        for tube in sorted(tubes, key=_tube_order)
        if tube["counted"] and not tube["control"] and tube["day"] is not None and tube["day"] < 0
    ]
    if record.baseline_visit is not None:
        named = {tube["visit"] for tube in before}
        return record.baseline_visit if record.baseline_visit in named else None
    return before[-1]["visit"] if before else None


def _populations(
    record: PatientRecord,
    kinetics: "pd.DataFrame",
    references: Mapping[tuple[str, str], str],
) -> dict[str, Json]:
    """Name the reported populations in the order of the tables, with the unit in each specimen."""
    measured = Counter(kinetics["population"])
    return {
        name: {
            "label": record.label(name),
            "family": _FAMILIES.get(name, ""),
            "unit": {
                specimen: "cells/µL"
                if specimen == "blood"
                else f"% of {record.label_within(reference)}"
                for (specimen, population), reference in sorted(references.items())
                if population == name
            },
        }
        for name in sorted(measured, key=population_rank)
    }
