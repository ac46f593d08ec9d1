"""Compare the composition of a compartment between visits, or between groups of patients.

Patients are the units: events of one tube are no repetitions. Shares and concentrations are
compared as ratios, by permutation tests (``rank_tests``), with the false discovery rate over all
clusters and populations controlled (Benjamini and Hochberg).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.counting.intervals import Interval
from tasks.explore.rank_tests import ALPHA, RankTest, paired, unpaired

HALF_AN_EVENT = 0.5
"""Added to the events of both sides, so that a tube without any has a ratio."""
LEAST_PATIENTS = 6
"""With five patients no difference between two visits can have p below 0.05: 2/2^5 is 0.0625."""


@dataclass(frozen=True, slots=True)
class Amount:
    """The events of a cluster or population in a tube, of so many or in so many µL (``whole``)."""

    events: float
    whole: float

    @property
    def log(self) -> float:
        """Give the logarithm of the share or concentration, half an event added."""
        return math.log((self.events + HALF_AN_EVENT) / (self.whole + HALF_AN_EVENT))


@dataclass(frozen=True, slots=True)
class Contrast:
    """A cluster or population, and the two visits or groups in which it is compared.

    ``visit`` is the one at which groups are compared.
    """

    name: str
    first: str
    second: str
    visit: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """How one cluster or population differs between two visits or two groups.

    ``ratio`` is the second over the first, with 95 % limits where so many patients reach them;
    ``q`` is p with the false discovery rate controlled. Both are None where so few patients have
    both that no difference could be told from chance.
    """

    contrast: Contrast
    patients: int
    ratio: float
    interval: Interval | None
    p: float | None = None
    q: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All changes, and a sentence on what may be claimed from so many patients."""

    changes: tuple[Change, ...]
    sentence: str


def between_visits(pairs: Mapping[Contrast, Sequence[tuple[Amount, Amount]]]) -> Comparison:
    """Compare visits within patients; of each patient there is one pair of amounts.

    A pair in which neither visit has an event says nothing of a ratio and is left out.
    """
    tests: dict[Contrast, RankTest] = {}
    for contrast, amounts in pairs.items():
        seen = [(one, other) for one, other in amounts if one.events or other.events]
        if seen:
            tests[contrast] = paired([other.log - one.log for one, other in seen])
    patients = max((test.n for test in tests.values()), default=0)
    if patients < LEAST_PATIENTS:
        return Comparison(
            _changes(tests),
            f"Nothing is claimed from {_patients(patients)} with both visits: with fewer than "
            f"{LEAST_PATIENTS} no difference can be told from chance at 5 %. The ratios are shown "
            f"as they are.",
        )
    return Comparison(_changes(tests), _multiplicity(tests))


def between_groups(
    groups: Mapping[Contrast, tuple[Sequence[Amount], Sequence[Amount]]],
) -> Comparison:
    """Compare two groups of patients at visits; of each patient there is one amount a visit.

    A visit at which one group has no tube, or at which nobody has such an event, is left out.
    """
    tests = {
        contrast: unpaired(values[: len(one)], values[len(one) :])
        for contrast, (one, other) in groups.items()
        if one and other and any(each.events for each in (*one, *other))
        for values in [_logs([*one, *other])]
    }
    if not tests:
        return Comparison((), "There is no visit at which both groups have a tube to compare.")
    if not any(test.least_p < ALPHA for test in tests.values()):
        patients = max(test.n for test in tests.values())
        return Comparison(
            _changes(tests),
            f"Nothing is claimed from two groups of {_patients(patients)} in all: it takes four "
            f"and four, or three and five, before a difference can be told from chance at 5 %. "
            f"The ratios are shown as they are.",
        )
    return Comparison(_changes(tests), _multiplicity(tests))


def _logs(amounts: Sequence[Amount]) -> list[float]:
    """Give the logarithms of amounts; those without an event are all alike, and below the others.

    Otherwise a group whose tubes hold more cells would have less of what nobody has.
    """
    seen = [each.log for each in amounts if each.events]
    unseen = [each.log for each in amounts if not each.events]
    lowest = min([*seen, max(unseen, default=math.inf)])
    return [each.log if each.events else lowest for each in amounts]


def false_discovery_rate(p: Sequence[float]) -> tuple[float, ...]:
    """Give Benjamini and Hochberg's adjusted p values, in the order of the given ones."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)[::-1]
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum.accumulate(
        values[order] * len(values) / np.arange(len(values), 0, -1)
    )
    return tuple(adjusted.tolist())


def _changes(tests: Mapping[Contrast, RankTest]) -> tuple[Change, ...]:
    """Test where a test can reach 5 %; elsewhere show the ratios alone."""
    tested = {contrast: test for contrast, test in tests.items() if test.least_p < ALPHA}
    rates = false_discovery_rate([test.p for test in tested.values()])
    q = dict(zip(tested, rates, strict=True))
    return tuple(
        Change(
            contrast=contrast,
            patients=test.n,
            ratio=math.exp(test.estimate),
            interval=_ratios(test.interval),
            p=test.p if contrast in q else None,
            q=q.get(contrast),
        )
        for contrast, test in tests.items()
    )


def _ratios(interval: Interval | None) -> Interval | None:
    if interval is None:
        return None
    return Interval(math.exp(interval.low), math.exp(interval.high))


def _multiplicity(tests: Mapping[Contrast, RankTest]) -> str:
    """Say what was compared, and where one difference alone could not stand out among so many."""
    tested = [test for test in tests.values() if test.least_p < ALPHA]
    told = (
        f"{len(tested)} comparisons of at most {_patients(max(test.n for test in tested))}, "
        f"exact permutation tests, false discovery rate 5 %."
    )
    together = math.ceil(min(test.least_p for test in tested) * len(tested) / ALPHA)
    if together > 1:
        told += f" With so few patients at least {together} must differ together to be claimed."
    return told


def _patients(number: int) -> str:
    return "1 patient" if number == 1 else f"{number} patients"
