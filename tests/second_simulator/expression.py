"""Draw single cells: what they bind of each stain, scatter, autofluorescence and stickiness."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.second_simulator import blood
from tests.second_simulator.levels import LEVELS, UNSPECIFIC
from tests.second_simulator.maturation import along

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Body:
    """A kind of cell without markers: scatter at a gain of one, glow at 530 nm, stickiness."""

    forward: float
    side: float
    glow: float = 150.0
    sticky: float = 1.0
    forward_cv: float = 0.11
    side_cv: float = 0.20


_LYMPHOCYTE = Body(66_000, 20_000)
_BLASTIC = Body(84_000, 28_000, 210, 1.4, 0.15, 0.25)
_B = Body(64_000, 19_000, 135, 1.2)
BODIES: Mapping[str, Body] = {
    **dict.fromkeys(blood.T_CELLS, _LYMPHOCYTE),
    **dict.fromkeys((*blood.CAR19, *blood.CARBCMA), _BLASTIC),
    **dict.fromkeys(blood.NK, Body(72_000, 24_000, 165, 1.3)),
    **dict.fromkeys(blood.B_NOT_SECRETING, _B),
    **dict.fromkeys(blood.SECRETING, Body(90_000, 39_000, 300, 1.5, 0.16, 0.28)),
    **dict.fromkeys(blood.MONOCYTES, Body(106_000, 52_000, 330, 4.0, 0.10, 0.18)),
    "neutrophil": Body(116_000, 122_000, 420, 1.6, 0.09, 0.20),
    "eosinophil": Body(104_000, 170_000, 1_500, 1.5, 0.09, 0.15),
    "basophil": Body(72_000, 33_000, 200, 1.5),
    "dendritic": Body(82_000, 34_000, 220, 2.0),
    "blast": Body(92_000, 36_000, 220, 1.5, 0.15),
    "red_cell": Body(29_000, 8_000, 60, 0.5, 0.25, 0.35),
    "debris": Body(17_000, 7_000, 70, 0.8, 0.55, 0.7),
}


@dataclass(frozen=True, slots=True, eq=False)
class Particles:
    """Cells before any optics: dyes (n × markers), glow at 530 nm (n), scatter (n × 2: FSC,
    SSC)."""

    dyes: Floats
    glow: Floats
    scatter: Floats


def draw_cells(
    rng: np.random.Generator,
    kind: str,
    cells: int,
    markers: tuple[str, ...],
    *,
    dead: bool = False,
    stickiness: float = 1.0,
) -> Particles:
    """Draw cells of a kind with what they bind of each marker's stain."""
    body = BODIES[kind]
    size = rng.gamma(45.0, size=cells) / 45.0
    course = along(rng, kind, cells)
    dyes = np.empty((cells, len(markers)))
    for number, marker in enumerate(markers):
        dyes[:, number] = (
            _carried(rng, kind, marker, cells)
            if marker not in course.levels
            else course.levels[marker]
        )
        dyes[:, number] *= course.factors.get(marker, 1.0)
    dyes *= np.sqrt(size)[:, None] * (0.6 if dead else 1.0)
    stick = stickiness * body.sticky * (9.0 if dead else 1.0) * rng.gamma(2.5, size=cells) / 2.5
    means = np.array([UNSPECIFIC.get(marker, 25.0) for marker in markers])
    dyes += rng.gamma(0.9, size=dyes.shape) / 0.9 * means * stick[:, None]
    if dead and "CD14+viability" in markers:
        dyes[:, markers.index("CD14+viability")] += 9_000 + 45_000 * rng.gamma(2.0, size=cells)
    glow = body.glow * size * rng.gamma(7.0, size=cells) / 7.0 * (2.2 if dead else 1.0)
    return Particles(dyes, glow, _scattered(rng, body, size * course.bulk, dead=dead))


def _carried(rng: np.random.Generator, kind: str, marker: str, cells: int) -> Floats:
    level = LEVELS[marker].get(kind)
    return np.zeros(cells) if level is None else level.draw(rng, cells)


def _scattered(rng: np.random.Generator, body: Body, size: Floats, *, dead: bool) -> Floats:
    """Draw forward and side scatter: gamma-shaped, forward scatter going with the cell's size."""
    shapes = np.array([body.forward_cv, body.side_cv]) ** -2.0
    scatter = rng.gamma(shapes, size=(len(size), 2)) / shapes * (body.forward, body.side)
    scatter[:, 0] *= size**0.5
    scatter[:, 1] *= np.maximum(size, 0.1) ** 0.7
    return scatter * ((0.62, 1.3) if dead else (1.0, 1.0))
