"""Find where a series of control values breaks the rules of Westgard.

Westgard JO, Barry PL, Hunt MR, Groth T: A multi-rule Shewhart chart for quality control in clinical
chemistry. Clin Chem 1981;27:493-501. All rules are applied to single values in order of time, as
distances from the target in SDs (z). "Exceeds" is meant strictly: a value on a limit breaks
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """One rule, by the name it has in the laboratory."""

    ONE_3S = "1-3s"
    TWO_2S = "2-2s"
    R_4S = "R-4s"
    FOUR_1S = "4-1s"
    TEN_X = "10x"


@dataclass(frozen=True, slots=True)
class RunRule:
    """A rule on ``length`` consecutive values beyond ``limit`` SDs on the same side."""

    rule: Rule
    length: int
    limit: float

    @property
    def patients(self) -> int:
        """Give of how many patients the cells in such a run must come: half as many, at least 2."""
        return max(2, self.length // 2)


RUN_RULES = (
    RunRule(Rule.TWO_2S, 2, 2.0),
    RunRule(Rule.FOUR_1S, 4, 1.0),
    RunRule(Rule.TEN_X, 10, 0.0),
)
SHIFT_RULES = frozenset(each.rule for each in RUN_RULES)
"""The rules that a lasting shift breaks; 1-3s and R-4s tell of single values."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that is broken from the value at ``at`` on backwards to the value at ``first``.

    Both are places in the series. A run that goes on gives a violation at each further value, all
    with the same ``first``.
    """

    rule: Rule
    first: int
    at: int


def violations(z: Sequence[float], patients: Sequence[str] | None = None) -> list[Violation]:
    """List every place at which a rule is broken, by place and rule.

    - 1-3s: a value exceeds +3 SD or -3 SD.
    - 2-2s: two consecutive values exceed the same one of +2 SD and -2 SD.
    - R-4s: of two consecutive values one exceeds +2 SD and the other -2 SD.
    - 4-1s: four consecutive values exceed the same one of +1 SD and -1 SD.
    - 10x: ten consecutive values lie on the same side of the target.

    With ``patients`` (whose cells each value was measured on) a run of the last three kinds breaks
    its rule only if it is of several patients (``RunRule.patients``): ten tubes of one patient on
    one side of the target are ten times the same patient, not ten witnesses of the instrument.
    """
    found = [*_single(z), *_opposite(z)]
    for rule in RUN_RULES:
        for sign in (1.0, -1.0):
            found += _runs([sign * value for value in z], rule, patients)
    order = list(Rule)
    return sorted(found, key=lambda each: (each.at, order.index(each.rule)))


def _single(z: Sequence[float]) -> Iterator[Violation]:
    for place, value in enumerate(z):
        if abs(value) > 3:
            yield Violation(Rule.ONE_3S, place, place)


def _opposite(z: Sequence[float]) -> Iterator[Violation]:
    for place in range(1, len(z)):
        low, high = sorted(z[place - 1 : place + 1])
        if low < -2 and high > 2:
            yield Violation(Rule.R_4S, place - 1, place)


def _runs(
    values: Sequence[float], rule: RunRule, patients: Sequence[str] | None
) -> Iterator[Violation]:
    """Find the runs above a limit that are long enough."""
    first = 0
    present: set[str] = set()
    for place, value in enumerate(values):
        if value <= rule.limit:
            first, present = place + 1, set()
            continue
        if patients is not None:
            present.add(patients[place])
        long_enough = place - first + 1 >= rule.length
        if long_enough and (patients is None or len(present) >= rule.patients):
            yield Violation(rule.rule, first, place)
