"""What is in the blood: kinds of cells, which contract populations they belong to, and how many
there are.

A kind is finer than a contract population. Where a border between two populations is a convention
(maturation is continuous), the cells in between are kinds of their own and are called disputed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Phase = Literal["baseline", "leukopenic", "aplasia", "recovering", "recovered"]

CAR19 = ("car19_t4", "car19_t8")
CARBCMA = ("carbcma_t4", "carbcma_t8")
CD4_T = ("t4_naive", "t4_memory", "t4_activated", "car19_t4", "carbcma_t4")
CD8_T = ("t8_naive", "t8_memory", "t8_activated", "nkt", "car19_t8", "carbcma_t8")
GAMMA_DELTA = ("gd_t", "gd_t_cd8_dim")
T_CELLS = (*CD4_T, *CD8_T, *GAMMA_DELTA)
NK = ("nk_dim", "nk_partial", "nk_bright")
TRANSITIONAL = ("b_t1", "b_t2")
MATURE_NAIVE = ("b_t3", "b_naive", "b_naive_igm_low")
MEMORY = ("b_cd27_dim", "b_unswitched", "b_igm_only", "b_switched")
DOUBLE_NEGATIVE = ("b_dn1", "b_dn2")
B_NOT_SECRETING = (*TRANSITIONAL, *MATURE_NAIVE, *MEMORY, *DOUBLE_NEGATIVE)
SECRETING = ("plasmablast", "secreting_between", "plasma_cell")
MONOCYTES = ("mono_classical", "mono_nonclassical")
OTHERS = ("neutrophil", "eosinophil", "basophil", "dendritic", "blast")
CELLS = (*T_CELLS, *NK, *B_NOT_SECRETING, *SECRETING, *MONOCYTES, *OTHERS)
LITTER = ("red_cell", "debris")


@dataclass(frozen=True, slots=True)
class Members:
    """The kinds of a contract population: ``sure`` ones, and those that ``disputed`` borders
    cut."""

    sure: tuple[str, ...]
    disputed: tuple[str, ...] = ()


POPULATIONS: Mapping[str, Members] = {
    "leukocytes": Members(tuple(kind for kind in CELLS if kind != "blast"), ("blast",)),
    "lymphocytes": Members((*T_CELLS, *NK, *B_NOT_SECRETING), SECRETING),
    "t_cells": Members(T_CELLS),
    "cd4_t": Members(CD4_T),
    "cd8_t": Members(CD8_T, ("gd_t_cd8_dim",)),
    "nk_cells": Members(("nk_dim", "nk_bright"), ("nk_partial",)),
    "monocytes": Members(("mono_classical",), ("mono_nonclassical",)),
    "b_cells": Members((*B_NOT_SECRETING, "plasmablast"), ("secreting_between", "plasma_cell")),
    "b_cells_cd20": Members(B_NOT_SECRETING),
    "naive_b": Members((*TRANSITIONAL, *MATURE_NAIVE), ("b_cd27_dim",)),
    "naive_igm_igd_b": Members(("b_naive",), ("b_t2", "b_t3", "b_naive_igm_low", "b_cd27_dim")),
    "transitional_b": Members(("b_t1",), ("b_t2", "b_t3")),
    "unswitched_memory_b": Members(("b_unswitched",), ("b_cd27_dim",)),
    "switched_memory_b": Members(("b_switched",), ("b_igm_only",)),
    "double_negative_b": Members(DOUBLE_NEGATIVE),
    "plasmablasts": Members(("plasmablast",), ("secreting_between",)),
    "plasma_cells": Members(("plasma_cell",), ("secreting_between",)),
    "car19_t": Members(CAR19),
    "carbcma_t": Members(CARBCMA),
    "car_any_t": Members((*CAR19, *CARBCMA)),
}


@dataclass(frozen=True, slots=True)
class Amount:
    """The truth of one population, and between which values it is a convention."""

    value: float
    low: float
    high: float


def amounts(by_kind: Mapping[str, float]) -> dict[str, Amount]:
    """Add kinds up to contract populations; half of the disputed cells count in ``value``."""
    summed = {}
    for population, members in POPULATIONS.items():
        sure = sum(by_kind.get(kind, 0.0) for kind in members.sure)
        disputed = sum(by_kind.get(kind, 0.0) for kind in members.disputed)
        summed[population] = Amount(sure + disputed / 2, sure, sure + disputed)
    return summed


_BASELINE = {
    "t4_naive": 150,
    "t4_memory": 240,
    "t4_activated": 24,
    "t8_naive": 95,
    "t8_memory": 210,
    "t8_activated": 28,
    "nkt": 22,
    "gd_t": 18,
    "gd_t_cd8_dim": 9,
    "nk_dim": 100,
    "nk_partial": 7,
    "nk_bright": 9,
    "b_t1": 5,
    "b_t2": 0.8,
    "b_t3": 1.2,
    "b_naive": 52,
    "b_naive_igm_low": 3,
    "b_cd27_dim": 1.5,
    "b_unswitched": 6,
    "b_igm_only": 1.2,
    "b_switched": 14,
    "b_dn1": 7,
    "b_dn2": 4,
    "plasmablast": 4,
    "secreting_between": 0.3,
    "plasma_cell": 0.8,
    "mono_classical": 310,
    "mono_nonclassical": 35,
    "neutrophil": 2900,
    "eosinophil": 75,
    "basophil": 26,
    "dendritic": 7,
    "blast": 1,
}
_CAR_PEAK = {"car19_t4": 14, "car19_t8": 26, "carbcma_t4": 11, "carbcma_t8": 15}
_CAR_LATE = {"car19_t4": 0.3, "car19_t8": 0.5, "carbcma_t4": 0.2, "carbcma_t8": 0.3}
_RETURNING = {
    "b_t1": 0.36,
    "b_t2": 0.06,
    "b_t3": 0.07,
    "b_naive": 0.43,
    "b_naive_igm_low": 0.01,
    "b_cd27_dim": 0.01,
    "b_unswitched": 0.015,
    "b_igm_only": 0.005,
    "b_switched": 0.01,
    "b_dn1": 0.02,
    "b_dn2": 0.01,
}
_T_CUT, _MYELOID_CUT = {"aplasia": 0.35, "recovering": 0.7}, {"aplasia": 0.4, "recovering": 0.8}


def draw_blood(rng: np.random.Generator, phase: Phase) -> dict[str, float]:
    """Draw the true cells per µL of every kind for a patient in a phase of the treatment."""
    if phase in ("baseline", "recovered"):
        typical: dict[str, float] = dict(_BASELINE)
    elif phase == "leukopenic":
        typical = {kind: amount * 0.05 for kind, amount in _BASELINE.items()}
        typical |= dict.fromkeys((*B_NOT_SECRETING, *SECRETING), 0.0) | {
            kind: amount * 0.2 for kind, amount in _CAR_PEAK.items()
        }
    else:
        typical = _treated(rng, phase)
    if phase == "recovered":
        typical |= {kind: 140 * share for kind, share in _RETURNING.items()} | _CAR_LATE
    lineages = {name: rng.gamma(9.0) / 9.0 for name in ("t", "n", "b", "m")}
    return {
        kind: amount * lineages[_lineage(kind)] * rng.gamma(16.0) / 16.0
        for kind, amount in typical.items()
    }


def _treated(rng: np.random.Generator, phase: Phase) -> dict[str, float]:
    cut = {"t": _T_CUT[phase], "n": 0.5, "b": 0.0, "m": _MYELOID_CUT[phase]}
    typical = {kind: amount * cut[_lineage(kind)] for kind, amount in _BASELINE.items()}
    if phase == "aplasia":
        return typical | _CAR_PEAK | {"t8_activated": 40.0, "t4_activated": 25.0}
    returned = 4.0 * 12.0 ** rng.uniform()
    return (
        typical
        | {kind: returned * share for kind, share in _RETURNING.items()}
        | _CAR_LATE
        | {"plasmablast": 0.2}
    )


def _lineage(kind: str) -> str:
    if kind in T_CELLS:
        return "t"
    if kind in NK:
        return "n"
    return "b" if kind in (*B_NOT_SECRETING, *SECRETING) else "m"
