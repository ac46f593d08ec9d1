"""Sum the violations of a chart up: each rule with the stretch of time over which it was broken."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.control_charts.series import Chart
from tasks.control_charts.westgard import Rule


@dataclass(frozen=True, slots=True)
class Breach:
    """One rule, broken from one tube to another without a pause.

    ``since`` is the day of the first tube of the run that broke it, ``until`` that of the last
    tube at which it was broken; ``tubes`` counts the judged tubes from the one to the other.
    ``lasts`` tells whether the newest tube breaks it.
    """

    rule: Rule
    since: str
    until: str
    tubes: int
    lasts: bool


def breaches(chart: Chart) -> list[Breach]:
    """List the breaches of a chart, oldest first."""
    judged = [place for place, z in enumerate(chart.z) if z is not None]
    order = {place: number for number, place in enumerate(judged)}
    found: list[Breach] = []
    for rule in Rule:
        first = last = None
        for each in (each for each in chart.violations if each.rule == rule):
            if first is None or last is None or order[each.at] > order[last] + 1:
                if first is not None and last is not None:
                    found.append(_breach(chart, rule, (first, last), order))
                first = each.first
            last = each.at
        if first is not None and last is not None:
            found.append(_breach(chart, rule, (first, last), order))
    return sorted(found, key=lambda each: (each.since, list(Rule).index(each.rule)))


def _breach(chart: Chart, rule: Rule, places: tuple[int, int], order: dict[int, int]) -> Breach:
    first, last = places
    readings = chart.series.readings
    tubes = order[last] - order[first] + 1
    return Breach(rule, readings[first].day, readings[last].day, tubes, last == chart.last)
