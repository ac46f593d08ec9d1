"""Find the numbers that count a tube: those of its own instrument's calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gating.calibration.catalogue import (
    calibrations_of,
    find_calibration,
    shipped_calibrations,
)
from gating.calibration.catalogue import read_lock as read_calibration_lock
from gating.calibration.choice import TubeInstrument, choose_calibration, names_instrument
from gating.calibration.model import Calibration, CalibrationRelease
from gating.strategy.axis_map import axis_maps
from gating.strategy.calibrated import CalibratedStrategy, calibrated, first_sentence, misfit
from gating.strategy.catalogue import read_lock, shipped
from gating.strategy.drawn_numbers import drawn_axes
from gating.strategy.model import Release, Strategy
from panels.text.errors import CalibrationFault


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
    _found: dict[TubeInstrument, CalibratedStrategy] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def for_tube(self, tube: TubeInstrument) -> CalibratedStrategy:
        """Give the strategy with the numbers of a tube's instrument.

        Where no calibration holds, or sheet and file name different instruments, the strategy's
        default numbers are given with the fault that says so. A pass asks this of every tube a
        dozen times, and the tubes of a day share the answer.
        """
        found = self._found.get(tube)
        if found is None:
            found = self._found[tube] = self._find(tube)
        return found

    def _find(self, tube: TubeInstrument) -> CalibratedStrategy:
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
        drawn = find_calibration(strategy.calibration, calibrations)
        default = CalibratedStrategy(strategy, strategy.calibration, drawn.sha256)
    elif read_lock(shipped()).get(strategy.name) == release.sha256:
        with_reconflow = read_calibration_lock(shipped_calibrations())
        drawn_on = [each.calibration for each in released if each.calibration.pin in with_reconflow]
    return InstrumentNumbers(
        default,
        tuple(each.calibration for each in fitting),
        tuple(_with_numbers_of(strategy, each) for each in fitting),
        tuple(drawn_on),
    )


def numbers_with(
    numbers: InstrumentNumbers, calibration: CalibrationRelease, *, alone: bool = False
) -> InstrumentNumbers:
    """Give the numbers as they would be with one more calibration (``alone``: with no other).

    It must fit the strategy, and need not be released. Raises as ``instrument_numbers`` does.
    """
    others = replace(numbers, calibrations=(), strategies=()) if alone else numbers
    return replace(
        others,
        calibrations=(*others.calibrations, calibration.calibration),
        strategies=(
            *others.strategies,
            _with_numbers_of(numbers.default.strategy, calibration),
        ),
    )


def _with_numbers_of(strategy: Strategy, release: CalibrationRelease) -> CalibratedStrategy:
    """Give a strategy the numbers of a released calibration, and say what they leave open.

    Raises CalibrationFault when they make no strategy.
    """
    calibration = release.calibration
    try:
        numbered = calibrated(strategy, calibration)
    except ValueError as error:
        raise CalibrationFault(
            f"{calibration.pin}: its numbers make no strategy of {strategy.name} "
            f"({first_sentence(error)}). Release another version of it, or count with the strategy "
            f"that it was measured for."
        ) from error
    unplaced = _unplaced(strategy, calibration)
    beside = {
        name
        for name, threshold in strategy.thresholds.items()
        if threshold.negative
        and threshold.negative.beside in unplaced
        and len(threshold.negative.clearance) > 1
    }
    unmeasured = set(strategy.thresholds) - set(calibration.thresholds)
    return CalibratedStrategy(
        numbered,
        calibration.pin,
        release.sha256,
        frozenset(unmeasured | beside),
        unplaced,
        _unseen(strategy, calibration),
    )


def _unseen(strategy: Strategy, calibration: Calibration) -> frozenset[tuple[str, str]]:
    """List the landmarks, each with its axis, that a calibration has no place for."""
    return frozenset(
        (name, axis)
        for name, landmark in strategy.landmarks.items()
        for axis in landmark.axes
        if axis not in calibration.landmarks.get(name, {})
    )


def _unplaced(strategy: Strategy, calibration: Calibration) -> frozenset[str]:
    """Name the axes on which gates or stretches are drawn as numbers, and no landmark was found."""
    if calibration.pin == strategy.calibration:
        return frozenset()
    drawn = {axis for gate in strategy.gates for axis in drawn_axes(strategy, gate)}
    for threshold in strategy.thresholds.values():
        if threshold.negative and len(threshold.negative.clearance) > 1:
            drawn.add(threshold.negative.beside or "")
    return frozenset(drawn - {""} - set(axis_maps(strategy, calibration)))
