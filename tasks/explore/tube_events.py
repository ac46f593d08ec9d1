"""Read the events of a compartment in one gated tube, and choose a sample of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gating.display.event_sample import chance_numbers
from gating.evaluation.axis_units import on_display_scale
from gating.evaluation.compensated_values import Channels
from gating.strategy.display_scale import transform_of
from panels.text.errors import PanelMismatch
from tasks.explore.compartments import alike_cells
from tasks.explore.sampling import first_of_each, shares

if TYPE_CHECKING:
    from gating.fcs.event_source import Rows
    from tasks.explore.compartments import Compartment
    from tasks.tubes.gate_tube import GatedTube

PER_TUBE = 2_000
"""A tube gives at most so many events to a map."""
MOST_COUNTED = 100_000
"""Clusters are counted in at most so many events of a tube."""
FEWEST_ANCHORS = 200
"""The median of fewer cells says little of a tube's staining; in aplasia they are not even cells of
that kind."""
MOST_ANCHORS = 20_000
TO_SD = 1.4826
"""The median absolute deviation of a normal distribution times this is its standard deviation."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where cells that should be everywhere alike lie on one marker of a tube (display scale)."""

    gate: str
    marker: str
    events: int
    median: float
    sd: float


@dataclass(frozen=True, slots=True)
class TubeEvents:
    """Events of a compartment in one tube.

    ``rows`` (n,) are their indices in the file, sorted; ``values`` (n, markers) are compensated, on
    the display scale; ``codes`` (n,) index ``sets``, the names of the gates that hold an event;
    ``weights`` (n,) say for how many of the compartment's ``events`` each stands.
    """

    tube_sha256: str
    markers: tuple[str, ...]
    events: int
    rows: NDArray[np.int64]
    values: Floats
    codes: NDArray[np.uint16]
    sets: tuple[tuple[str, ...], ...]
    weights: NDArray[np.float64]
    anchors: tuple[Anchor, ...] = ()

    def chosen(self, places: NDArray[np.int64]) -> TubeEvents:
        """Give some of the events, by their places; the others of a code stand in them.

        Codes that no chosen event has keep their number.
        """
        before = np.bincount(self.codes, self.weights, minlength=len(self.sets))
        kept = np.bincount(self.codes[places], self.weights[places], minlength=len(self.sets))
        grown = np.divide(before, kept, out=np.ones(len(before)), where=kept > 0)
        return replace(
            self,
            rows=self.rows[places],
            values=self.values[places],
            codes=self.codes[places],
            weights=self.weights[places] * grown[self.codes[places]],
        )


def compartment_events(gated: GatedTube, compartment: Compartment) -> TubeEvents:
    """Give all events of a compartment in a gated tube, each of weight 1.

    Raises PanelMismatch when the tube does not have a marker of the panel, or not compensated.
    """
    compiled, sha256 = gated.compiled, gated.gating.tube_sha256
    missing = [marker for marker in compartment.shown if not _is_readable(gated, marker)]
    if missing:
        raise PanelMismatch(
            f"Tube {sha256[:12]} has no {', '.join(missing)} that could be read, as the panel "
            f"{compartment.panel} has. It is on no map of {compartment.id}."
        )
    rows = gated.evaluation.rows[compiled.path_of[compartment.gate]]
    codes, sets = _gates_of(gated, rows)
    return TubeEvents(
        sha256,
        compartment.shown,
        len(rows),
        np.asarray(rows, dtype=np.int64),
        _values(gated, compartment.shown, rows),
        codes,
        sets,
        np.ones(len(rows)),
        tuple(_anchors(gated, compartment)),
    )


def sampled(events: TubeEvents, most: int = PER_TUBE) -> TubeEvents:
    """Choose at most ``most`` events, as many of each code, so that small codes come whole."""
    return events.chosen(first_by_chance(events, most))


def counted_values(events: TubeEvents, most: int = MOST_COUNTED) -> Floats:
    """Give the values of all events, or of ``most`` by chance, each with the same chance.

    They are float32 (n, markers).
    """
    if len(events.rows) <= most:
        return events.values
    first = np.argpartition(chance_order(events), most)[:most]
    return events.values[np.sort(first)]


def chance_order(events: TubeEvents) -> NDArray[np.uint64]:
    """Give every event (n,) its number by chance, the one by which its gating page shows it."""
    return chance_numbers(events.rows, int(events.tube_sha256[:16], 16))


def first_by_chance(events: TubeEvents, most: int) -> NDArray[np.int64]:
    """Choose at most ``most`` events as ``sampled`` does; gives their places, sorted."""
    quotas = shares(np.bincount(events.codes, minlength=len(events.sets)).tolist(), most)
    return first_of_each(events.codes.astype(np.int64), chance_order(events), quotas)


def _is_readable(gated: GatedTube, marker: str) -> bool:
    """Tell whether a tube has a marker's channel, and its matrix that of the channel."""
    if marker not in gated.match.channel:
        return False
    matrix = gated.compiled.gating.comp_matrices.get(gated.compiled.applied_compensation)
    detector = gated.header.channels[gated.match.channel[marker]].detector
    return matrix is None or detector in matrix.detectors


def _values(gated: GatedTube, markers: Sequence[str], rows: Rows) -> Floats:
    """Give values (events × markers) on the display scale, compensated.

    Of all markers of the panel, also those that no gate reads.
    """
    compiled, header = gated.compiled, gated.header
    channels = Channels(compiled.gating, gated.events, header)
    places = [gated.match.channel[marker] for marker in markers]
    compensation = compiled.applied_compensation
    columns = channels.linear([(place, compensation) for place in places], rows)
    scales = [
        transform_of(compiled.strategy.scale_of(marker), header.channels[place].maximum)
        for marker, place in zip(markers, places, strict=True)
    ]
    shown = [on_display_scale(*each) for each in zip(scales, columns, strict=True)]
    return np.column_stack(shown).astype(np.float32)


def _gates_of(
    gated: GatedTube, rows: Rows
) -> tuple[NDArray[np.uint16], tuple[tuple[str, ...], ...]]:
    """Give for each event (n,) a code, and for each code the names of its gates."""
    name_of = {path: name for name, path in gated.compiled.path_of.items()}
    codes, sets = gated.evaluation.codes()
    met, again = np.unique(codes[rows], return_inverse=True)
    names = [tuple(name_of[path] for path in sets[code] if path in name_of) for code in met]
    return again.astype(np.uint16), tuple(names)


def _anchors(gated: GatedTube, compartment: Compartment) -> list[Anchor]:
    """Measure where the cells of the strategy's landmarks lie."""
    measured = []
    for gate, markers in alike_cells(gated.compiled.strategy, compartment).items():
        path = gated.compiled.path_of[gate]
        count = gated.evaluation.count(path)
        if count < FEWEST_ANCHORS:
            continue
        values = _values(gated, markers, gated.evaluation.sample(path, MOST_ANCHORS))
        medians = np.median(values, axis=0)
        spreads = TO_SD * np.median(np.abs(values - medians), axis=0)
        measured += [
            Anchor(gate, marker, count, float(median), float(spread))
            for marker, median, spread in zip(markers, medians, spreads, strict=True)
        ]
    return measured
