"""Say what is counted with numbers that are not those of a tube's own instrument, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from gating.thresholds.sensitivity import axes_drawn_by, thresholds_of

if TYPE_CHECKING:
    from gating.strategy.calibrated import CalibratedStrategy
    from gating.strategy.model import Strategy


def uncalibrated_populations(calibrated: CalibratedStrategy) -> tuple[str, ...]:
    """List the populations that hang on a number of another instrument, in the strategy's order.

    That is all of them where no calibration holds for the tube, else those whose gates depend on a
    threshold that the calibration could not measure, or on numbers of an axis without a landmark.
    """
    strategy = calibrated.strategy
    return tuple(
        population.id
        for population in strategy.populations
        if calibrated.fault
        or _meets(calibrated.unmeasured, thresholds_of, strategy, population.gate)
        or _meets(calibrated.unplaced, axes_drawn_by, strategy, population.gate)
    )


def _meets(
    missing: Collection[str],
    needed: Callable[[Strategy, str], Iterable[str]],
    strategy: Strategy,
    gate: str,
) -> bool:
    """Tell whether a gate needs something that is missing; it is asked only where anything is."""
    return bool(missing) and any(name in missing for name in needed(strategy, gate))


def in_words(calibrated: CalibratedStrategy) -> str:
    """Say what of a tube is uncalibrated, and why; empty where nothing is."""
    populations = uncalibrated_populations(calibrated)
    if not populations:
        return ""
    if calibrated.fault:
        numbers = calibrated.calibration or calibrated.strategy.name
        return (
            f"{calibrated.fault[0].upper()}{calibrated.fault[1:]}, so this tube was counted with "
            f"the numbers of {numbers}: its counts may be wrong by any amount."
        )
    named = [name for name in calibrated.strategy.thresholds if name in calibrated.unmeasured]
    axes = [f"the place of reference cells on {axis}" for axis in sorted(calibrated.unplaced)]
    return (
        f"{calibrated.calibration} could not measure {', '.join([*named, *axes])}: the counts of "
        f"{', '.join(populations)} rest on numbers that were set on another instrument."
    )
