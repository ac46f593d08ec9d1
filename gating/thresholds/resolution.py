"""Resolve each threshold of a tube by its chain of sources: the first that passes its own test of evidence holds.

The declared value (``fixed``) holds as long as nothing in the tube contradicts it. When the tube is
stained or detected otherwise than the value supposes, the next sources are asked; none of them may
leave the declared limits, or go farther than three tenths of a decade from what is known
beforehand. A population that may be absent is never asked where it begins: a valley needs 100
events in both modes (``gating.thresholds.valley``). When every source fails, the declared value is
used, and said to be unproven.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gating.evaluation.resolved import Resolved, Tried
from gating.strategy.model import Strategy
from gating.strategy.threshold import Source, Stretch, Threshold
from gating.thresholds.measure import StretchMeasurement, ThresholdMeasurement
from gating.thresholds.valley import (
    FARTHEST,
    Valley,
    bin_of,
    find_crossing,
    find_valley,
    from_scale,
    share_below,
    to_scale,
)

Measurements = Mapping[str, ThresholdMeasurement]

ANCHOR_EVENTS = 100
NEGATIVE_EVENTS = 500
GAIN_KEPT = (1 / 1.15, 1.15)
"""A median that lies within these factors of its declared one is taken for the same staining."""
SPREAD_KEPT = (0.7, 1.28)
"""A spread of negative cells also differs by the mix of cells and the compensation, so it may
differ more."""
CLEARED = (0.8, 1.05)
"""A boundary that would have to move less than this to clear the tube's own negative cells as
declared is left where it is."""
MISJUDGED = 0.10
"""Share of the smaller mode between declared value and valley from which the valley contradicts the
value."""
ONE_SIDED_95 = 1.645
FMO_EVENTS = 2000
FMO_SHARE = 0.9995
PRIOR_TUBES = 5
LEAST_SD = 0.05
"""Units of asinh: no boundary is known better than that."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Where a threshold lay in earlier controls and baselines of the same instrument: mean and SD on the asinh scale, and how many."""

    mean: float
    sd: float
    tubes: int


@dataclass(frozen=True, slots=True)
class ReferenceMeasurements:
    """What other tubes told, oldest first: controls of the same batch, FMO controls by marker, the patient's baseline, the batch's pool.

    ``priors`` are by threshold.
    """

    controls: Sequence[Measurements] = ()
    fmo: Mapping[str, Measurements] = field(default_factory=dict)
    baseline: Measurements | None = None
    pool: Sequence[Measurements] = ()
    priors: Mapping[str, Prior] = field(default_factory=dict)


def resolve(
    strategy: Strategy, own: Measurements, others: ReferenceMeasurements
) -> dict[str, Resolved]:
    """Decide every threshold of a tube that asks the tube or other tubes; the rest hold as declared and are not in the answer."""
    return {
        name: _Chain(name, threshold, own[name], others).resolve()
        for name, threshold in strategy.thresholds.items()
        if name in own
    }


def priors_of(strategy: Strategy, earlier: Sequence[Measurements]) -> dict[str, Prior]:
    """Gather where thresholds lay in earlier tubes: of each tube the valley that passes, within the declared limits."""
    found: dict[str, Prior] = {}
    for name, threshold in strategy.thresholds.items():
        if threshold.seen_in is None or threshold.limits is None:
            continue
        valleys = [_valley_of(measurements.get(name), threshold.value) for measurements in earlier]
        places = [
            float(to_scale(v.value))
            for v in valleys
            if v and not v.fault() and _within(threshold.limits, v.value)
        ]
        if len(places) >= PRIOR_TUBES:
            found[name] = Prior(
                float(np.mean(places)), max(float(np.std(places, ddof=1)), LEAST_SD), len(places)
            )
    return found


@dataclass(frozen=True, slots=True)
class _Chain:
    """One threshold of one tube on its way through its sources."""

    name: str
    threshold: Threshold
    own: ThresholdMeasurement
    others: ReferenceMeasurements

    def resolve(self) -> Resolved:
        tried: list[Tried] = []
        for source in self.threshold.sources:
            attempt = self._checked(_SOURCES[source](self))
            tried.append(attempt)
            if not attempt.fault and attempt.value is not None:
                checked = source != "fixed" or attempt.rationale != UNCHECKED
                rationale = (
                    f"{self.threshold.evidence}; {attempt.rationale}"
                    if source == "fixed"
                    else attempt.rationale
                )
                return Resolved(attempt.value, source, rationale, tuple(tried), checked=checked)
        rationale = f"declared value, contradicted ({tried[0].fault}), and no other source passed"
        return Resolved(self.threshold.value, "fixed", rationale, tuple(tried), proven=False)

    def fixed(self) -> Tried:
        """Ask everything in the tube that could contradict the declared value."""
        declared = self.threshold.value
        said = [
            self._anchored(),
            self._clearance() if self._stretches() else self._spread(),
            self._tail(declared),
            self._valley_agrees(),
        ]
        faults = [fault for fault, _ in said if fault]
        good = [word for fault, word in said if word and not fault]
        return Tried("fixed", declared, "; ".join(faults), "; ".join(good) or UNCHECKED)

    def gain(self) -> Tried:
        ratio = self._gain()
        if ratio is None:
            return Tried("gain", None, f"fewer than {ANCHOR_EVENTS} anchor events", "")
        return Tried(
            "gain",
            self.threshold.value * ratio,
            "",
            f"declared value × {ratio:.2f}, {self._anchored()[1]}",
        )

    def control(self) -> Tried:
        return self._transferred("control", self.others.controls, "no control of the same batch")

    def baseline(self) -> Tried:
        given = self.others.baseline
        return self._transferred(
            "baseline", [given] if given else [], "no counted baseline tube of the patient"
        )

    def fmo(self) -> Tried:
        measurements = self.others.fmo.get(self.threshold.marker)
        counts = (
            measurements[self.name].counts if measurements and self.name in measurements else None
        )
        if counts is None or sum(counts) < FMO_EVENTS:
            seen = (
                "no FMO control"
                if counts is None
                else f"{sum(counts)} events in the FMO control, {FMO_EVENTS} are needed"
            )
            return Tried("fmo", None, seen, "")
        value = share_below(np.asarray(counts), FMO_SHARE)
        return Tried(
            "fmo",
            value,
            "",
            f"above {100 * FMO_SHARE:.2f} % of {sum(counts)} cells without the stain",
        )

    def negative(self) -> Tried:
        """Move the value as the negative cells ask: to clear them as declared, or as they spread.

        Downwards it goes half as far (on the logarithm), since tails shrink less: a reagent that
        sticks to a few cells leaves the half below the mode narrow and the upper tail where it was.
        """
        measurement, declared = self.own.negative, self.threshold.negative
        if self._stretches():
            ratio = _half_down(self._needed()[0])
            return Tried(
                "negative",
                self.threshold.value * ratio,
                "",
                f"declared value × {ratio:.2f}: {self._clearance()[1]}",
            )
        if measurement is None or declared is None or measurement.events < NEGATIVE_EVENTS:
            return Tried("negative", None, f"fewer than {NEGATIVE_EVENTS} negative events", "")
        spread = measurement.spread / declared.spread
        ratio = _half_down(spread)
        rationale = (
            f"declared value × {ratio:.2f}, as {measurement.events} {declared.gate} spread "
            f"{spread:.2f} × the expected {declared.spread:g}"
        )
        return Tried("negative", self.threshold.value * ratio, "", rationale)

    def valley(self) -> Tried:
        return self._found("valley", _valley_of(self.own, self._expected()))

    def mixture(self) -> Tried:
        counts = self.own.counts
        crossing = (
            find_crossing(np.asarray(counts), self._expected())
            if counts and sum(counts) >= ANCHOR_EVENTS
            else None
        )
        return self._found("mixture", crossing)

    def pooled(self) -> Tried:
        tubes = [
            self.own,
            *(
                measurements[self.name]
                for measurements in self.others.pool
                if self.name in measurements
            ),
        ]
        if len(tubes) < 2:
            return Tried("pooled", None, "no other control or baseline tube of the batch", "")
        counts = np.sum([tube.counts for tube in tubes if tube.counts is not None], axis=0)
        attempt = self._found("pooled", find_valley(counts, self._expected()))
        return Tried(
            "pooled",
            attempt.value,
            attempt.fault,
            f"{len(tubes)} tubes of the batch: {attempt.rationale}",
        )

    def _anchored(self) -> tuple[str, str]:
        ratio, declared, measurement = self._gain(), self.threshold.anchor, self.own.anchor
        if ratio is None or declared is None or measurement is None:
            return "", ""
        words = (
            f"{self.threshold.marker} of {measurement.events} {declared.gate} is {ratio:.2f} × the "
            f"expected {declared.median:.0f}"
        )
        return ("" if _within(GAIN_KEPT, ratio) else words), words

    def _spread(self) -> tuple[str, str]:
        measurement, declared = self.own.negative, self.threshold.negative
        if measurement is None or declared is None or measurement.events < NEGATIVE_EVENTS:
            return "", ""
        ratio = measurement.spread / declared.spread
        words = (
            f"{self.threshold.marker} of {measurement.events} {declared.gate} spreads {ratio:.2f} × "
            f"the expected {declared.spread:.0f}"
        )
        return ("" if _within(SPREAD_KEPT, ratio) else words), words

    def _stretches(self) -> list[tuple[Stretch, StretchMeasurement]]:
        """Pair the declared stretches with those of this tube that hold enough cells."""
        measurement, declared = self.own.negative, self.threshold.negative
        if measurement is None or declared is None:
            return []
        pairs = zip(declared.clearance, measurement.stretches, strict=True)
        return [
            (stretch, read)
            for stretch, read in pairs
            if read.events >= NEGATIVE_EVENTS and read.border > 0
        ]

    def _needed(self) -> tuple[float, int]:
        """Give the largest factor by which the boundary has to move to clear the negative cells as declared, and the stretch."""
        factors = [
            (read.mode + stretch.clears * read.spread) / read.border
            for stretch, read in self._stretches()
        ]
        return max(factors), factors.index(max(factors))

    def _clearance(self) -> tuple[str, str]:
        """Ask whether the declared boundary lies as far above the tube's own negative cells as it is declared to."""
        factor, place = self._needed()
        stretch, read = self._stretches()[place]
        clear = (read.border - read.mode) / read.spread if read.spread else math.inf
        words = (
            f"it clears {read.events} negative cells{self._place_of(stretch)} by {clear:.1f} of "
            f"their SDs ({stretch.clears:g} declared)"
        )
        return ("" if _within(CLEARED, factor) else words), words

    def _place_of(self, stretch: Stretch) -> str:
        """Name a stretch in words."""
        declared = self.threshold.negative
        if declared is None or declared.beside is None:
            return ""
        place = declared.clearance.index(stretch)
        low = f" from {declared.clearance[place - 1].below:g}" if place else ""
        return (
            f" with "
            f"{declared.beside}{low}{'' if stretch.below is None else f' below {stretch.below:g}'}"
        )

    def _tail(self, value: float) -> tuple[str, str]:
        """Ask how many negative cells reach a value; where they and the positives are of one gate nobody can tell."""
        measurement, declared = self.own.negative, self.threshold.negative
        if (
            measurement is None
            or declared is None
            or declared.gate == self.threshold.seen_in
            or measurement.events < NEGATIVE_EVENTS
        ):
            return "", ""
        expected = declared.tail * measurement.events
        reach = measurement.reaching(value)
        words = f"{reach} of {measurement.events} {declared.gate} reach it"
        return (
            f"{words}, at most {expected:.0f} should"
            if reach > expected + ONE_SIDED_95 * math.sqrt(expected) + 1
            else ""
        ), words

    def _valley_agrees(self) -> tuple[str, str]:
        """Compare the declared value with the tube's own valley by the events between them.

        Where negatives and positives are of one gate they overlap (CAR), and the valley moves with
        the share of positives.
        """
        if self.threshold.negative and self.threshold.negative.gate == self.threshold.seen_in:
            return "", ""
        valley = _valley_of(self.own, self.threshold.value)
        if (
            valley is None
            or valley.fault()
            or self.own.counts is None
            or not _within(self.threshold.limits, valley.value)
        ):
            return "", ""
        low, high = sorted((bin_of(valley.value), bin_of(self.threshold.value)))
        share = sum(self.own.counts[low:high]) / min(valley.low_events, valley.high_events)
        words = (
            f"{100 * share:.1f} % of the smaller mode lie between it and the tube's own valley at "
            f"{valley.value:.0f}"
        )
        return (words if share > MISJUDGED else ""), words

    def _transferred(self, source: Source, tubes: Sequence[Measurements], absent: str) -> Tried:
        """Take another tube's valley, times the ratio of the anchors where both tubes have them."""
        faults = []
        for measurements in tubes:
            measurement = measurements.get(self.name)
            found = self._found(source, _valley_of(measurement, self._expected()))
            if found.fault or found.value is None or measurement is None:
                faults.append(found.fault)
                continue
            ratio = 1.0
            if (
                _counts_as_anchor(measurement)
                and _counts_as_anchor(self.own)
                and measurement.anchor
                and self.own.anchor
            ):
                ratio = self.own.anchor.median / measurement.anchor.median
            return Tried(
                source, found.value * ratio, "", f"{found.rationale}, × {ratio:.2f} by the anchor"
            )
        return Tried(source, None, "; ".join(faults) or absent, "")

    def _found(self, source: Source, valley: Valley | None) -> Tried:
        if valley is None:
            return Tried(source, None, "one mode only", "")
        return Tried(source, self._shrunk(valley), valley.fault(), valley.rationale())

    def _shrunk(self, valley: Valley) -> float:
        """Draw a valley towards earlier tubes' as far as it is less sure than they agree."""
        prior = self.others.priors.get(self.name)
        if prior is None or not math.isfinite(valley.sd):
            return valley.value
        own, known = 1 / max(valley.sd, LEAST_SD) ** 2, 1 / prior.sd**2
        return from_scale(
            (own * float(to_scale(valley.value)) + known * prior.mean) / (own + known)
        )

    def _checked(self, attempt: Tried) -> Tried:
        """Hold any source but the declared value to the limits, to what is known beforehand and to the tube's own negative cells."""
        if attempt.source == "fixed" or attempt.value is None or attempt.fault:
            return attempt
        value, limits = attempt.value, self.threshold.limits
        fault = ""
        if not _within(limits, value) and limits:
            fault = f"{value:.0f} is beyond the limits {limits[0]:g} to {limits[1]:g}"
        elif abs(float(to_scale(value) - to_scale(self._expected()))) > FARTHEST:
            fault = f"{value:.0f} is more than 0.3 decades from the expected {self._expected():.0f}"
        else:
            fault = self._tail(value)[0]
        return Tried(attempt.source, float(f"{value:.10g}"), fault, attempt.rationale)

    def _expected(self) -> float:
        prior = self.others.priors.get(self.name)
        return from_scale(prior.mean) if prior else self.threshold.value

    def _gain(self) -> float | None:
        if (
            self.threshold.anchor is None
            or self.own.anchor is None
            or not _counts_as_anchor(self.own)
        ):
            return None
        return self.own.anchor.median / self.threshold.anchor.median


UNCHECKED = "nothing in this tube speaks for or against it"

_SOURCES: Mapping[Source, Callable[[_Chain], Tried]] = {
    "fixed": _Chain.fixed,
    "gain": _Chain.gain,
    "control": _Chain.control,
    "fmo": _Chain.fmo,
    "baseline": _Chain.baseline,
    "negative": _Chain.negative,
    "valley": _Chain.valley,
    "mixture": _Chain.mixture,
    "pooled": _Chain.pooled,
}


def _valley_of(measurement: ThresholdMeasurement | None, near: float) -> Valley | None:
    return (
        find_valley(np.asarray(measurement.counts), near)
        if measurement is not None and measurement.counts is not None
        else None
    )


def _counts_as_anchor(measurement: ThresholdMeasurement) -> bool:
    return (
        measurement.anchor is not None
        and measurement.anchor.events >= ANCHOR_EVENTS
        and measurement.anchor.median > 0
    )


def _half_down(ratio: float) -> float:
    """Keep a factor upwards, and take half of it (on the logarithm) downwards."""
    return ratio if ratio > 1 else math.sqrt(ratio)


def _within(limits: tuple[float, float] | None, value: float) -> bool:
    return limits is None or limits[0] <= value <= limits[1]
