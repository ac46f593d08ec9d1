"""Tell what a calibration would do to the counts of the tubes at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from gating.calibration.choice import TubeInstrument
from gating.strategy.model import Strategy
from tasks.calibrate.alignment import observe_all
from tasks.calibrate.observation import Observation

if TYPE_CHECKING:
    from gating.strategy.calibrated import CalibratedStrategy
    from tasks.calibrate.instrument_calibration import Measured
    from tasks.calibrate.tube import CalibrationTube
    from tasks.study.snapshot import StrategyInUse

LEAST_EVENTS = 20
"""Fewer events in every tube tell no ratio."""
OWN = "the strategy's own numbers"


@dataclass(frozen=True, slots=True)
class Effect:
    """One population's events before and after, by tube, and the median of after ÷ before."""

    population: str
    label: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Effects:
    """What a draft would do to the counts, and whose numbers it was compared with."""

    compared_with: str
    populations: tuple[Effect, ...]


def effects_of(measured: Measured, used: StrategyInUse, instrument: str) -> Effects:
    """Compare a draft with the numbers that count its tubes today.

    Where the strategy in use is another than the one measured, it is compared with the numbers
    the measured one is drawn on. ``instrument`` is the name the calibration was asked for under.
    """
    drawn = measured.drawn
    if used.name != drawn.name:
        before = observe_all(drawn, measured.tubes)
        compared_with = drawn.calibration or OWN
    else:
        today = [_today(used, tube, instrument) for tube in measured.tubes]
        before = [
            seen
            for each, tube in zip(today, measured.tubes, strict=True)
            for seen in observe_all(each.strategy, [tube])
        ]
        compared_with = ", ".join(sorted({each.calibration or OWN for each in today}))
    return Effects(compared_with, tuple(effects(drawn, before, measured.final)))


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


def _today(used: StrategyInUse, tube: CalibrationTube, instrument: str) -> CalibratedStrategy:
    """Give the strategy with the numbers that count a tube now; a file as if it came in today."""
    cytometer, serial = tube.header.cytometer, tube.header.serial
    if tube.tube is not None:
        return used.for_tube(replace(tube.tube, cytometer=cytometer, serial=serial))
    return used.numbers.for_tube(
        TubeInstrument(instrument, cytometer or None, serial or None, date.max)
    )
