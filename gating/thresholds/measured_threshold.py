"""Compare what a threshold declares with what one tube shows of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from gating.strategy.threshold import Negative, Stretch, Threshold
from gating.thresholds.measure import NegativeMeasurement, StretchMeasurement, ThresholdMeasurement
from gating.thresholds.valley import bin_of

NEGATIVE_EVENTS = 500
GAIN_KEPT = (1 / 1.15, 1.15)
"""A median that lies within these factors of its declared one is taken for the same staining."""
SPREAD_KEPT = (0.7, 1.28)
"""A spread of negative cells also differs by the mix of cells and the compensation, so it may
differ more."""
CLEARED = (0.8, 1.05)
"""A boundary that would have to move less than this to clear the tube's negative cells as declared
is left where it is."""
MISJUDGED = 0.10
"""Share of the smaller mode between declared value and valley from which the valley contradicts the
value."""
ONE_SIDED_95 = 1.645


class Comparison(NamedTuple):
    """One comparison of a tube with a declaration.

    ``fault`` says how the tube contradicts it (empty: it does not), ``description`` what was
    compared (empty: the tube does not allow the comparison).
    """

    fault: str
    description: str


NOT_COMPARABLE = Comparison("", "")


@dataclass(frozen=True, slots=True)
class MeasuredThreshold:
    """One threshold of a strategy with its measurement in one tube."""

    threshold: Threshold
    measurement: ThresholdMeasurement

    def gain(self) -> float | None:
        """Give the anchor's median over the declared one; None when either is missing."""
        declared, anchor = self.threshold.anchor, self.measurement.usable_anchor
        if declared is None or anchor is None:
            return None
        return anchor.median / declared.median

    def compare_anchor(self) -> Comparison:
        """Compare the median of the anchor cells with the declared one."""
        ratio, declared, anchor = self.gain(), self.threshold.anchor, self.measurement.anchor
        if ratio is None or declared is None or anchor is None:
            return NOT_COMPARABLE
        description = (
            f"{self.threshold.marker} of {anchor.events} {declared.gate} is {ratio:.2f} × the "
            f"expected {declared.median:.0f}"
        )
        return _comparison(description, agrees=within(GAIN_KEPT, ratio))

    def compare_negatives(self) -> Comparison:
        """Compare the negative cells with their declared clearance, else with their spread."""
        return self.compare_clearance() if self.stretches() else self._compare_spread()

    def compare_clearance(self) -> Comparison:
        """Compare how far the declared boundary lies above the negative cells with its clearance.

        The stretch that needs the largest move is compared.
        """
        factor, place = self.needed_move()
        stretch, measured = self.stretches()[place]
        clear = math.inf
        if measured.spread:
            clear = (measured.border - measured.mode) / measured.spread
        description = (
            f"it clears {measured.events} negative cells{self._place_of(stretch)} by {clear:.1f} "
            f"of their SDs ({stretch.clears:g} declared)"
        )
        return _comparison(description, agrees=within(CLEARED, factor))

    def compare_tail(self, value: float) -> Comparison:
        """Compare how many negative cells reach a value with the declared share.

        Where they and the positive cells are of one gate they cannot be told apart.
        """
        negatives = self.negatives()
        if negatives is None or negatives[1].gate == self.threshold.seen_in:
            return NOT_COMPARABLE
        measured, declared = negatives
        expected = declared.tail * measured.events
        reach = measured.reaching(value)
        description = f"{reach} of {measured.events} {declared.gate} reach it"
        if reach > expected + ONE_SIDED_95 * math.sqrt(expected) + 1:
            return Comparison(f"{description}, at most {expected:.0f} should", description)
        return Comparison("", description)

    def compare_valley(self) -> Comparison:
        """Compare the declared value with the tube's valley by the events between them.

        Where negative and positive cells are of one gate they overlap (CAR), and the valley moves
        with the share of positive cells, so it is not compared.
        """
        declared, counts = self.threshold.negative, self.measurement.counts
        if declared is not None and declared.gate == self.threshold.seen_in:
            return NOT_COMPARABLE
        valley = self.measurement.valley_near(self.threshold.value)
        if valley is None or counts is None or valley.fault():
            return NOT_COMPARABLE
        if not within(self.threshold.limits, valley.value):
            return NOT_COMPARABLE
        low, high = sorted((bin_of(valley.value), bin_of(self.threshold.value)))
        share = sum(counts[low:high]) / min(valley.low_events, valley.high_events)
        description = (
            f"{100 * share:.1f} % of the smaller mode lie between it and the tube's own valley at "
            f"{valley.value:.0f}"
        )
        return _comparison(description, agrees=share <= MISJUDGED)

    def negatives(self) -> tuple[NegativeMeasurement, Negative] | None:
        """Pair the negative cells with their declaration; None when they are too few."""
        measured, declared = self.measurement.negative, self.threshold.negative
        if measured is None or declared is None or measured.events < NEGATIVE_EVENTS:
            return None
        return measured, declared

    def stretches(self) -> list[tuple[Stretch, StretchMeasurement]]:
        """Pair the declared stretches with those of this tube that hold enough cells."""
        measured, declared = self.measurement.negative, self.threshold.negative
        if measured is None or declared is None:
            return []
        pairs = zip(declared.clearance, measured.stretches, strict=True)
        return [(stretch, each) for stretch, each in pairs if _is_usable(each)]

    def needed_move(self) -> tuple[float, int]:
        """Give the largest factor by which the boundary must move, and the index of its stretch.

        So moved, it clears the negative cells as declared.
        """
        factors = [
            (measured.mode + stretch.clears * measured.spread) / measured.border
            for stretch, measured in self.stretches()
        ]
        return max(factors), factors.index(max(factors))

    def _compare_spread(self) -> Comparison:
        """Compare the spread of the negative cells with the declared one."""
        negatives = self.negatives()
        if negatives is None:
            return NOT_COMPARABLE
        measured, declared = negatives
        ratio = measured.spread / declared.spread
        description = (
            f"{self.threshold.marker} of {measured.events} {declared.gate} spreads {ratio:.2f} × "
            f"the expected {declared.spread:.0f}"
        )
        return _comparison(description, agrees=within(SPREAD_KEPT, ratio))

    def _place_of(self, stretch: Stretch) -> str:
        """Describe a stretch by the marker beside and the values it runs between."""
        declared = self.threshold.negative
        if declared is None or declared.beside is None:
            return ""
        place = declared.clearance.index(stretch)
        low = high = ""
        if place:
            low = f" from {declared.clearance[place - 1].below:g}"
        if stretch.below is not None:
            high = f" below {stretch.below:g}"
        return f" with {declared.beside}{low}{high}"


def within(limits: tuple[float, float] | None, value: float) -> bool:
    """Tell whether a value lies within limits, both included; without limits every value does."""
    return limits is None or limits[0] <= value <= limits[1]


def _is_usable(stretch: StretchMeasurement) -> bool:
    return stretch.events >= NEGATIVE_EVENTS and stretch.border > 0


def _comparison(description: str, *, agrees: bool) -> Comparison:
    return Comparison("" if agrees else description, description)
