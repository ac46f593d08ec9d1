"""One tube: what was pipetted, lost and acquired, and what the cytometer wrote of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.second_simulator import blood
from tests.second_simulator.beads import draw_beads, lot_positions
from tests.second_simulator.instrument import (
    Gains,
    Instrument,
    build_instrument,
    detect,
    digitised,
    draw_gains,
    stored_spill,
)
from tests.second_simulator.particles import (
    CODES,
    LABELS,
    Codes,
    Stream,
    bead_stream,
    cell_stream,
    joined,
    paired,
    with_cells,
)
from tests.second_simulator.scenario import BeadKnobs, Kind, Scenario

Floats = NDArray[np.float64]

PANELS: Mapping[Kind, Mapping[str, str]] = {
    "tbnk": {
        "CD3": "FITC-A",
        "CD16+CD56": "PE-A",
        "CD45": "PerCP-Cy5.5-A",
        "CD4": "PE-Cy7-A",
        "CD19": "APC-A",
        "CD8": "APC-H7-A",
    },
    "bcell": {
        "IgD": "BB515-A",
        "CD138": "PE-A",
        "CD20": "PerCP-Cy5.5-A",
        "CD19": "PE-Cy7-A",
        "IgM": "APC-A",
        "CD38": "APC-R700-A",
        "CD14+viability": "APC-H7-A",
        "CD27": "BV421-A",
        "CD45": "V500-C-A",
        "CD24": "BV605-A",
        "CD21": "BV711-A",
        "CD3": "BV786-A",
    },
    "cart": {
        "CD45RA": "BB515-A",
        "CAR19": "PE-A",
        "CD3": "PerCP-Cy5.5-A",
        "CARBCMA": "APC-A",
        "CD8": "APC-R700-A",
        "CD14+viability": "APC-H7-A",
        "CCR7": "BV421-A",
        "CD45": "V500-C-A",
        "CD4": "BV605-A",
        "PD1": "BV711-A",
        "HLA-DR": "BV786-A",
    },
}
TIME_STEP = 0.01
LYSE_VOLUME_UL = 470.0
"""Lysing solution and antibody that a tube without washing holds beside the blood."""
FORWARD_THRESHOLD = 10_000.0
EVENTS_PER_SECOND = 1_500.0
MOST_ACQUIRED = 0.92


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """A tube as acquired: ``values`` is n × (FSC-A, FSC-H, FSC-W, SSC-A, detectors, Time)."""

    kind: Kind
    values: Floats
    codes: Codes
    spill: Floats
    gains: Gains
    instrument: Instrument
    effective_volume_ul: float
    acquired_volume_ul: float | None
    bead_positions: Floats | None

    @property
    def counts(self) -> dict[str, int]:
        """Count the recorded events by label."""
        found = np.bincount(self.codes, minlength=len(LABELS))
        return {label: int(found[code]) for label, code in CODES.items() if found[code]}


@dataclass(frozen=True, slots=True)
class _Share:
    """What of the blood and of the beads reached the laser."""

    blood_ul: float
    beads: float
    acquired: float


def simulate_tube(
    rng: np.random.Generator, kind: Kind, concentrations: Mapping[str, float], scenario: Scenario
) -> Tube:
    """Simulate one tube of blood with these cells per µL by kind."""
    markers = tuple(PANELS[kind])
    instrument = build_instrument(
        np.random.default_rng([scenario.instrument_seed, len(markers)]),
        tuple(PANELS[kind].values()),
    )
    gains = draw_gains(rng, len(markers), scenario.colour_gains, scenario.scatter_gains)
    share = _shared(rng, kind, sum(concentrations.values()), scenario)
    numbers = _numbers(rng, kind, concentrations, share, scenario)
    dead = 0.0 if kind == "tbnk" else scenario.dead
    cells = paired(
        rng,
        cell_stream(rng, numbers, markers, instrument, dead, scenario.stickiness),
        scenario.cell_doublets,
    )
    stream, positions = cells, None
    if share.beads > 0:
        stream, positions = _with_beads(rng, cells, instrument, gains, share, scenario)
    values, codes = _acquired(rng, kind, stream, instrument, gains, scenario)
    at_setup = (
        gains if scenario.spill_follows_gains else Gains(np.ones_like(gains.colour), 1.0, 1.0)
    )
    return Tube(
        kind=kind,
        values=values,
        codes=codes,
        spill=stored_spill(rng, instrument, at_setup, scenario.spill_error),
        gains=gains,
        instrument=instrument,
        effective_volume_ul=share.blood_ul,
        acquired_volume_ul=_volume(rng, kind, share, scenario),
        bead_positions=positions,
    )


def _shared(
    rng: np.random.Generator, kind: Kind, cells_per_ul: float, scenario: Scenario
) -> _Share:
    """Pipette, wash and acquire: until enough events were seen, or most of the tube."""
    if kind != "tbnk":
        recovered = (
            scenario.washed_volume_ul
            * rng.normal(1, scenario.pipetting_error)
            * rng.uniform(0.45, 0.9)
        )
        stopped = scenario.events * rng.uniform(0.85, 1.1)
        acquired = min(MOST_ACQUIRED, stopped / max(recovered * cells_per_ul, 1.0))
        return _Share(recovered * acquired, 0.0, acquired)
    volume = scenario.blood_volume_ul * rng.normal(1, scenario.pipetting_error)
    knobs = scenario.beads
    holds = (
        0.0
        if scenario.volumetric or knobs.variant == "none"
        else knobs.per_tube * rng.normal(1, knobs.lot_error)
    )
    stopped = scenario.events * rng.uniform(0.85, 1.1)
    acquired = min(MOST_ACQUIRED, stopped / (volume * cells_per_ul + holds + 1.0))
    if knobs.variant == "few" and holds:
        acquired = min(acquired, knobs.few / holds)
    return _Share(volume * acquired, holds * acquired, acquired)


def _volume(
    rng: np.random.Generator, kind: Kind, share: _Share, scenario: Scenario
) -> float | None:
    if kind != "tbnk" or not scenario.volumetric:
        return None
    return float(share.acquired * (scenario.blood_volume_ul + LYSE_VOLUME_UL) * rng.normal(1, 0.01))


def _numbers(
    rng: np.random.Generator,
    kind: Kind,
    concentrations: Mapping[str, float],
    share: _Share,
    scenario: Scenario,
) -> dict[str, int]:
    """Draw how many particles of every kind pass; a wash does not keep all kinds equally."""
    uneven = 0.0 if kind == "tbnk" else scenario.wash_selectivity
    numbers = {
        name: int(rng.poisson(amount * share.blood_ul * np.exp(rng.normal(0, uneven))))
        for name, amount in concentrations.items()
    }
    cells = sum(numbers.values())
    below_threshold = 6.0 if kind == "tbnk" else 1.0
    numbers["debris"] = int(rng.poisson(scenario.debris * cells * below_threshold))
    numbers["red_cell"] = int(rng.poisson(scenario.red_cells * cells * below_threshold))
    return numbers


def _with_beads(
    rng: np.random.Generator,
    cells: Stream,
    instrument: Instrument,
    gains: Gains,
    share: _Share,
    scenario: Scenario,
) -> tuple[Stream, Floats]:
    """Add the tube's beads to its cells; gives also where they lie uncompensated."""
    knobs: BeadKnobs = scenario.beads
    cell_detector = list(PANELS["tbnk"]).index("CD45")
    lot = np.random.default_rng([scenario.instrument_seed, 101])
    threshold = scenario.threshold / gains.colour[cell_detector]
    positions = lot_positions(lot, knobs, len(instrument.detectors), cell_detector, threshold)
    reaching = share.beads * (1 - knobs.lost if knobs.variant == "lost" else 1.0)
    events = draw_beads(rng, knobs, positions, int(rng.poisson(reaching)))
    beads = bead_stream(rng, events, instrument)
    joint = (
        with_cells(rng, cells, beads, knobs.with_cell)
        if knobs.with_cell
        else joined([cells, beads])
    )
    return joint, positions * gains.colour


def _acquired(
    rng: np.random.Generator,
    kind: Kind,
    stream: Stream,
    instrument: Instrument,
    gains: Gains,
    scenario: Scenario,
) -> tuple[Floats, Codes]:
    """Acquire a stream in random order, above the threshold only."""
    number = len(stream.codes)
    stream = stream.taken(rng.permutation(number))
    place = np.arange(number) / max(number, 1)
    flow = EVENTS_PER_SECOND * (
        1 + 0.08 * np.sin(np.linspace(0, rng.uniform(2, 9), number) + rng.uniform(0, 6))
    )
    seconds = np.cumsum(rng.exponential(size=number) / flow) + rng.uniform(0.1, 0.6)
    ageing = 1 + scenario.drift * (place - 0.5)
    colours = detect(rng, stream.light, instrument, gains.colour * ageing[:, None])
    sides = np.array([gains.forward, gains.forward, gains.side])
    scatter = stream.scatter * sides * ageing[:, None] + rng.normal(0, 250.0, (number, 3))
    scatter = digitised(scatter, 1.0)
    cut = colours[:, list(PANELS["tbnk"]).index("CD45")] if kind == "tbnk" else scatter[:, 0]
    seen = cut >= (scenario.threshold if kind == "tbnk" else FORWARD_THRESHOLD)
    if scenario.beads.variant == "settling":
        seen &= (stream.codes < CODES["bead"]) | (rng.random(number) > scenario.beads.lost * place)
    width = np.clip(65_536 * scatter[:, 0] / np.maximum(scatter[:, 1], 1.0), 0, 262_143)
    time = np.floor(seconds / TIME_STEP)
    values = np.column_stack([scatter[:, :2], width, scatter[:, 2], colours, time])
    return values[seen], stream.codes[seen]


def channels_of(kind: Kind) -> list[tuple[str, str]]:
    """List the detectors of a tube with their markers, in the order of ``Tube.values``."""
    scatter = [(name, "") for name in ("FSC-A", "FSC-H", "FSC-W", "SSC-A")]
    return [
        *scatter,
        *((detector, marker) for marker, detector in PANELS[kind].items()),
        ("Time", ""),
    ]


def singles(counts: Mapping[str, int]) -> dict[str, float]:
    """Keep of an account of events the living single cells."""
    return {kind: float(counts.get(kind, 0)) for kind in blood.CELLS}
