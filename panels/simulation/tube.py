"""Simulate the events of one tube from the cells that are in it, with the truth beside them.

The order is that of the instrument: cells carry dye and scatter, two may pass the laser together,
dye leaks into other detectors, few photons make noise, the electronics add theirs and clip.
Everything random comes from the generator passed in; nothing is read or written but the shipped
tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from panels.panel import Panel
from panels.simulation.conditions import Conditions
from panels.simulation.crowd import (
    SCATTER,
    BoolArray,
    Crowd,
    IndexArray,
    carried_dye,
    draw_crowd,
    draw_pairs,
    scatter,
)
from panels.simulation.expression import FloatArray, cell_table, check_panel
from panels.simulation.optics import FULL_SCALE, add_glow, detect, merge, stored_spill, true_spill


@dataclass(frozen=True, slots=True)
class EventTruth:
    """What each recorded event really is.

    Every array has one entry an event, in the order of the events. ``kind`` and ``partner`` are
    rows of ``kinds``; ``partner`` is -1 unless the event is a doublet. ``dead`` of a doublet means
    that either cell is dead.
    """

    kinds: tuple[str, ...]
    kind: NDArray[np.int16]
    partner: NDArray[np.int16]
    dead: BoolArray
    carried_over: BoolArray
    time_anomaly: BoolArray

    @property
    def intact(self) -> BoolArray:
        """Tell which events are single, live and of this tube."""
        return (self.partner < 0) & ~self.dead & ~self.carried_over


@dataclass(frozen=True, slots=True)
class SimulatedTube:
    """Raw events as a cytometer exports them, the stored spill, and the truth apart.

    ``events`` is n × channels, uncompensated; ``time_step`` is in seconds.
    """

    events: FloatArray
    detectors: tuple[str, ...]
    labels: tuple[str, ...]
    spill_detectors: tuple[str, ...]
    stored_spill: NDArray[np.float64]
    true_spill: NDArray[np.float64]
    time_step: float
    truth: EventTruth


@dataclass(frozen=True, slots=True)
class TrueCount:
    """How often a population truly is in a tube.

    ``intact`` counts events that are one live cell; ``cells`` counts every cell of this tube in a
    recorded event: dead ones too, and both partners of a doublet. Carried-over cells are in
    neither.
    """

    intact: int
    cells: int


def simulate_tube(
    panel: Panel, composition: Mapping[str, float], conditions: Conditions, rng: Generator
) -> SimulatedTube:
    """Simulate one tube of a panel from the expected number of cells of each kind.

    ``composition`` maps kind → expected number; the numbers are drawn from a Poisson law. Channels
    are scatter, the panel's detectors (FACSLyric names), Time in units of ``time_step``. Raises
    PanelFault for a kind, marker or detector the simulation has no description of.
    """
    check_panel(panel)
    table = cell_table()
    detectors = tuple(stain.detector for stain in panel.markers)
    actual = true_spill(detectors, conditions)
    stored = stored_spill(detectors, conditions, rng)
    crowd = draw_crowd(table, composition, conditions, rng)
    pairs = draw_pairs(crowd.kind.size, conditions.doublet_fraction, rng)
    light = carried_dye(table, crowd, panel, conditions, rng) @ actual.astype(np.float32)
    add_glow(light, table, crowd, detectors, rng)
    merge(light, pairs)
    signal = detect(light, crowd, detectors, conditions, rng)
    seen = np.clip(scatter(table, crowd, pairs, conditions, rng), 0, FULL_SCALE)
    time = np.floor(crowd.seconds / conditions.time_step).astype(np.float32)
    events = np.column_stack([seen, signal, time])
    names = (*SCATTER, *detectors, "Time")
    channel, minimum = conditions.trigger
    recorded = events[:, names.index(channel)] >= minimum
    recorded[pairs[1]] = False
    return SimulatedTube(
        events=np.ascontiguousarray(events[recorded]),
        detectors=names,
        labels=("",) * len(SCATTER) + tuple(stain.marker for stain in panel.markers) + ("",),
        spill_detectors=detectors,
        stored_spill=stored,
        true_spill=actual,
        time_step=conditions.time_step,
        truth=_truth(crowd, pairs, recorded),
    )


def true_counts(truth: EventTruth) -> dict[str, TrueCount]:
    """Count the cells of every reported population, and of every kind, in a tube.

    The keys are the populations, and ``kind:<name>``.
    """
    table = cell_table()
    of_tube = ~truth.carried_over
    width = len(table.kinds)
    intact = np.bincount(truth.kind[truth.intact], minlength=width)
    partners = truth.partner[of_tube & (truth.partner >= 0)]
    cells = np.bincount(truth.kind[of_tube], minlength=width)
    cells += np.bincount(partners, minlength=width)
    counts: dict[str, TrueCount] = {}
    for name in table.populations():
        members = table.members(name)
        counts[name] = TrueCount(int(intact[members].sum()), int(cells[members].sum()))
    for row, kind in enumerate(table.kinds):
        counts[f"kind:{kind}"] = TrueCount(int(intact[row]), int(cells[row]))
    return counts


def _truth(crowd: Crowd, pairs: tuple[IndexArray, IndexArray], recorded: BoolArray) -> EventTruth:
    partner = np.full(crowd.kind.size, -1, np.int16)
    partner[pairs[0]] = crowd.kind[pairs[1]]
    dead = crowd.dead.copy()
    dead[pairs[0]] |= crowd.dead[pairs[1]]
    return EventTruth(
        kinds=cell_table().kinds,
        kind=crowd.kind[recorded],
        partner=partner[recorded],
        dead=dead[recorded],
        carried_over=crowd.carried_over[recorded],
        time_anomaly=crowd.anomaly[recorded],
    )
