"""Hold what other tubes show of a strategy's thresholds: controls, baseline, pool and priors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gating.strategy.model import Strategy
from gating.strategy.threshold import Threshold
from gating.thresholds.measure import ThresholdMeasurement
from gating.thresholds.measured_threshold import within
from gating.thresholds.valley import to_scale

Measurements = Mapping[str, ThresholdMeasurement]
"""The measurements of one tube, by threshold."""
PRIOR_TUBES = 5
LEAST_SD = 0.05
"""Units of asinh: no boundary is known better than that."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Where a threshold lay in earlier controls and baselines of the same instrument.

    ``mean`` and ``sd`` are on the asinh scale; ``tubes`` is the number of tubes.
    """

    mean: float
    sd: float
    tubes: int


@dataclass(frozen=True, slots=True)
class ReferenceMeasurements:
    """The measurements of other tubes, oldest first.

    ``controls`` are controls of the same batch, ``fmo`` FMO controls by marker, ``baseline`` the
    patient's baseline tube, ``pool`` the batch's controls and baselines, ``priors`` by threshold.
    """

    controls: Sequence[Measurements] = ()
    fmo: Mapping[str, Measurements] = field(default_factory=dict)
    baseline: Measurements | None = None
    pool: Sequence[Measurements] = ()
    priors: Mapping[str, Prior] = field(default_factory=dict)


def priors_of(strategy: Strategy, earlier: Sequence[Measurements]) -> dict[str, Prior]:
    """Summarise where thresholds lay in earlier tubes.

    Each tube counts with the valley that passes, within the declared limits; a threshold with fewer
    than five such tubes has no prior.
    """
    priors: dict[str, Prior] = {}
    for name, threshold in strategy.thresholds.items():
        if threshold.seen_in is None or threshold.limits is None:
            continue
        valleys = [_valley_on_scale(threshold, tube.get(name)) for tube in earlier]
        places = [place for place in valleys if place is not None]
        if len(places) >= PRIOR_TUBES:
            sd = max(float(np.std(places, ddof=1)), LEAST_SD)
            priors[name] = Prior(float(np.mean(places)), sd, len(places))
    return priors


def _valley_on_scale(
    threshold: Threshold, measurement: ThresholdMeasurement | None
) -> float | None:
    """Give a tube's valley on the asinh scale; None unless it passes and is within the limits."""
    if measurement is None:
        return None
    valley = measurement.valley_near(threshold.value)
    if valley is None or valley.fault() or not within(threshold.limits, valley.value):
        return None
    return float(to_scale(valley.value))
