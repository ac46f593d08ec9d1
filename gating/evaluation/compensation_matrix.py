"""Give the compensation matrix of one tube: its panel's, else the one stored in its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gating.evaluation.compensation import compensation_fault
from gating.fcs.near_identity import stands_apart
from gating.strategy.gates import SCATTER
from panels.text.errors import CompensationFault, PanelMismatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import flowkit

    from gating.fcs.header import TubeHeader
    from panels.panel import PanelMatch


def compensation_matrix(match: PanelMatch, header: TubeHeader) -> flowkit.Matrix:
    """Give the matrix a tube is compensated with.

    Raises PanelMismatch when the panel's matrix needs a marker that the tube lacks,
    CompensationFault when the file stores no usable spill.
    """
    if match.panel.matrix is not None:
        return _panel_matrix(match, match.panel.matrix, header)
    fault = compensation_fault(header, match.panel)
    if fault or header.spill is None:
        raise CompensationFault(f"{header.path.name}: {fault}")
    return matrix_on(header.spill.matrix, header.spill.detectors)


def matrix_on(coefficients: np.ndarray, detectors: Iterable[str]) -> flowkit.Matrix:
    """Make FlowKit's matrix of spill coefficients (k × k); each dye is named after its detector."""
    import flowkit

    names = list(detectors)
    return flowkit.Matrix(coefficients, names, fluorochromes=list(names))


def refuse_uncovered(
    detector_of: Mapping[str, str], matrix: flowkit.Matrix, header: TubeHeader
) -> None:
    """Raise CompensationFault when the matrix leaves out a fluorescence detector in use."""
    uncovered = [
        detector
        for axis, detector in detector_of.items()
        if axis not in SCATTER and detector not in matrix.detectors
    ]
    if uncovered:
        raise CompensationFault(
            f"{header.path.name}: the compensation does not cover "
            f"{', '.join(sorted(uncovered))}. Export the file with the whole matrix."
        )


def _panel_matrix(
    match: PanelMatch, coefficients: Sequence[Sequence[float]], header: TubeHeader
) -> flowkit.Matrix:
    """Give the panel's matrix on the tube's detectors.

    A marker the tube lacks is left out where it spills nowhere and nothing spills into it.
    """
    matrix = np.array(coefficients, dtype=np.float64)
    markers = [stain.marker for stain in match.panel.markers]
    present = [place for place, marker in enumerate(markers) if marker in match.channel]
    missing = [
        marker
        for place, marker in enumerate(markers)
        if place not in present and not stands_apart(matrix, place)
    ]
    if missing:
        needed = f"the matrix of the panel {match.panel.panel} needs {', '.join(missing)}"
        raise PanelMismatch(f"{header.path.name}: {needed}, which this tube does not have.")
    detectors = [header.channels[match.channel[markers[place]]].detector for place in present]
    return matrix_on(matrix[np.ix_(present, present)], detectors)
