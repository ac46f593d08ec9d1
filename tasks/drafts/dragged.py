"""Bring what was dragged or typed on a page into the numbers of a draft's file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gating.calibration.catalogue import find_calibration
from gating.calibration.model import CalibrationRelease
from gating.evaluation.axis_units import to_display
from gating.strategy.axis_map import AxisMap, axis_maps
from panels.text.errors import UsageFault
from tasks.corrections.display_places import Outlined, Places, in_channel_units
from tasks.drafts.changes import Changes, fixed_polygon, fixed_threshold, polygons_of, tidy

if TYPE_CHECKING:
    from gating.strategy.gates import Polygon
    from gating.strategy.model import Strategy
    from tasks.drafts.candidate import Candidate
    from tasks.drafts.laid_out_tube import LaidOutTube
    from tasks.store.corrections import Vertices

UNMOVED_SHARE = 1e-4
"""A vertex nearer than this part of its axis to where it lay was not moved."""


@dataclass(frozen=True, slots=True)
class Dragged:
    """What a person moved: positions on a tube's axes, and file values that were typed.

    ``still`` says that the hand has not let go: reference tubes need not be measured anew.
    """

    thresholds: Places = field(default_factory=dict)
    gates: Outlined = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    vertices: Outlined = field(default_factory=dict)
    still: bool = False


def file_numbers(candidate: Candidate, at: LaidOutTube, dragged: Dragged) -> Changes:
    """Give the numbers of the draft's file for what was dragged in a tube.

    Raises UsageFault for what the draft or the tube does not have, and what cannot be moved there.
    """
    draft = candidate.draft
    for name in dragged.thresholds:
        _refuse(fixed_threshold(draft, name))
    for name in dragged.gates:
        _refuse(fixed_polygon(draft, name))
    values, outlines = in_channel_units(at.compiled, at.axes, dragged.thresholds, dragged.gates)
    if values:
        _refuse_others_numbers(candidate, at)
    strategy, factor = at.compiled.strategy, at.compiled.factor
    moved = {
        name: value / factor(strategy.thresholds[name].marker) for name, value in values.items()
    }
    redrawn = {
        name: _as_drawn(candidate, at, name, dragged.gates[name], vertices)
        for name, vertices in outlines.items()
    }
    typed = {name: tuple((x, y) for x, y in each) for name, each in dragged.vertices.items()}
    values = {name: float(tidy(each)) for name, each in (moved | dict(dragged.values)).items()}
    return Changes(values, redrawn | typed)


def _refuse(why: str) -> None:
    if why:
        raise UsageFault(why)


def _refuse_others_numbers(candidate: Candidate, at: LaidOutTube) -> None:
    """Refuse to move a threshold of a strategy where an instrument's calibration has its number."""
    if isinstance(candidate.draft.release, CalibrationRelease) or not at.calibration:
        return
    raise UsageFault(
        f"In this tube the numbers are those of the calibration {at.calibration}, not of "
        f"{candidate.draft.name.pin}. Move it in a tube of the strategy's own instrument, or in a "
        f"draft of the calibration."
    )


def _as_drawn(
    candidate: Candidate,
    at: LaidOutTube,
    gate: str,
    places: Sequence[tuple[float, float]],
    vertices: Vertices,
) -> Vertices:
    """Bring vertices (in channel units, shown at ``places``) back to where the strategy has them.

    They went through the landmarks of the tube's instrument, and followed a threshold. A vertex
    that was not moved keeps its numbers.
    """
    release = candidate.draft.release
    assert not isinstance(release, CalibrationRelease)
    drawn = polygons_of(release.strategy)[gate]
    if len(places) != len(drawn.vertices):
        return vertices
    now = at.compiled.vertices(polygons_of(at.compiled.strategy)[gate])
    maps = _maps(candidate, at, release.strategy)
    columns = []
    for k, axis in enumerate((drawn.x, drawn.y)):
        shown = to_display(at.compiled, axis, [each[k] for each in now])
        room = UNMOVED_SHARE * _length(at, axis)
        back = _way_back(at, release.strategy, drawn, axis, maps.get(axis, AxisMap()))
        columns.append(
            [
                kept[k] if abs(place[k] - before) <= room else float(tidy(back(vertex[k])))
                for kept, place, before, vertex in zip(
                    drawn.vertices, places, shown, vertices, strict=True
                )
            ]
        )
    return tuple(zip(*columns, strict=True))


def _way_back(
    at: LaidOutTube, strategy: Strategy, drawn: Polygon, axis: str, moved: AxisMap
) -> Callable[[float], float]:
    """Give what makes a number of the strategy's file of one in channel units of the tube."""
    factor = at.compiled.factor(axis)
    followed = strategy.thresholds.get(drawn.follows or "")
    if drawn.follows and followed is not None and followed.marker == axis:
        ratio = at.compiled.value_of(drawn.follows) / followed.value
        return lambda value: value / factor / ratio
    return lambda value: moved.back.at(value / factor)


def _maps(candidate: Candidate, at: LaidOutTube, strategy: Strategy) -> Mapping[str, AxisMap]:
    """Give the maps by which the strategy was brought to the tube's instrument."""
    if not at.calibration or at.calibration == strategy.calibration:
        return {}
    own = candidate.snapshot.study.own_calibrations
    return axis_maps(strategy, find_calibration(at.calibration, own).calibration)


def _length(at: LaidOutTube, axis: str) -> float:
    """Give how long an axis is drawn; 1 for one that is not drawn, on which nothing is dragged."""
    low, high = next((each.axis.limits for each in at.axes if each.name == axis), (0.0, 1.0))
    return high - low
