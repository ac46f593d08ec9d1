"""Put the numbers of an instrument into a strategy: those of its calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gating.calibration.model import Calibration, ThresholdNumbers
from gating.strategy.axis_map import AxisMap, axis_maps, moved_axes
from gating.strategy.gates import Bound, Gate, Limits, Polygon
from gating.strategy.model import Strategy
from gating.strategy.threshold_numbers import UNMOVED, numbered
from panels.text.errors import CalibrationFault

Document = dict[str, Any]


def with_numbers(content: Document, calibration: Calibration) -> Document:
    """Add the numbers of the calibration that a strategy is drawn on to the content of its file."""
    filled = {
        **content,
        "thresholds": {
            name: _filled(threshold, calibration.thresholds.get(name))
            for name, threshold in _parts(content, "thresholds")
        },
        "landmarks": {
            name: {**landmark, "at": _places(landmark.get("axes"), name, calibration)}
            for name, landmark in _parts(content, "landmarks")
        },
    }
    if isinstance(content.get("gates"), list):
        filled["gates"] = [_with_beads(gate, calibration.beads) for gate in content["gates"]]
    return filled


def _places(axes: object, landmark: str, calibration: Calibration) -> dict[str, float]:
    """Give the places of a landmark on those of its axes that the strategy names."""
    named = axes if isinstance(axes, list | tuple) else ()
    places = calibration.landmarks.get(landmark, {})
    return {axis: place for axis, place in places.items() if axis in named}


def own_numbers(content: Document) -> tuple[str, ...] | None:
    """Find the first number of a calibration in the content of a file that names one."""
    for name, threshold in _parts(content, "thresholds"):
        for key in ("value", "limits"):
            if key in threshold:
                return ("thresholds", name, key)
    for name, landmark in _parts(content, "landmarks"):
        if "at" in landmark:
            return ("landmarks", name, "at")
    return None


def _parts(content: Document, key: str) -> list[tuple[str, Document]]:
    """List the named parts of a mapping; what is no mapping is left to the model to refuse."""
    parts = content.get(key)
    if not isinstance(parts, dict):
        return []
    return [(name, part) for name, part in parts.items() if isinstance(part, dict)]


def _filled(threshold: Document, numbers: ThresholdNumbers | None) -> Document:
    """Add numbers to a threshold of a file that holds none."""
    if numbers is None:
        return threshold
    filled: Document = {**threshold, "value": numbers.value}
    if numbers.limits is not None:
        filled["limits"] = list(numbers.limits)
    if isinstance(filled.get("anchor"), dict) and numbers.anchor is not None:
        filled["anchor"] = {**filled["anchor"], "median": numbers.anchor}
    if isinstance(filled.get("negative"), dict) and numbers.spread is not None:
        negative = {**filled["negative"], "spread": numbers.spread}
        if "clearance" in negative:
            pairs = zip(negative["clearance"], numbers.clears, strict=False)
            negative["clearance"] = [{**each, "clears": clears} for each, clears in pairs]
        filled["negative"] = negative
    return filled


def _with_beads(gate: Document, beads: Mapping[str, float]) -> Document:
    if not isinstance(gate, dict) or not isinstance(gate.get("cluster"), dict) or not beads:
        return gate
    return {**gate, "cluster": {**gate["cluster"], "expected": dict(beads)}}


@dataclass(frozen=True, slots=True)
class CalibratedStrategy:
    """A strategy with the numbers of one instrument, and whose numbers they are.

    ``calibration`` is its pin (empty: the strategy's file holds its own numbers), ``sha256`` the
    hash of its content. ``unmeasured`` names the thresholds that the instrument's tubes could not
    tell of, ``unplaced`` the axes on which gates draw numbers and no landmark was found, ``unseen``
    the landmarks, each with its axis, that were not found. ``fault`` says why the numbers are not
    those of the tube's instrument (empty: they are).
    """

    strategy: Strategy
    calibration: str = ""
    sha256: str = ""
    unmeasured: frozenset[str] = frozenset()
    unplaced: frozenset[str] = frozenset()
    unseen: frozenset[tuple[str, str]] = frozenset()
    fault: str = ""

    def has_place(self, landmark: str, axis: str) -> bool:
        """Tell whether it is known where a landmark lies on an axis of the tube's instrument."""
        placed = axis in self.strategy.landmarks[landmark].at
        return placed and not self.fault and (landmark, axis) not in self.unseen


def misfit(strategy: Strategy, calibration: Calibration) -> str:
    """Say why a calibration's numbers are not those of a strategy's thresholds; empty: they are."""
    if calibration.pin == strategy.calibration:
        return ""
    for name, threshold in strategy.thresholds.items():
        clears = calibration.thresholds[name].clears if name in calibration.thresholds else ()
        stretches = threshold.negative.clearance if threshold.negative else ()
        if clears and len(clears) != len(stretches):
            return (
                f"{calibration.pin} has {len(clears)} numbers under 'clears' of {name}, which has "
                f"{len(stretches)} stretches in {strategy.name}"
            )
    if strategy.calibration is None:
        if calibration.strategy == strategy.name:
            return ""
        return f"{calibration.pin} was measured for {calibration.strategy}"
    if calibration.relative_to == strategy.calibration:
        return ""
    return (
        f"{calibration.pin} was measured on a strategy that is drawn on "
        f"{calibration.relative_to or calibration.pin}, not on {strategy.calibration}"
    )


def calibrated(strategy: Strategy, calibration: Calibration) -> Strategy:
    """Give a strategy with the numbers of a calibration.

    Thresholds take its values; what gates draw as numbers moves with the landmarks of its axes.
    Raises CalibrationFault when a gate cannot be moved.
    """
    if calibration.pin == strategy.calibration:
        return strategy
    maps = axis_maps(strategy, calibration)
    thresholds = {
        name: numbered(threshold, calibration.thresholds.get(name), maps)
        for name, threshold in strategy.thresholds.items()
    }
    ratios = {
        name: thresholds[name].value / declared.value if declared.value else 1.0
        for name, declared in strategy.thresholds.items()
    }
    landmarks = {
        name: landmark.model_copy(
            update={"at": {**landmark.at, **_places(landmark.axes, name, calibration)}}
        )
        for name, landmark in strategy.landmarks.items()
    }
    gates = tuple(_gate(gate, strategy, maps, ratios, calibration) for gate in strategy.gates)
    return Strategy.model_validate(
        strategy.model_copy(
            update={"thresholds": thresholds, "landmarks": landmarks, "gates": gates}
        ).model_dump()
    )


def first_sentence(error: ValueError) -> str:
    """Give what is wrong with numbers that make no strategy, without the words of a library."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    place = " → ".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _gate(
    gate: Gate,
    strategy: Strategy,
    maps: Mapping[str, AxisMap],
    ratios: Mapping[str, float],
    calibration: Calibration,
) -> Gate:
    """Move what a gate draws as numbers."""
    if gate.rectangle is not None:
        moved = {axis: _limits(each, maps.get(axis)) for axis, each in gate.rectangle.items()}
        return gate.model_copy(update={"rectangle": moved})
    if gate.polygon is not None:
        polygon = _polygon(gate.polygon, strategy, maps, ratios)
        return gate.model_copy(update={"polygon": polygon})
    if gate.quadrant is not None:
        quadrant = gate.quadrant
        dividers = {
            "x_divider": _bound(quadrant.x_divider, maps.get(quadrant.x)),
            "y_divider": _bound(quadrant.y_divider, maps.get(quadrant.y)),
        }
        return gate.model_copy(update={"quadrant": quadrant.model_copy(update=dividers)})
    if gate.ratio is not None:
        ratio = gate.ratio
        gain = maps.get(ratio.numerator, UNMOVED).gain / maps.get(ratio.denominator, UNMOVED).gain
        ends = {"above": ratio.above * gain, "below": ratio.below * gain}
        return gate.model_copy(update={"ratio": ratio.model_copy(update=ends)})
    if gate.cluster is not None and calibration.beads:
        cluster = gate.cluster.model_copy(update={"expected": dict(calibration.beads)})
        return gate.model_copy(update={"cluster": cluster})
    if gate.ellipse is not None and moved_axes(maps, gate.axes):
        raise CalibrationFault(
            f"{calibration.pin}: the ellipse '{gate.gate}' of {strategy.name} lies on "
            f"{moved_axes(maps, gate.axes)[0]}, whose landmarks lie elsewhere on this instrument, "
            f"and an ellipse cannot be moved with them. Draw it as a polygon."
        )
    return gate


def _limits(limits: Limits, moved: AxisMap | None) -> Limits:
    return limits.model_copy(
        update={"above": _bound(limits.above, moved), "below": _bound(limits.below, moved)}
    )


def _bound(bound: Bound | None, moved: AxisMap | None) -> Bound | None:
    """Move a bound that is a number; a threshold moves by itself."""
    return moved.at(bound) if isinstance(bound, float) and moved is not None else bound


def _polygon(
    polygon: Polygon,
    strategy: Strategy,
    maps: Mapping[str, AxisMap],
    ratios: Mapping[str, float],
) -> Polygon:
    """Move a polygon: on the axis of the threshold it follows by its ratio, else by landmarks."""
    followed = strategy.thresholds[polygon.follows].marker if polygon.follows else None

    def place(axis: str, value: float) -> float:
        if axis == followed and polygon.follows:
            return value * ratios[polygon.follows]
        return maps.get(axis, UNMOVED).at(value)

    vertices = tuple((place(polygon.x, x), place(polygon.y, y)) for x, y in polygon.vertices)
    return polygon.model_copy(update={"vertices": vertices})
