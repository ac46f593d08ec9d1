"""Say which published numbers of a patient another edition of the tables restates, and why."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from panels.text.plural import counted
from tasks.kinetics.schema import KINETICS, PARAMETERS
from tasks.publish.tables import read_table
from tasks.review.restatement import PARAMETER_TABLE, REVIEW, ROW, restatements
from tasks.store.audit import KeptEntry
from tasks.store.editions import Edition

if TYPE_CHECKING:
    import pandas as pd

RESTATED = "restated"
"""What the log says was done when new tables restate published numbers."""
MOST_REASONS = 3
MARKS = frozenset({"flags", "corrected"})
"""Columns that say something of a number; the number itself stays."""


@dataclass(frozen=True, slots=True)
class RestatedValue:
    """One value of a table then and now (empty: there was or is none), and why it changed."""

    table: str
    visit: str
    population: str
    what: str
    then: str
    now: str
    why: str

    @property
    def text(self) -> str:
        """Write it on one line."""
        place = " ".join(filter(None, (self.visit, self.population)))
        return f"{place} {self.what}: {self.then or 'none'} → {self.now or 'none'} ({self.why})"


NAMES = tuple(field.name for field in fields(RestatedValue))


@dataclass(frozen=True, slots=True)
class Restated:
    """What differs between two editions: ``values`` that were published, and numbers of others.

    ``parameters`` counts the parameters that changed, most of which follow from the values;
    ``added`` the rows that came.
    """

    values: tuple[RestatedValue, ...]
    parameters: tuple[RestatedValue, ...]
    added: int

    @property
    def sentence(self) -> str:
        """Say how much changed, and the main reasons."""
        parts = []
        for thing, values in (
            ("published value", [each for each in self.values if each.what not in MARKS]),
            ("flag", [each for each in self.values if each.what in MARKS]),
        ):
            if values:
                parts.append(f"{counted(len(values), thing)} changed ({_because(values)})")
        if self.added:
            parts.append(f"{counted(self.added, 'row')} came")
        if self.parameters:
            parts.append(f"{counted(len(self.parameters), 'parameter')} changed")
        return ", ".join(parts) or "the tables are written in another way"


@dataclass(frozen=True, slots=True)
class _Tables:
    kinetics: pd.DataFrame
    parameters: pd.DataFrame


def restated(then: Edition, now: Edition) -> Restated:
    """Compare two editions of one patient's tables."""
    rows = restatements(_tables(then), _tables(now)).to_dict("records")
    lines = [RestatedValue(*(str(row[name]) for name in NAMES)) for row in rows]
    # A decision of a reviewer restates no number.
    kinetics = [each for each in lines if each.table != PARAMETER_TABLE and each.what != REVIEW]
    return Restated(
        values=tuple(each for each in kinetics if not _came(each)),
        parameters=tuple(each for each in lines if each.table == PARAMETER_TABLE),
        added=sum(map(_came, kinetics)),
    )


def _because(values: Sequence[RestatedValue]) -> str:
    reasons = Counter(each.why for each in values).most_common(MOST_REASONS)
    return "; ".join(f"{why}: {number:,}" for why, number in reasons)


def _came(value: RestatedValue) -> bool:
    return value.what == ROW and not value.then


def _tables(edition: Edition) -> _Tables:
    return _Tables(
        read_table(io.BytesIO(edition.kinetics), KINETICS),
        read_table(io.BytesIO(edition.parameters), PARAMETERS),
    )


def summary_of(entry: KeptEntry) -> str:
    """Give what an entry of the log says of restated numbers; empty where it was altered."""
    try:
        return str(json.loads(entry.details)["summary"])
    except (ValueError, KeyError, TypeError):
        return ""
