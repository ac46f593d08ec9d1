"""Find out whose tube a file is: from the sheet, completed by its name, completed by its keywords.

Sources that contradict each other are never weighed against each other; the file waits and the
sentence names both. The value of a keyword is never repeated in a sentence, because cytometers
write names of persons there.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import cast

from gating.fcs.header import TubeHeader
from tasks.sheets.columns import NUMBER_COLUMNS, REQUIRED_COLUMNS, Cell, contradiction, read_cell
from tasks.sheets.csv_table import SheetProblem
from tasks.sheets.filename_pattern import compile_pattern
from tasks.sheets.patients import Patient, PatientSheet
from tasks.sheets.samples import SampleRow, SampleSheet
from tasks.study.settings import StudySettings
from tasks.vocabulary.elapsed import elapsed_days
from tasks.vocabulary.moments import ambiguous_time, apart, comparable, local_day, same_moment
from tasks.vocabulary.tube_identity import TubeIdentity

SAME_NUMBER = 0.01
"""Numbers that differ by less are the same one, rounded."""
FARTHEST_CLOCK = timedelta(hours=14)
"""Where the study names no time zone, a time may come from a place so much ahead of UTC; later than
that it lies in the future."""
EARLIEST_BASELINE = timedelta(days=365)
"""Without a study start, a tube from more than a year before infusion is taken for a slip in the
year."""

FEWEST_DAYS_OFF = 14.0
SHARE_OFF = 0.5
"""A visit may lie this many days, or this share of its nominal day, from the day it is called by;
the larger holds.

A late visit keeps its nominal name, so that only what looks like a slip is asked about. Before
infusion every day may be the baseline.
"""
_DAY_LABEL = re.compile(r"D(?:ay)?[ _+]?(-?\d{1,5})", re.IGNORECASE)


_ALIKE = 0.85
"""So much of two names must be the same for a slip: the tubes of a study differ in few letters."""
_DIGITS = re.compile(r"\d+")
_MARROW = re.compile(
    r"(?<![a-z])(?:bma?|bmmc|bone[ _-]?marrow|marrow|knochenmark)(?![a-z])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Findings:
    """What one source says of a tube: ``said`` names the source in sentences; ``secret`` values are not repeated."""

    said: str
    values: Mapping[str, Cell]
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Identification:
    """Who a tube is, or the sentences that say what is missing or contradictory.

    ``row`` is the sheet's line used, ``secret`` the columns that a keyword filled: no sentence
    repeats them.
    """

    identity: TubeIdentity | None
    sentences: tuple[str, ...] = ()
    row: SampleRow | None = None
    secret: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Registry:
    """All a study knows of its samples and patients at one moment (``now``, UTC without offset)."""

    samples: SampleSheet
    patients: PatientSheet
    settings: StudySettings
    now: datetime


def trusted_keywords(header: TubeHeader, settings: StudySettings) -> dict[str, str]:
    """Read from a tube's header what may be believed: the acquired volume, and the keywords that study.yaml names."""
    said = {
        column: header.keywords.get(keyword.upper(), "").strip()
        for column, keyword in settings.intake.keywords.items()
    }
    if header.acquired_volume_ul is not None and "acquired_volume_ul" not in said:
        said["acquired_volume_ul"] = repr(header.acquired_volume_ul)
    return {column: text for column, text in said.items() if text}


def identify(
    registry: Registry, inbox_path: str, tube_sha256: str, keywords: Mapping[str, str]
) -> Identification:
    """Find out whose tube the file at ``inbox_path`` is; ``keywords`` is what ``trusted_keywords`` read from it."""
    lines = registry.samples.naming(inbox_path)
    faults = tuple(str(line) for line in lines if isinstance(line, SheetProblem))
    rows = [line for line in lines if isinstance(line, SampleRow)]
    if faults:
        return Identification(None, faults)
    if len(rows) > 1:
        named = " and ".join(str(row) for row in rows)
        return Identification(
            None, (f"{named} both name {inbox_path}. Remove all but one of them.",)
        )
    row = rows[0] if rows else None
    sources = (
        ([Findings(str(row), row.values)] if row else [])
        + _from_name(registry.settings, inbox_path)
        + _from_keywords(keywords)
    )
    values, conflicts = _merge(sources, registry.settings.local_zone)
    sentences = conflicts + _missing(registry, values, inbox_path, row)
    if sentences:
        return Identification(None, sentences, row)
    shown = {column for source in sources if not source.secret for column in source.values}
    secret = frozenset(values) - shown
    sentences = _contradictions(registry, values, str(row or inbox_path), secret)
    sentences += _maybe_marrow(values, inbox_path, row)
    if sentences:
        return Identification(None, sentences, row)
    return Identification(_identity(registry, values, inbox_path, tube_sha256), (), row, secret)


def _from_name(settings: StudySettings, inbox_path: str) -> list[Findings]:
    """Read what the file's name says, when the study has a pattern and the name fits it."""
    if settings.intake.filename_pattern is None:
        return []
    fitted = compile_pattern(settings.intake.filename_pattern).fullmatch(
        PurePosixPath(inbox_path).stem
    )
    return _readable(
        "the file's name",
        {name: text for name, text in fitted.groupdict().items() if text} if fitted else {},
        secret=False,
    )


def _from_keywords(keywords: Mapping[str, str]) -> list[Findings]:
    return _readable("a keyword of the file", keywords, secret=True)


def _readable(said: str, texts: Mapping[str, str], *, secret: bool) -> list[Findings]:
    """Read the texts of one source; what cannot be read says nothing, and its column is then missing."""
    values: dict[str, Cell] = {}
    for column, text in texts.items():
        try:
            values[column] = read_cell(column, text)
        except ValueError:
            continue
    return [Findings(said, values, secret)] if values else []


def _merge(
    sources: list[Findings], time_zone: str | None
) -> tuple[dict[str, Cell], tuple[str, ...]]:
    """Put the sources together; every column on which two of them differ gives a sentence."""
    values: dict[str, Cell] = {}
    origin: dict[str, Findings] = {}
    conflicts = []
    for source in sources:
        for column, value in source.values.items():
            if column not in values:
                values[column], origin[column] = value, source
            elif not _same(column, values[column], value, time_zone):
                first = origin[column]
                told = (
                    f"{first.said} {_told(first, values[column])}, but {source.said} "
                    f"{_told(source, value)}"
                )
                conflicts.append(f"{column} is in doubt: {told}. Correct the wrong one.")
    return values, tuple(conflicts)


def _same(column: str, one: Cell, other: Cell, time_zone: str | None) -> bool:
    if column in NUMBER_COLUMNS:
        return math.isclose(cast("float", one), cast("float", other), rel_tol=SAME_NUMBER)
    if isinstance(one, datetime) and isinstance(other, datetime):
        return same_moment(one, other, time_zone)
    return one == other


def _told(source: Findings, value: Cell) -> str:
    if source.secret:
        return "says something else"
    return f"says {value.isoformat() if isinstance(value, datetime) else value}"


def _missing(
    registry: Registry, values: Mapping[str, Cell], inbox_path: str, row: SampleRow | None
) -> tuple[str, ...]:
    """Say what is not known of a tube and where to write it."""
    lacking = [column for column in REQUIRED_COLUMNS[1:] if column not in values]
    if not lacking:
        return ()
    unread = tuple(str(fault) for fault in registry.samples.unread())
    if row is not None:
        return (f"{row}: {', '.join(lacking)} missing for {inbox_path}. Write it there.", *unread)
    pattern = registry.settings.intake.filename_pattern
    also = f" Its name does not say it either (pattern {pattern})." if pattern else ""
    near = _nearest_line(registry.samples, inbox_path)
    if near is not None:
        mend = (
            f"{near} names '{near.file}': if that is this file, write its name there exactly, "
            f"with the same capitals and ending."
        )
        return (f"No line of samples.csv names {inbox_path}. {mend}{also}", *unread)
    return (
        f"No line of samples.csv names {inbox_path}: add one with file,{','.join(lacking)}.{also}",
        *unread,
    )


def _nearest_line(samples: SampleSheet, inbox_path: str) -> SampleRow | None:
    """Find the line that most likely means a file, by a name that differs in capitals or a letter or two.

    Names with other digits are those of other patients, days or tubes, and never the same one
    mistyped.
    """
    name = PurePosixPath(inbox_path).name.lower()
    called = {PurePosixPath(row.file).name.lower(): row for row in samples.rows if not row.many}
    alike = [other for other in called if _DIGITS.findall(other) == _DIGITS.findall(name)]
    near = get_close_matches(name, alike, n=1, cutoff=_ALIKE)
    return called[near[0]] if near else None


def _contradictions(
    registry: Registry, values: Mapping[str, Cell], where: str, secret: frozenset[str]
) -> tuple[str, ...]:
    """Check patient and times; every sentence says where to mend."""
    name = str(values["patient"])
    patient = registry.patients.patients.get(name)
    if patient is None:
        called = "that a keyword of the file names" if "patient" in secret else f"'{name}'"
        return (f"{where}: {registry.patients.why_not(name, called)}",)
    collected = cast("datetime", values["collected"])
    zone = registry.settings.local_zone
    times = {"collected": collected, "acquired": cast("datetime | None", values.get("acquired"))}
    unclear = _unclear_times(patient, times, zone)
    if unclear:
        return tuple(f"{where}: {sentence}" for sentence in unclear)
    doubts = _unlikely_times(registry, patient, collected, times["acquired"])
    doubts = doubts or _unlikely_visit(values, elapsed_days(patient.infused, collected, zone))
    if contradiction(values):
        # One of the two comes from a keyword, or the line itself would be at fault.
        doubts.append("lymphocytes_per_ul is above leukocytes_per_ul. Correct the wrong one.")
    return tuple(f"{where}: {doubt}" for doubt in doubts)


def _unclear_times(
    patient: Patient, times: Mapping[str, datetime | None], time_zone: str | None
) -> list[str]:
    """Say which times could mean two moments or none, or cannot be held against the others."""
    known = {name: moment for name, moment in times.items() if moment is not None}
    if not all(comparable(patient.infused, moment, time_zone) for moment in known.values()):
        infused = f"infused {patient.infused.isoformat()} in patients.csv, line {patient.line}"
        told = f"one of the times has an offset from UTC and another has none ({infused})."
        return [
            (
                f"{told} Write all of them alike, or the study's time zone in study.yaml "
                f"(time_zone: Europe/Berlin)."
            )
        ]
    doubts = {name: ambiguous_time(moment, time_zone) for name, moment in known.items()}
    return [f"{name} {doubt}." for name, doubt in doubts.items() if doubt]


def _unlikely_visit(values: Mapping[str, Cell], day: float) -> list[str]:
    """Hold a label that names a day (``D28``) against the day of the draw; visits have windows, so that some days are allowed."""
    named = _DAY_LABEL.fullmatch(str(values.get("visit", "")))
    if named is None:
        return []
    nominal = int(named[1])
    before_infusion = nominal < 0 and day < 1
    wrong_side = (nominal > 1 and day < -1) or (nominal < -1 and day > 1)
    near = abs(nominal - day) <= max(FEWEST_DAYS_OFF, SHARE_OFF * abs(nominal))
    if before_infusion or (near and not wrong_side):
        return []
    when = cast("datetime", values["collected"]).isoformat()
    doubt = (
        f"visit D{int(named[1])} contradicts collected {when}, which is day {day:.1f} after "
        f"the infusion. "
        "Correct the visit, the date, or the infusion in patients.csv."
    )
    return [doubt]


def _maybe_marrow(
    values: Mapping[str, Cell], inbox_path: str, row: SampleRow | None
) -> tuple[str, ...]:
    """Ask for the specimen where a name, visit or remark speaks of marrow: an empty cell means blood, and marrow has no cells/µL."""
    if "specimen" in values:
        return ()
    spoken = {"its name": inbox_path.replace(str(values["patient"]), " ")}
    spoken |= {
        f"its {column}": str(values[column]) for column in ("visit", "comment") if column in values
    }
    where = [source for source, text in spoken.items() if _MARROW.search(text)]
    if not where:
        return ()
    said = (
        f"{' and '.join(where)} may speak of bone marrow, but no specimen is given. Write blood "
        f"or marrow in the column specimen."
    )
    return (f"{row or inbox_path}: {said}",)


def _unlikely_times(
    registry: Registry, patient: Patient, collected: datetime, acquired: datetime | None
) -> list[str]:
    start, when, zone = registry.settings.start, collected.isoformat(), registry.settings.local_zone
    doubts = []
    if start is not None and local_day(collected, zone) < start:
        doubts.append(
            f"collected {when} is before the study started ({start}, study.yaml). Correct the date."
        )
    if start is None and apart(collected, patient.infused, zone) > EARLIEST_BASELINE:
        doubts.append(
            f"collected {when} is more than a year before the infusion "
            f"({patient.infused.isoformat()}). Correct the date; "
            "if it is right, write the day the study started as 'start' in study.yaml."
        )
    for name, moment in (("collected", collected), ("acquired", acquired)):
        if moment is not None and _is_future(moment, registry.now, zone):
            doubts.append(f"{name} {moment.isoformat()} lies in the future. Correct the date.")
    if acquired is not None and apart(collected, acquired, zone) < timedelta():
        doubts.append(
            f"acquired {acquired.isoformat()} is before collected {when}. Correct one of them."
        )
    return doubts


def _is_future(moment: datetime, now: datetime, time_zone: str | None) -> bool:
    ahead = FARTHEST_CLOCK if moment.tzinfo is None and time_zone is None else timedelta()
    return apart(now.replace(tzinfo=UTC), moment, time_zone) > ahead


def _identity(
    registry: Registry, values: Mapping[str, Cell], inbox_path: str, tube_sha256: str
) -> TubeIdentity:
    patient, collected = (
        registry.patients.patients[str(values["patient"])],
        cast("datetime", values["collected"]),
    )
    zone = registry.settings.local_zone
    nominal = math.floor(elapsed_days(patient.infused, collected, zone) + 0.5)
    known = {"visit": f"D{nominal}", "specimen": "blood"} | dict(values)
    return TubeIdentity(tube_sha256=tube_sha256, file=inbox_path, time_zone=zone, **known)  # type: ignore[arg-type]
