"""Gate one tube with the boundaries that hold in it: evaluate as declared, measure, resolve, and evaluate again where one moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gating.channels import EventSource, Rows
from gating.compile import Compiled, compile_strategy
from gating.engine import Evaluation, evaluate
from gating.events import TubeHeader
from gating.strategy import Strategy
from gating.thresholds.chain import Others, resolve
from gating.thresholds.measure import Reading, measure, measures
from panels.panel import PanelMatch


@dataclass(frozen=True, slots=True)
class Applied:
    """One strategy on one tube: the gates as they were used, who is in them, and what the tube told about its thresholds."""

    compiled: Compiled
    evaluation: Evaluation
    readings: Mapping[str, Reading]


def apply_strategy(
    strategy: Strategy,
    match: PanelMatch,
    header: TubeHeader,
    events: EventSource,
    *,
    rows: Rows | None = None,
    ask: Callable[[], Others] | None = None,
) -> Applied:
    """Gate the events of a tube (``rows``: only these, sorted).

    ``ask`` fetches what other tubes told; it is called only when the tube contradicts a declared value. Raises PanelMismatch when the
    tube lacks a marker, CompensationFault when it cannot be compensated.
    """
    compiled = compile_strategy(strategy, match, header)
    evaluation = evaluate(compiled.gating, events, header, rows)
    if not measures(strategy):
        return Applied(compiled, evaluation, {})
    readings = measure(compiled, evaluation, events, header)
    resolved = resolve(strategy, readings, Others())
    if ask is not None and any(len(each.tried) > 1 or not each.proven for each in resolved.values()):
        resolved = resolve(strategy, readings, ask())
    compiled = compile_strategy(strategy, match, header, resolved)
    if any(each.source != "fixed" for each in resolved.values()):
        evaluation = evaluate(compiled.gating, events, header, rows)
    return Applied(compiled, evaluation, readings)
