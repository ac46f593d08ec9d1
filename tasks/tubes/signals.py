"""Gather what a tube shows of its instrument, so that a series needs no file to be opened again.

It is the ``signals`` of a gating's quality figures (qc.json), described in docs/monitoring.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gating.beads.finding import BeadFinding
from gating.evaluation.compiled_strategy import Compiled
from gating.strategy.display_scale import FULL_SCALE
from gating.strategy.model import Strategy
from gating.thresholds.apply import Applied
from gating.thresholds.measure import ThresholdMeasurement
from gating.thresholds.measured_threshold import NEGATIVE_EVENTS
from panels.acquisition_time import TIME
from tasks.vocabulary.signals import BEADS, SignalName, Statistic

Signal = tuple[SignalName, float, int]
"""Name, value and number of events of one signal."""


def tube_signals(applied: Applied, numbers: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Gather the signals of a gated tube, each with its events and its detector.

    ``numbers`` are the quality figures that the tube's checks gave. A signal of too few cells is
    left out; it is never 0 for that.
    """
    compiled = applied.compiled
    gathered = (
        *threshold_signals(compiled.strategy, applied.measurements),
        *bead_signals(applied.beads),
        *_residual_spillover(applied, numbers),
        *_margins(applied, numbers),
    )
    return {
        str(name): {
            "value": float(f"{value:.10g}"),
            "events": events,
            "detector": compiled.detector_of[name.marker],
        }
        for name, value, events in gathered
    }


def threshold_signals(
    strategy: Strategy, measurements: Mapping[str, ThresholdMeasurement]
) -> Iterator[Signal]:
    """Give the medians of anchors, and mode and spread of negative cells."""
    for name, measured in measurements.items():
        threshold = strategy.thresholds[name]
        anchor, negative = measured.usable_anchor, measured.negative
        if threshold.anchor and anchor:
            cells = threshold.anchor.gate
            yield SignalName(cells, threshold.marker, "median"), anchor.median, anchor.events
        if threshold.negative and negative and negative.events >= NEGATIVE_EVENTS:
            cells = threshold.negative.gate
            values: tuple[tuple[Statistic, float], ...] = (
                ("mode", negative.mode),
                ("spread", negative.spread),
            )
            for statistic, value in values:
                yield SignalName(cells, threshold.marker, statistic), value, negative.events


def bead_signals(beads: BeadFinding) -> Iterator[Signal]:
    """Give medians and CVs of single beads, uncompensated, where all beads are proven to be there.

    A median at the end of the range would be that of the range.
    """
    if beads.state != "proven":
        return
    for marker, centre in beads.centre.items():
        if marker in beads.at_end:
            continue
        yield SignalName(BEADS, marker, "median"), centre * FULL_SCALE, beads.single
        yield SignalName(BEADS, marker, "cv"), beads.cv[marker], beads.single


def _residual_spillover(applied: Applied, numbers: Mapping[str, Any]) -> Iterator[Signal]:
    """Give how far negative cells shift with the marker that shifts them most."""
    compiled = applied.compiled
    cells = {
        threshold.marker: threshold.negative.gate
        for threshold in compiled.strategy.thresholds.values()
        if threshold.negative
    }
    for marker, residual in numbers.get("compensation_residual", {}).items():
        gate = cells[marker]
        events = applied.evaluation.count(compiled.path_of[gate])
        yield SignalName(gate, marker, "spill"), residual["of_boundary"], events


def _margins(applied: Applied, numbers: Mapping[str, Any]) -> Iterator[Signal]:
    """Give the share of cells at the end of each detector's range; none at all is a share of 0."""
    if "margins" not in numbers:
        return
    gate = _all_cells(applied.compiled)
    events = applied.evaluation.count(applied.compiled.path_of[gate])
    for marker in sorted(applied.compiled.detector_of):
        if marker != TIME:
            yield SignalName(gate, marker, "margin"), numbers["margins"].get(marker, 0.0), events


def _all_cells(compiled: Compiled) -> str:
    return "not_beads" if "not_beads" in compiled.path_of else "root"
