"""Gate one tube with the boundaries that hold in it: evaluate as declared, measure, resolve, and evaluate again where one moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gating.beads.finding import NO_BEADS, BeadFinding, find_beads
from gating.beads.signals import bead_signals
from gating.evaluation.compile import Compiled, compile_strategy
from gating.evaluation.engine import Evaluation, evaluate
from gating.fcs.event_source import EventSource, Rows
from gating.fcs.header import TubeHeader
from gating.strategy.display_scale import FULL_SCALE
from gating.strategy.model import Strategy
from gating.thresholds.measure import ThresholdMeasurement, measure, measures
from gating.thresholds.resolution import ReferenceMeasurements, resolve
from panels.panel import PanelMatch


@dataclass(frozen=True, slots=True)
class Applied:
    """One strategy on one tube: the gates as they were used, who is in them, and what the tube told about its thresholds."""

    compiled: Compiled
    evaluation: Evaluation
    measurements: Mapping[str, ThresholdMeasurement]
    beads: BeadFinding = NO_BEADS


def apply_strategy(
    strategy: Strategy,
    match: PanelMatch,
    header: TubeHeader,
    events: EventSource,
    *,
    rows: Rows | None = None,
    ask: Callable[[], ReferenceMeasurements] | None = None,
) -> Applied:
    """Gate the events of a tube (``rows``: only these, sorted).

    ``ask`` fetches what other tubes told; it is called only when the tube contradicts a declared
    value. Raises PanelMismatch when the tube lacks a marker, CompensationFault when it cannot be
    compensated.
    """
    declared = apply_declared(strategy, match, header, events, rows=rows)
    compiled, evaluation, beads = declared.compiled, declared.evaluation, declared.beads
    if not measures(strategy):
        return declared
    measurements = measure(compiled, evaluation, events, header)
    resolved = resolve(strategy, measurements, ReferenceMeasurements())
    if ask is not None and any(
        len(each.tried) > 1 or not each.proven for each in resolved.values()
    ):
        resolved = resolve(strategy, measurements, ask())
    compiled = compile_strategy(strategy, match, header, resolved, beads)
    if any(each.source != "fixed" for each in resolved.values()):
        evaluation = evaluate(compiled.gating, events, header, rows)
    return Applied(compiled, evaluation, measurements, beads)


def apply_declared(
    strategy: Strategy,
    match: PanelMatch,
    header: TubeHeader,
    events: EventSource,
    *,
    rows: Rows | None = None,
) -> Applied:
    """Gate a tube with every threshold at its declared value; its beads lie where they are found. Raises as ``apply_strategy`` does."""
    beads = _beads_of(strategy, match, header, events, rows)
    compiled = compile_strategy(strategy, match, header, beads=beads)
    return Applied(compiled, evaluate(compiled.gating, events, header, rows), {}, beads)


def _beads_of(
    strategy: Strategy,
    match: PanelMatch,
    header: TubeHeader,
    events: EventSource,
    rows: Rows | None,
) -> BeadFinding:
    """Find the counting beads of a tube whose strategy counts them, also where its bead gate has declared borders."""
    if strategy.beads is None:
        return NO_BEADS
    cluster = strategy.bead_cluster
    markers = cluster.markers if cluster else [stain.marker for stain in match.panel.markers]
    expected = {
        marker: value / FULL_SCALE
        for marker, value in (cluster.expected if cluster else {}).items()
    }
    return find_beads(bead_signals(events, header, match, markers, rows), expected)
