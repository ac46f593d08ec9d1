"""Compare how brightly a tube's cells are stained with where the calibration found such cells.

A threshold is checked on the cells below it (``gating.thresholds``). A dim clone or lot leaves
those where they are and brings the dim positive cells below the boundary, where nothing misses
them. So the cells of a landmark that carry the marker alike in everybody are compared too. Nothing
is said where they are too few, as in a depleted patient, or no more than the stain gives on cells
without the marker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gating.evaluation.compensated_values import Channels
from gating.evaluation.corrections import SOURCE
from gating.thresholds.sensitivity import lower_bounds_of
from tasks.counting.limits import predicted_blank
from tasks.vocabulary.populations import in_family
from tasks.vocabulary.signals import STAINED_ALIKE

if TYPE_CHECKING:
    from gating.evaluation.compiled_strategy import Compiled
    from gating.fcs.event_source import EventSource
    from gating.fcs.header import TubeHeader
    from gating.strategy.calibrated import CalibratedStrategy
    from gating.strategy.model import Strategy
    from gating.thresholds.apply import Applied

COMPARED_IN = "blood"
"""The specimen of the calibrated places: in marrow many B cells are precursors, which carry less
CD19 by nature."""
CELLS = 100
"""So many cells of a landmark are needed to speak of their median."""
KEPT = (0.67, 1.5)
"""Medians within these factors of the calibrated place are taken for the same stain: patients and
days differ by less (docs/calibration.md says by how much)."""
DIMMER = frozenset(in_family("secreting"))
"""These cells carry less CD19 by nature. Where they are many, as early in recovery, they would make
the stain look dim, so they are left out where the strategy tells them apart."""


@dataclass(frozen=True, slots=True)
class StainBrightness:
    """The median of a landmark's cells on a marker, and the calibrated place (linear units)."""

    marker: str
    gate: str
    events: int
    median: float
    expected: float

    @property
    def ratio(self) -> float:
        """Give the median over the calibrated place."""
        return self.median / self.expected

    @property
    def is_kept(self) -> bool:
        """Tell whether the stain is taken for the calibrated one."""
        return is_kept(self.ratio)

    @property
    def in_words(self) -> str:
        """Describe it as the evidence of a threshold does."""
        described = (
            f"{self.marker} of {self.events} {self.gate} is {self.ratio:.2f} × the calibrated "
            f"{self.expected:.0f}"
        )
        if self.is_kept:
            return described
        beyond = "dim cells may lie below" if self.ratio < 1 else "other cells may lie above"
        return f"{described} ({KEPT[0]:g} to {KEPT[1]:g} is usual): {beyond} the boundary"

    def document(self) -> dict[str, Any]:
        """Give it as qc.json has it."""
        return {
            "marker": self.marker,
            "gate": self.gate,
            "events": self.events,
            "median": float(f"{self.median:.10g}"),
            "expected": self.expected,
            "ratio": round(self.ratio, 4),
        }


def is_kept(ratio: float) -> bool:
    """Tell whether a median over its calibrated place is one that patients and days give."""
    return KEPT[0] <= ratio <= KEPT[1]


def stain_brightness(
    calibrated: CalibratedStrategy, applied: Applied, events: EventSource, header: TubeHeader
) -> dict[str, StainBrightness]:
    """Measure the cells above each threshold that a landmark has a place for, by threshold.

    A threshold that a person corrected is left out, and so is a place of another instrument.
    """
    found = {}
    for name, landmark in _comparable(calibrated):
        if name in applied.compiled.resolved and applied.compiled.resolved[name].source == SOURCE:
            continue
        marker = applied.compiled.strategy.thresholds[name].marker
        gate = calibrated.strategy.landmarks[landmark].gate
        rows = _rows(applied, gate)
        if len(rows) < CELLS or not _is_beyond_blank(applied, name, gate):
            continue
        median = _median(
            applied.compiled, Channels(applied.compiled.gating, events, header), marker, rows
        )
        if median > 0:
            place = calibrated.strategy.landmarks[landmark].at[marker]
            found[name] = StainBrightness(marker, gate, len(rows), median, place)
    return found


def with_evidence(compiled: Compiled, stains: Mapping[str, StainBrightness]) -> Compiled:
    """Add to each threshold's evidence how brightly the cells above it are stained."""
    if not stains:
        return compiled
    thresholds = tuple(
        replace(each, rationale=f"{each.rationale}; {stains[each.threshold].in_words}")
        if each.threshold in stains
        else each
        for each in compiled.thresholds
    )
    return replace(compiled, thresholds=thresholds)


def stains_in_words(qc: Mapping[str, Any]) -> str:
    """Describe the stains of a tube's quality figures that are dimmer or brighter than usual.

    Empty where none is.
    """
    stains = (_read(each) for each in qc.get("stains", {}).values())
    return " ".join(f"{each.in_words}." for each in stains if not each.is_kept)


def populations_in_doubt(
    calibrated: CalibratedStrategy, ratios: Mapping[str, float]
) -> tuple[str, ...]:
    """List the populations above a threshold whose stain is dimmer or brighter than calibrated.

    ``ratios`` are those of a tube by threshold; a tube without a calibration has none.
    """
    if calibrated.fault:
        return ()
    shifted = {name for name, ratio in ratios.items() if not is_kept(ratio)}
    if not shifted:
        return ()
    strategy = calibrated.strategy
    return tuple(
        population.id
        for population in strategy.populations
        if not shifted.isdisjoint(lower_bounds_of(strategy, population.gate))
    )


def _read(document: Mapping[str, Any]) -> StainBrightness:
    """Read back what ``StainBrightness.document`` wrote."""
    return StainBrightness(**{each.name: document[each.name] for each in fields(StainBrightness)})


def _comparable(calibrated: CalibratedStrategy) -> Iterator[tuple[str, str]]:
    """Pair each threshold on a marker that is stained alike with a landmark above it."""
    strategy = calibrated.strategy
    for name, threshold in strategy.thresholds.items():
        marker = threshold.marker
        if marker not in STAINED_ALIKE:
            continue
        for landmark in strategy.landmarks:
            if _lies_above(strategy, landmark, name) and calibrated.has_place(landmark, marker):
                yield name, landmark
                break


def _lies_above(strategy: Strategy, landmark: str, threshold: str) -> bool:
    return threshold in lower_bounds_of(strategy, strategy.landmarks[landmark].gate)


def _rows(applied: Applied, gate: str) -> np.ndarray:
    """Give the events of a landmark without those that are dimmer by nature."""
    compiled, evaluation = applied.compiled, applied.evaluation
    rows = evaluation.rows[compiled.path_of[gate]]
    for population in compiled.strategy.populations:
        if population.id in DIMMER:
            dim = evaluation.rows[compiled.path_of[population.gate]]
            rows = np.setdiff1d(rows, dim, assume_unique=True)
    return rows


def _is_beyond_blank(applied: Applied, threshold: str, gate: str) -> bool:
    """Tell whether a landmark has more cells than cells without the marker would give.

    Where no such cells were measured that cannot be told, and nothing is.
    """
    negative = (
        applied.measurements[threshold].negative if threshold in applied.measurements else None
    )
    if negative is None or not negative.events:
        return False
    compiled, evaluation = applied.compiled, applied.evaluation
    parent = compiled.strategy.parent_of()[gate]
    exposure = evaluation.count(compiled.path_of[parent]) / negative.events
    blank = predicted_blank(negative.reaching(compiled.value_of(threshold)), exposure)
    return evaluation.count(compiled.path_of[gate]) > blank


def _median(compiled: Compiled, channels: Channels, marker: str, rows: np.ndarray) -> float:
    """Give the median of some events on a marker, in the strategy's linear units."""
    key = (channels.index(compiled.detector_of[marker]), compiled.applied_compensation)
    return float(np.median(channels.linear([key], rows)[0])) / compiled.factor(marker)
