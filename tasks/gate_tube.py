"""Gate one tube of the archive under one strategy: what is drawn, compared and counted afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from gating.compile import Compiled, compile_strategy
from gating.engine import ENGINE_VERSION, Evaluation, evaluate
from gating.events import Events, TubeHeader, open_events, read_header
from panels.errors import PanelMismatch
from panels.panel import match_panel
from tasks.counting.counts import PopulationCount
from tasks.counting.flags import Flag
from tasks.store.counts import TubeGating
from tasks.store.tubes import Tube
from tasks.strategies_in_use import InUse
from tasks.study import Study


@dataclass(frozen=True, slots=True)
class GatedTube:
    """One gated tube: its events, the gates as they were used, who is in them, and what the store keeps of it."""

    header: TubeHeader
    events: Events
    compiled: Compiled
    evaluation: Evaluation
    gating: TubeGating


def gate_tube(study: Study, tube: Tube, used: InUse) -> GatedTube:
    """Gate one tube under a strategy; nothing is written.

    Raises TubeFault when the tube cannot be read, fits its panel no more or cannot be compensated, OSError when the archive cannot
    be reached.
    """
    header = read_header(study.path_of(tube.file.place or ""))
    match = match_panel(used.panel, header.channels)
    if not match.fits:
        raise PanelMismatch(f"{header.path.name} does not fit the panel {used.panel.panel}: {' '.join(match.problems)}")
    events = open_events(header)
    compiled = compile_strategy(used.release.strategy, match, header)
    evaluation = evaluate(compiled.gating, events, header)
    gating = TubeGating(
        tube_sha256=tube.identity.tube_sha256,
        strategy=used.name,
        strategy_sha256=used.release.sha256,
        engine_version=ENGINE_VERSION,
        panel=f"{used.panel.panel}@{used.panel.version}",
        total_events=evaluation.total,
        counts=_counts(compiled, evaluation),
        beads=_events(compiled, evaluation, compiled.strategy.beads) if compiled.strategy.beads else None,
        flags=tuple(str(flag) for flag in _flags(header)),
        qc=_qc(compiled, evaluation, header, match.instrument),
    )
    return GatedTube(header, events, compiled, evaluation, gating)


def _events(compiled: Compiled, evaluation: Evaluation, gate: str) -> int:
    return evaluation.count(compiled.path_of[gate])


def _counts(compiled: Compiled, evaluation: Evaluation) -> tuple[PopulationCount, ...]:
    gate_of = {population.id: population.gate for population in compiled.strategy.populations}
    parent_of = compiled.strategy.parent_of()
    return tuple(
        PopulationCount(
            population=population.id,
            events=_events(compiled, evaluation, population.gate),
            parent=parent_of[population.gate],
            parent_events=_events(compiled, evaluation, parent_of[population.gate]),
            reference=population.reference,
            reference_events=_events(compiled, evaluation, gate_of[population.reference]),
        )
        for population in compiled.strategy.populations
    )


def _flags(header: TubeHeader) -> list[Flag]:
    return [Flag.SEVERAL_DATA_SETS] if header.data_sets > 1 else []


def _qc(compiled: Compiled, evaluation: Evaluation, header: TubeHeader, instrument: str) -> dict[str, Any]:
    """Gather what a reviewer asks of a tube, and what made its numbers."""
    parent_of = compiled.strategy.parent_of()
    percent = {
        gate: round(100 * _events(compiled, evaluation, gate) / total, 6) if (total := _events(compiled, evaluation, parent)) else None
        for gate, parent in parent_of.items()
    }
    return {
        "fcs_version": header.version,
        "events": evaluation.total,
        "instrument": instrument,
        "problems": list(header.problems),
        "compensation_condition": None if compiled.matrix is None else round(float(np.linalg.cond(compiled.matrix)), 6),
        "percent_of_parent": percent,
        "reconflow": version("reconflow"),
        "engine": ENGINE_VERSION,
    }
