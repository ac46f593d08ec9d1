"""Give a threshold the numbers of an instrument, and move those that nobody measured there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gating.calibration.model import ThresholdNumbers
from gating.strategy.axis_map import AxisMap
from gating.strategy.threshold import Negative, Threshold

UNMOVED = AxisMap()


def numbered(
    threshold: Threshold, measured: ThresholdNumbers | None, maps: Mapping[str, AxisMap]
) -> Threshold:
    """Give a threshold the numbers that were measured on an instrument.

    ``maps`` are those of the instrument's axes. What was not measured moves with the detector's
    gain: a number of another instrument would contradict every tube of this one.
    """
    numbers = _numbers(threshold, measured, maps)
    update: dict[str, object] = {"value": numbers.value, "limits": numbers.limits}
    if threshold.anchor is not None and numbers.anchor is not None:
        update["anchor"] = threshold.anchor.model_copy(update={"median": numbers.anchor})
    if threshold.negative is not None:
        update["negative"] = _negative(threshold.negative, numbers, maps)
    return threshold.model_copy(update=update)


def _numbers(
    threshold: Threshold, measured: ThresholdNumbers | None, maps: Mapping[str, AxisMap]
) -> _Numbers:
    """Take what was measured of a threshold, and move the rest."""
    if measured is None:
        return _moved(threshold, maps.get(threshold.marker, UNMOVED))
    if threshold.marker in maps or threshold.value <= 0:
        moved = _moved(threshold, maps.get(threshold.marker, UNMOVED))
    else:
        moved = _scaled(threshold, measured.value / threshold.value)
    return _Numbers(
        measured.value,
        measured.limits or _around(measured.value, moved.limits),
        measured.anchor or moved.anchor,
        measured.spread or moved.spread,
        measured.clears,
    )


def _around(value: float, limits: tuple[float, float] | None) -> tuple[float, float] | None:
    """Widen limits so far that they hold a value."""
    return None if limits is None else (min(limits[0], value), max(limits[1], value))


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers of a threshold on an instrument, measured or moved; units as a strategy's."""

    value: float
    limits: tuple[float, float] | None
    anchor: float | None
    spread: float | None
    clears: tuple[float, ...] = ()


def _moved(threshold: Threshold, moved: AxisMap) -> _Numbers:
    """Move all numbers of a threshold along its axis."""
    limits = threshold.limits
    return _Numbers(
        value=moved.at(threshold.value),
        limits=None if limits is None else (moved.at(limits[0]), moved.at(limits[1])),
        anchor=None if threshold.anchor is None else moved.at(threshold.anchor.median),
        spread=None if threshold.negative is None else threshold.negative.spread * moved.gain,
    )


def _scaled(threshold: Threshold, ratio: float) -> _Numbers:
    """Multiply all numbers of a threshold."""
    limits = threshold.limits
    return _Numbers(
        value=threshold.value * ratio,
        limits=None if limits is None else (limits[0] * ratio, limits[1] * ratio),
        anchor=None if threshold.anchor is None else threshold.anchor.median * ratio,
        spread=None if threshold.negative is None else threshold.negative.spread * ratio,
    )


def _negative(negative: Negative, numbers: _Numbers, maps: Mapping[str, AxisMap]) -> Negative:
    beside = maps.get(negative.beside or "", UNMOVED)
    clears = numbers.clears or tuple(each.clears for each in negative.clearance)
    stretches = tuple(
        stretch.model_copy(
            update={
                "clears": clear,
                "below": None if stretch.below is None else beside.at(stretch.below),
            }
        )
        for stretch, clear in zip(negative.clearance, clears, strict=True)
    )
    spread = numbers.spread or negative.spread
    return negative.model_copy(update={"spread": spread, "clearance": stretches})
