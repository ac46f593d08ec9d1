"""Put into words how a population has changed since the patient's visit before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tasks.overview.counted_tube import CountedTube, Result
from tasks.vocabulary.populations import TOTAL_B, with_role

TOLD_FIRST = frozenset({*TOTAL_B, *with_role("car_kinetics"), *with_role("plasma_cells")})
"""What the course of the treatment is judged by."""
Previous = tuple[str, Result]
"""The visit before, and the result then."""


class Change(NamedTuple):
    """The population to look at first, and its change in words (empty: no earlier visit)."""

    population: str
    sentence: str


class Course:
    """The results of some patients' visits, to find each population at the visit before."""

    def __init__(self, tubes: Iterable[CountedTube]) -> None:
        """Read all tubes of the patients."""
        series: dict[tuple[str, str, str], list[tuple[float, str, Result]]] = {}
        for tube in tubes:
            for result in tube.results:
                key = (tube.patient, tube.specimen, result.population)
                series.setdefault(key, []).append((tube.day, tube.visit, result))
        self._series: Mapping[tuple[str, str, str], Sequence[tuple[float, str, Result]]] = series

    def before(self, tube: CountedTube, population: str) -> Previous | None:
        """Give the latest earlier visit's result of a population, None where there is none."""
        points = self._series.get((tube.patient, tube.specimen, population), ())
        earlier = [
            (day, visit, result)
            for day, visit, result in points
            if day < tube.day and visit != tube.visit
        ]
        if not earlier:
            return None
        _, visit, result = max(earlier, key=lambda point: point[0])
        return visit, result

    def greatest_change(
        self, tube: CountedTube, concerned: Sequence[str], labels: Mapping[str, str]
    ) -> Change:
        """Tell which population changed most since the visit before, and how.

        Asked are the populations ``concerned`` (none: all of the tube), and of these alone those
        that the treatment is judged by, where there are any. ``labels`` are their names on pages.
        """
        asked = [each for each in tube.results if not concerned or each.population in concerned]
        asked = [each for each in asked if each.population in TOLD_FIRST] or asked
        found = [
            (result, before)
            for result in asked
            if (before := self.before(tube, result.population)) is not None
        ]
        if not found:
            return Change(asked[0].population, "") if asked else Change("", "")
        now, before = max(found, key=lambda pair: _size_of_change(pair[1][1], pair[0]))
        label = labels.get(now.population, now.population)
        return Change(now.population, _in_words(label, before, now))


def _in_words(label: str, before: Previous, now: Result) -> str:
    from tasks.kinetics.wide_table import print_result

    visit, then = before
    unit = " per µL" if now.row["specimen"] == "blood" else ""
    printed, earlier = print_result(now.cells()), print_result(then.cells())
    if now.code == then.code == "ND":
        return f"{label} not detected ({printed}{unit}), as at {visit}"
    if now.code == "NE":
        return f"{label} {earlier}{unit} at {visit}, not evaluable now"
    if then.code == "NE":
        return f"{label} {printed}{unit}, not evaluable at {visit}"
    return f"{label} {earlier} → {printed}{unit} since {visit}"


def _size_of_change(then: Result, now: Result) -> float:
    """Give how far two results are apart, as the absolute logarithm of their ratio.

    What was not detected counts as its limit; results that cannot be compared come last.
    """
    amounts = [_amount(then), _amount(now)]
    if not all(amount > 0 for amount in amounts):
        return -1.0
    return abs(math.log(amounts[1] / amounts[0]))


def _amount(result: Result) -> float:
    from tasks.kinetics.rows import undetected_below

    cells = result.cells()
    if cells["specimen"] != "blood":
        return float(cells["percent_reference"])
    amount = undetected_below(cells) if result.code == "ND" else cells["per_ul"]
    return math.nan if amount is None else float(amount)
