"""Apply what a person corrected in a tube, and say which counts hang on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gating.evaluation.corrections import Corrections
from gating.thresholds.sensitivity import gates_of, thresholds_of
from tasks.store.corrections import Binding, Correction, read_corrections
from tasks.store.opening import Store

if TYPE_CHECKING:
    from gating.strategy.calibrated import CalibratedStrategy
    from gating.strategy.model import Strategy
    from tasks.store.tubes import Tube
    from tasks.study.snapshot import StrategyInUse


def binding_of(tube: Tube, used: StrategyInUse, calibrated: CalibratedStrategy) -> Binding:
    """Give what a correction of a tube has to hold for to count now."""
    sha256 = tube.identity.tube_sha256
    return Binding(sha256, used.name, used.release.sha256, calibrated.sha256)


def corrections_in_force(store: Store, binding: Binding) -> tuple[Correction, ...]:
    """List the corrections that count a tube, by kind and name."""
    return read_corrections(store).active().get(binding, ())


def as_boundaries(in_force: Iterable[Correction]) -> Corrections:
    """Give corrections as the gating takes them."""
    thresholds, gates, rationale = {}, {}, {}
    for each in in_force:
        if isinstance(each.value, tuple):
            gates[each.name] = each.value
        else:
            thresholds[each.name] = each.value
        rationale[each.name] = who_and_why(each)
    return Corrections(thresholds, gates, rationale)


def corrected_populations(strategy: Strategy, in_force: Iterable[Correction]) -> frozenset[str]:
    """Name the populations that a correction counts: all below a gate that it moved.

    All of them where it moved the gate of beads or of cells that pass alone: every concentration of
    the tube hangs on these.
    """
    places = {each.place for each in in_force}

    def is_touched(gate: str) -> bool:
        needed = {("gate", name) for name in gates_of(strategy, gate)}
        needed |= {("threshold", name) for name in thresholds_of(strategy, gate)}
        return not places.isdisjoint(needed)

    shared = [strategy.beads] if strategy.beads else []
    if strategy.coincidence is not None:
        shared += [strategy.coincidence.alone, strategy.coincidence.together]
    everything = any(map(is_touched, shared))
    return frozenset(
        each.id for each in strategy.populations if everything or is_touched(each.gate)
    )


def who_and_why(correction: Correction) -> str:
    """Say who set a boundary, when and why: ``set by A. Okafor on 2026-11-30 07:10 UTC: …``."""
    second = f" with {correction.second}" if correction.second else ""
    at = correction.at[:16].replace("T", " ")
    return f"set by {correction.made_by}{second} on {at} UTC: {correction.reason}"


def value_in_words(correction: Correction) -> str:
    """Say what was set: ``cd19 1,500 (before: 1,230)``, ``gate cells`` with its vertices."""
    if isinstance(correction.value, tuple):
        return f"the outline of {correction.name}"
    return f"{correction.name} {correction.value:,.6g} (before: {correction.value_before:,.6g})"


def in_words(in_force: Sequence[Correction]) -> str:
    """Say in one line what a person set in a tube, who and why; empty where nobody did."""
    return " · ".join(f"{value_in_words(each)}, {who_and_why(each)}" for each in in_force)


def document_of(in_force: Iterable[Correction]) -> list[dict[str, Any]]:
    """Give corrections as JSON holds them, for a tube's qc.json and its page."""
    names = ("kind", "name", "value", "value_before", "limits", "made_by", "second", "at", "reason")
    return [{name: getattr(each, name) for name in names} for each in in_force]
