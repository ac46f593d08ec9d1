"""Count the beads of a gated tube, and the share of its cells that were counted one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gating.beads.finding import BeadFinding
from gating.evaluation.compiled_strategy import Compiled
from gating.evaluation.engine import Evaluation
from gating.fcs.event_source import EventSource
from gating.fcs.header import TubeHeader
from panels.acquisition_time import time_channel

GATE_AGREES = 0.02
"""A bead gate with declared borders may differ by so much from the beads that were found."""


@dataclass(frozen=True, slots=True)
class BeadCount:
    """The beads of one tube (None: its strategy counts none) and the numbers behind them.

    ``numbers`` holds values that JSON can hold.
    """

    beads: int | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)


def count_beads(
    compiled: Compiled, evaluation: Evaluation, finding: BeadFinding, seconds: float | None = None
) -> BeadCount:
    """Count the beads of a tube by the cluster found, or by a bead gate that agrees with it.

    A bead gate with declared borders counts what it counted when it was released; it is trusted
    only where the cluster that the tube shows is proven whole and holds as many events.
    ``seconds``: how long the counted events took.
    """
    gate = compiled.strategy.beads
    if gate is None:
        return BeadCount()
    counted, proof, reason = finding.beads, finding.state, finding.reason
    if compiled.strategy.bead_cluster is None:
        counted = evaluation.count(compiled.path_of[gate])
        if proof == "proven" and abs(counted - finding.events) > GATE_AGREES * finding.events:
            proof, reason = (
                "incomplete",
                f"The declared gate holds {counted} events, the cluster of beads {finding.events}.",
            )
    beads = dict(finding.numbers) | {"counted": counted, "state": proof, "reason": reason}
    beads["per_second"] = round(counted / seconds, 4) if seconds else None
    return BeadCount(
        counted, {"beads": beads, "coincidence": _together(compiled, evaluation, finding)}
    )


def seconds_counted(header: TubeHeader, events: EventSource, kept: float) -> float | None:
    """Give the seconds that the kept share of the events took.

    None without a time channel whose steps are known.
    """
    clock = time_channel(header.channels)
    if clock is None or header.time_step is None or not events.count:
        return None
    time = events.column(clock.index)
    lasted = float(time.max() - time.min()) * kept
    return lasted if lasted > 0 else None


def _together(compiled: Compiled, evaluation: Evaluation, finding: BeadFinding) -> dict[str, float]:
    """Count cells that passed the laser alone, and those with another cell or a bead.

    The latter are in no count, although they are of the same blood: each event of two cells hides
    two, each bead with a cell one. ``share`` is that of the cells counted alone (1 where nothing
    tells).
    """
    gates = compiled.strategy.coincidence
    if gates is None:
        return {"share": 1.0}
    alone, together = (
        evaluation.count(compiled.path_of[name]) for name in (gates.alone, gates.together)
    )
    with_bead = finding.with_cell if finding.state == "proven" else 0
    share = alone / (alone + 2 * together + with_bead) if alone else 1.0
    return {"alone": alone, "together": together, "with_bead": with_bead, "share": round(share, 6)}


def beads_in_words(qc: Mapping[str, Any]) -> str:
    """Describe a tube's beads in one line; empty for a tube whose strategy counts none."""
    beads = qc.get("beads")
    if beads is None:
        return ""
    if beads["state"] == "absent":
        return "none found"
    description = (
        f"{beads['counted']:,} ({beads['single']:,} alone, {beads['several_beads']:,} events "
        f"of several, "
        f"{beads['with_cell']:,} with a cell; {beads['just_outside']:,} events just outside)"
    )
    return (
        description if beads["state"] == "proven" else f"not used: {beads['reason']} {description}"
    )
