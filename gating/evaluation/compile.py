"""Turn a strategy and a tube's panel match into FlowKit gates.

FlowKit's ``GatingStrategy``, gates, transforms and ``Matrix`` are the common language of gating
here: a strategy of ours, a Gating-ML document and a FlowJo workspace all become one, and
``gating.evaluation.engine`` evaluates any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gating.beads.finding import NO_BEADS, BeadFinding
from gating.evaluation.compensation_matrix import compensation_matrix, refuse_uncovered
from gating.evaluation.compiled_strategy import SPILL, UNCOMPENSATED, Compiled, RealisedThreshold
from gating.evaluation.flowkit_gates import add_gates
from gating.evaluation.gate_order import paths_of
from gating.evaluation.resolved import Resolved
from gating.strategy.gates import SCATTER
from gating.strategy.model import Strategy
from panels.text.errors import PanelMismatch

if TYPE_CHECKING:
    import flowkit

    from gating.fcs.channels import Channel
    from gating.fcs.header import TubeHeader
    from panels.panel import PanelMatch


def compile_strategy(
    strategy: Strategy,
    match: PanelMatch,
    header: TubeHeader,
    resolved: Mapping[str, Resolved] | None = None,
    beads: BeadFinding | None = None,
) -> Compiled:
    """Build the FlowKit gating strategy of one tube.

    ``resolved`` thresholds hold instead of the declared values. A bead cluster is drawn where
    ``beads`` were found; without any, its gate keeps nothing.

    Raises PanelMismatch when the panel lacks a marker, CompensationFault when the tube cannot be
    compensated.
    """
    import flowkit

    _refuse_missing(strategy, match, header)
    matrix = compensation_matrix(match, header) if match.panel.compensated else None
    channels = _channels(strategy, match, header, matrix)
    compiled = Compiled(
        strategy=strategy,
        gating=flowkit.GatingStrategy(),
        path_of=paths_of(strategy),
        detector_of={axis: channel.detector for axis, channel in channels.items()},
        maximum_of={axis: channel.maximum for axis, channel in channels.items()},
        thresholds=(),
        matrix=None if matrix is None else matrix.matrix,
        compensation=UNCOMPENSATED if matrix is None else SPILL,
        resolved=resolved or {},
        beads=beads or NO_BEADS,
    )
    if matrix is not None:
        refuse_uncovered(compiled.detector_of, matrix, header)
        compiled.gating.add_comp_matrix(SPILL, matrix)
    add_gates(compiled)
    return with_thresholds(compiled)


def _refuse_missing(strategy: Strategy, match: PanelMatch, header: TubeHeader) -> None:
    missing = sorted(strategy.markers() - set(match.channel))
    if missing:
        raise PanelMismatch(
            f"{header.path.name}: {strategy.name} needs {', '.join(missing)}, which this tube "
            f"does not have."
        )


def _channels(
    strategy: Strategy, match: PanelMatch, header: TubeHeader, matrix: flowkit.Matrix | None
) -> dict[str, Channel]:
    """Find the channels of all axes that gates need, and of those only drawn, where readable."""
    needed = strategy.markers()
    channels = {
        axis: header.channels[index] for axis, index in match.channel.items() if axis in needed
    }
    for axis in sorted(strategy.drawn() - needed):
        if axis not in match.channel:
            continue
        channel = header.channels[match.channel[axis]]
        if axis in SCATTER or matrix is None or channel.detector in matrix.detectors:
            channels[axis] = channel
    return channels


def with_thresholds(compiled: Compiled) -> Compiled:
    """List every threshold of the strategy as it is used in the tube: resolved, or as declared."""
    realised = []
    for name, declared in compiled.strategy.thresholds.items():
        resolved = compiled.resolved.get(name)
        if resolved is None:
            resolved = Resolved(declared.value, "fixed", declared.evidence)
        threshold = RealisedThreshold(
            threshold=name,
            marker=declared.marker,
            detector=compiled.detector_of[declared.marker],
            value=compiled.value(declared.marker, name),
            source=resolved.source,
            rationale=resolved.rationale,
            tried=resolved.tried,
        )
        realised.append(threshold)
    return replace(compiled, thresholds=tuple(realised))
