"""Gather what the sheet, the file's name and its keywords say of a tube, and hold them together.

Sources that contradict each other are never weighed against each other. The value of a keyword is
never repeated in a sentence, because cytometers write names of persons there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import cast

from gating.fcs.header import TubeHeader
from tasks.sheets.columns import NUMBER_COLUMNS, Cell, read_cell
from tasks.sheets.filename_pattern import compile_pattern
from tasks.sheets.samples import SampleRow
from tasks.study.settings import StudySettings
from tasks.vocabulary.moments import same_moment

SAME_NUMBER = 0.01
"""Numbers that differ by less are the same one, rounded."""


@dataclass(frozen=True, slots=True)
class Source:
    """What one source says of a tube, by column; ``secret`` values are not repeated."""

    name: str
    values: Mapping[str, Cell]
    secret: bool = False

    def describe(self, value: Cell) -> str:
        """Say what the source says, without the value where that is secret."""
        if self.secret:
            return f"{self.name} says something else"
        if isinstance(value, datetime):
            return f"{self.name} says {value.isoformat()}"
        return f"{self.name} says {value}"


def trusted_keywords(header: TubeHeader, settings: StudySettings) -> dict[str, str]:
    """Read from a tube's header what may be trusted, by column.

    That is the acquired volume, and the keywords that study.yaml names.
    """
    texts = {
        column: header.keywords.get(keyword.upper(), "").strip()
        for column, keyword in settings.intake.keywords.items()
    }
    if header.acquired_volume_ul is not None and "acquired_volume_ul" not in texts:
        texts["acquired_volume_ul"] = repr(header.acquired_volume_ul)
    return {column: text for column, text in texts.items() if text}


def sources_of(
    settings: StudySettings, inbox_path: str, row: SampleRow | None, keywords: Mapping[str, str]
) -> list[Source]:
    """List the sources that say anything: the sheet's line, the file's name, its keywords."""
    sheet = [Source(str(row), row.values)] if row else []
    name = _readable("the file's name", _texts_of_name(settings, inbox_path), secret=False)
    return [*sheet, *name, *_readable("a keyword of the file", keywords, secret=True)]


def merge(
    sources: Sequence[Source], time_zone: str | None
) -> tuple[dict[str, Cell], tuple[str, ...]]:
    """Put the sources together; every column on which two of them differ gives a sentence."""
    values: dict[str, Cell] = {}
    origin: dict[str, Source] = {}
    conflicts = []
    for source in sources:
        for column, value in source.values.items():
            if column not in values:
                values[column], origin[column] = value, source
            elif not _same(column, values[column], value, time_zone):
                first = origin[column].describe(values[column])
                conflicts.append(
                    f"{column} is in doubt: {first}, but {source.describe(value)}. "
                    f"Correct the wrong one."
                )
    return values, tuple(conflicts)


def _texts_of_name(settings: StudySettings, inbox_path: str) -> dict[str, str]:
    """Read what the file's name says, when the study has a pattern and the name fits it."""
    if settings.intake.filename_pattern is None:
        return {}
    pattern = compile_pattern(settings.intake.filename_pattern)
    fitted = pattern.fullmatch(PurePosixPath(inbox_path).stem)
    if fitted is None:
        return {}
    return {name: text for name, text in fitted.groupdict().items() if text}


def _readable(source: str, texts: Mapping[str, str], *, secret: bool) -> list[Source]:
    """Read the texts of one source; a column that cannot be read is missing."""
    values: dict[str, Cell] = {}
    for column, text in texts.items():
        try:
            values[column] = read_cell(column, text)
        except ValueError:
            continue
    if not values:
        return []
    return [Source(source, values, secret)]


def _same(column: str, one: Cell, other: Cell, time_zone: str | None) -> bool:
    if column in NUMBER_COLUMNS:
        return math.isclose(cast("float", one), cast("float", other), rel_tol=SAME_NUMBER)
    if isinstance(one, datetime) and isinstance(other, datetime):
        return same_moment(one, other, time_zone)
    return one == other
