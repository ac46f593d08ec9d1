"""Gate one accepted tube, write its counts to the store and its pages to ``results/tubes/<hash>/``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gating.compile import Compiled, compile_strategy, write_gatingml
from gating.engine import ENGINE_VERSION, Evaluation, evaluate
from gating.events import TubeHeader, open_events, read_header
from gating.projection import project
from panels.errors import PanelMismatch, TubeFault
from panels.panel import match_panel
from tasks.counting.counts import PopulationCount
from tasks.counting.flags import Flag, meanings
from tasks.identity import TubeIdentity
from tasks.publish.gating_page import ThresholdLine, TubePage, gating_figure, png_bytes, render_gating_page
from tasks.publish.tables import write_atomically
from tasks.store.counts import TubeGating, save_gating
from tasks.store.ledger import record_failure
from tasks.store.tubes import Tube, taken_in
from tasks.strategies_in_use import InUse, in_use
from tasks.study import Study

if TYPE_CHECKING:
    from gating.views import GateView


PAGE = "gating.html"
SHOWN = ".shown.json"
"""Beside each page: whose tube it says it is, and by which strategy, so that a mended sheet makes it anew."""


@dataclass(frozen=True, slots=True)
class CountOutcome:
    """What became of one tube: counted, or failed with the sentence that says why."""

    tube_sha256: str
    counted: bool
    reason: str = ""


def count_tube(study: Study, tube_sha256: str) -> CountOutcome:
    """Gate one tube of the archive; a fault of the tube is recorded against it and does not stop the night.

    Raises OSError when the archive cannot be reached, which may pass.
    """
    with study.store() as store:
        tube = next(iter(taken_in(store, tube_sha256=tube_sha256)))
        try:
            gating = _gate(study, tube, in_use(study)[tube.identity.panel])
            save_gating(store, gating)
        except TubeFault as fault:
            record_failure(store, tube_sha256, str(fault))
            return CountOutcome(tube_sha256, counted=False, reason=str(fault))
    return CountOutcome(tube_sha256, counted=True)


def tube_folder(study: Study, tube_sha256: str) -> Path:
    """Give the results folder of a tube."""
    return study.results / "tubes" / tube_sha256[:12]


def page_is_current(study: Study, identity: TubeIdentity, strategy: str) -> bool:
    """Tell whether a tube has its page, and the page says of it what is known now."""
    folder = tube_folder(study, identity.tube_sha256)
    shown = folder / SHOWN
    return (folder / PAGE).is_file() and shown.is_file() and shown.read_bytes() == _shown(identity, strategy)


def _shown(identity: TubeIdentity, strategy: str) -> bytes:
    said = (identity.patient, identity.visit, identity.specimen, identity.panel, strategy)
    return (json.dumps(said, ensure_ascii=False) + "\n").encode()


def _gate(study: Study, tube: Tube, used: InUse) -> TubeGating:
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
    _publish(tube_folder(study, gating.tube_sha256), tube, gating, compiled, project(compiled, evaluation, events, header))
    return gating


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
    import numpy as np

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


def _publish(folder: Path, tube: Tube, gating: TubeGating, compiled: Compiled, views: list[GateView]) -> None:
    """Write the page, the picture, the realised gates and the tables of one tube."""
    page = TubePage(
        patient=tube.identity.patient,
        visit=tube.identity.visit,
        specimen=tube.identity.specimen,
        panel=tube.identity.panel,
        strategy=gating.strategy,
        strategy_sha256=gating.strategy_sha256,
        tube_sha256=gating.tube_sha256,
        events=gating.total_events,
        flags={flag: meanings()[flag] for flag in gating.flags},
    )
    png = png_bytes(gating_figure(page, views))
    lines = [ThresholdLine(t.threshold, f"{t.marker} ({t.detector})", t.value, t.source, t.evidence) for t in compiled.thresholds]
    write_atomically(folder / "gating.png", png)
    write_atomically(folder / "gates.xml", _gates_document(compiled))
    write_atomically(folder / "thresholds.csv", _threshold_rows(compiled))
    write_atomically(folder / "counts.csv", _count_rows(gating))
    write_atomically(folder / "qc.json", (json.dumps(gating.qc, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
    write_atomically(folder / PAGE, render_gating_page(page, views, lines, png).encode())
    write_atomically(folder / SHOWN, _shown(tube.identity, gating.strategy))


def _gates_document(compiled: Compiled) -> bytes:
    written = io.BytesIO()
    write_gatingml(compiled.gating, written)
    return written.getvalue()


def _threshold_rows(compiled: Compiled) -> bytes:
    header = ("threshold", "marker", "detector", "value", "source", "evidence")
    rows = [(t.threshold, t.marker, t.detector, repr(float(f"{t.value:.10g}")), t.source, t.evidence) for t in compiled.thresholds]
    return _csv(header, rows)


def _count_rows(gating: TubeGating) -> bytes:
    header = ("population", "events", "parent", "parent_events", "reference", "reference_events")
    return _csv(header, [tuple(getattr(count, name) for name in header) for count in gating.counts])


def _csv(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> bytes:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return written.getvalue().encode()
