"""Put other numbers into the content of a draft, and say what moves with them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gating.calibration.model import END_OF_SCALE, Calibration, CalibrationRelease
from panels.text.errors import UsageFault
from panels.text.printable import shown
from panels.text.spelling import nearest

if TYPE_CHECKING:
    from gating.strategy.gates import Polygon
    from gating.strategy.model import Strategy
    from tasks.drafts.draft_file import Draft
    from tasks.store.corrections import Vertices
    from tasks.study.folder import Study

At = tuple[int | str, ...]
Number = int | float
FARTHEST_VERTEX = 10 * END_OF_SCALE
"""Outlines may reach beyond the scale, so that they hold what piles up at its end."""
DIGITS = 4
"""So many digits has a number that was set by hand, as those that were measured."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Values of thresholds by name and vertices of polygons by gate, on the scale to 262144."""

    values: Mapping[str, float] = field(default_factory=dict)
    vertices: Mapping[str, Vertices] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.values or self.vertices)


@dataclass(frozen=True, slots=True)
class Moved:
    """One boundary of a draft that was moved, in words; ``beyond`` says which limits it crossed."""

    name: str
    words: str
    beyond: str = ""


def changed(study: Study, draft: Draft, changes: Changes) -> Draft:
    """Give a draft with other numbers; raises a UsageFault where they are none of a draft."""
    content = copy.deepcopy(draft.document.content)
    for at, number in replaced_numbers(draft, changes).items():
        inside = content
        for part in at[:-1]:
            inside = inside[part]
        inside[at[-1]] = number
    return draft.with_content(study, content)


def replaced_numbers(draft: Draft, changes: Changes) -> dict[At, Number]:
    """Give the numbers that changes put into the file of a draft, by place.

    Raises UsageFault for what the draft does not have, or whose number is not in its file.
    """
    release = draft.release
    replaced: dict[At, Number] = {}
    for name, value in changes.values.items():
        why = fixed_threshold(draft, name)
        if why:
            raise UsageFault(why)
        _refuse_off_scale(name, value)
        if isinstance(release, CalibrationRelease):
            replaced |= _of_calibration(release.calibration, name, value)
        else:
            replaced["thresholds", name, "value"] = tidy(value)
    for name, vertices in changes.vertices.items():
        why = fixed_polygon(draft, name)
        if why:
            raise UsageFault(why)
        replaced |= _of_polygon(draft, name, vertices)
    return replaced


def fixed_threshold(draft: Draft, name: str) -> str:
    """Say why a threshold has no number in a draft that could be moved; empty: it has one."""
    release = draft.release
    if isinstance(release, CalibrationRelease):
        calibration = release.calibration
        if name in calibration.unmeasured:
            return f"'{name}' was not measured on this instrument: {calibration.unmeasured[name]}."
        known: Mapping[str, object] = calibration.thresholds
    else:
        known = release.strategy.thresholds
        if name in known and release.strategy.calibration:
            return (
                f"The numbers of {release.strategy.name} are those of the calibration "
                f"{release.strategy.calibration}: '{name}' is moved in a draft of a calibration."
            )
    if name in known:
        return ""
    return f"The draft has no number of a threshold '{shown(name)}'{nearest(name, known) or '.'}"


def fixed_polygon(draft: Draft, gate: str) -> str:
    """Say why a gate has no vertices in a draft that could be moved; empty: it has some."""
    if isinstance(draft.release, CalibrationRelease):
        return "A calibration holds no outlines: they follow its landmarks."
    polygons = polygons_of(draft.release.strategy)
    if gate in polygons:
        return ""
    return f"The draft has no polygon '{shown(gate)}'{nearest(gate, polygons) or '.'}"


def polygons_of(strategy: Strategy) -> dict[str, Polygon]:
    """Give the polygons of a strategy by gate."""
    return {each.gate: each.polygon for each in strategy.gates if each.polygon}


def moved(before: Draft, after: Draft) -> list[Moved]:
    """Say of every boundary of a draft that was moved where it lies now."""
    if isinstance(before.release, CalibrationRelease):
        assert isinstance(after.release, CalibrationRelease)
        return list(_moved_thresholds(before.release.calibration, after.release.calibration))
    assert not isinstance(after.release, CalibrationRelease)
    return list(_moved_in_strategy(before.release.strategy, after.release.strategy))


def tidy(value: float) -> Number:
    """Write a number as drafts do: with four digits, without a point where it is whole."""
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() else short


def _of_calibration(calibration: Calibration, name: str, value: float) -> dict[At, Number]:
    """Give the numbers of a threshold when its value is another one: all keep their proportion."""
    numbers = calibration.thresholds[name]
    new = tidy(value)
    ratio = new / numbers.value
    replaced: dict[At, Number] = {("thresholds", name, "value"): new}
    for place, limit in enumerate(numbers.limits or ()):
        replaced["thresholds", name, "limits", place] = tidy(min(limit * ratio, END_OF_SCALE))
    for place, each in enumerate(numbers.clears):
        replaced["thresholds", name, "clears", place] = tidy(each * ratio)
    return replaced


def _of_polygon(draft: Draft, gate: str, vertices: Vertices) -> dict[At, Number]:
    assert not isinstance(draft.release, CalibrationRelease)
    gates = draft.release.strategy.gates
    place = next(number for number, each in enumerate(gates) if each.gate == gate)
    polygon = polygons_of(draft.release.strategy)[gate]
    if len(vertices) != len(polygon.vertices):
        raise UsageFault(
            f"The outline of {gate} has {len(polygon.vertices)} vertices, not {len(vertices)}: "
            f"vertices are moved here; add or remove them in the file."
        )
    replaced: dict[At, Number] = {}
    for number, (old, new) in enumerate(zip(polygon.vertices, vertices, strict=True)):
        for axis in (0, 1):
            if not abs(new[axis]) <= FARTHEST_VERTEX:
                raise UsageFault(f"A vertex of {gate} lies far off the scale, at {new[axis]:,.6g}.")
            if new[axis] != old[axis]:
                at = ("gates", place, "polygon", "vertices", number, axis)
                replaced[at] = tidy(new[axis])
    return replaced


def _refuse_off_scale(name: str, value: float) -> None:
    if not 0 < value <= END_OF_SCALE:
        raise UsageFault(
            f"{name} at {value:,.6g} lies off the scale: a threshold lies above 0, and at "
            f"{END_OF_SCALE:,.0f} at most."
        )


def _moved_thresholds(before: Calibration, after: Calibration) -> Iterator[Moved]:
    for name, new in after.thresholds.items():
        old = before.thresholds[name]
        if old == new:
            continue
        words, beyond = f"{name}: {old.value:,.6g} → {new.value:,.6g}", ""
        if old.limits and new.limits:
            low, high = old.limits
            words += f" (limits {_range(old.limits)} → {_range(new.limits)})"
            if not low <= new.value <= high:
                beyond = (
                    f"Beyond the limits within which a tube may move it ({_range(old.limits)}): "
                    f"they move with it."
                )
        yield Moved(name, f"{words}.", beyond)


def _moved_in_strategy(before: Strategy, after: Strategy) -> Iterator[Moved]:
    for name, new in after.thresholds.items():
        old = before.thresholds[name]
        if old.value != new.value:
            yield Moved(name, f"{name} on {new.marker}: {old.value:,.6g} → {new.value:,.6g}.")
    polygons = polygons_of(before)
    for gate, polygon in polygons_of(after).items():
        pairs = zip(polygons[gate].vertices, polygon.vertices, strict=True)
        count = sum(old != new for old, new in pairs)
        if count:
            vertices = "1 vertex" if count == 1 else f"{count} vertices"
            yield Moved(gate, f"The outline of {gate}: {vertices} moved.")


def _range(limits: tuple[float, float]) -> str:
    return f"{limits[0]:,.6g} to {limits[1]:,.6g}"
