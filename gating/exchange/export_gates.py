"""Write one version of a strategy as a Gating-ML 2.0 document that belongs to no tube in particular."""

from __future__ import annotations

from io import BytesIO

from gating.evaluation.compile import compile_reference
from gating.exchange.gatingml import write_gatingml
from gating.strategy.model import Strategy
from panels.panel import Panel


def export_strategy(strategy: Strategy, panel: Panel, instrument: str | None = None) -> bytes:
    """Give a strategy as Gating-ML 2.0: axes end at 262144, channels are the panel's detectors, compensation is each file's own.

    A panel with a matrix of its own puts it into the document; one whose files are compensated
    already asks for none. Raises PanelFault when the panel does not read a marker, StrategyFault
    when Gating-ML cannot say a gate.
    """
    document = BytesIO()
    write_gatingml(compile_reference(strategy, panel, instrument), document)
    return document.getvalue()
