"""Write one version of a strategy as a Gating-ML 2.0 document for no tube in particular."""

from __future__ import annotations

from io import BytesIO

from gating.evaluation.reference_gates import compile_reference
from gating.exchange.write_gatingml import write_gatingml
from gating.strategy.model import Strategy
from panels.panel import Panel


def export_strategy(strategy: Strategy, panel: Panel, instrument: str | None = None) -> bytes:
    """Give a strategy as Gating-ML 2.0, its axes ending at 262144, on the panel's detectors.

    Each file is compensated by its stored spill. A panel with a matrix puts it into the document;
    one whose files are compensated already refers to none. Raises PanelFault when the panel does
    not read a marker, StrategyFault when Gating-ML cannot express a gate.
    """
    document = BytesIO()
    write_gatingml(compile_reference(strategy, panel, instrument), document)
    return document.getvalue()
