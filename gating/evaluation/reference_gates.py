"""Build the gates of a strategy for no tube in particular, as a document shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gating.beads.finding import NO_BEADS, BeadFinding, lowest_of
from gating.evaluation.compensation_matrix import matrix_on
from gating.evaluation.compiled_strategy import SPILL, UNCOMPENSATED, Compiled
from gating.evaluation.flowkit_gates import add_gates
from gating.evaluation.gate_order import paths_of
from gating.strategy.display_scale import FULL_SCALE
from gating.strategy.model import Strategy
from panels.text.errors import PanelFault

if TYPE_CHECKING:
    import flowkit

    from panels.panel import Panel

FILE_SPILL = "FCS"
"""How Gating-ML 2.0 (4.1) refers to the compensation that each file stores."""


def compile_reference(
    strategy: Strategy, panel: Panel, instrument: str | None = None
) -> flowkit.GatingStrategy:
    """Build the gates of a strategy for no tube: axes end at 262144, each file compensates itself.

    Channels have the names of the panel's detectors (of ``instrument``, else of the panel's).
    Raises PanelFault when the panel does not read a marker of the strategy or does not know the
    instrument.
    """
    import flowkit

    detector_of = _reference_detectors(strategy, panel, instrument)
    matrix = None
    if panel.matrix is not None:
        matrix = np.array(panel.matrix, dtype=np.float64)
    compiled = Compiled(
        strategy=strategy,
        gating=flowkit.GatingStrategy(),
        path_of=paths_of(strategy),
        detector_of=detector_of,
        maximum_of=dict.fromkeys(detector_of, FULL_SCALE),
        thresholds=(),
        matrix=matrix,
        compensation=_compensation(panel),
        beads=expected_beads(strategy),
    )
    if matrix is not None and compiled.compensation == SPILL:
        known = panel.detectors()[instrument or panel.instrument]
        detectors = [known[stain.marker] for stain in panel.markers]
        compiled.gating.add_comp_matrix(SPILL, matrix_on(matrix, detectors))
    add_gates(compiled)
    return compiled.gating


def expected_beads(strategy: Strategy) -> BeadFinding:
    """Place the bead gate where its strategy expects the cluster, as no tube shows where it lies.

    A strategy that expects none has no bead finding.
    """
    cluster = strategy.bead_cluster
    if cluster is None:
        return NO_BEADS
    floor = {marker: lowest_of(value / FULL_SCALE) for marker, value in cluster.expected.items()}
    return BeadFinding("absent", floor=floor)


def _compensation(panel: Panel) -> str:
    """Name what a panel's gates are compensated with: nothing, its matrix, or each file's."""
    if not panel.compensated:
        return UNCOMPENSATED
    return FILE_SPILL if panel.matrix is None else SPILL


def _reference_detectors(
    strategy: Strategy, panel: Panel, instrument: str | None
) -> dict[str, str]:
    known = panel.detectors()
    if instrument is not None and instrument not in known:
        raise PanelFault(
            f"The panel {panel.panel} does not know the instrument '{instrument}'. Known: "
            f"{', '.join(known)}."
        )
    detectors = known[instrument or panel.instrument] | dict(panel.scatter)
    missing = sorted(strategy.markers() - set(detectors))
    if missing:
        raise PanelFault(
            f"{strategy.name} needs {', '.join(missing)}, which the panel {panel.panel} does "
            f"not read."
        )
    return {axis: detectors[axis] for axis in strategy.markers()}
