"""Hold one derived parameter, and read numbers out of tables."""

import math
from dataclasses import dataclass, replace

from tasks.kinetics.recovery import Censoring


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


def number(value: object) -> float | None:
    """Read a cell of a table as a number, or ``None`` where it is empty."""
    found = float(str(value)) if value is not None else math.nan
    return None if math.isnan(found) else found
