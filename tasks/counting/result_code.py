"""Decide what a count is worth: quantified, detected, not detected or not evaluable."""

from dataclasses import dataclass
from typing import Literal

from tasks.counting.counts import PopulationCount
from tasks.counting.limits import LimitSettings
from tasks.counting.population_limits import PopulationLimits
from tasks.counting.population_rules import PopulationRule
from tasks.counting.volume import Volume
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.populations import LEUKOCYTES, LYMPHOCYTES

Code = Literal["Q", "DNQ", "ND", "NE"]
"""``Q`` quantified; ``DNQ`` detected, below the limit of quantification; ``ND`` not detected;
``NE`` not evaluable."""


@dataclass(frozen=True, slots=True)
class CodeInputs:
    """All that decides the code of one population in one tube; only blood needs a volume."""

    count: PopulationCount
    rule: PopulationRule
    limits: PopulationLimits
    volume: Volume | None
    needs_volume: bool


def result_code(
    inputs: CodeInputs, percentage: float | None, settings: LimitSettings
) -> tuple[Code, tuple[Flag, ...]]:
    """Decide what the count is worth.

    ``percentage`` is that of the reference, which marrow is reported in. Too little specimen or too
    small a denominator is never called "not detected".
    """
    events, limits = inputs.count.events, inputs.limits
    amount = inputs.volume if inputs.needs_volume else percentage
    if amount is None:
        return "NE", ()
    if events >= limits.quantify:
        return "Q", ()
    if not inputs.needs_volume and _is_too_little_marrow(inputs, settings):
        return "NE", (Flag.FEW_MARROW_CELLS,)
    if _lloq_is_above_threshold(inputs):
        return "NE", (Flag.LLOQ_ABOVE_THRESHOLD,)
    if events >= limits.detect:
        return "DNQ", ()
    return "ND", ()


def _lloq_is_above_threshold(inputs: CodeInputs) -> bool:
    threshold = inputs.rule.clinical_threshold_per_ul
    if inputs.volume is None or threshold is None:
        return False
    return inputs.limits.quantify / inputs.volume.microlitres > threshold


def _is_too_little_marrow(inputs: CodeInputs, settings: LimitSettings) -> bool:
    """Decide whether a marrow tube has too few cells to call a population absent.

    B-cell subsets have a minimum of their own.
    """
    count = inputs.count
    if count.reference == LEUKOCYTES:
        limit = settings.marrow_limit_percent * count.reference_events
        return 100 * inputs.limits.detect > limit
    return count.reference == LYMPHOCYTES and count.reference_events < settings.minimum_lymphocytes
