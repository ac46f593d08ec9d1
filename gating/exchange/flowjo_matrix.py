"""Read the compensation matrix of a FlowJo sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gating.evaluation.reference_gates import FILE_SPILL
from gating.exchange.flowjo_channels import LeftOut, SampleChannels, number
from gating.exchange.gatingml_structure import SPACES
from gating.exchange.gatingml_structure import qualified as _attribute
from gating.fcs.near_identity import is_identity

if TYPE_CHECKING:
    import flowkit
    from lxml import etree

    from gating.fcs.header import TubeHeader

MOST_DETECTORS = 500
RESERVED = {"", FILE_SPILL, "uncompensated"}


@dataclass(frozen=True, slots=True)
class SampleMatrix:
    """A sample's compensation.

    ``prefix`` and ``suffix`` mark compensated channels in FlowJo; ``matrix`` is in our units (None:
    unusable, for the reason in ``trouble``).
    """

    name: str
    prefix: str
    suffix: str
    detectors: tuple[str, ...]
    matrix: flowkit.Matrix | None
    trouble: str = ""

    def bare(self, name: str) -> str | None:
        """Give the channel of which a name is the compensated form; None when it is none."""
        end = len(name) - len(self.suffix)
        if not name.startswith(self.prefix) or not name.endswith(self.suffix):
            return None
        return name[len(self.prefix) : end] or None

    @property
    def changes(self) -> bool:
        """Tell whether it changes any value."""
        return self.matrix is None or not is_identity(self.matrix.matrix)


def sample_matrix(
    sample: etree._Element, channels: SampleChannels, tube: TubeHeader | None = None
) -> SampleMatrix | None:
    """Read a sample's compensation matrix in our units.

    One that is the spill stored in the sample's ``tube`` is named as such: other tubes have their
    own.
    """
    import flowkit

    matrices = sample.findall("transforms:spilloverMatrix", SPACES)
    if not matrices:
        return None
    written = matrices[0]
    name = written.get("name", "")
    if name in RESERVED:
        name = f"FlowJo {name}".strip()
    detectors = tuple(
        p.get(_attribute("data-type:name"), "")
        for p in written.iterfind("data-type:parameters/data-type:parameter", SPACES)
    )
    matrix, trouble = None, ""
    try:
        values = _in_our_units(_coefficients(matrices, detectors), detectors, channels)
        matrix = flowkit.Matrix(values, list(detectors), fluorochromes=list(detectors))
    except LeftOut as reason:
        trouble = str(reason)
    prefix, suffix = written.get("prefix", ""), written.get("suffix", "")
    made = SampleMatrix(name, prefix, suffix, detectors, matrix, trouble)
    return replace(made, name=FILE_SPILL) if tube is not None and is_stored(made, tube) else made


def _coefficients(matrices: list[etree._Element], detectors: tuple[str, ...]) -> np.ndarray:
    """Read the spill of each dye (row) into each detector (column).

    Rows and columns are placed by the names written beside the numbers, else by their order.
    """
    _refuse_unusable(matrices, detectors)
    place = {detector: number for number, detector in enumerate(detectors)}
    values = np.full((len(detectors), len(detectors)), np.nan)
    for i, row in enumerate(matrices[0].findall("transforms:spillover", SPACES)):
        dye = _channel_of(row, i, detectors)
        for j, cell in enumerate(row.findall("transforms:coefficient", SPACES)):
            detector = _channel_of(cell, j, detectors)
            if dye not in place or detector not in place:
                raise LeftOut("its compensation names channels it does not list.")
            text = cell.get(_attribute("transforms:value"), "")
            values[place[dye], place[detector]] = number(text, "a coefficient of the compensation")
    if np.isnan(values).any() or len(set(detectors)) < len(detectors):
        raise LeftOut("its compensation is no square table of numbers.")
    if np.linalg.matrix_rank(values) < len(detectors):
        raise LeftOut("its compensation cannot be inverted.")
    return values


def _refuse_unusable(matrices: list[etree._Element], detectors: tuple[str, ...]) -> None:
    if len(matrices) > 1:
        raise LeftOut("the sample has several compensations.")
    if matrices[0].get("spectral") == "1":
        raise LeftOut("it is unmixed by FlowJo, not compensated; unmix before the files come here.")
    if len(detectors) > MOST_DETECTORS:
        many = f"its compensation has {len(detectors):,} channels"
        raise LeftOut(f"{many}, more than a cytometer ({MOST_DETECTORS} at most).")


def _channel_of(element: etree._Element, position: int, detectors: tuple[str, ...]) -> str:
    """Give the channel a row or a cell names, else the one listed at its position."""
    listed = detectors[position] if position < len(detectors) else ""
    return str(element.get(_attribute("data-type:parameter"), listed))


def _in_our_units(
    values: np.ndarray, detectors: tuple[str, ...], channels: SampleChannels
) -> np.ndarray:
    """Convert a spill between numbers that ignore the gain to one between numbers divided by it.

    Row i, column j is multiplied by gain i over gain j.
    """
    gains = np.array([1.0 / channels.factor(detector, 1.0, None) for detector in detectors])
    return values if (gains == 1.0).all() else values * gains[:, None] / gains[None, :]


def is_stored(written: SampleMatrix | None, tube: TubeHeader) -> bool:
    """Tell whether a compensation is the spill that the sample's file stores.

    A workspace has it to ten digits.
    """
    if written is None or written.matrix is None or tube.spill is None:
        return False
    stored = tube.spill.detectors
    names = [each.replace("/", "_") for each in stored]
    listed = [each.replace("/", "_") for each in written.detectors]
    if sorted(names) != sorted(listed):
        return False
    order = [names.index(each) for each in listed]
    same = tube.spill.matrix[np.ix_(order, order)]
    return bool(np.allclose(written.matrix.matrix, same, rtol=1e-6, atol=1e-8))
