"""Draw which cells pass the laser, when, with which partner, with how much dye and scatter."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from panels.panel import Panel
from panels.simulation.conditions import Conditions
from panels.simulation.expression import CellTable, FloatArray

BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.int64]

SCATTER = ("FSC-A", "FSC-H", "FSC-W", "SSC-A", "SSC-H")
VIABILITY = "CD14+viability"
NOT_CELLS = ("debris", "erythrocyte", "bead")
_COMMON_SIZE = 0.12
_DEAD_VIABILITY = (9000.0, 0.5)
_DEAD_STICKINESS = (300.0, 0.8)
_CAR_REAGENTS = frozenset({"CAR19", "CARBCMA"})
_STOLEN_CD19 = (300.0, 900.0)
_CARRY_OVER_SECONDS = 3.0
_RAMP_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Crowd:
    """Every particle that passes the laser, in order of arrival.

    All arrays have one entry a particle. ``seconds`` is its time of arrival. ``dimming`` is the
    factor on blue-laser and forward-scatter signals (1 but after a clog).
    """

    kind: NDArray[np.int16]
    dead: BoolArray
    carried_over: BoolArray
    seconds: NDArray[np.float64]
    anomaly: BoolArray
    dimming: FloatArray


def draw_crowd(
    table: CellTable, composition: Mapping[str, float], conditions: Conditions, rng: Generator
) -> Crowd:
    """Draw the particles of each kind (Poisson), which of them are dead, and when each arrives."""
    cells = sum(composition.values())
    debris = cells * conditions.debris_fraction / (1 - conditions.debris_fraction)
    expected = dict(composition) | {
        "debris": debris * 2 / 3,
        "erythrocyte": debris / 3,
        "bead": conditions.beads,
    }
    of_tube = _draw_kinds(table, expected, rng)
    carried = _draw_kinds(table, conditions.carry_over, rng)
    arrivals = _arrivals(of_tube.size, conditions, rng)
    seconds = np.concatenate([arrivals, rng.exponential(_CARRY_OVER_SECONDS, carried.size)])
    order = np.argsort(seconds, kind="stable")
    kind = np.concatenate([of_tube, carried])[order]
    seconds, anomaly, dimming = _clog(seconds[order], conditions.clogs, rng)
    is_cell = ~np.isin(kind, [table.index(name) for name in NOT_CELLS])
    return Crowd(
        kind=kind,
        dead=is_cell & (rng.random(kind.size) < conditions.dead_fraction),
        carried_over=(np.arange(kind.size) >= of_tube.size)[order],
        seconds=seconds,
        anomaly=anomaly,
        dimming=dimming,
    )


def draw_pairs(count: int, fraction: float, rng: Generator) -> tuple[IndexArray, IndexArray]:
    """Choose which particles pass the laser together.

    Gives the indices of the first and of the second of each pair; the second is seen as part of the
    first.
    """
    pairs = int(rng.binomial(count // 2, min(1.0, 2 * fraction)))
    chosen = rng.choice(count, 2 * pairs, replace=False)
    return chosen[:pairs], chosen[pairs:]


def carried_dye(
    table: CellTable, crowd: Crowd, panel: Panel, conditions: Conditions, rng: Generator
) -> FloatArray:
    """Draw the amount of every dye on every particle (n × markers).

    It is log-normal, with a size factor common to all dyes of one cell.
    """
    markers = [stain.marker for stain in panel.markers]
    log_median, spread = table.stain(markers)
    amount = rng.standard_normal((crowd.kind.size, len(markers)), dtype=np.float32)
    amount *= spread[crowd.kind]
    amount += log_median[crowd.kind]
    amount += np.float32(_COMMON_SIZE) * rng.standard_normal((crowd.kind.size, 1), dtype=np.float32)
    np.exp(amount, out=amount)
    _add_minorities(amount, table, crowd, markers, rng)
    if "CD19" in markers:
        _alter_cd19(amount[:, markers.index("CD19")], table, crowd, conditions, rng)
    if conditions.car_density != 1:
        car = np.flatnonzero(table.members("car_any_t")[crowd.kind])
        for reagent in _CAR_REAGENTS.intersection(markers):
            amount[car, markers.index(reagent)] *= np.float32(conditions.car_density)
    _stain_dead(amount, crowd, markers, rng)
    amount *= np.array([conditions.abundance.get(marker, 1.0) for marker in markers], np.float32)
    return amount


def scatter(
    table: CellTable,
    crowd: Crowd,
    pairs: tuple[IndexArray, IndexArray],
    conditions: Conditions,
    rng: Generator,
) -> FloatArray:
    """Draw the scatter channels (n × 5, in the order of SCATTER).

    The ratio of area to height tells doublets from single cells.
    """
    median, spread, _ = table.scatter()
    areas = median[crowd.kind] * np.exp(
        spread[crowd.kind] * rng.standard_normal((crowd.kind.size, 2), dtype=np.float32)
    )
    areas[crowd.dead] *= np.array([0.65, 1.25], np.float32)
    heights = areas / np.exp(
        np.log(1.08) + 0.045 * rng.standard_normal(areas.shape, dtype=np.float32)
    )
    first, second = pairs
    areas[first] = 0.95 * (areas[first] + areas[second])
    heights[first] = _joint_height(heights[first], heights[second], rng)
    gain = np.array(
        [conditions.gain.get("FSC-A", 1.0), conditions.gain.get("SSC-A", 1.0)], np.float32
    )
    areas *= gain
    heights *= gain
    areas[:, 0] *= crowd.dimming
    heights[:, 0] *= crowd.dimming
    width = 65536 * areas[:, 0] / np.maximum(heights[:, 0], 1)
    return np.column_stack([areas[:, 0], heights[:, 0], width, areas[:, 1], heights[:, 1]]).astype(
        np.float32
    )


def _joint_height(one: FloatArray, other: FloatArray, rng: Generator) -> FloatArray:
    """Draw the height of a doublet: the larger cell's, plus 15-35 % of the smaller one's.

    The two pulses overlap by so much.
    """
    overlap = rng.uniform(0.15, 0.35, (len(one), 1)).astype(np.float32)
    return np.maximum(one, other) + overlap * np.minimum(one, other)


def _draw_kinds(
    table: CellTable, expected: Mapping[str, float], rng: Generator
) -> NDArray[np.int16]:
    """Draw the particles of every kind from their expected numbers.

    They come in the order of the cell table, so that the order of the mapping does not matter.
    """
    rates = np.zeros(len(table.kinds))
    for name, number in expected.items():
        rates[table.index(name)] += number
    return np.repeat(np.arange(len(table.kinds), dtype=np.int16), rng.poisson(rates))


def _arrivals(count: int, conditions: Conditions, rng: Generator) -> NDArray[np.float64]:
    """Draw arrival times (s): a steady stream after a ramp of the first moments."""
    half_ramp = min(_RAMP_SECONDS, count / conditions.events_per_second) / 2
    passed = rng.random(count) * count / conditions.events_per_second
    return np.where(passed < half_ramp, np.sqrt(4 * half_ramp * passed), passed + half_ramp)


def _clog(
    seconds: NDArray[np.float64], clogs: int, rng: Generator
) -> tuple[NDArray[np.float64], BoolArray, FloatArray]:
    """Insert gaps, each followed by a while of dim signals."""
    anomaly, dimming = np.zeros(seconds.size, bool), np.ones(seconds.size, np.float32)
    late = seconds.copy()
    if not seconds.size:
        return late, anomaly, dimming
    for _ in range(clogs):
        start = rng.uniform(0.15, 0.8) * seconds[-1]
        gap, length, factor = rng.uniform(0.5, 5.0), rng.uniform(20.0, 60.0), rng.uniform(0.7, 0.9)
        dim = (seconds > start) & (seconds < start + length)
        dimming[dim] *= np.float32(factor)
        anomaly |= dim
        late[seconds > start] += gap
    return late, anomaly, dimming


def _add_minorities(
    amount: FloatArray, table: CellTable, crowd: Crowd, markers: list[str], rng: Generator
) -> None:
    """Give a share of the cells of a kind a marker that the others of that kind lack.

    Such are CD20dim T cells, and CD19 on a few NK cells.
    """
    for row, look in enumerate(table.looks):
        for marker, (share, median, spread) in look.some.items():
            if marker in markers:
                of_kind = np.flatnonzero(crowd.kind == row)
                chosen = of_kind[rng.random(of_kind.size) < share]
                stained = rng.lognormal(np.log(median), spread, chosen.size)
                amount[chosen, markers.index(marker)] = stained


def _alter_cd19(
    cd19: FloatArray, table: CellTable, crowd: Crowd, conditions: Conditions, rng: Generator
) -> None:
    """Hide CD19 on B cells under CAR pressure, and put CD19 of their targets on CAR-T cells."""
    if conditions.cd19_masked_fraction:
        b_line = np.flatnonzero(
            (table.members("b_cells") | table.members("b_cells_cd20"))[crowd.kind]
        )
        cd19[b_line[rng.random(b_line.size) < conditions.cd19_masked_fraction]] = 0
    if conditions.trogocytosis_fraction:
        thieves = np.flatnonzero(table.members("car19_t")[crowd.kind])
        thieves = thieves[rng.random(thieves.size) < conditions.trogocytosis_fraction]
        cd19[thieves] = rng.uniform(*_STOLEN_CD19, thieves.size)


def _stain_dead(amount: FloatArray, crowd: Crowd, markers: list[str], rng: Generator) -> None:
    """Let dead cells take up the viability dye and bind every antibody a little."""
    dead = np.flatnonzero(crowd.dead)
    for column, marker in enumerate(markers):
        taken_up = _DEAD_VIABILITY if marker == VIABILITY else _DEAD_STICKINESS
        median, spread = taken_up
        amount[dead, column] += rng.lognormal(np.log(median), spread, dead.size)
