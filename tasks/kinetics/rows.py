"""Read rows and numbers out of tables, and hold one row of the parameters table."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tasks.kinetics.recovery import Censoring
from tasks.vocabulary.reasons import Why, because

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]
"""One row of a table by column. A patient's few hundred rows are read as such: a data frame costs
more than they do."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One row of the parameters table without the patient; ``None`` is "not estimable"."""

    name: str
    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None
    censoring: Censoring = "none"
    points: int = 0
    definition: str = ""

    def renamed(self, definition: str) -> "Parameter":
        """Give the same parameter under another definition."""
        return replace(self, definition=definition)


def missing(name: str, unit: str, rule: str, why: Why, points: int = 0) -> Parameter:
    """Give a parameter without a value, with the reason in its definition."""
    return Parameter(name, None, unit, points=points, definition=because(rule, why))


def rows_of(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Give the rows of a table, in its order."""
    names = [str(name) for name in frame.columns]
    return [
        dict(zip(names, values, strict=True))
        for values in zip(*(frame[name].tolist() for name in names), strict=True)
    ]


def number(value: object) -> float | None:
    """Read a cell of a table as a number, or ``None`` where it is empty."""
    if value is None:
        return None
    read = value if isinstance(value, float) else float(str(value))
    return None if math.isnan(read) else read


def or_infinite(limit: float | None) -> float:
    """Give infinity for a limit that is not given (None or NaN), so that it ranks last."""
    return math.inf if limit is None or math.isnan(limit) else limit


def undetected_below(row: Row) -> float | None:
    """Give what a visit's undetected cells are less than: cells/µL, in marrow percent.

    In blood the limit of detection, or the upper 95 % limit of what was counted where that is
    higher: 18 of 20 events are not detected, and may be of 28. ``row`` may have ``lod_percent``.
    """
    if row["specimen"] != "blood":
        return number(row.get("lod_percent"))
    known = [number(row["lod_per_ul"]), number(row["per_ul_high"])]
    return max((each for each in known if each is not None), default=None)
