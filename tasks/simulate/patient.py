"""Follow a simulated lupus patient: lymphodepletion, CAR-T expansion, B cells gone and back.

Everything is a function of the time since infusion in days. Shapes and distributions are design
assumptions (science notes, 4.5); the CAR course has the form Stein et al. 2019 fitted to
tisagenlecleucel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import exp, log
from typing import Literal

import numpy as np
from numpy.random import Generator

Composition = dict[str, float]

MEMORY = ("naive", "cm", "em", "temra")
_GRANULOCYTES = {
    -7: 3350,
    -5: 3200,
    0: 1400,
    4: 380,
    6: 300,
    9: 270,
    14: 850,
    21: 1880,
    28: 2700,
    84: 3400,
    364: 3400,
}
_LYMPHOCYTES = {
    -7: 800,
    -5: 700,
    0: 60,
    4: 70,
    7: 90,
    10: 150,
    14: 300,
    21: 420,
    28: 500,
    84: 700,
    364: 1100,
}
_CD4_SHARE = {-7: 0.58, 0: 0.55, 7: 0.45, 14: 0.32, 84: 0.32, 168: 0.37, 364: 0.45}
_BLOOD_PLASMA_RETURN = {56: 0.001, 84: 0.02, 112: 0.05, 168: 0.10, 252: 0.35, 364: 0.8, 728: 1.5}
_ZERO_B_PER_UL = 0.01
_FIRST_RETURN_DAY = 35.0
_CAR_AT_REST_DAY = 28.0


@dataclass(frozen=True, slots=True)
class CarCourse:
    """Expansion and two-phase decline of one CAR-T product, cells/µL (Stein et al. 2019)."""

    cmax: float = 60.0
    tmax: float = 9.8
    fold: float = 3000.0
    alpha: float = 0.22
    persistent: float = 0.004
    beta: float = 0.012

    def at(self, day: float) -> float:
        """Give the concentration at a day since the infusion of this product; none before it."""
        if day < 0:
            return 0.0
        if day < self.tmax:
            return self.cmax / self.fold * exp(log(self.fold) / self.tmax * day)
        late = day - self.tmax
        return self.cmax * (
            (1 - self.persistent) * exp(-self.alpha * late)
            + self.persistent * exp(-self.beta * late)
        )


@dataclass(frozen=True, slots=True)
class BCourse:
    """B cells before, under and after depletion, cells/µL.

    ``crossing`` is the day 10/µL are reached (None: never). ``activated_naive`` is the share (0 to
    1) of the returning cells that no gate of the panels describes: CD21low activated naive B cells.
    """

    baseline: float = 80.0
    lag: float = 3.0
    decay: float = 1.4
    crossing: float | None = 95.0
    rate: float = 0.08
    steady: float = 150.0
    activated_naive: float = 0.0

    def at(self, day: float) -> float:
        """Give the concentration at a day: exponential fall, a true zero, logistic recovery."""
        falling = self.baseline * exp(-self.decay * max(day - self.lag, 0.0))
        return _or_zero(_or_zero(falling, _ZERO_B_PER_UL) + self.returning(day), _ZERO_B_PER_UL)

    def returning(self, day: float) -> float:
        """Give the part of the B cells that came back from the marrow."""
        if self.crossing is None or day <= min(_FIRST_RETURN_DAY, self.crossing - 20):
            return 0.0
        middle = self.crossing + log(self.steady / 10 - 1) / self.rate
        return self.steady / (1 + exp(-self.rate * (day - middle)))


@dataclass(frozen=True, slots=True)
class Patient:
    """One simulated patient: courses, and factors by which the blood differs from the typical.

    ``resting_car_share`` is the share (0 to 1) of the CAR-T cells that come to rest four weeks
    after infusion, in both lineages or in ``resting_car_lineage`` alone: a second phenotype, which
    no gate of the panels describes.
    """

    name: str
    car19: CarCourse = CarCourse()
    carbcma: CarCourse = CarCourse(cmax=40.0, tmax=11.0, alpha=0.20, persistent=0.003, beta=0.015)
    carbcma_delay: float = 0.0
    b_cells: BCourse = BCourse()
    granulocytes: float = 1.0
    lymphocytes: float = 1.0
    plasma_cells: float = 2.0
    car_cd8_share: float = 0.6
    resting_car_share: float = 0.0
    resting_car_lineage: Literal["", "cd4", "cd8"] = ""
    marrow_plasma_share: float = 0.003


def draw_patient(name: str, rng: Generator, carbcma_delay: float = 0.0) -> Patient:
    """Draw a patient of the cohort at random.

    CAR peaks are correlated; 7 % never recover B cells, 5 % rebound early.
    """
    shared = rng.standard_normal(2) @ np.linalg.cholesky([[1, 0.5], [0.5, 1]]).T
    return Patient(
        name=name,
        car19=CarCourse(
            cmax=60 * 2.5 ** shared[0],
            tmax=_log_normal(rng, 9.8, 1.20),
            fold=_log_normal(rng, 3000, 2.0),
            alpha=_log_normal(rng, 0.22, 1.4),
            persistent=_log_normal(rng, 0.004, 2.2),
            beta=_log_normal(rng, 0.012, 1.8),
        ),
        carbcma=CarCourse(
            cmax=40 * 2.6 ** shared[1],
            tmax=_log_normal(rng, 11, 1.25),
            fold=_log_normal(rng, 3000, 2.0),
            alpha=_log_normal(rng, 0.20, 1.4),
            persistent=_log_normal(rng, 0.003, 2.2),
            beta=_log_normal(rng, 0.015, 1.8),
        ),
        carbcma_delay=carbcma_delay,
        b_cells=_draw_b_course(rng),
        granulocytes=_log_normal(rng, 1.0, 1.2),
        lymphocytes=_log_normal(rng, 1.0, 1.3),
        plasma_cells=float(np.clip(_log_normal(rng, 2.0, 1.6), 1, 5)),
        car_cd8_share=float(rng.uniform(0.45, 0.75)),
        marrow_plasma_share=_log_normal(rng, 0.003, 1.3),
    )


def blood(patient: Patient, day: float) -> Composition:
    """Give the cells/µL of every kind of cell in the patient's blood at a day since infusion."""
    cars = _cars(patient, day)
    bystanders = 2 * sum(cars.values())
    lymphocytes = patient.lymphocytes * _log_linear(_LYMPHOCYTES, day)
    t_cells = 0.80 * lymphocytes + bystanders
    granulocytes = patient.granulocytes * _log_linear(_GRANULOCYTES, day)
    return (
        {
            "granulocyte": granulocytes,
            "monocyte": 0.10 * granulocytes,
            "nk": 0.15 * lymphocytes,
            "t_neither_em": 0.03 * t_cells,
        }
        | _resting_t(0.97 * t_cells, day)
        | _car_t(cars, patient, day)
        | b_lineage(patient.b_cells, day)
        | blood_plasma_cells(patient, day)
    )


def marrow(patient: Patient, day: float) -> Composition:
    """Give the share of every kind of cell in a marrow aspirate at a day since infusion.

    Shares are of the nucleated cells. CD19-negative plasma cells are present before infusion and
    gone at four weeks; they return after about seven months.
    """
    b_share = 0.03 * patient.b_cells.at(day) / patient.b_cells.baseline
    plasma = patient.marrow_plasma_share * _marrow_plasma_left(day)
    car_share = {name: min(0.03, value / 2000) for name, value in _cars(patient, day).items()}
    mature = b_lineage(patient.b_cells, day)
    scale = b_share / max(sum(mature.values()), 1e-9)
    cells = (
        {"monocyte": 0.05, "nk": 0.012, "erythroblast": 0.12, "t_neither_em": 0.003}
        | {"plasma_cell_cd19neg": plasma, "plasma_cell_cd19pos": plasma}
        | _resting_t(0.09, day)
        | _car_t(car_share, patient, day)
        | {kind: value * scale for kind, value in mature.items()}
    )
    return cells | {"granulocyte": 1 - sum(cells.values())}


def _cars(patient: Patient, day: float) -> Composition:
    """Give each product's concentration in blood, cells/µL, counted from its infusion."""
    return {
        "car19": patient.car19.at(day),
        "carbcma": patient.carbcma.at(day - patient.carbcma_delay),
    }


def _marrow_plasma_left(day: float) -> float:
    """Give the marrow's plasma cells as a share of those before infusion."""
    if day < 3:
        return 1.0
    if day < 212:
        return 0.0
    return min(1.0, (day - 212) / 365)


def b_lineage(course: BCourse, day: float) -> Composition:
    """Split the B cells into subsets.

    Before depletion they are the mix of lupus, after recovery mostly transitional, then naive
    cells.
    """
    returning = course.returning(day)
    old = max(course.at(day) - returning, 0.0)
    before = {
        "naive_mature_b": 0.52,
        "transitional_b": 0.10,
        "unswitched_memory_b": 0.05,
        "switched_memory_b": 0.14,
    }
    before |= {"dn1_b": 0.07, "dn2_b": 0.05, "plasmablast": 0.07}
    since = 0.0
    if course.crossing is not None:
        since = max(0.0, day - course.crossing)
    transitional = 0.65 * exp(-since / 45) + 0.05
    memory = 0.015 + 0.10 * (1 - exp(-since / 300))
    after = {
        "transitional_b": transitional,
        "unswitched_memory_b": 0.4 * memory,
        "switched_memory_b": 0.6 * memory,
    }
    after |= {"dn1_b": 0.025, "dn2_b": 0.005, "plasmablast": 0.01}
    after["naive_mature_b"] = 1 - sum(after.values())
    unnamed = course.activated_naive
    lineage = {
        kind: before[kind] * old + after[kind] * (1 - unnamed) * returning for kind in before
    }
    return lineage | ({"activated_naive_b": unnamed * returning} if unnamed else {})


def blood_plasma_cells(patient: Patient, day: float) -> Composition:
    """Give circulating CD138-positive plasma cells (cells/µL).

    They are below 0.02 from two weeks on, and back slowly after months.
    """
    leaving = patient.plasma_cells * exp(-0.5 * max(day - 3, 0.0))
    back = 0.0
    if day >= min(_BLOOD_PLASMA_RETURN):
        back = _log_linear(_BLOOD_PLASMA_RETURN, day)
    total = (leaving if leaving > 1e-3 else 0.0) + back
    return {"plasma_cell_cd19pos": 0.8 * total, "plasma_cell_cd19neg": 0.2 * total}


def with_residual(composition: Mapping[str, float], rng: Generator) -> Composition:
    """Scatter each CAR product around its course (log-normal, 25 %), as repeated samples do."""
    factors = {
        "car19": _log_normal(rng, 1.0, exp(0.25)),
        "carbcma": _log_normal(rng, 1.0, exp(0.25)),
    }
    return {
        kind: value * factors.get(kind.rpartition("_")[2], 1.0)
        for kind, value in composition.items()
    }


def _draw_b_course(rng: Generator) -> BCourse:
    crossing = _draw_crossing(rng)
    return BCourse(
        baseline=float(np.clip(_log_normal(rng, 80, 2.0), 20, 400)),
        lag=rng.uniform(2, 4),
        decay=rng.uniform(1.0, 1.6),
        crossing=crossing,
        rate=rng.uniform(0.05, 0.10),
        steady=_log_normal(rng, 150, 1.5),
    )


def _draw_crossing(rng: Generator) -> float | None:
    """Draw the day on which 10 B cells/µL are reached: never, early, or as most patients do."""
    fate = rng.random()
    if fate < 0.07:
        return None
    if fate < 0.12:
        return 42.0
    return max(_log_normal(rng, 95, 1.45), 50.0)


def _or_zero(value: float, least: float) -> float:
    """Give a concentration, or zero below the least that is a cell."""
    return value if value >= least else 0.0


def _resting_t(total: float, day: float) -> Composition:
    """Split CAR-negative CD4 and CD8 T cells into memory subsets.

    Lymphodepletion costs the naive ones most.
    """
    rebuilt = 1.0 if day < 0 else 0.6 * (1 - exp(-day / 200))
    usual = {"cd4": (0.45, 0.30, 0.22, 0.03), "cd8": (0.35, 0.12, 0.30, 0.23)}
    depleted = {"cd4": (0.15, 0.35, 0.45, 0.05), "cd8": (0.08, 0.12, 0.55, 0.25)}
    cd4 = _linear(_CD4_SHARE, day)
    share = {"cd4": cd4, "cd8": 1 - cd4}
    return {
        f"t_{line}_{stage}": total
        * share[line]
        * (rebuilt * usual[line][i] + (1 - rebuilt) * depleted[line][i])
        for line, (i, stage) in product(share, enumerate(MEMORY))
    }


def _car_t(cars: Mapping[str, float], patient: Patient, day: float) -> Composition:
    """Split CAR-T cells by lineage and memory, mostly effector memory; a share comes to rest.

    Truly double-positive cells do not exist.
    """
    usual = dict(zip(MEMORY, (0.03, 0.25, 0.60, 0.12), strict=True))
    lines = {"cd4": 1 - patient.car_cd8_share, "cd8": patient.car_cd8_share}
    at_rest = _cars_at_rest(patient, day, lines)
    return {
        f"t_{line}_{stage}_{car}": value * lines[line] * share
        for (car, value), line in product(cars.items(), lines)
        for stage, share in _with_resting(usual, at_rest[line]).items()
    }


def _cars_at_rest(patient: Patient, day: float, lines: Mapping[str, float]) -> dict[str, float]:
    """Give for each lineage the share of its CAR-T cells that are at rest.

    ``lines`` are the lineages' shares of all CAR-T cells.
    """
    share = patient.resting_car_share if day >= _CAR_AT_REST_DAY else 0.0
    only = patient.resting_car_lineage
    if not only:
        return dict.fromkeys(lines, share)
    return dict.fromkeys(lines, 0.0) | {only: min(1.0, share / lines[only])}


def _with_resting(usual: Mapping[str, float], resting: float) -> dict[str, float]:
    """Take resting cells out of all memory stages alike."""
    if not resting:
        return dict(usual)
    return {stage: share * (1 - resting) for stage, share in usual.items()} | {"resting": resting}


def _log_normal(rng: Generator, median: float, geometric_sd: float) -> float:
    return float(median * geometric_sd ** rng.standard_normal())


def _log_linear(points: Mapping[int, float], day: float) -> float:
    return float(np.exp(np.interp(day, list(points), np.log(list(points.values())))))


def _linear(points: Mapping[int, float], day: float) -> float:
    return float(np.interp(day, list(points), list(points.values())))
