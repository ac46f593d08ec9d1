"""Estimate where an instrument's landmarks lie, from all tubes together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gating.strategy.display_scale import FULL_SCALE
from gating.strategy.landmark import Landmark
from gating.strategy.model import Strategy
from gating.thresholds.valley import deepest_valley, histogram
from panels.text.plural import counted
from tasks.calibrate.half_sample_mode import mode_on_log
from tasks.calibrate.observation import Observation

Floats = NDArray[np.float64]
CELLS = 100
"""So many cells a landmark needs in one tube, or in all tubes together."""
TUBES = 3
"""So many tubes with enough cells give a median of modes; fewer are pooled."""
MOST_SD = 0.15 * np.log(10)
"""Tubes whose modes differ by more (a robust SD of 0.15 decades) show no landmark."""
END = 0.999 * FULL_SCALE
MOST_AT_END = 0.1
"""Where more cells than this lie at the end of the detector's range, their mode is not seen."""
CLEAR = 1.5
"""So far above its threshold (as a ratio) the mode of a population lies that is really there."""
RESAMPLES = 200
SEED = 20261130
MAD_TO_SD = 1.4826


@dataclass(frozen=True, slots=True)
class LandmarkEstimate:
    """Where the cells of a landmark lie on one axis, in linear units (None: nobody can tell).

    ``low`` and ``high`` are the 95 % bootstrap interval over tubes and cells, ``between`` the
    robust SD between tubes on the natural logarithm (nan: fewer than three). ``fault`` says why
    there is no value.
    """

    value: float | None
    low: float
    high: float
    cells: int
    tubes: int
    between: float
    fault: str = ""


def landmark_estimates(
    strategy: Strategy, observations: Sequence[Observation], *, clear: float = CLEAR
) -> dict[tuple[str, str], LandmarkEstimate]:
    """Estimate every landmark on each of its axes, in tubes observed under ``strategy``.

    A mode below ``clear`` times the threshold that its cells are cut off at is none: where the
    population is absent, what lies beyond its threshold is the tail of other cells.
    """
    return {
        (name, axis): _with_own_mode(
            _estimate_of(landmark, [each.landmarks[name, axis] for each in observations]),
            landmark.gate,
            cut_off(strategy, landmark.gate, axis),
            clear,
        )
        for name, landmark in strategy.landmarks.items()
        for axis in landmark.axes
    }


def _estimate_of(landmark: Landmark, tubes: Sequence[Floats]) -> LandmarkEstimate:
    """Estimate a landmark from all its cells, or from the bright ones of each tube."""
    if not landmark.bright:
        return estimate(tubes, landmark.gate)
    return estimate([_bright(values) for values in tubes], f"bright {landmark.gate}")


def _bright(values: Floats) -> Floats:
    """Keep the cells beyond the deepest valley; none where the tube shows no valley."""
    valley = deepest_valley(histogram(values)) if len(values) else None
    return values[values > valley.value] if valley is not None else np.empty(0)


def cut_off(strategy: Strategy, gate: str, axis: str) -> float | None:
    """Give the highest threshold on an axis that a gate's cells lie above; None where none does."""
    by_name = {name: each for each in strategy.gates for name in each.names}
    parent_of = strategy.parent_of()
    bounds = []
    while gate in by_name:
        limits = (by_name[gate].rectangle or {}).get(axis)
        if limits is not None and limits.above is not None:
            bounds.append(strategy.value_of(limits.above))
        gate = parent_of[gate]
    return max(bounds, default=None)


def _with_own_mode(
    found: LandmarkEstimate, gate: str, bound: float | None, clear: float
) -> LandmarkEstimate:
    """Refuse a mode that lies at the threshold its cells are cut off at."""
    if found.value is None or bound is None or found.value >= clear * bound:
        return found
    fault = (
        f"the cells of {gate} above {bound:.0f} are densest at {found.value:.0f}: the tail of "
        f"other cells, no population of their own"
    )
    return replace(found, value=None, low=np.nan, high=np.nan, fault=fault)


def estimate(tubes: Sequence[Floats], named: str) -> LandmarkEstimate:
    """Estimate one landmark: the median of the tubes' modes, or the mode of all cells together.

    ``tubes`` are the linear values of its cells in each tube (cells,), ``named`` what the cells are
    called in a fault.
    """
    positive = [values[values > 0] for values in tubes]
    at_end = [float(np.mean(values >= END)) for values in positive if len(values)]
    if at_end and np.median(at_end) > MOST_AT_END:
        share = f"{100 * np.median(at_end):.0f} %"
        fault = f"{share} of the cells of {named} lie at the end of the detector's range"
        return LandmarkEstimate(None, np.nan, np.nan, 0, len(at_end), np.nan, fault)
    enough = [values for values in positive if len(values) >= CELLS]
    used = enough if len(enough) >= TUBES else [values for values in positive if len(values)]
    cells = sum(map(len, used))
    if cells < CELLS:
        seen = f"{counted(cells, 'cell')} of {named} in {counted(len(used), 'tube')}"
        fault = f"{seen}; {CELLS} are needed"
        return LandmarkEstimate(None, np.nan, np.nan, cells, len(used), np.nan, fault)
    between = np.nan
    if len(enough) >= TUBES:
        modes = np.log([mode_on_log(values) for values in enough])
        between = MAD_TO_SD * float(np.median(np.abs(modes - np.median(modes))))
        if between > MOST_SD:
            apart = f"{between / np.log(10):.2f} decades (SD)"
            fault = f"{len(enough)} tubes differ by {apart} in where {named} lie"
            return LandmarkEstimate(None, np.nan, np.nan, cells, len(used), between, fault)
    low, high = _interval(used, pooled=len(enough) < TUBES)
    value = _value(used, pooled=len(enough) < TUBES)
    return LandmarkEstimate(value, low, high, cells, len(used), between)


def _value(tubes: Sequence[Floats], *, pooled: bool) -> float:
    if pooled:
        return mode_on_log(np.concatenate(tubes))
    return float(np.exp(np.median(np.log([mode_on_log(values) for values in tubes]))))


def _interval(tubes: Sequence[Floats], *, pooled: bool) -> tuple[float, float]:
    """Give the 95 % interval over resamples of the tubes, of pooled ones with their cells."""
    rng = np.random.default_rng(SEED)
    modes = None if pooled else np.log([mode_on_log(values) for values in tubes])
    values = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, len(tubes), len(tubes))
        if modes is not None:
            values.append(float(np.exp(np.median(modes[chosen]))))
            continue
        cells = np.concatenate([tubes[place] for place in chosen])
        values.append(mode_on_log(rng.choice(cells, len(cells))))
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def found_places(
    estimates: Mapping[tuple[str, str], LandmarkEstimate],
) -> dict[str, dict[str, float]]:
    """Give the landmarks that were found, as a calibration holds them: name → axis → place."""
    places: dict[str, dict[str, float]] = {}
    for (name, axis), each in estimates.items():
        if each.value is not None:
            places.setdefault(name, {})[axis] = float(f"{each.value:.4g}")
    return places
