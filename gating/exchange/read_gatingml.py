"""Read the gates of a Gating-ML 2.0 document as FlowKit gates."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gating.exchange.flowkit_errors import FLOWKIT_ERRORS
from gating.exchange.gatingml_structure import SPACES, check_structure, make_names_valid
from gating.exchange.safe_xml import read_xml
from panels.text.errors import StrategyFault
from panels.text.printable import one_line

if TYPE_CHECKING:
    import flowkit
    from lxml import etree

PART = "a part or a number of a gate or scale is missing, or is not what it must be."
SCHEMA = f"the standard's schema refuses it: {PART}"


def read_gatingml(path: Path) -> flowkit.GatingStrategy:
    """Read a Gating-ML 2.0 document.

    Raises StrategyFault when it is not one, or not one that is safe to read.
    """
    return read_named_gatingml(path)[0]


def read_named_gatingml(path: Path) -> tuple[flowkit.GatingStrategy, dict[str, str]]:
    """Read a Gating-ML 2.0 document, and how it names the gates that had to be renamed.

    The names map what a gate is called now to what the document calls it. Raises StrategyFault
    when it is not one, or not one that is safe to read.
    """
    from lxml import etree

    root = read_xml(path)
    check_structure(path, root)
    names = make_names_valid(root)
    # After the document was checked: FlowKit takes seconds to import.
    import flowkit

    try:
        gating = flowkit.parse_gating_xml(BytesIO(etree.tostring(_with_spaces_on_top(root))))
    except (*FLOWKIT_ERRORS, etree.LxmlError, flowkit.exceptions.FlowKitException) as error:
        # FlowKit lets whatever goes wrong inside a malformed document escape as it is.
        raise StrategyFault(
            f"{path}: not a usable Gating-ML 2.0 document: {_reason(error)}"
        ) from error
    for name, ancestors in gating.get_gate_ids():
        _check_ellipse(path, gating, name, ancestors)
    return gating, names


def _reason(error: Exception) -> str:
    """Describe what FlowKit raised: its exceptions hold sentences, other errors are Python's."""
    import flowkit

    if "neither GatingML" in str(error):
        return SCHEMA
    if isinstance(error, flowkit.exceptions.FlowKitException):
        return f"{one_line(error)}."
    return PART


def _with_spaces_on_top(root: etree._Element) -> etree._Element:
    """Declare the standard's name spaces at the top, the only place where FlowKit reads them."""
    from lxml import etree

    top = etree.Element(root.tag, dict(root.attrib), nsmap=SPACES)
    top.extend(list(root))
    return top


def _check_ellipse(
    path: Path, gating: flowkit.GatingStrategy, name: str, ancestors: tuple[str, ...]
) -> None:
    """Refuse an ellipse whose covariance cannot be inverted: it decides about no event."""
    from flowkit import gates
    from flowkit.exceptions import QuadrantReferenceError

    try:
        gate = gating.get_gate(name, ancestors)
    except QuadrantReferenceError:
        return
    if isinstance(gate, gates.EllipsoidGate):
        try:
            np.linalg.inv(np.array(gate.covariance_matrix, dtype=np.float64))
        except (np.linalg.LinAlgError, ValueError) as error:
            raise StrategyFault(
                f"{path}: the covariance of '{name}' is that of no ellipse. Correct or take "
                f"out that gate."
            ) from error
