"""Say what is counted with numbers that are not those of a tube's own instrument, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gating.thresholds.sensitivity import thresholds_of

if TYPE_CHECKING:
    from gating.strategy.calibrated import CalibratedStrategy


def uncalibrated_populations(calibrated: CalibratedStrategy) -> tuple[str, ...]:
    """List the populations that hang on a number of another instrument, in the strategy's order.

    That is all of them where no calibration holds for the tube, else those whose gates depend on a
    threshold that the calibration could not measure.
    """
    strategy = calibrated.strategy
    return tuple(
        population.id
        for population in strategy.populations
        if calibrated.fault
        or (
            calibrated.unmeasured
            and not calibrated.unmeasured.isdisjoint(thresholds_of(strategy, population.gate))
        )
    )


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
    named = ", ".join(
        name for name in calibrated.strategy.thresholds if name in calibrated.unmeasured
    )
    return (
        f"{calibrated.calibration} could not measure {named}: the counts of "
        f"{', '.join(populations)} rest on the strategy's own number, which was set on another "
        f"instrument."
    )
