"""Tell which shifts of an instrument matter for its counts, and say them in words, worst first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from tasks.control_charts.series import Chart, Reading, Shift
from tasks.vocabulary.signals import Statistic

LEAST_Z = 1.0
"""Mean distance in SDs of the run: less is seen by chance in some of many signals every month."""
LEAST_CHANGE: Mapping[Statistic, float] = MappingProxyType(
    {"median": 0.05, "spread": 0.20, "cv": 0.20}
)
"""Change of the run's mean as a share of the target from which counts may begin to change. A wider
spread reaches a boundary, a narrower one does not."""
LEAST_SPILL = 0.10
"""The same for spillover that compensation left, as a part of the boundary."""
LEAST_WITHIN, MANY_DONORS = 0.5, 10
NEAR = 3
"""A change of lot that lies within so many tubes of a shift's beginning may be its cause."""


@dataclass(frozen=True, slots=True)
class Event:
    """A service or another event of the instrument: its day as text, and what was done."""

    day: str
    event: str


@dataclass(frozen=True, slots=True)
class Drift:
    """One shift that matters: its chart, and the sentence that says what to do."""

    chart: Chart
    shift: Shift
    sentence: str


def drifts(instrument: str, charts: Sequence[Chart], events: Sequence[Event] = ()) -> list[Drift]:
    """List the shifts of one instrument that matter, the worst of each detector, worst first."""
    found: dict[str, Drift] = {}
    for chart in sorted(charts, key=lambda each: -each.severity):
        shift = chart.shift
        if shift is None or not matters(chart) or chart.series.detector in found:
            continue
        sentence = _sentence(instrument, chart, shift, events)
        found[chart.series.detector] = Drift(chart, shift, sentence)
    return list(found.values())


def matters(chart: Chart) -> bool:
    """Tell whether a shift is one of the instrument or a reagent, and large enough to be acted on.

    Provisional limits decide nothing.
    """
    shift, last = chart.shift, chart.last
    if shift is None or last is None or not chart.series.signal.is_watched:
        return False
    limits = chart.limits[last]
    if limits is None or limits.provisional or abs(shift.z) < LEAST_Z:
        return False
    if not _is_of_the_instrument(shift):
        return False
    statistic = chart.series.signal.statistic
    if statistic == "spill":
        return shift.difference >= LEAST_SPILL
    least, change = LEAST_CHANGE.get(statistic), shift.change
    if least is None or change is None:
        return False
    return (abs(change) if statistic == "median" else change) >= least


def _is_of_the_instrument(shift: Shift) -> bool:
    """Tell whether a shift cannot be that other patients came.

    At least half of it has to be seen in the same patients, who read otherwise than before; where
    they were not measured before, the run must be of ten.
    """
    if shift.within is None:
        return shift.donors >= MANY_DONORS
    return shift.within / shift.difference >= LEAST_WITHIN


def lot_changes(readings: Sequence[Reading]) -> Iterator[int]:
    """Give the places at which a series goes over to another lot."""
    lot = ""
    for place, reading in enumerate(readings):
        if reading.lot and lot and reading.lot != lot:
            yield place
        lot = reading.lot or lot


def _sentence(instrument: str, chart: Chart, shift: Shift, events: Sequence[Event]) -> str:
    series = chart.series
    rules = ", ".join(shift.rules)
    return (
        f"{series.signal.in_words} ({series.detector}, panel {series.panel}) on {instrument} has "
        f"read {_how_far(chart, shift)} its target in the last {shift.tubes} tubes, since "
        f"{shift.since} (rule{'s' if len(shift.rules) > 1 else ''} {rules}). "
        f"{_cause(chart, shift, events)}{_advice(chart)}"
    )


def _how_far(chart: Chart, shift: Shift) -> str:
    side = "above" if shift.z > 0 else "below"
    if chart.series.signal.statistic == "spill" or shift.change is None:
        return f"{abs(shift.difference):.2g} {side}"
    return f"{abs(100 * shift.change):.0f} % {side}"


def _cause(chart: Chart, shift: Shift, events: Sequence[Event]) -> str:
    """Name a service or a change of lot with which the shift began."""
    readings = chart.series.readings
    first = shift.first
    near = readings[max(0, first - NEAR) : first + NEAR + 1]
    done = [each for each in events if near[0].day <= each.day <= near[-1].day]
    if done:
        return f"It began about {done[-1].day} ({done[-1].event}). "
    changes = list(lot_changes(readings))
    # Where the lot column changes all the time it names runs of staining, not lots.
    if len(changes) > max(3, len(readings) // 8):
        return ""
    lots = [readings[place] for place in changes if abs(place - first) <= NEAR]
    if lots:
        return f"The lot changed to {lots[-1].lot} on {lots[-1].day}. "
    return ""


def _advice(chart: Chart) -> str:
    signal = chart.series.signal
    if signal.statistic == "spill":
        return "Run the compensation controls again."
    if signal.statistic in {"spread", "cv"}:
        return "Check alignment, fluidics and compensation."
    if signal.of_beads:
        return "Check the laser and the detector's voltage, or calibrate anew; a new lot of beads?"
    return "Check the laser, the detector's voltage and the stain, or calibrate anew."
