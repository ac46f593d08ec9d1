"""How much of each marker the kinds of cells carry: skewed families with dim tails."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tests.second_simulator import blood

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Level:
    """How much of a marker a kind carries, in units of the dye's own detector at a gain of one.

    ``gamma`` is skewed towards dim cells on a logarithmic axis (``spread`` is its shape), ``log_t``
    has long tails on both sides (``spread`` is its scale; 4 degrees of freedom). A share ``dim`` of
    cells lost between a tenth and all of it; only a share ``of`` carries it at all.
    """

    median: float
    family: Literal["gamma", "log_t"]
    spread: float
    dim: float = 0.0
    of: float = 1.0

    def draw(self, rng: np.random.Generator, cells: int) -> Floats:
        if self.family == "gamma":
            drawn = (
                self.median
                * rng.gamma(self.spread, size=cells)
                / (self.spread - 1 / 3 + 0.02 / self.spread)
            )
        else:
            drawn = self.median * np.exp(
                np.clip(self.spread * rng.standard_t(4, size=cells), -3, 2.2)
            )
        if self.dim:
            drawn *= np.where(rng.random(cells) < self.dim, rng.uniform(0.1, 1.0, cells), 1.0)
        if self.of < 1:
            drawn *= rng.random(cells) < self.of
        return drawn


def _gamma(median: float, shape: float = 12.0, *, dim: float = 0.0, of: float = 1.0) -> Level:
    return Level(median, "gamma", shape, dim, of)


def _log_t(median: float, scale: float = 0.4, *, dim: float = 0.0, of: float = 1.0) -> Level:
    return Level(median, "log_t", scale, dim, of)


_T4, _T8, _MONO = blood.CD4_T, blood.CD8_T, blood.MONOCYTES
_B_ALL = blood.B_NOT_SECRETING


def _each(kinds: tuple[str, ...], level: Level) -> dict[str, Level]:
    return dict.fromkeys(kinds, level)


LEVELS: Mapping[str, Mapping[str, Level]] = {
    "CD45": {
        **_each(blood.T_CELLS, _gamma(24_500, 26)),
        **_each(blood.NK, _gamma(22_500, 24)),
        **_each(_B_ALL, _gamma(19_500, 22)),
        **_each(_MONO, _gamma(13_500, 18)),
        "neutrophil": _gamma(6_600, 18),
        "eosinophil": _gamma(9_500, 18),
        "basophil": _gamma(5_200, 14),
        "dendritic": _gamma(9_500, 14),
        "blast": _gamma(4_200, 8),
        "red_cell": _log_t(60, 0.8),
        "debris": _log_t(260, 0.9),
    },
    "CD3": {
        **_each(blood.T_CELLS, _gamma(11_500, 16)),
        **_each(blood.GAMMA_DELTA, _gamma(18_500, 14)),
        "debris": _log_t(15, 1),
    },
    "CD4": {
        **_each(_T4, _gamma(9_500, 15)),
        **_each(_MONO, _log_t(1_000, 0.3)),
        "dendritic": _log_t(2_600, 0.3),
        "gd_t": _log_t(60, 0.6),
        "eosinophil": _log_t(150, 0.5),
    },
    "CD8": {
        **_each(_T8, _gamma(13_500, 10)),
        "nkt": _gamma(11_000, 6, dim=0.1),
        "gd_t_cd8_dim": _log_t(2_600, 0.45),
        "nk_dim": _log_t(1_700, 0.4, of=0.35),
        "dendritic": _log_t(120, 0.5),
    },
    "CD16+CD56": {
        "nk_dim": _gamma(9_500, 5),
        "nk_partial": _log_t(1_500, 0.45),
        "nk_bright": _gamma(17_000, 5),
        "nkt": _log_t(3_000, 0.5),
        "t8_memory": _log_t(900, 0.5, of=0.06),
        "gd_t": _log_t(800, 0.6, of=0.2),
        "neutrophil": _gamma(12_000, 5, dim=0.05),
        "mono_nonclassical": _log_t(4_500, 0.4),
        "mono_classical": _log_t(180, 0.6),
    },
    "CD19": {
        **_each(_B_ALL, _gamma(8_700, 13, dim=0.02)),
        "b_dn2": _gamma(13_500, 10),
        "dendritic": _log_t(25, 0.8),
    },
    "CD20": {
        **_each(_B_ALL, _gamma(17_500, 9, dim=0.01)),
        **_each(("t4_memory", "t8_memory"), _log_t(620, 0.4, of=0.02)),
    },
    "CD14+viability": {
        "mono_classical": _gamma(24_000, 8),
        "mono_nonclassical": _log_t(2_600, 0.5),
        "neutrophil": _log_t(260, 0.6),
    },
    "CD27": {
        **_each(("t4_naive", "t8_naive"), _gamma(6_000, 9)),
        **_each(("t4_memory",), _gamma(5_200, 4)),
        **_each(("t8_memory", "nkt"), _gamma(3_000, 1.6)),
        **_each(blood.CAR19 + blood.CARBCMA, _gamma(3_600, 1.8)),
        **_each(("t4_activated", "t8_activated"), _gamma(4_500, 2.5)),
        "nk_bright": _log_t(500, 0.5),
    },
    "CD38": {
        **_each(blood.T_CELLS, _log_t(620, 0.6)),
        **_each(blood.NK, _log_t(2_300, 0.4)),
        **_each(_MONO, _log_t(1_900, 0.4)),
        "basophil": _log_t(1_500, 0.4),
        "dendritic": _log_t(3_000, 0.4),
        "blast": _log_t(4_000, 0.6),
        "neutrophil": _log_t(180, 0.5),
    },
    "CD24": {"neutrophil": _gamma(9_500, 10), "eosinophil": _gamma(7_000, 8)},
    "CD21": {**_each(("t4_naive", "t4_memory"), _log_t(80, 0.6))},
    "CD138": {**_each(_B_ALL, _log_t(20, 0.7)), **_each(_MONO, _log_t(60, 0.7))},
    "IgM": {**_each(_MONO, _log_t(130, 0.6)), "basophil": _log_t(120, 0.6)},
    "IgD": {**_each(_MONO, _log_t(60, 0.7)), "basophil": _log_t(700, 0.6)},
    "CD45RA": {
        **_each(("t4_naive", "t8_naive"), _gamma(12_000, 12)),
        **_each(blood.NK, _gamma(8_500, 5)),
        **_each(_B_ALL, _gamma(14_500, 9)),
        "dendritic": _gamma(6_000, 6),
        **_each(_MONO, _log_t(350, 0.6)),
        **_each(blood.GAMMA_DELTA, _log_t(3_000, 0.9)),
    },
    "CCR7": {
        **_each(("t4_naive", "t8_naive"), _gamma(3_200, 5)),
        **_each(_B_ALL, _log_t(900, 0.5)),
        "nk_bright": _log_t(700, 0.5),
        "dendritic": _log_t(500, 0.6),
    },
    "PD1": {
        **_each(("t4_memory", "t8_memory"), _log_t(450, 0.8)),
        **_each(("t4_naive", "t8_naive"), _log_t(40, 0.6)),
    },
    "HLA-DR": {
        **_each(_B_ALL, _gamma(15_000, 7)),
        **_each(_MONO, _gamma(11_000, 4)),
        "dendritic": _gamma(26_000, 8),
        **_each(("t4_memory", "t8_memory"), _log_t(130, 0.8)),
        "blast": _gamma(9_000, 4),
    },
    "CAR19": {**_each(blood.CAR19, _gamma(3_300, 1.9))},
    "CARBCMA": {**_each(blood.CARBCMA, _gamma(2_500, 1.8))},
}

UNSPECIFIC: Mapping[str, float] = {
    "CD16+CD56": 45.0,
    "CAR19": 55.0,
    "CARBCMA": 60.0,
    "IgM": 50.0,
    "IgD": 30.0,
    "CD14+viability": 90.0,
    "HLA-DR": 60.0,
}
"""Mean unspecific binding of a stain to a cell of stickiness one; 25 for the others."""
