"""Find the numbers that count a tube: those of its own instrument's calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gating.calibration.catalogue import calibrations_of, shipped_calibrations
from gating.calibration.catalogue import read_lock as read_calibration_lock
from gating.calibration.choice import TubeInstrument, choose_calibration, names_instrument
from gating.calibration.model import Calibration
from gating.strategy.calibrated import CalibratedStrategy, calibrated, misfit
from gating.strategy.catalogue import read_lock, shipped
from gating.strategy.model import Release


@dataclass(frozen=True, slots=True)
class InstrumentNumbers:
    """A strategy with the numbers of every instrument that has a released calibration.

    ``default`` holds where a tube's instrument has none; ``drawn_on`` are the calibrations whose
    instruments it is right for all the same.
    """

    default: CalibratedStrategy
    calibrations: tuple[Calibration, ...] = ()
    strategies: tuple[CalibratedStrategy, ...] = ()
    drawn_on: tuple[Calibration, ...] = ()

    def for_tube(self, tube: TubeInstrument) -> CalibratedStrategy:
        """Give the strategy with the numbers of a tube's instrument.

        Where no calibration holds, or sheet and file name different instruments, the strategy's
        default numbers are given with the fault that says so.
        """
        choice = choose_calibration(tube, self.calibrations)
        if choice.place is not None:
            return self.strategies[choice.place]
        instruments = self.default.strategy.instruments
        if choice.contradicted:
            return replace(self.default, fault=choice.reason)
        if names_instrument(tube, instruments):
            return self.default
        if choose_calibration(tube, self.drawn_on).place is not None:
            return self.default
        if not instruments and not self.drawn_on and not self.default.calibration:
            return self.default
        return replace(self.default, fault=choice.reason)


def instrument_numbers(release: Release, calibrations: Path | None) -> InstrumentNumbers:
    """Calibrate a strategy for every instrument of its panel.

    ``calibrations`` is the laboratory's folder of them. A strategy of the laboratory that holds its
    own numbers and names no ``instruments`` is right for any; a shipped one for the instruments
    of the shipped calibrations alone. Raises CalibrationFault when a released calibration is not
    what was released, or a gate cannot be moved.
    """
    strategy = release.strategy
    released = calibrations_of(strategy.panel, calibrations)
    fitting = [each for each in released if not misfit(strategy, each.calibration)]
    default = CalibratedStrategy(strategy)
    drawn_on: Sequence[Calibration] = ()
    if strategy.calibration is not None:
        drawn = next(each for each in fitting if each.calibration.pin == strategy.calibration)
        default = CalibratedStrategy(strategy, strategy.calibration, drawn.sha256)
    elif read_lock(shipped()).get(strategy.name) == release.sha256:
        with_reconflow = read_calibration_lock(shipped_calibrations())
        drawn_on = [each.calibration for each in released if each.calibration.pin in with_reconflow]
    return InstrumentNumbers(
        default,
        tuple(each.calibration for each in fitting),
        tuple(
            CalibratedStrategy(
                calibrated(strategy, each.calibration),
                each.calibration.pin,
                each.sha256,
                _unmeasured(release, each.calibration),
            )
            for each in fitting
        ),
        tuple(drawn_on),
    )


def _unmeasured(release: Release, calibration: Calibration) -> frozenset[str]:
    """Name the thresholds of a strategy for which a calibration has no numbers."""
    return frozenset(set(release.strategy.thresholds) - set(calibration.thresholds))
