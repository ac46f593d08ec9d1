"""Write the files of one tube: page and its data, gates, thresholds, counts, quality figures."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path

from gating.evaluation.compiled_strategy import Compiled
from gating.evaluation.resolved import Tried
from gating.exchange.write_gatingml import write_gatingml
from panels.files.csv_cells import csv_text
from panels.files.durable import remove_unfinished
from tasks.publish.tables import write_atomically
from tasks.store.gatings import TubeGating
from tasks.store.tubes import Tube
from tasks.study.folder import Study
from tasks.study.snapshot import StrategyInUse
from tasks.tubes.gate_tube import GatedTube
from tasks.tubes.gating_page import has_no_page, page_shows, write_gating_page
from tasks.tubes.qc_file import DRAW, QC, qc_bytes


def tube_folder(study: Study, tube_sha256: str) -> Path:
    """Give the results folder of a tube."""
    return study.results.joinpath("tubes", tube_sha256[:12])


def page_is_current(
    study: Study, tube: Tube, used: StrategyInUse, correction_sha256: str = ""
) -> bool:
    """Tell whether a tube's page exists and shows what is known of the tube now.

    ``used`` is what counts it, with the numbers of its instrument and the corrections of
    ``correction_sha256``.
    """
    folder = tube_folder(study, tube.identity.tube_sha256)
    return page_shows(folder, tube, used, correction_sha256)


def control_is_shown(study: Study, tube: Tube, used: StrategyInUse) -> bool:
    """Tell whether a control has its page, or cannot have one."""
    folder = tube_folder(study, tube.identity.tube_sha256)
    return page_shows(folder, tube, used) or has_no_page(folder, tube, used)


def write_tube_pages(folder: Path, tube: Tube, gated: GatedTube) -> None:
    """Write the realised gates, the tables and the page of one tube."""
    remove_unfinished(folder)
    gating, compiled = gated.gating, gated.compiled
    write_atomically(folder / "gates.xml", _gates_document(compiled))
    write_atomically(folder / "thresholds.csv", _threshold_rows(compiled))
    write_atomically(folder / "counts.csv", _count_rows(gating))
    write_atomically(folder / QC, qc_bytes(dict(gating.qc) | _draw_in(folder / QC)))
    write_gating_page(folder, tube, gated)


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
