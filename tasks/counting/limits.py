"""Decide from how many events a population is detected and from how many it is quantified."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

CONFIDENCE = 0.95
MOST_HOURS = 24.0 * 366
"""Draws a year apart are two; and a computer can count no time without end."""

Analyser = Literal["leukocytes", "lymphocytes"]

Cv = Annotated[float, Field(ge=0)]
Steps = Annotated[tuple[tuple[float, Cv], ...], Field(min_length=1)]


class CountErrors(BaseModel):
    """Say how uncertain the measurements behind a volume are, as coefficients of variation (CV).

    The analyser's CV is a step function of its count: the pair ``(from, cv)`` with the largest
    ``from`` (cells/µL) not above the count holds. All take the wide end of what is usual: 3 % above
    2 leukocytes/nL, 15 % below 0.5/nL; reverse pipetting 2–3 %; the number of beads of a lot 1–2 %.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    leukocyte_cv: Steps = ((2000.0, 0.03), (500.0, 0.07), (0.0, 0.15))
    lymphocyte_cv: Steps = ((500.0, 0.07), (0.0, 0.15))
    pipette_cv: float = Field(default=0.03, ge=0)
    bead_lot_cv: float = Field(default=0.02, ge=0)

    def analyser_cv(self, population: Analyser, per_ul: float) -> float:
        """Give the CV of the analyser's count of leukocytes or lymphocytes at ``per_ul``."""
        steps = self.leukocyte_cv if population == "leukocytes" else self.lymphocyte_cv
        worst = max(steps, key=lambda step: step[1])
        _, cv = max((step for step in steps if step[0] <= per_ul), default=worst)
        return cv


class LimitSettings(BaseModel):
    """Hold the laboratory's limits; ``validation_id`` names the validation that justifies them.

    20 clustered events count as detected and 50 as quantifiable (common rare-event practice). A
    laboratory that has validated other limits sets them here or for one population in the strategy.

    ``few_percent_events``: a percentage that is read against a stain's background (CAR T cells of T
    cells) and rests on fewer is an indication only. ``marrow_limit_percent``: "not detected" in
    marrow needs so many leukocytes that the limit of detection is at most this percent of them (0.1
    %: 20,000 leukocytes for a limit of 20 events). ``replicate_difference``: direct counts of one
    draw that differ by more of their mean are flagged. ``concentration_difference``: two
    independent concentrations of one draw that differ by more contradict each other; beyond
    ``concentration_refused`` times none is given (``tasks.counting.cross_check``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    detect_events: int = Field(default=20, ge=1)
    quantify_events: int = Field(default=50, ge=1)
    validation_id: str | None = None
    maximum_net_cv: float = Field(default=0.30, gt=0)
    minimum_beads: int = Field(default=1000, ge=1)
    minimum_lymphocytes: int = Field(default=2500, ge=0)
    few_percent_events: int = Field(default=5000, ge=1)
    marrow_limit_percent: float = Field(default=0.1, gt=0, le=100)
    replicate_difference: float = Field(default=0.10, gt=0)
    background_share: float = Field(default=0.0005, ge=0, lt=1)
    b_subset_events: int = Field(default=100, ge=1)
    b_subset_indicative_events: int = Field(default=50, ge=1)
    concentration_difference: float = Field(default=0.25, gt=0)
    concentration_refused: float = Field(default=2.0, gt=1)
    same_draw_hours: float = Field(default=24.0, ge=0, le=MOST_HOURS)
    errors: CountErrors = CountErrors()

    @model_validator(mode="after")
    def _quantify_after_detect(self) -> Self:
        if self.quantify_events < self.detect_events:
            raise ValueError("quantify_events must not be below detect_events")
        if self.concentration_refused <= 1 + self.concentration_difference:
            raise ValueError("concentration_refused must be above 1 + concentration_difference")
        return self


@dataclass(frozen=True, slots=True)
class Background:
    """Events that a stain gives among ``reference_events`` of which none has the marker.

    Counted in the patient's pre-infusion tube (``tube_sha256``), or among the tube's own cells that
    cannot carry the marker. ``corrected`` tells that a person corrected either number in that tube.
    """

    tube_sha256: str
    events: int
    reference_events: int
    corrected: bool = False

    def expected(self, reference_events: int) -> float:
        """Give the background events to expect among ``reference_events`` of another tube.

        One event is added to those seen: a tube that showed none has not proved that the stain
        gives none.
        """
        return (self.events + 1) * self._exposure(reference_events)

    def variance(self, reference_events: int) -> float:
        """Give the variance of ``expected`` that comes from counting the pre-infusion tube."""
        return self.expected(reference_events) * self._exposure(reference_events)

    def limit_of_blank(self, reference_events: int) -> int:
        """Give the most background events to expect among ``reference_events`` of another tube.

        The confidence is 95 %.
        """
        return predicted_blank(self.events, self._exposure(reference_events))

    def _exposure(self, reference_events: int) -> float:
        if self.reference_events:
            return reference_events / self.reference_events
        return 0.0


@dataclass(frozen=True, slots=True)
class EventLimits:
    """Events from which a population of one tube is detected and quantified.

    ``raised``: its background lifted them.
    """

    detect: int
    quantify: int
    raised: bool = False


def limit_of_blank(background: float, confidence: float = CONFIDENCE) -> int:
    """Give the most events that a blank shows with 95 % confidence.

    It is the smallest k with P(Poisson(background) ≤ k) ≥ 0.95.
    """
    if background < 0:
        raise ValueError(f"an expected background cannot be negative: {background}")
    from scipy import special

    low, high = -1, math.ceil(background + 10 * math.sqrt(background)) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if special.pdtr(middle, background) >= confidence:
            high = middle
        else:
            low = middle
    return high


def predicted_blank(
    background_events: int, exposure_ratio: float, confidence: float = CONFIDENCE
) -> int:
    """Give the most events a blank shows when its background is known only from a count of its own.

    ``exposure_ratio`` is the sample's exposure (reference events) over the background's. The
    smallest k with P(negative binomial(background + 1, 1/(1 + ratio)) ≤ k) ≥ 0.95: above it the
    exact conditional test of two Poisson counts calls the sample higher at 5 %. With a long
    background count it becomes the Poisson limit of blank.
    """
    if background_events < 0 or exposure_ratio < 0:
        raise ValueError(
            f"a background cannot be negative: {background_events} events, {exposure_ratio} "
            f"times the exposure"
        )
    from scipy import special

    share = 1 / (1 + exposure_ratio)
    low, high = -1, 1
    while special.betainc(background_events + 1, high + 1, share) < confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if special.betainc(background_events + 1, middle + 1, share) >= confidence:
            high = middle
        else:
            low = middle
    return high


def events_for_net_cv(background: float, background_variance: float, cv: float) -> int:
    """Give the smallest count whose net value (count − background) is precise enough.

    Its coefficient of variation is at most ``cv``; ``background`` is the expected one, in events.
    """
    square = cv * cv
    net = (1 + math.sqrt(1 + 4 * square * (background + background_variance))) / (2 * square)
    return math.ceil(background + net - 1e-9)


def event_limits(
    settings: LimitSettings,
    reference_events: int,
    *,
    detect_events: int | None = None,
    quantify_events: int | None = None,
    background: Background | None = None,
    assumed: float = 0.0,
) -> EventLimits:
    """Decide the limits of one population in one tube.

    ``reference_events`` are those of its reference population. ``detect_events`` and
    ``quantify_events`` override the study's. A background lifts detection above its limit of blank,
    which allows for the counting error of the background itself, and quantification to a net CV of
    at most ``maximum_net_cv``. Where it is unknown, ``assumed`` events of it lift the limits in the
    same way. At least one event is always needed: an empty population is never detected.
    """
    detect = max(1, settings.detect_events if detect_events is None else detect_events)
    quantify = max(detect, settings.quantify_events if quantify_events is None else quantify_events)
    expected, variance, above_blank = assumed, 0.0, limit_of_blank(assumed) + 1
    if background is not None:
        expected = background.expected(reference_events)
        variance = background.variance(reference_events)
        above_blank = background.limit_of_blank(reference_events) + 1
    precise = 0
    if expected > 0:
        precise = events_for_net_cv(expected, variance, settings.maximum_net_cv)
    raised = (max(detect, above_blank), max(quantify, above_blank, precise))
    return EventLimits(*raised, raised=raised != (detect, quantify))
