"""Estimate when the patients of a cohort recovered, from intervals alone.

The estimator is Turnbull's (NPMLE). Nobody sees a recovery, only the visits around it; a
Kaplan–Meier curve on visit dates is late by about half a visit gap. The estimate says in which
intervals recoveries lie and how many; where inside such an interval the curve falls is unknown.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from panels.text.errors import ReconflowError
from tasks.kinetics.cohort_schema import RECOVERY_CURVES, RECOVERY_MEDIANS
from tasks.kinetics.table_schema import check_shape

DEFINITIONS = ("B_10", "B_20", "B_1pct", "B_LLN")
EVERYONE = "all patients"

TOLERANCE = 1e-8
"""How far the likelihood's slope may exceed its value at the optimum, per patient."""

MOST_ITERATIONS = 1000

NEGLIGIBLE = 1e-4
"""Share of patients below which an interval counts as empty."""


_HALF = 0.5 + NEGLIGIBLE
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Step:
    """A share of the patients (``mass``) who recovered somewhere in (``low``, ``high``] days.

    Without ``high`` nobody knows when. ``remaining`` is the share not recovered after it; ``None``
    where nobody knows.
    """

    low: float
    high: float | None
    mass: float
    remaining: float | None


@dataclass(frozen=True, slots=True)
class RecoveryCurve:
    """The estimate for one group of patients under one definition of recovery.

    ``patients`` were seen depleted, ``recovered`` of them recovered; those never seen depleted are
    not among them. ``last_low`` gives the day on which each was last seen not recovered, in order.
    The median is the first day after which at most half have not recovered, and lies in
    (``median_low``, ``median_high``]; without ``median_high`` it is not reached, and lies after
    ``median_low``.
    """

    stratum: str
    definition: str
    patients: int
    recovered: int
    steps: tuple[Step, ...]
    last_low: tuple[float, ...]
    median_low: float | None
    median_high: float | None


def turnbull(low: Sequence[float], high: Sequence[float]) -> tuple[Step, ...]:
    """Find the shares of patients that make their intervals (low, high] most likely.

    After Turnbull 1976, J R Stat Soc B 38:290. ``low`` and ``high`` are days, equally long;
    ``high`` is infinite for who has not recovered. Equal ends are an exact time. No patient gives
    no step. Raises ValueError for an interval that ends before it begins.
    """
    lows, highs = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    if (lows > highs).any() or not np.isfinite(lows).all() or np.isnan(highs).any():
        raise ValueError(
            "each interval must begin on a finite day and must not end before it begins"
        )
    if not lows.size:
        return ()
    # An interval is open on the left: (56, 84] and (84, 112] share no day, so that it begins just
    # after its last visit.
    begins = np.where(lows < highs, np.nextafter(lows, np.inf), lows)
    supports = _supports(begins, highs)
    inside = [(begins <= first) & (last <= highs) for first, last in supports]
    shares = _most_likely(np.column_stack(inside).astype(float)).tolist()
    lower_end = dict(zip(begins.tolist(), lows.tolist(), strict=True))
    return _steps(
        [
            (lower_end[first], last, share)
            for (first, last), share in zip(supports, shares, strict=True)
            if share > NEGLIGIBLE
        ]
    )


def _supports(begins: Numbers, ends: Numbers) -> list[tuple[float, float]]:
    """List the intervals that can hold recoveries: from a beginning to the end right after it."""
    marks = sorted([(float(day), 0) for day in begins] + [(float(day), 1) for day in ends])
    return [
        (first, last)
        for (first, is_end), (last, is_last) in pairwise(marks)
        if not is_end and is_last
    ]


def _steps(shares: Sequence[tuple[float, float, float]]) -> tuple[Step, ...]:
    """Turn (low, high, share) in order of time into steps whose masses sum to 1."""
    total = sum(share for *_, share in shares)
    steps: list[Step] = []
    remaining = 1.0
    for low, high, share in shares:
        mass = round(share / total, 6)
        remaining = max(0.0, round(remaining - share / total, 6))
        if np.isfinite(high):
            steps.append(Step(low, high, mass, remaining))
        else:
            steps.append(Step(low, None, mass, None))
    return tuple(steps)


def recovery_curves(
    recovery: pd.DataFrame, strata: Mapping[str, str] | None = None
) -> list[RecoveryCurve]:
    """Estimate the time to recovery under every definition, for all patients and for each stratum.

    ``recovery`` has the columns of ``RECOVERY``; ``strata`` maps patients to theirs. A definition
    without patients has a curve without steps.
    """
    stratum_of = strata or {}
    groups = {EVERYONE: recovery}
    for stratum in sorted(set(stratum_of.values())):
        groups[stratum] = recovery[recovery["patient"].map(stratum_of) == stratum]
    return [
        _curve(stratum, definition, rows)
        for stratum, rows in groups.items()
        for definition in DEFINITIONS
    ]


def definition_id(version: str) -> str:
    """Give the id of a versioned definition: B_LLN of B_LLN(94)@1."""
    return re.split(r"[(@]", version)[0]


def curves_frame(curves: Sequence[RecoveryCurve]) -> pd.DataFrame:
    """Lay the curves out with the columns of ``RECOVERY_CURVES``, one row a step."""
    rows = [
        (c.stratum, c.definition, s.low, s.high, s.mass, s.remaining)
        for c in curves
        for s in c.steps
    ]
    frame = pd.DataFrame.from_records(rows, columns=RECOVERY_CURVES.names)
    check_shape(frame, RECOVERY_CURVES, "recovery curves")
    return frame


def medians_frame(curves: Sequence[RecoveryCurve]) -> pd.DataFrame:
    """Lay the medians out with the columns of ``RECOVERY_MEDIANS``."""
    rows = [
        (
            c.stratum,
            c.definition,
            c.patients,
            c.recovered,
            c.median_low,
            c.median_high,
            c.median_high is not None if c.patients else None,
        )
        for c in curves
    ]
    frame = pd.DataFrame.from_records(rows, columns=RECOVERY_MEDIANS.names)
    check_shape(frame, RECOVERY_MEDIANS, "recovery medians")
    return frame


def _most_likely(inside: Numbers) -> Numbers:
    """Find the shares (m,) of the m intervals that maximise the likelihood.

    ``inside`` (n × m) is 1 where the interval of a patient holds one of the m. Constrained Newton
    steps by non-negative least squares (Wang 2007, J R Stat Soc B 69:185; Wang 2008, Comput Stat
    Data Anal 52:2388): unlike the self-consistency iteration it reaches shares of zero, and the
    slope at its end proves the optimum. Raises ReconflowError when it does not get there.
    """
    from scipy.optimize import nnls

    patients, intervals = inside.shape
    shares = np.full(intervals, 1 / intervals)
    for _ in range(MOST_ITERATIONS):
        likelihood = inside @ shares
        slopes = inside / likelihood[:, None]
        if slopes.sum(axis=0).max() / patients - 1 < TOLERANCE:
            return shares
        target = np.append(np.zeros(patients), 1.0)
        step = nnls(np.vstack([slopes - 2, np.ones(intervals)]), target)[0]
        step = step / step.sum() - shares
        wanted = float((slopes @ step).sum()) / 3
        length = 1.0
        while length > 1e-9:
            risen = _log(inside @ (shares + length * step))
            if not risen < _log(likelihood) + length * wanted:
                break
            length /= 2
        shares = shares + length * step
    raise ReconflowError(
        "The time to recovery could not be estimated: the iteration did not end. This is a "
        "fault of the program."
    )


def _log(likelihood: Numbers) -> float:
    return float(np.log(np.maximum(likelihood, 1e-300)).sum())


def _curve(stratum: str, definition: str, recovery: pd.DataFrame) -> RecoveryCurve:
    rows = recovery[recovery["definition"].map(definition_id) == definition]
    version = str(rows["definition"].iloc[0]) if len(rows) else definition
    gone = rows[rows["depleted"].eq(True)]
    lows = gone["low"].fillna(0.0).tolist()
    steps = turnbull(lows, gone["high"].fillna(np.inf).tolist())
    middle = middle_step(steps)
    return RecoveryCurve(
        stratum=stratum,
        definition=version,
        patients=len(gone),
        recovered=int(gone["high"].notna().sum()),
        steps=steps,
        last_low=tuple(sorted(lows)),
        median_low=middle.low if middle else None,
        median_high=middle.high if middle else None,
    )


def middle_step(steps: Sequence[Step]) -> Step | None:
    """Give the step that holds the median, the first after which at most half are left."""
    halves = (step for step in steps if step.remaining is None or step.remaining <= _HALF)
    return next(halves, None)
