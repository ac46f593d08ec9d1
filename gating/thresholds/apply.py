"""Gate one tube with the boundaries that hold in it.

The tube is evaluated with the declared values, its thresholds are measured and resolved, and it is
evaluated again where one moved. What a person corrected is neither measured nor resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gating.beads.finding import NO_BEADS, BeadFinding, find_beads
from gating.beads.signals import bead_signals
from gating.evaluation.compile import compile_strategy
from gating.evaluation.compiled_strategy import Compiled
from gating.evaluation.corrections import NO_CORRECTIONS, Corrections
from gating.evaluation.engine import Evaluation, evaluate
from gating.evaluation.resolved import Resolved
from gating.fcs.event_source import EventSource, Rows
from gating.fcs.header import TubeHeader
from gating.strategy.display_scale import FULL_SCALE
from gating.strategy.model import Strategy
from gating.thresholds.measure import ThresholdMeasurement, is_measured, measure
from gating.thresholds.reference_measurements import ReferenceMeasurements
from gating.thresholds.resolution import resolve
from panels.panel import PanelMatch


@dataclass(frozen=True, slots=True)
class Applied:
    """One strategy on one tube: the gates as used, their events, and the threshold measurements."""

    compiled: Compiled
    evaluation: Evaluation
    measurements: Mapping[str, ThresholdMeasurement]
    beads: BeadFinding = NO_BEADS


def apply_strategy(  # noqa: PLR0913 - keyword-only options of one tube
    strategy: Strategy,
    match: PanelMatch,
    header: TubeHeader,
    events: EventSource,
    *,
    rows: Rows | None = None,
    fetch_references: Callable[[], ReferenceMeasurements] | None = None,
    corrections: Corrections = NO_CORRECTIONS,
) -> Applied:
    """Gate the events of a tube (``rows``: only these, sorted).

    ``fetch_references`` gives the measurements of other tubes; it is called only when the tube
    contradicts a declared value that nobody corrected. ``corrections`` hold instead of whatever the
    tube shows; every other threshold is resolved as without them. Raises PanelMismatch when the
    tube lacks a marker, CompensationFault when it cannot be compensated.
    """
    declared = apply_declared(strategy, match, header, events, rows=rows)
    compiled, evaluation, beads = declared.compiled, declared.evaluation, declared.beads
    if not is_measured(strategy) and not corrections:
        return declared
    measurements = measure(compiled, evaluation, events, header) if is_measured(strategy) else {}
    asked = {
        name: each for name, each in measurements.items() if name not in corrections.thresholds
    }
    resolved = resolved_in(strategy, asked, fetch_references) | corrections.resolved(compiled)
    redrawn = corrections.redrawn(compiled)
    compiled = compile_strategy(redrawn, match, header, resolved, beads)
    if corrections or any(each.source != "fixed" for each in resolved.values()):
        evaluation = evaluate(compiled.gating, events, header, rows)
    return Applied(compiled, evaluation, measurements, beads)


def resolved_in(
    strategy: Strategy,
    measurements: Mapping[str, ThresholdMeasurement],
    fetch_references: Callable[[], ReferenceMeasurements] | None,
) -> dict[str, Resolved]:
    """Resolve thresholds by the tube alone, and with other tubes where it contradicts one."""
    resolved = resolve(strategy, measurements, ReferenceMeasurements())
    contradicted = any(len(each.tried) > 1 or not each.proven for each in resolved.values())
    if contradicted and fetch_references is not None:
        resolved = resolve(strategy, measurements, fetch_references())
    return resolved


def apply_declared(
    strategy: Strategy,
    match: PanelMatch,
    header: TubeHeader,
    events: EventSource,
    *,
    rows: Rows | None = None,
) -> Applied:
    """Gate a tube with every threshold at its declared value, and its beads where they are found.

    Raises as ``apply_strategy`` does.
    """
    beads = beads_of(strategy, match, header, events, rows)
    compiled = compile_strategy(strategy, match, header, beads=beads)
    return Applied(compiled, evaluate(compiled.gating, events, header, rows), {}, beads)


def beads_of(
    strategy: Strategy,
    match: PanelMatch,
    header: TubeHeader,
    events: EventSource,
    rows: Rows | None,
) -> BeadFinding:
    """Find the counting beads of a tube whose strategy counts them.

    They are found also where the strategy's bead gate has declared borders.
    """
    if strategy.beads is None:
        return NO_BEADS
    markers: Sequence[str] = [stain.marker for stain in match.panel.markers]
    expected: dict[str, float] = {}
    cluster = strategy.bead_cluster
    if cluster is not None:
        markers = cluster.markers
        expected = {marker: value / FULL_SCALE for marker, value in cluster.expected.items()}
    return find_beads(bead_signals(events, header, match, markers, rows), expected)
