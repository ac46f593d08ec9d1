"""Find out whose tube a file is: from the sheet, completed by its name, completed by its keywords.

Where sources contradict each other the file waits, and the sentence names both.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import cast

from tasks.intake.plausibility import implausible, maybe_marrow
from tasks.intake.registry import Registry
from tasks.intake.sources import merge, sources_of
from tasks.sheets.columns import REQUIRED_COLUMNS, Cell
from tasks.sheets.csv_table import SheetProblem
from tasks.sheets.samples import SampleRow, SampleSheet
from tasks.vocabulary.moments import elapsed_days
from tasks.vocabulary.tube_identity import TubeIdentity

_ALIKE = 0.85
"""So much of two names must be the same for a slip: the tubes of a study differ in few letters."""
_DIGITS = re.compile(r"\d+")


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


def identify(
    registry: Registry, inbox_path: str, tube_sha256: str, keywords: Mapping[str, str]
) -> Identification:
    """Find out whose tube the file at ``inbox_path`` is.

    ``keywords`` is what ``sources.trusted_keywords`` read from it.
    """
    lines = registry.samples.naming(inbox_path)
    faults = tuple(str(line) for line in lines if isinstance(line, SheetProblem))
    rows = [line for line in lines if isinstance(line, SampleRow)]
    if faults:
        return Identification(None, faults)
    if len(rows) > 1:
        named = " and ".join(str(row) for row in rows)
        sentence = f"{named} both name {inbox_path}. Remove all but one of them."
        return Identification(None, (sentence,))
    row = rows[0] if rows else None
    sources = sources_of(registry.settings, inbox_path, row, keywords)
    values, conflicts = merge(sources, registry.settings.local_zone)
    sentences = conflicts + _missing(registry, values, inbox_path, row)
    if sentences:
        return Identification(None, sentences, row)
    shown = {column for source in sources if not source.secret for column in source.values}
    secret = frozenset(values) - shown
    where = str(row or inbox_path)
    sentences = implausible(registry, values, where, secret)
    sentences += maybe_marrow(values, inbox_path, where)
    if sentences:
        return Identification(None, sentences, row)
    return Identification(_identity(registry, values, inbox_path, tube_sha256), (), row, secret)


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
    if near is None:
        columns = ",".join(lacking)
        sentence = f"No line of samples.csv names {inbox_path}: add one with file,{columns}.{also}"
    else:
        sentence = (
            f"No line of samples.csv names {inbox_path}. {near} names '{near.file}': if that is "
            f"this file, write its name there exactly, with the same capitals and ending.{also}"
        )
    return (sentence, *unread)


def _nearest_line(samples: SampleSheet, inbox_path: str) -> SampleRow | None:
    """Find the line that most likely means a file: its name differs in capitals or a letter or two.

    Names with other digits are those of other patients, days or tubes, and never the same one
    mistyped.
    """
    name = PurePosixPath(inbox_path).name.lower()
    called = {PurePosixPath(row.file).name.lower(): row for row in samples.rows if not row.many}
    alike = [other for other in called if _DIGITS.findall(other) == _DIGITS.findall(name)]
    near = get_close_matches(name, alike, n=1, cutoff=_ALIKE)
    if not near:
        return None
    return called[near[0]]


def _identity(
    registry: Registry, values: Mapping[str, Cell], inbox_path: str, tube_sha256: str
) -> TubeIdentity:
    """Make the identity; a tube without visit is called by its nearest day, and is blood."""
    patient = registry.patients.patients[str(values["patient"])]
    collected = cast("datetime", values["collected"])
    zone = registry.settings.local_zone
    nominal = math.floor(elapsed_days(patient.infused, collected, zone) + 0.5)
    known = {"visit": f"D{nominal}", "specimen": "blood"} | dict(values)
    return TubeIdentity(tube_sha256=tube_sha256, file=inbox_path, time_zone=zone, **known)  # type: ignore[arg-type]
