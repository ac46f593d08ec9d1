"""Choose the axes a gate is drawn on, and describe each with its scale, ticks and limits."""

from __future__ import annotations

import numpy as np

from gating.display.gate_view import Axis
from gating.evaluation.compiled_strategy import Compiled
from gating.strategy.display_scale import FULL_SCALE, logicle_places
from gating.strategy.gates import SCATTER, Gate, Scale
from panels.acquisition_time import TIME

LINEAR_ROOM = 1.02
Ticks = tuple[tuple[float, str], ...]


def axes_of(compiled: Compiled, gate: Gate) -> tuple[str, str]:
    """Choose the two axes to draw a gate on.

    They are those the strategy names, else the gate's, with side scatter beside a single one. A
    combination is drawn on the axes of the first gate it combines.
    """
    if gate.cluster is not None:
        return _bead_axes(compiled)
    defined = gate.axes
    if not defined and gate.combined and gate.plot.x is None:
        defined = axes_of(compiled, _first_combined(compiled, gate))
    readable = compiled.detector_of
    known = [axis for axis in ("SSC-A", "FSC-A", *sorted(readable)) if axis in readable]
    wanted = [axis for axis in (gate.plot.x, *defined) if axis in known]
    x = next(iter([*wanted, *known]))
    others = [axis for axis in (gate.plot.y, *wanted, *known) if axis in known and axis != x]
    return x, next(iter(others), x)


def is_raw(compiled: Compiled, gate: Gate) -> bool:
    """Tell whether a gate is drawn on uncompensated signals.

    Bead clusters are, and so is what is combined of one on the same axes.
    """
    if gate.combined and gate.plot.x is None:
        return is_raw(compiled, _first_combined(compiled, gate))
    return gate.cluster is not None


def describe_axis(compiled: Compiled, axis: str, values: np.ndarray, *, raw: bool = False) -> Axis:
    """Describe an axis with the limits and ticks that suit the displayed ``values`` (n,)."""
    detector, maximum = compiled.detector_of[axis], compiled.maximum_of[axis]
    label = _label(axis, raw=raw)
    scale = compiled.strategy.scale_of(axis)
    if scale.kind == "linear":
        end = _last_second(values) if axis == TIME else maximum
        return Axis(label, detector, "linear", _linear_ticks(end), (0.0, end * LINEAR_ROOM))
    limits = (_logicle_start(values), 1.06 if raw else 1.02)
    shown = tuple(tick for tick in _logicle_ticks(scale, maximum) if tick[0] >= limits[0])
    return Axis(label, detector, "logicle", shown, limits)


def scale_ticks(scale: Scale) -> Ticks:
    """Give the ticks of a marker's display scale at full scale (262,144); none of a linear one."""
    return () if scale.kind == "linear" else _logicle_ticks(scale, FULL_SCALE)


def _logicle_ticks(scale: Scale, maximum: float) -> Ticks:
    decades = _decades(maximum)
    places = logicle_places(scale, maximum, np.array(decades))
    return tuple((float(p), _power(value)) for p, value in zip(places, decades, strict=True))


def _first_combined(compiled: Compiled, gate: Gate) -> Gate:
    return next(g for g in compiled.strategy.gates if gate.combined[0] in g.names)


def _bead_axes(compiled: Compiled) -> tuple[str, str]:
    """Choose two detectors in which the beads of this tube are seen as a cluster.

    Detectors in which they lie at the end of the range are left out; where two are not left, side
    scatter takes the place of the second.
    """
    beads, cluster = compiled.beads, compiled.strategy.bead_cluster
    within = sorted(
        (place, marker) for marker, place in beads.centre.items() if marker not in beads.at_end
    )
    if len(within) > 1:
        return within[-2][1], within[-1][1]
    if within:
        return within[0][1], "SSC-A"
    if cluster is not None:
        return cluster.markers[0], "SSC-A"
    return "FSC-A", "SSC-A"


def _label(axis: str, *, raw: bool) -> str:
    if axis in SCATTER:
        return ""
    return f"{axis}, uncompensated" if raw else axis


def _last_second(values: np.ndarray) -> float:
    """Give the end of a time axis: in seconds, which are unrelated to the channel's range."""
    if len(values) and values.max() > 0:
        return float(values.max())
    return 1.0


def _logicle_start(values: np.ndarray) -> float:
    """Give where a logicle axis begins: below nearly all values, between -0.6 and -0.05."""
    lowest = 0.0
    if len(values):
        lowest = float(np.quantile(values, 0.002))
    return min(-0.05, max(lowest, -0.6))


def _linear_ticks(end: float) -> Ticks:
    step = _round_step(end / 4)
    return tuple((float(place), _short(place)) for place in np.arange(0, end, step))


def _decades(maximum: float) -> list[float]:
    """List the values with a tick on a logicle axis: one negative decade, 0 and the decades."""
    first = _first_decade(maximum)
    return [-(10.0**first), 0.0, *(10.0**p for p in range(first, int(np.log10(maximum)) + 1))]


def _first_decade(maximum: float) -> int:
    """Give the lowest decade with room for a label: 10³ on an axis that ends at 262144."""
    return max(0, round(3 + float(np.log10(maximum / FULL_SCALE))))


def _round_step(most: float) -> float:
    """Give the largest of 1, 2, 5, 10, 20, 50 … that is not above ``most``."""
    magnitude = 10.0 ** np.floor(np.log10(most))
    return float(magnitude * max(k for k in (1, 2, 5) if k * magnitude <= most))


def _short(value: float) -> str:
    if value < 1000:
        return f"{value:g}"
    if value < 1e6:
        return f"{value / 1000:.0f}K"
    return f"{value / 1e6:.1f}M"


def _power(value: float) -> str:
    """Write a power of ten with a superscript exponent."""
    if value == 0:
        return "0"
    superscript = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    sign = "-" if value < 0 else ""
    return f"{sign}10{str(round(np.log10(abs(value)))).translate(superscript)}"
