"""Check whether what is known of a tube can be true: its patient, times, visit and specimen.

A late visit keeps its nominal name, so that only what looks like a slip is reported.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import cast

from tasks.intake.registry import Registry
from tasks.sheets.columns import Cell, contradiction
from tasks.sheets.patients import Patient
from tasks.vocabulary.moments import ambiguous_time, comparable, elapsed_days, instant, local_day
from tasks.vocabulary.visit_labels import nominal_day

FARTHEST_CLOCK = timedelta(hours=14)
"""Where the study names no time zone, a time may come from a place so much ahead of UTC; later than
that it lies in the future."""
EARLIEST_BASELINE_DAYS = 365.0
"""Without a study start, a tube from more than a year before infusion is taken for a slip in the
year."""
FEWEST_DAYS_OFF = 14.0
SHARE_OFF = 0.5
"""A visit may lie this many days, or this share of its nominal day, from the day it is called by;
the larger holds. Before infusion every day may be the baseline."""
_MARROW = re.compile(
    r"(?<![a-z])(?:bma?|bmmc|bone[ _-]?marrow|marrow|knochenmark)(?![a-z])", re.IGNORECASE
)


def implausible(
    registry: Registry, values: Mapping[str, Cell], where: str, secret: frozenset[str]
) -> tuple[str, ...]:
    """Give a sentence for all that cannot be true of the patient and the times.

    Each begins with ``where`` to correct it. ``secret`` columns are not repeated.
    """
    name = str(values["patient"])
    patient = registry.patients.patients.get(name)
    if patient is None:
        called = "that a keyword of the file names" if "patient" in secret else f"'{name}'"
        return (f"{where}: {registry.patients.why_not(name, called)}",)
    zone = registry.settings.local_zone
    unclear = _unclear_times(patient, _times(values), zone)
    if unclear:
        return tuple(f"{where}: {sentence}" for sentence in unclear)
    unlikely = list(_unlikely_times(registry, patient, _times(values)))
    if not unlikely:
        collected = cast("datetime", values["collected"])
        unlikely += _unlikely_visit(values, elapsed_days(patient.infused, collected, zone))
    if contradiction(values):
        # One of the two comes from a keyword, or the line itself would be at fault.
        unlikely.append("lymphocytes_per_ul is above leukocytes_per_ul. Correct the wrong one.")
    return tuple(f"{where}: {sentence}" for sentence in unlikely)


def maybe_marrow(values: Mapping[str, Cell], inbox_path: str, where: str) -> tuple[str, ...]:
    """Give a sentence where a name, visit or remark speaks of marrow and no specimen is given.

    An empty cell means blood, and marrow has no cells/µL.
    """
    if "specimen" in values:
        return ()
    texts = {"its name": inbox_path.replace(str(values["patient"]), " ")}
    for column in ("visit", "comment"):
        if column in values:
            texts[f"its {column}"] = str(values[column])
    speaking = [source for source, text in texts.items() if _MARROW.search(text)]
    if not speaking:
        return ()
    sentence = (
        f"{where}: {' and '.join(speaking)} may speak of bone marrow, but no specimen is given. "
        f"Write blood or marrow in the column specimen."
    )
    return (sentence,)


def _times(values: Mapping[str, Cell]) -> dict[str, datetime]:
    """Give the times that are known, by column."""
    known = ((column, values.get(column)) for column in ("collected", "acquired"))
    return {column: moment for column, moment in known if isinstance(moment, datetime)}


def _unclear_times(
    patient: Patient, times: Mapping[str, datetime], time_zone: str | None
) -> list[str]:
    """Say which times could mean two moments or none, or cannot be compared with the others."""
    if not all(comparable(patient.infused, moment, time_zone) for moment in times.values()):
        sentence = (
            f"one of the times has an offset from UTC and another has none "
            f"(infused {patient.infused.isoformat()} in patients.csv, line {patient.line}). "
            f"Write all of them alike, or the study's time zone in study.yaml "
            f"(time_zone: Europe/Berlin)."
        )
        return [sentence]
    ambiguities = {name: ambiguous_time(moment, time_zone) for name, moment in times.items()}
    return [f"{name} {ambiguity}." for name, ambiguity in ambiguities.items() if ambiguity]


def _unlikely_times(
    registry: Registry, patient: Patient, times: Mapping[str, datetime]
) -> Iterator[str]:
    start, zone = registry.settings.start, registry.settings.local_zone
    collected, acquired = times["collected"], times.get("acquired")
    when = collected.isoformat()
    if start is not None and local_day(collected, zone) < start:
        yield (
            f"collected {when} is before the study started ({start}, study.yaml). Correct the date."
        )
    if start is None and elapsed_days(collected, patient.infused, zone) > EARLIEST_BASELINE_DAYS:
        yield (
            f"collected {when} is more than a year before the infusion "
            f"({patient.infused.isoformat()}). Correct the date; "
            "if it is right, write the day the study started as 'start' in study.yaml."
        )
    for name, moment in times.items():
        if _is_future(moment, registry.now, zone):
            yield f"{name} {moment.isoformat()} lies in the future. Correct the date."
    if acquired is not None and elapsed_days(collected, acquired, zone) < 0:
        yield f"acquired {acquired.isoformat()} is before collected {when}. Correct one of them."


def _is_future(moment: datetime, now: datetime, time_zone: str | None) -> bool:
    unzoned = moment.tzinfo is None and time_zone is None
    ahead = FARTHEST_CLOCK if unzoned else timedelta()
    return instant(moment, time_zone) - now.replace(tzinfo=UTC) > ahead


def _unlikely_visit(values: Mapping[str, Cell], day: float) -> list[str]:
    """Compare a label that names a day (``D28``) with the day of the draw.

    Visits have windows, so that some days are allowed.
    """
    named = nominal_day(str(values.get("visit", "")))
    if named is None or _is_near(named, day):
        return []
    when = cast("datetime", values["collected"]).isoformat()
    sentence = (
        f"visit D{named} contradicts collected {when}, which is day {day:.1f} after "
        f"the infusion. "
        "Correct the visit, the date, or the infusion in patients.csv."
    )
    return [sentence]


def _is_near(nominal: int, day: float) -> bool:
    """Tell whether a draw of this day may be called by a nominal one."""
    if nominal < 0 and day < 1:
        return True
    if (nominal > 1 and day < -1) or (nominal < -1 and day > 1):
        return False
    return abs(nominal - day) <= max(FEWEST_DAYS_OFF, SHARE_OFF * abs(nominal))
