"""Bound when the B cells were gone and when they came back.

Nobody sees the crossing of a threshold, only the visits around it: both times are intervals between
visits, (last visit before, first visit after]. A visit whose limit of quantification lies above the
threshold cannot tell and is skipped, which widens the interval. The published definitions differ;
each is kept apart under its own versioned name. A level within a billionth of a threshold lies on
it (`tasks.kinetics.rounding`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.kinetics.rounding import exceeds, log_ratio, reaches

Censoring = Literal["interval", "right", "left", "none"]
Basis = Literal["per_ul", "percent", "detection"]

DEEP_VOLUME_LOD = 20 / 100
"""Limit of detection (cells/µL) of 20 events in 100 µL of blood: what a tube needs to call B cells
deeply absent."""


class RecoverySettings(BaseModel):
    """Hold what the laboratory calls normal and sensitive.

    ``lln_per_ul`` is its lower limit of normal for B cells; reference ranges differ (77, 94 or 100
    cells/µL). ``persistence_lloq_per_ul`` is the highest limit of quantification with which a tube
    may say that CAR T cells are gone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lln_per_ul: float = Field(default=94.0, gt=0)
    persistence_lloq_per_ul: float = Field(default=1.0, gt=0)


@dataclass(frozen=True, slots=True)
class Definition:
    """When B cells count as depleted (below ``depleted``) and as recovered (from ``recovered`` on).

    ``or_per_ul``: a concentration above it counts as recovered whatever the percentage. ``strict``:
    recovery needs more than the threshold.
    """

    id: str
    basis: Basis
    depleted: float = 0.0
    recovered: float = 0.0
    or_per_ul: float | None = None
    strict: bool = False

    @property
    def version(self) -> str:
        """Name the definition with its version."""
        return f"{self.id}@1"


@dataclass(frozen=True, slots=True)
class VisitCount:
    """B cells of one visit: day, code, cells/µL, the tube's limits, percent of lymphocytes.

    ``None`` is "not given". ``percent_known`` is false where the denominator is another population
    or has too few events to judge by.
    """

    day: float
    code: str
    per_ul: float | None
    lod_per_ul: float | None
    lloq_per_ul: float | None
    percent: float | None = None
    percent_known: bool = True


@dataclass(frozen=True, slots=True)
class Crossing:
    """A time known to lie in (``low``, ``high``], in days.

    ``estimate`` interpolates it log-linearly where both values are known.
    """

    low: float | None
    high: float | None
    censoring: Censoring
    estimate: float | None = None


@dataclass(frozen=True, slots=True)
class Recovery:
    """Depletion, recovery and the time between; all ``None`` where depletion was never seen.

    ``depleted`` is ``None`` where a visit after infusion that could not tell may have been
    depleted. ``lost`` counts visits that looked recovered and were not confirmed by the next;
    ``skipped`` those that cannot tell.
    """

    depleted: bool | None
    depletion: Crossing | None
    recovery: Crossing | None
    duration: Crossing | None
    confirmed: bool
    lost: int
    evaluable: int
    skipped: int


@dataclass(frozen=True, slots=True)
class _JudgedVisit:
    """A visit that can tell whether the cells are depleted or recovered; ``level`` where known."""

    day: float
    depleted: bool
    recovered: bool
    level: float | None


def definitions(
    settings: RecoverySettings, baseline_per_ul: float | None = None
) -> tuple[Definition, ...]:
    """List the definitions of depletion and recovery.

    Half and all of the baseline (``B_ratio``, ``B_ratio_100``) are there only where it is known.
    """
    lln = settings.lln_per_ul
    known = (
        Definition("B_ND", "detection"),
        Definition("B_10", "per_ul", 10.0, 10.0),
        Definition("B_20", "per_ul", 20.0, 20.0),
        Definition("B_1pct", "percent", 1.0, 1.0, or_per_ul=100.0, strict=True),
        Definition("B_3pct", "percent", 3.0, 3.0),
        Definition(f"B_LLN({lln:g})", "per_ul", lln, lln),
    )
    if baseline_per_ul is None:
        return known
    ratios = (("B_ratio", 0.5), ("B_ratio_100", 1.0))
    return *known, *(
        Definition(name, "per_ul", 0.1 * baseline_per_ul, part * baseline_per_ul)
        for name, part in ratios
    )


def recovery(visits: Sequence[VisitCount], definition: Definition) -> Recovery:
    """Bound depletion and recovery of one patient under one definition.

    Depletion is the first stretch of depleted visits that reaches into the time after infusion (day
    0). Recovery is the first later visit that is recovered and confirmed by the next evaluable
    visit, or the very last one (unconfirmed).
    """
    ordered = sorted(visits, key=lambda visit: visit.day)
    judged = [_judge(visit, definition) for visit in ordered]
    after = [each for visit, each in zip(ordered, judged, strict=True) if visit.day >= 0]
    seen = [each for each in judged if each is not None]
    skipped = len(judged) - len(seen)
    start = next((i for i, each in enumerate(seen) if each.depleted and each.day >= 0), None)
    if start is None:
        # Every visit that was skipped may have been a depleted one.
        is_known = bool(after) and None not in after
        return Recovery(
            depleted=False if is_known else None,
            depletion=None,
            recovery=None,
            duration=None,
            confirmed=False,
            lost=0,
            evaluable=len(seen),
            skipped=skipped,
        )
    onset = start
    while onset > 0 and seen[onset - 1].depleted:
        onset -= 1
    depletion = _depletion(seen, onset, definition)
    first_recovered, lost = _first_confirmed(seen, start)
    regained = _recovered(seen, first_recovered, definition)
    return Recovery(
        depleted=True,
        depletion=depletion,
        recovery=regained,
        duration=_duration(depletion, regained),
        confirmed=first_recovered is not None and first_recovered < len(seen) - 1,
        lost=lost,
        evaluable=len(seen),
        skipped=skipped,
    )


def interpolate(
    day0: float, level0: float, day1: float, level1: float, *, threshold: float
) -> float:
    """Give the day on which a level crosses ``threshold`` between two visits.

    The level changes exponentially; days and levels are those of the two visits.
    """
    return day0 + (day1 - day0) * (log_ratio(threshold, level0) / log_ratio(level1, level0))


def _judge(visit: VisitCount, definition: Definition) -> _JudgedVisit | None:
    """Judge one visit; ``None`` where it cannot tell."""
    if visit.code == "NE":
        return None
    if definition.basis == "detection":
        return _by_detection(visit)
    if definition.basis == "percent":
        return _by_percent(visit, definition)
    level = visit.per_ul
    if visit.code == "Q" and level is not None:
        depleted = not reaches(level, definition.depleted)
        recovered = reaches(level, definition.recovered)
        return _JudgedVisit(visit.day, depleted, recovered, level)
    if visit.lloq_per_ul is None or exceeds(visit.lloq_per_ul, definition.depleted):
        return None
    # What was detected below the limit of quantification has no level to interpolate with.
    return _JudgedVisit(visit.day, depleted=True, recovered=False, level=None)


def _by_detection(visit: VisitCount) -> _JudgedVisit | None:
    if visit.code in ("Q", "DNQ"):
        return _JudgedVisit(visit.day, depleted=False, recovered=True, level=None)
    if visit.lod_per_ul is None or exceeds(visit.lod_per_ul, DEEP_VOLUME_LOD):
        return None
    return _JudgedVisit(visit.day, depleted=True, recovered=False, level=None)


def _by_percent(visit: VisitCount, definition: Definition) -> _JudgedVisit | None:
    enough, level = definition.or_per_ul, visit.per_ul
    if enough is not None and level is not None and visit.code == "Q" and exceeds(level, enough):
        return _JudgedVisit(visit.day, depleted=False, recovered=True, level=None)
    if not visit.percent_known:
        return None
    if visit.code == "ND":
        return _JudgedVisit(visit.day, depleted=True, recovered=False, level=None)
    if visit.percent is None:
        return None
    is_beyond = exceeds if definition.strict else reaches
    return _JudgedVisit(
        visit.day,
        depleted=not reaches(visit.percent, definition.depleted),
        recovered=is_beyond(visit.percent, definition.recovered),
        level=visit.percent if visit.code == "Q" else None,
    )


def _first_confirmed(seen: Sequence[_JudgedVisit], start: int) -> tuple[int | None, int]:
    lost = 0
    for i in range(start + 1, len(seen)):
        if not seen[i].recovered:
            continue
        if i == len(seen) - 1 or seen[i + 1].recovered:
            return i, lost
        lost += 1
    return None, lost


def _depletion(seen: Sequence[_JudgedVisit], onset: int, definition: Definition) -> Crossing:
    first = seen[onset]
    if onset == 0:
        return Crossing(None, first.day, "left")
    before = seen[onset - 1]
    # Before the infusion nothing decays: a line drawn from there would put the onset before its
    # cause.
    estimate = None if before.day < 0 else _estimate(before, first, definition.depleted)
    return Crossing(before.day, first.day, "interval", estimate)


def _recovered(
    seen: Sequence[_JudgedVisit], first_recovered: int | None, definition: Definition
) -> Crossing:
    if first_recovered is None:
        return Crossing(_last_not_recovered(seen), None, "right")
    before, after = seen[first_recovered - 1], seen[first_recovered]
    estimate = _estimate(before, after, definition.recovered)
    return Crossing(before.day, after.day, "interval", estimate)


def _last_not_recovered(seen: Sequence[_JudgedVisit]) -> float:
    return next(each.day for each in reversed(seen) if not each.recovered)


def _estimate(before: _JudgedVisit, after: _JudgedVisit, threshold: float) -> float | None:
    """Interpolate the day of a crossing.

    Gives ``None`` unless both levels are known, differ, and really lie on both sides of the
    threshold.
    """
    first, second = before.level, after.level
    if not first or not second:
        return None
    low, high = min(first, second), max(first, second)
    if not exceeds(high, low) or exceeds(low, threshold) or not reaches(high, threshold):
        return None
    inside = min(max(threshold, low), high)
    return interpolate(before.day, first, after.day, second, threshold=inside)


def _or(day: float | None, otherwise: float) -> float:
    """Give ``otherwise`` where there is no day; day 0 is one."""
    return otherwise if day is None else day


def _duration(depletion: Crossing, regained: Crossing) -> Crossing:
    """Bound the time from depletion to recovery: [R_low − D_high, R_high − D_low]."""
    low = max(0.0, _or(regained.low, 0.0) - _or(depletion.high, 0.0))
    if regained.high is None or depletion.low is None:
        return Crossing(low, None, "right")
    estimate = None
    if regained.estimate is not None and depletion.estimate is not None:
        estimate = regained.estimate - depletion.estimate
    return Crossing(low, regained.high - depletion.low, "interval", estimate)
