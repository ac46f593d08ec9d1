"""Courses along which cells change continuously: maturing B, secreting, memory and activated T."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tests.second_simulator import blood

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What a course decides: ``levels`` of markers, ``factors`` on others, and the cells'
    ``bulk``."""

    levels: Mapping[str, Floats] = field(default_factory=dict)
    factors: Mapping[str, Floats] = field(default_factory=dict)
    bulk: Floats | float = 1.0


_STAGES = {
    "b_t1": (0.0, 0.35),
    "b_t2": (0.35, 0.5),
    "b_t3": (0.5, 0.65),
    "b_naive": (0.65, 1.0),
    "b_naive_igm_low": (0.65, 1.0),
}
_MEMORY = {
    # CD27, IgD, IgM, CD21: medians; a cell keeps between naive and memory what its kind says
    "b_cd27_dim": (480.0, 4_500.0, 4_000.0, 5_200.0),
    "b_unswitched": (3_600.0, 2_900.0, 6_500.0, 5_600.0),
    "b_igm_only": (3_900.0, 45.0, 5_500.0, 5_000.0),
    "b_switched": (4_200.0, 30.0, 30.0, 5_000.0),
    "b_dn1": (60.0, 40.0, 60.0, 4_600.0),
    "b_dn2": (70.0, 55.0, 90.0, 260.0),
}
_SECRETING = {"plasmablast": (0.0, 0.4), "secreting_between": (0.4, 0.6), "plasma_cell": (0.6, 1.0)}
_ACTIVATED = ("t4_activated", "t8_activated", *blood.CAR19, *blood.CARBCMA)


def along(rng: np.random.Generator, kind: str, cells: int) -> Course:
    """Place cells of a kind along its course."""
    if kind in _STAGES:
        return _maturing(rng, kind, cells)
    if kind in _MEMORY:
        return _memory_b(rng, kind, cells)
    if kind in _SECRETING:
        return _secreting(rng, kind, cells)
    if kind in _ACTIVATED:
        return _activated(rng, cells)
    return _memory_t(rng, kind, cells) if kind in ("t4_memory", "t8_memory", "nkt") else Course()


def _skewed(rng: np.random.Generator, medians: Floats | float, shape: float, cells: int) -> Floats:
    drawn: Floats = medians * rng.gamma(shape, size=cells) / (shape - 1 / 3)
    return drawn


def _between(
    first: float, last: float, place: Floats, *, middle: float = 0.5, steep: float = 9.0
) -> Floats:
    """Go from the first to the last level on a logarithmic path, fastest at ``middle``."""
    risen = 1 / (1 + np.exp(-steep * (place - middle)))
    level: Floats = np.exp(np.log(first) * (1 - risen) + np.log(last) * risen)
    return level


def _maturing(rng: np.random.Generator, kind: str, cells: int) -> Course:
    """Mature from transitional (0) to naive (1): CD24, CD38 and IgM fall, IgD and CD21 rise."""
    low, high = _STAGES[kind]
    place = low + (high - low) * rng.beta(1.6, 1.3, size=cells)
    igm = _between(9_000, 2_600, place, middle=0.55, steep=6) * (
        0.12 if kind == "b_naive_igm_low" else 1.0
    )
    return Course(
        {
            "CD24": _skewed(rng, _between(13_000, 2_900, place), 16, cells),
            "CD38": _skewed(rng, _between(8_500, 950, place), 9, cells),
            "IgM": _skewed(rng, igm, 6, cells),
            "IgD": _skewed(rng, _between(3_600, 7_800, place, middle=0.3), 7, cells),
            "CD21": _skewed(rng, _between(1_800, 5_600, place, middle=0.35), 9, cells),
            "CD27": _skewed(rng, 75.0, 2.5, cells),
        },
        {"CD20": _between(1.25, 1.0, place)},
    )


def _memory_b(rng: np.random.Generator, kind: str, cells: int) -> Course:
    cd27, igd, igm, cd21 = _MEMORY[kind]
    return Course(
        {
            "CD27": _skewed(rng, cd27, 2.5 if cd27 < 100 else 5, cells),
            "IgD": _skewed(rng, igd, 1.5 if igd < 100 else 5, cells),
            "IgM": _skewed(rng, igm, 1.5 if igm < 100 else 5, cells),
            "CD21": _skewed(rng, cd21, 6, cells),
            "CD24": _skewed(rng, 700.0 if kind == "b_dn2" else 4_600.0, 5, cells),
            "CD38": _skewed(rng, 130.0 if kind == "b_dn2" else 330.0, 2, cells),
        },
    )


def _secreting(rng: np.random.Generator, kind: str, cells: int) -> Course:
    """Go from plasmablast (0) to plasma cell (1): CD138 comes; CD19, CD45 and HLA-DR go."""
    low, high = _SECRETING[kind]
    place = rng.uniform(low, high, cells)
    return Course(
        {
            "CD138": _skewed(rng, _between(50, 8_500, place, steep=14), 5, cells),
            "CD19": _skewed(rng, _between(3_600, 1_500, place), 5, cells),
            "CD20": _skewed(rng, _between(190, 60, place), 1.5, cells),
            "CD27": _skewed(rng, 19_000.0, 8, cells),
            "CD38": _skewed(rng, _between(38_000, 55_000, place), 10, cells),
            "CD45": _skewed(rng, _between(11_000, 5_500, place), 8, cells),
            "HLA-DR": _skewed(rng, _between(9_000, 2_500, place), 4, cells),
            "IgM": _skewed(rng, 140.0, 1.2, cells),
            "IgD": _skewed(rng, 40.0, 1.5, cells),
            "CD24": _skewed(rng, 50.0, 1.5, cells),
            "CD21": _skewed(rng, 160.0, 2, cells),
        },
    )


def _activated(rng: np.random.Generator, cells: int) -> Course:
    """Activate T cells to different degrees: larger, less CD3, more CD38, HLA-DR and PD-1."""
    degree = rng.beta(2.0, 2.2, size=cells)
    return Course(
        {
            "CD38": _skewed(rng, _between(900, 14_000, degree), 4, cells),
            "HLA-DR": _skewed(rng, _between(400, 9_000, degree), 3, cells),
            "PD1": _skewed(rng, _between(500, 5_000, degree), 3, cells),
            "CD45RA": _skewed(rng, _between(1_800, 300, degree), 1.5, cells),
            "CCR7": _skewed(rng, _between(700, 60, degree), 1.5, cells),
        },
        {"CD3": 1 - 0.5 * degree},
        1 + 0.35 * degree,
    )


def _memory_t(rng: np.random.Generator, kind: str, cells: int) -> Course:
    """Place memory T cells between central memory (0), effector memory and CD45RA+ effectors
    (1)."""
    place = rng.beta(1.1, 1.7 if kind == "t4_memory" else 0.9, size=cells)
    return Course(
        {
            "CCR7": _skewed(rng, _between(2_200, 50, place, middle=0.35), 3, cells),
            "CD45RA": _skewed(rng, _between(350, 7_500, place, middle=0.8, steep=12), 2, cells),
        },
    )
