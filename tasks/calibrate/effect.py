"""Tell what a calibration would do to the counts of the tubes at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gating.strategy.model import Strategy
from tasks.calibrate.observation import Observation

LEAST_EVENTS = 20
"""Fewer events in every tube tell no ratio."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One population's events before and after, by tube, and the median of after ÷ before."""

    population: str
    label: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    ratio: float | None


def effects(
    strategy: Strategy, before: Sequence[Observation], after: Sequence[Observation]
) -> list[Effect]:
    """Compare the reported populations of some tubes under two sets of numbers."""
    compared = []
    for population in strategy.populations:
        old, new = (
            tuple(each.counts[population.gate] for each in seen) for seen in (before, after)
        )
        ratios = [b / a for a, b in zip(old, new, strict=True) if a >= LEAST_EVENTS]
        ratio = float(np.median(ratios)) if ratios else None
        compared.append(Effect(population.id, population.label, old, new, ratio))
    return compared
