"""Judge the series of one signal of one instrument: its limits, and where it breaks the rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from tasks.control_charts.limits import ControlLimits, Reference, limits_of_first
from tasks.control_charts.westgard import RUN_RULES, SHIFT_RULES, Rule, Violation, violations
from tasks.vocabulary.signals import SignalName

KNOWN_BY = 3
"""Of so many tubes among the first a patient is part of the target."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One signal of one tube.

    ``acquired`` is in UTC, ``day`` is the study's day of it. ``not_judged`` says why the value
    tells of the patient rather than of the instrument (empty: it is judged). ``donor`` is whose
    cells were measured (the patient, the donor of the batch controls, or ``beads``); ``is_control``
    tells that the material is the same each time, so that each tube is a witness of its own.
    ``limits`` are those of the calibration in force (None: it has none for the signal).
    """

    tube: str
    file: str
    acquired: datetime
    day: str
    value: float
    events: int
    donor: str
    is_control: bool = False
    lot: str = ""
    not_judged: str = ""
    limits: ControlLimits | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One signal of one panel on one instrument, in order of acquisition."""

    panel: str
    signal: SignalName
    detector: str
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Shift:
    """A rule that is broken at the newest tube, and the run of tubes that breaks it.

    ``first`` is the place of its first reading, of the day ``since``; ``rules`` are all that the
    run breaks. ``change`` is the run's mean over the target minus 1, ``difference`` its distance
    from the target in the signal's unit and ``z`` in SDs. ``within`` is how far the same donors
    read from what they read before the run, on average over donors; None where fewer than two of
    several donors were measured before. ``donors`` counts them.
    """

    rules: tuple[Rule, ...]
    first: int
    since: str
    tubes: int
    change: float | None
    difference: float
    z: float
    within: float | None
    donors: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A series with its limits and the places at which it breaks rules.

    ``z`` are the distances from the target in SDs, None for a reading that is not judged: the
    reading says why, it is one of ``reference`` (the first tubes, which set the limits), or there
    are no limits.
    """

    series: Series
    z: tuple[float | None, ...]
    limits: tuple[ControlLimits | None, ...]
    reference: Reference
    violations: tuple[Violation, ...]
    shift: Shift | None

    @property
    def last(self) -> int | None:
        """Give the place of the newest reading that is judged."""
        return next((i for i in reversed(range(len(self.z))) if self.z[i] is not None), None)

    @property
    def now(self) -> tuple[Rule, ...]:
        """List the rules that the newest judged reading breaks."""
        return tuple(each.rule for each in self.violations if each.at == self.last)

    @property
    def severity(self) -> float:
        """Rank charts: those that break a rule now first, by how far they are off."""
        if not self.now or self.last is None:
            return 0.0
        newest = self.z[self.last] or 0.0
        return abs(self.shift.z if self.shift else newest)


def judge(series: Series) -> Chart:
    """Set the limits of a series and find where it breaks the rules.

    Readings without limits of a calibration are held against the first of them. Runs do not reach
    over a change of limits.
    """
    own = [
        place
        for place, reading in enumerate(series.readings)
        if not reading.not_judged and reading.limits is None
    ]
    first = limits_of_first([series.readings[place].value for place in own])
    reference = replace(
        first,
        places=tuple(own[place] for place in first.places),
        outlying=tuple(own[place] for place in first.outlying),
    )
    limits = tuple(reading.limits or first.limits for reading in series.readings)
    z = tuple(
        None
        if reading.not_judged or each is None or place in reference.places
        # Below the precision of a float two ways of adding up would lie on different sides.
        else round(each.z(reading.value), 9)
        for place, (reading, each) in enumerate(zip(series.readings, limits, strict=True))
    )
    chart = Chart(series, z, limits, reference, (), None)
    chart = replace(chart, violations=tuple(_violations(chart)))
    return replace(chart, shift=_shift(chart))


def _violations(chart: Chart) -> Iterator[Violation]:
    """Find where the judged readings break rules, stretch by stretch of the same limits."""
    judged = [place for place, value in enumerate(chart.z) if value is not None]
    witnesses = _witnesses(chart)
    for _, stretch in groupby(judged, key=lambda place: chart.limits[place]):
        places = list(stretch)
        values = [value for place in places if (value := chart.z[place]) is not None]
        for each in violations(values, [witnesses[place] for place in places]):
            yield Violation(each.rule, places[each.first], places[each.at])


def _witnesses(chart: Chart) -> list[str]:
    """Give for each reading what counts once in a run: its patient, or its tube.

    Each tube counts where the material is always the same, and where the target already holds what
    is usual for the patient.
    """
    readings = chart.series.readings
    first_tubes = Counter(readings[place].donor for place in chart.reference.places)
    return [
        each.tube if each.is_control or first_tubes[each.donor] >= KNOWN_BY else each.donor
        for each in readings
    ]


def _shift(chart: Chart) -> Shift | None:
    """Describe the run that breaks a rule of lasting shifts at the newest reading, if any does.

    The runs of several rules begin at different tubes. That one is taken whose mean is farthest
    from the target for its number of tubes (z times the root of the number).
    """
    broken = [
        each for each in chart.violations if each.at == chart.last and each.rule in SHIFT_RULES
    ]
    runs = {each.first: _run(chart, each.first) for each in broken}
    if not runs:
        return None
    shift = max(runs.values(), key=lambda each: (abs(each.z) * each.tubes**0.5, each.tubes))
    rules = {each.rule for each in broken}
    return replace(
        shift,
        rules=tuple(
            each.rule for each in RUN_RULES if each.rule in rules and each.length <= shift.tubes
        ),
    )


def _run(chart: Chart, first: int) -> Shift:
    """Measure the judged readings from a place on."""
    places = [place for place in range(first, len(chart.z)) if chart.z[place] is not None]
    readings = chart.series.readings
    limits = chart.limits[places[-1]]
    if limits is None:
        raise ValueError("a judged reading has limits")
    mean = sum(readings[place].value for place in places) / len(places)
    return Shift(
        rules=(),
        first=first,
        since=readings[first].day,
        tubes=len(places),
        change=mean / limits.mean - 1 if limits.mean > 0 else None,
        difference=mean - limits.mean,
        z=limits.z(mean),
        within=_within_donors(readings, first, places),
        donors=len({readings[place].donor for place in places}),
    )


def _within_donors(readings: Sequence[Reading], first: int, places: Sequence[int]) -> float | None:
    """Give the mean change of the donors of a run against their own earlier readings.

    That a new patient reads otherwise than those before tells nothing of the instrument.
    """
    before: dict[str, list[float]] = {}
    for reading in readings[:first]:
        if not reading.not_judged:
            before.setdefault(reading.donor, []).append(reading.value)
    during: dict[str, list[float]] = {}
    for place in places:
        during.setdefault(readings[place].donor, []).append(readings[place].value)
    changes = [
        sum(values) / len(values) - sum(before[donor]) / len(before[donor])
        for donor, values in during.items()
        if donor in before
    ]
    if not changes or len(changes) < min(2, len(during)):
        return None
    return sum(changes) / len(changes)
