"""How often the control charts of a steady instrument cry wolf, and what shift they see when.

One signal, one tube a day, 40 tubes before the shift (the first 20 set the limits) and 12 after it.
Patients take turns: each has an offset of its own, and each tube scatters about it. Run by hand:
``python benchmarks/control_charts.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from tasks.control_charts.drift import matters
from tasks.control_charts.limits import limits_of_first
from tasks.control_charts.series import Reading, Series, judge
from tasks.control_charts.westgard import Rule, violations
from tasks.vocabulary.signals import SignalName

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
CD3 = SignalName("t_cells", "CD3", "median")
BEFORE, AFTER, PATIENTS, SERIES = 40, 12, 12, 1000
SHIFTS = (0.0, 0.05, 0.08, 0.10, 0.15, 0.20, 0.30)
SCATTERS = (0.02, 0.05, 0.08)
BETWEEN_PATIENTS = (0.0, 0.05, 0.10)


def main() -> None:
    """Print both tables."""
    rng = np.random.default_rng(1)
    print("false alarms of a rule, % of tubes (normal values)")
    print("  limits known            ", _rates([rng.normal(size=200_000).tolist()]))
    print("  limits of 20 first tubes", _rates([_by_first_tubes(rng) for _ in range(4000)]))
    print("drift said at the last tube, % of series; SD of tubes and of patients by column")
    columns = [(scatter, between) for scatter in SCATTERS for between in BETWEEN_PATIENTS]
    print(" " * 9 + "".join(f"{100 * s:4.0f}/{100 * b:<3.0f}" for s, b in columns))
    for shift in SHIFTS:
        said = [_said(rng, shift, scatter, between) for scatter, between in columns]
        print(f"  {100 * shift:4.0f} % " + "".join(f"{each:7.1f} " for each in said))


def _rates(series: Sequence[Sequence[float]]) -> str:
    found = [[each.rule for each in violations(z)] for z in series]
    tubes = sum(map(len, series))
    return "  ".join(f"{r} {100 * sum(f.count(r) for f in found) / tubes:.2f}" for r in Rule)


def _by_first_tubes(rng: np.random.Generator) -> list[float]:
    values = rng.normal(size=20 + 50).tolist()
    limits = limits_of_first(values[:20]).limits
    if limits is None:
        return []
    return [limits.z(value) for value in values[20:]]


def _said(rng: np.random.Generator, shift: float, scatter: float, between: float) -> float:
    """Give the percentage of series in which the front page would name the drift."""
    said = 0
    for _ in range(SERIES):
        number = BEFORE + AFTER
        donors = np.arange(number) % PATIENTS
        offsets = rng.normal(0, between, PATIENTS)[donors]
        values = 1000 * (1 + offsets + rng.normal(0, scatter, number))
        values[BEFORE:] *= 1 + shift
        said += matters(judge(_series(values.tolist(), donors.tolist())))
    return 100 * said / SERIES


def _series(values: Sequence[float], donors: Sequence[int]) -> Series:
    readings = []
    for place, (value, donor) in enumerate(zip(values, donors, strict=True)):
        at = FIRST + timedelta(days=place)
        day = at.date().isoformat()
        readings.append(Reading(str(place), "", at, day, value, 1000, donor=f"P{donor}"))
    return Series("tbnk", CD3, "FITC-A", tuple(readings))


if __name__ == "__main__":
    main()
