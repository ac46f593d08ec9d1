"""What passes the laser: single cells, pairs, dead ones, litter, beads, and beads with a cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.second_simulator import blood
from tests.second_simulator.beads import BeadEvents
from tests.second_simulator.expression import Particles, draw_cells
from tests.second_simulator.instrument import Instrument

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]

LABELS = (
    *blood.CELLS,
    *blood.LITTER,
    "dead",
    "pair",
    "bead",
    "bead_pair",
    "bead_fragment",
    "bead_with_cell",
)
CODES: Mapping[str, int] = {label: code for code, label in enumerate(LABELS)}
_BEAD_LABELS = ("bead_fragment", "bead", "bead_pair")


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Particles at the detectors: light (n × k), scatter (n × FSC-A, FSC-H, SSC-A), what they
    are."""

    light: Floats
    scatter: Floats
    codes: Codes

    def taken(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Stream":
        return Stream(self.light[rows], self.scatter[rows], self.codes[rows])


def joined(streams: Sequence[Stream]) -> Stream:
    """Put streams after each other."""
    parts = ([each.light for each in streams], [each.scatter for each in streams])
    return Stream(
        np.vstack(parts[0]), np.vstack(parts[1]), np.concatenate([each.codes for each in streams])
    )


def cell_stream(
    rng: np.random.Generator,
    numbers: Mapping[str, int],
    markers: tuple[str, ...],
    instrument: Instrument,
    dead: float,
    stickiness: float = 1.0,
) -> Stream:
    """Draw the cells and the litter of a tube, a share of the cells ``dead``."""
    streams = [_light(rng, Particles(*_none(len(markers))), instrument, CODES["debris"])]
    for kind, number in numbers.items():
        gone = int(rng.binomial(number, dead)) if kind not in blood.LITTER else 0
        living = draw_cells(rng, kind, number - gone, markers, stickiness=stickiness)
        streams.append(_light(rng, living, instrument, CODES[kind]))
        if gone:
            dying = draw_cells(rng, kind, gone, markers, dead=True, stickiness=stickiness)
            streams.append(_light(rng, dying, instrument, CODES["dead"]))
    return joined(streams)


def _none(markers: int) -> tuple[Floats, Floats, Floats]:
    return np.empty((0, markers)), np.empty(0), np.empty((0, 2))


def _light(
    rng: np.random.Generator, particles: Particles, instrument: Instrument, code: int
) -> Stream:
    light = particles.dyes @ instrument.leak + np.outer(particles.glow, instrument.glow)
    codes = np.full(len(light), code, dtype=np.uint8)
    return Stream(light, _with_height(rng, particles.scatter, instrument.height_ratio), codes)


def bead_stream(rng: np.random.Generator, beads: BeadEvents, instrument: Instrument) -> Stream:
    """Give beads their pulse heights and labels."""
    codes = np.array([CODES[label] for label in _BEAD_LABELS], dtype=np.uint8)[beads.beads]
    scatter = _with_height(rng, beads.scatter, instrument.height_ratio)
    pairs = beads.beads == 2
    scatter[pairs, 1] *= rng.uniform(0.5, 0.85, int(pairs.sum()))
    return Stream(beads.light, scatter, codes)


def _with_height(rng: np.random.Generator, scatter: Floats, ratio: float) -> Floats:
    height = scatter[:, 0] * ratio * rng.gamma(900.0, 1 / 900.0, len(scatter))
    return np.column_stack([scatter[:, 0], height, scatter[:, 1]])


def paired(rng: np.random.Generator, cells: Stream, share: float) -> Stream:
    """Let a share of the cells pass two by two; some lie side by side and look like one tall
    cell."""
    order = rng.permutation(len(cells.codes))
    pairs = int(rng.binomial(len(order) // 2, share))
    first, second = cells.taken(order[:pairs]), cells.taken(order[pairs : 2 * pairs])
    both = _together(rng, first, second, CODES["pair"])
    return joined([cells.taken(order[2 * pairs :]), both])


def with_cells(rng: np.random.Generator, cells: Stream, beads: Stream, share: float) -> Stream:
    """Join cells and beads in one stream, a share of the single beads together with a cell."""
    single = np.flatnonzero(beads.codes == CODES["bead"])
    number = min(int(rng.binomial(len(single), share)), len(cells.codes))
    partners = rng.permutation(len(cells.codes))
    chosen = rng.permutation(single)[:number]
    both = _together(
        rng, cells.taken(partners[:number]), beads.taken(chosen), CODES["bead_with_cell"]
    )
    left = np.setdiff1d(np.arange(len(beads.codes)), chosen)
    return joined([cells.taken(partners[number:]), beads.taken(left), both])


def _together(rng: np.random.Generator, first: Stream, second: Stream, code: int) -> Stream:
    scatter = first.scatter + second.scatter
    heights = np.column_stack([first.scatter[:, 1], second.scatter[:, 1]])
    beside = rng.beta(0.5, 2.4, len(heights))
    scatter[:, 1] = heights.max(axis=1) + beside * heights.min(axis=1)
    return Stream(first.light + second.light, scatter, np.full(len(scatter), code, dtype=np.uint8))
