"""Resolve each threshold of a tube by its chain of sources: the first that passes its test holds.

The declared value (``fixed``) holds as long as nothing in the tube contradicts it. When the tube is
stained or detected otherwise than the value supposes, the next sources are tried; none of them may
leave the declared limits, or go farther than three tenths of a decade from what is known
beforehand. A population that may be absent gives no boundary: a valley needs 100 events in both
modes (``gating.thresholds.valley``). When every source fails, the declared value is used and marked
as unproven.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gating.evaluation.resolved import Resolved, Tried
from gating.strategy.model import Strategy
from gating.strategy.threshold import Source, Threshold
from gating.thresholds.measure import ANCHOR_EVENTS, ThresholdMeasurement
from gating.thresholds.measured_threshold import NEGATIVE_EVENTS, MeasuredThreshold, within
from gating.thresholds.reference_measurements import (
    LEAST_SD,
    Measurements,
    Prior,
    ReferenceMeasurements,
)
from gating.thresholds.valley import (
    FARTHEST,
    Valley,
    find_crossing,
    find_valley,
    from_scale,
    share_below,
    to_scale,
)

FMO_EVENTS = 2000
FMO_SHARE = 0.9995
UNCHECKED = "nothing in this tube speaks for or against it"


def resolve(
    strategy: Strategy, measurements: Measurements, references: ReferenceMeasurements
) -> dict[str, Resolved]:
    """Resolve every threshold that was measured in a tube.

    The other thresholds hold as declared and are not in the result.
    """
    return {
        name: _Resolution(name, threshold, measurements[name], references).resolve()
        for name, threshold in strategy.thresholds.items()
        if name in measurements
    }


@dataclass(frozen=True, slots=True)
class _Resolution:
    """One threshold of one tube, and the sources it may be resolved by."""

    name: str
    threshold: Threshold
    measurement: ThresholdMeasurement
    references: ReferenceMeasurements

    @property
    def measured(self) -> MeasuredThreshold:
        return MeasuredThreshold(self.threshold, self.measurement)

    @property
    def prior(self) -> Prior | None:
        return self.references.priors.get(self.name)

    @property
    def expected(self) -> float:
        """Give where the threshold is expected: at the mean of earlier tubes, else as declared."""
        return from_scale(self.prior.mean) if self.prior else self.threshold.value

    def resolve(self) -> Resolved:
        tried: list[Tried] = []
        for source in self.threshold.sources:
            attempt = self._tested(_SOURCES[source](self))
            tried.append(attempt)
            if attempt.value is not None and not attempt.fault:
                return self._accepted(attempt, attempt.value, tuple(tried))
        rationale = f"declared value, contradicted ({tried[0].fault}), and no other source passed"
        return Resolved(self.threshold.value, "fixed", rationale, tuple(tried), proven=False)

    def fixed(self) -> Tried:
        """Try the declared value: compare it with everything in the tube that could contradict it.

        Its rationale says so when nothing in the tube could.
        """
        comparisons = [
            self.measured.compare_anchor(),
            self.measured.compare_negatives(),
            self.measured.compare_tail(self.threshold.value),
            self.measured.compare_valley(),
        ]
        faults = [each.fault for each in comparisons if each.fault]
        agreeing = [each.description for each in comparisons if not each.fault]
        rationale = "; ".join(filter(None, agreeing)) or UNCHECKED
        return Tried("fixed", self.threshold.value, "; ".join(faults), rationale)

    def gain(self) -> Tried:
        ratio = self.measured.gain()
        if ratio is None:
            return Tried("gain", None, f"fewer than {ANCHOR_EVENTS} anchor events", "")
        anchor = self.measured.compare_anchor().description
        rationale = f"declared value × {ratio:.2f}, {anchor}"
        return Tried("gain", self.threshold.value * ratio, "", rationale)

    def control(self) -> Tried:
        return self._from_tubes("control", self.references.controls, "no control of the same batch")

    def baseline(self) -> Tried:
        baseline = self.references.baseline
        tubes = [baseline] if baseline else []
        return self._from_tubes("baseline", tubes, "no counted baseline tube of the patient")

    def fmo(self) -> Tried:
        control = self.references.fmo.get(self.threshold.marker, {}).get(self.name)
        if control is None or control.counts is None:
            return Tried("fmo", None, "no FMO control", "")
        events = sum(control.counts)
        if events < FMO_EVENTS:
            fault = f"{events} events in the FMO control, {FMO_EVENTS} are needed"
            return Tried("fmo", None, fault, "")
        value = share_below(np.asarray(control.counts), FMO_SHARE)
        rationale = f"above {100 * FMO_SHARE:.2f} % of {events} cells without the stain"
        return Tried("fmo", value, "", rationale)

    def negative(self) -> Tried:
        """Move the value with the negative cells: to clear them as declared, or as they spread.

        Downwards it goes half as far (on the logarithm), since tails shrink less: a reagent that
        sticks to a few cells leaves the half below the mode narrow and the upper tail where it was.
        """
        if self.measured.stretches():
            ratio = _half_down(self.measured.needed_move()[0])
            clearance = self.measured.compare_clearance().description
            rationale = f"declared value × {ratio:.2f}: {clearance}"
            return Tried("negative", self.threshold.value * ratio, "", rationale)
        negatives = self.measured.negatives()
        if negatives is None:
            return Tried("negative", None, f"fewer than {NEGATIVE_EVENTS} negative events", "")
        measured, declared = negatives
        spread = measured.spread / declared.spread
        ratio = _half_down(spread)
        rationale = (
            f"declared value × {ratio:.2f}, as {measured.events} {declared.gate} spread "
            f"{spread:.2f} × the expected {declared.spread:g}"
        )
        return Tried("negative", self.threshold.value * ratio, "", rationale)

    def valley(self) -> Tried:
        return self._from_valley("valley", self.measurement.valley_near(self.expected))

    def mixture(self) -> Tried:
        counts = self.measurement.counts
        crossing = None
        if counts and sum(counts) >= ANCHOR_EVENTS:
            crossing = find_crossing(np.asarray(counts), self.expected)
        return self._from_valley("mixture", crossing)

    def pooled(self) -> Tried:
        others = [tube[self.name] for tube in self.references.pool if self.name in tube]
        if not others:
            return Tried("pooled", None, "no other control or baseline tube of the batch", "")
        tubes = [self.measurement, *others]
        counts = np.sum([tube.counts for tube in tubes if tube.counts is not None], axis=0)
        attempt = self._from_valley("pooled", find_valley(counts, self.expected))
        rationale = f"{len(tubes)} tubes of the batch: {attempt.rationale}"
        return Tried("pooled", attempt.value, attempt.fault, rationale)

    def _from_tubes(self, source: Source, tubes: Sequence[Measurements], absent: str) -> Tried:
        """Take the first other tube's valley that passes, times the ratio of the anchors.

        The ratio is 1 where either tube lacks an anchor. ``absent`` is the fault without any tube.
        """
        faults = []
        for tube in tubes:
            reference = tube.get(self.name)
            valley = reference.valley_near(self.expected) if reference else None
            attempt = self._from_valley(source, valley)
            if attempt.fault or attempt.value is None or reference is None:
                faults.append(attempt.fault)
                continue
            ratio = 1.0
            anchor, other = self.measurement.usable_anchor, reference.usable_anchor
            if anchor and other:
                ratio = anchor.median / other.median
            rationale = f"{attempt.rationale}, × {ratio:.2f} by the anchor"
            return Tried(source, attempt.value * ratio, "", rationale)
        return Tried(source, None, "; ".join(faults) or absent, "")

    def _from_valley(self, source: Source, valley: Valley | None) -> Tried:
        if valley is None:
            return Tried(source, None, "one mode only", "")
        return Tried(source, self._shrunk(valley), valley.fault(), valley.rationale())

    def _shrunk(self, valley: Valley) -> float:
        """Shrink a valley towards the mean of earlier tubes by inverse-variance weights.

        On the asinh scale the valley's weight is 1 / SD², that of earlier tubes the same of their
        SD. A valley without an SD, or without earlier tubes, stays where it is.
        """
        if self.prior is None or not math.isfinite(valley.sd):
            return valley.value
        weight, prior_weight = 1 / max(valley.sd, LEAST_SD) ** 2, 1 / self.prior.sd**2
        weighted = weight * float(to_scale(valley.value)) + prior_weight * self.prior.mean
        return from_scale(weighted / (weight + prior_weight))

    def _tested(self, attempt: Tried) -> Tried:
        """Test a source's value, unless it is the declared one.

        It must lie within the limits, near what is expected, and above the tube's negative cells.
        """
        if attempt.source == "fixed" or attempt.value is None or attempt.fault:
            return attempt
        fault = self._fault_of(attempt.value)
        return Tried(attempt.source, float(f"{attempt.value:.10g}"), fault, attempt.rationale)

    def _fault_of(self, value: float) -> str:
        limits = self.threshold.limits
        if limits and not within(limits, value):
            return f"{value:.0f} is beyond the limits {limits[0]:g} to {limits[1]:g}"
        if abs(float(to_scale(value) - to_scale(self.expected))) > FARTHEST:
            return f"{value:.0f} is more than 0.3 decades from the expected {self.expected:.0f}"
        return self.measured.compare_tail(value).fault

    def _accepted(self, attempt: Tried, value: float, tried: tuple[Tried, ...]) -> Resolved:
        if attempt.source != "fixed":
            return Resolved(value, attempt.source, attempt.rationale, tried)
        rationale = f"{self.threshold.evidence}; {attempt.rationale}"
        checked = attempt.rationale != UNCHECKED
        return Resolved(value, attempt.source, rationale, tried, checked=checked)


_SOURCES: Mapping[Source, Callable[[_Resolution], Tried]] = {
    "fixed": _Resolution.fixed,
    "gain": _Resolution.gain,
    "control": _Resolution.control,
    "fmo": _Resolution.fmo,
    "baseline": _Resolution.baseline,
    "negative": _Resolution.negative,
    "valley": _Resolution.valley,
    "mixture": _Resolution.mixture,
    "pooled": _Resolution.pooled,
}


def _half_down(ratio: float) -> float:
    """Keep a factor upwards, and take half of it (on the logarithm) downwards."""
    return ratio if ratio > 1 else math.sqrt(ratio)
