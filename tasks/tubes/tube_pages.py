"""Write the files of one tube: page, picture, gates, thresholds, counts, quality figures."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path

from gating.display.projection import project
from gating.evaluation.compiled_strategy import Compiled
from gating.evaluation.resolved import Tried
from gating.exchange.write_gatingml import write_gatingml
from gating.strategy.calibrated import CalibratedStrategy
from panels.files.csv_cells import csv_text
from panels.files.durable import remove_unfinished
from tasks.publish.figure_bytes import png_bytes
from tasks.publish.gating_page import ThresholdLine, TubePage, gating_figure, render_gating_page
from tasks.publish.tables import write_atomically
from tasks.store.gatings import TubeGating
from tasks.store.tubes import Tube
from tasks.study.folder import Study
from tasks.tubes.bead_count import beads_in_words
from tasks.tubes.calibration import in_words
from tasks.tubes.gate_tube import GatedTube
from tasks.tubes.qc_file import DRAW, QC, qc_bytes
from tasks.vocabulary.flags import meanings
from tasks.vocabulary.tube_identity import TubeIdentity

PAGE = "gating.html"


SHOWN = ".shown.json"
"""Beside each page: whose tube it says it is, by which strategy, panel and calibration, so that a
corrected sheet makes it anew."""


def tube_folder(study: Study, tube_sha256: str) -> Path:
    """Give the results folder of a tube."""
    return study.results / "tubes" / tube_sha256[:12]


def page_is_current(
    study: Study,
    identity: TubeIdentity,
    strategy: str,
    panel_sha256: str,
    calibrated: CalibratedStrategy,
) -> bool:
    """Tell whether a tube's page exists and shows what is known of the tube now.

    ``strategy``, ``panel_sha256`` and the numbers of ``calibrated`` are those that count it.
    """
    folder = tube_folder(study, identity.tube_sha256)
    shown = folder / SHOWN
    return (
        (folder / PAGE).is_file()
        and shown.is_file()
        and shown.read_bytes() == _shown(identity, strategy, panel_sha256, calibrated)
    )


def _shown(
    identity: TubeIdentity, strategy: str, panel_sha256: str, calibrated: CalibratedStrategy
) -> bytes:
    # A page that shows neither calibration nor fault stays as earlier programs made it.
    numbers = [each for each in (calibrated.sha256, calibrated.fault) if each]
    identified_by = (
        identity.patient,
        identity.visit,
        identity.specimen,
        identity.panel,
        strategy,
        panel_sha256,
        *numbers,
    )
    return (json.dumps(identified_by, ensure_ascii=False) + "\n").encode()


def write_tube_pages(folder: Path, tube: Tube, gated: GatedTube) -> None:
    """Write the page, the picture, the realised gates and the tables of one tube."""
    remove_unfinished(folder)
    gating, compiled = gated.gating, gated.compiled
    views = project(compiled, gated.evaluation, gated.events, gated.header)
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
        beads=beads_in_words(gating.qc),
        panel_version=gating.panel,
        panel_sha256=gating.panel_sha256,
        calibration=gating.calibration,
        calibration_sha256=gating.calibration_sha256,
        uncalibrated=in_words(gated.calibrated),
    )
    png = png_bytes(gating_figure(page, views))
    lines = [
        ThresholdLine(t.threshold, f"{t.marker} ({t.detector})", t.value, t.source, t.rationale)
        for t in compiled.thresholds
    ]
    write_atomically(folder / "gating.png", png)
    write_atomically(folder / "gates.xml", _gates_document(compiled))
    write_atomically(folder / "thresholds.csv", _threshold_rows(compiled))
    write_atomically(folder / "counts.csv", _count_rows(gating))
    write_atomically(folder / QC, qc_bytes(dict(gating.qc) | _draw_in(folder / QC)))
    write_atomically(folder / PAGE, render_gating_page(page, views, lines, png).encode())
    shown = _shown(tube.identity, gating.strategy, gating.panel_sha256, gated.calibrated)
    write_atomically(folder / SHOWN, shown)


def _draw_in(qc: Path) -> dict[str, object]:
    """Keep what was compared within the tube's draw when its tables were last made.

    Tables are made after the tube is counted, and not each time.
    """
    known = json.loads(qc.read_text(encoding="utf-8")) if qc.is_file() else {}
    return {DRAW: known[DRAW]} if DRAW in known else {}


def _gates_document(compiled: Compiled) -> bytes:
    written = io.BytesIO()
    write_gatingml(compiled.gating, written)
    return written.getvalue()


def _threshold_rows(compiled: Compiled) -> bytes:
    header = ("threshold", "marker", "detector", "declared", "value", "source", "evidence", "tried")
    rows = [
        (
            t.threshold,
            t.marker,
            t.detector,
            _number(declared),
            _number(t.value),
            t.source,
            t.rationale,
            _sources_tried(t.tried),
        )
        for t in compiled.thresholds
        for declared in [
            compiled.strategy.thresholds[t.threshold].value * compiled.factor(t.marker)
        ]
    ]
    return csv_text(header, rows).encode()


def _sources_tried(tried: Iterable[Tried]) -> str:
    """Say in one cell what each source gave and why it failed."""
    return " | ".join(
        (
            f"{t.source}: {'none' if t.value is None else f'{t.value:.4g}'}, "
            f"{f'refused ({t.fault})' if t.fault else 'passed'}"
        )
        for t in tried
    )


def _number(value: float) -> float:
    return float(f"{value:.10g}")


def _count_rows(gating: TubeGating) -> bytes:
    header = ("population", "events", "parent", "parent_events", "reference", "reference_events")
    rows = [tuple(getattr(count, name) for name in header) for count in gating.counts]
    return csv_text(header, rows).encode()
