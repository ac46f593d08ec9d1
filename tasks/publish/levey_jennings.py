"""Lay a Levey-Jennings chart out: readings in order of acquisition, in SDs from the target.

Levey S, Jennings ER: The use of control charts in the clinical laboratory. Am J Clin Pathol
1950;20:1059-1066. The layout is numbers and words; the template draws them as SVG.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.control_charts.drift import Event, lot_changes
from tasks.control_charts.history import breaches
from tasks.control_charts.limits import ENOUGH, LEAST
from tasks.control_charts.series import Chart

WIDTH, HEIGHT = 1150, 172
LEFT, RIGHT, TOP, BOTTOM = 70, 76, 24, 24
MOST_DRAWN = 120
"""So many of the newest tubes are drawn; rules are applied to all."""
END = 4.5
"""Values farther from the target, in SDs, are drawn at the edge."""
MOST_NAMED_LOTS = 8

Kind = Literal["good", "broken", "reference", "aside"]


@dataclass(frozen=True, slots=True)
class Dot:
    """One reading: where it is drawn, what kind it is, and its words."""

    x: float
    y: float
    kind: Kind
    told: str
    rules: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line with its words; ``at`` is x of an upright line, y of a level one."""

    at: float
    told: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart as the template draws it.

    ``levels`` are the target and its SDs (without limits, the lowest and highest value); ``lots``
    and ``events`` are upright lines, ``days`` the words under the chart; ``left_out`` counts the
    older tubes.
    """

    dots: tuple[Dot, ...]
    levels: tuple[Line, ...]
    lots: tuple[Line, ...]
    events: tuple[Line, ...]
    days: tuple[Line, ...]
    left_out: int


def lay_out(chart: Chart, events: Sequence[Event] = ()) -> Drawing:
    """Lay out the newest readings of a chart, with the events of its instrument."""
    begin = max(0, len(chart.z) - MOST_DRAWN)
    shown = range(begin, len(chart.z))
    heights = _heights(chart, shown)
    xs = {place: _x(place - begin, len(shown)) for place in shown}
    rules = _rules_by_place(chart)
    dots = []
    named: tuple[str, ...] = ()
    for place in shown:
        broken = rules.get(place, ())
        # Only where a rule begins to be broken is it written; the dots that follow are coloured.
        fresh = ", ".join(rule for rule in broken if rule not in named)
        dots.append(
            Dot(
                xs[place],
                heights[place],
                _kind(chart, place, broken=bool(broken)),
                _told(chart, place, broken),
                fresh,
            )
        )
        if chart.z[place] is not None:
            named = broken
    return Drawing(
        dots=tuple(dots),
        levels=tuple(_levels(chart)),
        lots=tuple(_lots(chart, xs, begin)),
        events=tuple(_events(chart, xs, events)),
        days=tuple(_days(chart, shown, xs)),
        left_out=begin,
    )


def chart_in_words(chart: Chart) -> str:
    """Say what holds of a chart now, in one line."""
    lasting = [each for each in breaches(chart) if each.lasts]
    if lasting:
        return "; ".join(
            f"{each.rule} since {each.since} ({each.tubes} tube{'s' if each.tubes > 1 else ''})"
            for each in lasting
        )
    limits = chart.limits[-1]
    if limits is None:
        if chart.reference.places:
            return "does not vary, so there are no limits"
        judged = sum(not each.not_judged for each in chart.series.readings)
        return (
            f"no limits yet: {judged} tube{'s' if judged != 1 else ''} that can set them, {LEAST} "
            f"are needed ({ENOUGH} for final ones)"
        )
    if chart.last is None:
        return "no tube is judged yet: these set the target"
    earlier = len(breaches(chart))
    ended = f"; broken {earlier} time{'s' if earlier > 1 else ''} before" if earlier else ""
    return f"no rule broken{ended}"


def limits_in_words(chart: Chart) -> str:
    """Say what the target is and where it comes from; empty without limits."""
    limits = chart.limits[-1] if chart.last is None else chart.limits[chart.last]
    if limits is None:
        return ""
    provisional = "provisional " if limits.provisional else ""
    origin = f"{limits.tubes} tubes of calibration {limits.origin}"
    if not limits.origin:
        origin = f"the instrument's first {limits.tubes} tubes"
    words = f"{provisional}target {_number(limits.mean)} ± {limits.sd:.3g} of {origin}"
    if chart.reference.outlying and not limits.origin:
        words += f" ({len(chart.reference.outlying)} outlying left out)"
    return words


def _heights(chart: Chart, shown: range) -> dict[int, float]:
    """Give the height of each reading: by its SDs, or between the extremes without limits."""
    known = [limits for limits in chart.limits if limits is not None]
    readings = chart.series.readings
    if known:
        distances = {
            place: (chart.limits[place] or known[-1]).z(readings[place].value) for place in shown
        }
        return {place: _y(z) for place, z in distances.items()}
    values = [readings[place].value for place in shown]
    low, high = min(values), max(values)
    middle, half = (low + high) / 2, (high - low) / 2
    return {
        place: _y(3 * (readings[place].value - middle) / half if half else 0.0) for place in shown
    }


def _levels(chart: Chart) -> Iterator[Line]:
    known = [limits for limits in chart.limits if limits is not None]
    if not known:
        values = [reading.value for reading in chart.series.readings[-MOST_DRAWN:]]
        if min(values) < max(values):
            yield Line(_y(3), "highest", _number(max(values)))
            yield Line(_y(-3), "lowest", _number(min(values)))
        return
    limits = known[-1]
    for sds in range(-3, 4):
        told = "target" if sds == 0 else f"{sds:+d} SD"
        yield Line(_y(sds), told, _number(limits.mean + sds * limits.sd))


def _lots(chart: Chart, xs: dict[int, float], begin: int) -> Iterator[Line]:
    readings = chart.series.readings
    changes = [place for place in lot_changes(readings) if place > begin]
    for place in changes:
        name = readings[place].lot if len(changes) <= MOST_NAMED_LOTS else ""
        yield Line((xs[place - 1] + xs[place]) / 2, name)


def _events(chart: Chart, xs: dict[int, float], events: Sequence[Event]) -> Iterator[Line]:
    """Draw each event before the first reading of its day or later."""
    days = {place: chart.series.readings[place].day for place in xs}
    for event in events:
        after = [place for place in xs if days[place] >= event.day]
        before = [place for place in xs if days[place] < event.day]
        if not before:
            continue
        x = xs[before[-1]] + 6 if not after else (xs[before[-1]] + xs[after[0]]) / 2
        yield Line(x, f"{event.day} {event.event}")


def _days(chart: Chart, shown: range, xs: dict[int, float]) -> Iterator[Line]:
    """Write the day under the first, the last and some readings between them."""
    steps = min(6, len(shown))
    places = {shown[round(i * (len(shown) - 1) / max(1, steps - 1))] for i in range(steps)}
    for place in sorted(places):
        yield Line(xs[place], chart.series.readings[place].day)


def _rules_by_place(chart: Chart) -> dict[int, tuple[str, ...]]:
    rules: dict[int, tuple[str, ...]] = {}
    for each in chart.violations:
        rules[each.at] = (*rules.get(each.at, ()), str(each.rule))
    return rules


def _kind(chart: Chart, place: int, *, broken: bool) -> Kind:
    if place in chart.reference.places:
        return "aside" if place in chart.reference.outlying else "reference"
    if chart.z[place] is None:
        return "aside" if chart.series.readings[place].not_judged else "reference"
    return "broken" if broken else "good"


def _told(chart: Chart, place: int, rules: Sequence[str]) -> str:
    """Write what the pointer shows of a reading."""
    reading, z, limits = chart.series.readings[place], chart.z[place], chart.limits[place]
    parts = [f"{reading.day} {reading.file}", _number(reading.value)]
    if z is not None:
        parts.append(f"{z:+.1f} SD")
    elif reading.not_judged:
        parts.append(f"not judged: {reading.not_judged}")
    elif limits is not None:
        parts.append("sets the target")
    if reading.lot:
        parts.append(f"lot {reading.lot}")
    if rules:
        parts.append(f"breaks {', '.join(rules)}")
    return " · ".join(parts)


def _number(value: float) -> str:
    """Write a value with four digits, large ones whole."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _x(number: int, count: int) -> float:
    room = WIDTH - LEFT - RIGHT
    return round(LEFT + room * (number + 0.5) / max(count, 20), 1)


def _y(z: float) -> float:
    """Give the height of a distance in SDs."""
    within = min(max(z, -END), END)
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (END - within) / (2 * END), 1)
