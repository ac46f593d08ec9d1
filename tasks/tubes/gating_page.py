"""Write the page on which a tube's gates are seen, with its data; tell whether it is current."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from gating.display.draw_tube import draw_tube
from panels.instrument_name import instrument_name
from tasks.publish.gating_page import render_gating_page
from tasks.publish.tables import write_atomically
from tasks.publish.tube_data import FORMAT, TubeFindings, TubeHead, tube_data
from tasks.store.counts import stain_ratios
from tasks.tubes.bead_count import beads_in_words
from tasks.tubes.calibration import in_words, uncalibrated_populations
from tasks.tubes.corrections import document_of
from tasks.tubes.corrections import in_words as corrected_in_words
from tasks.tubes.gate_tube import GatedTube
from tasks.tubes.stain_brightness import populations_in_doubt, stains_in_words
from tasks.tubes.version_files import keep_versions
from tasks.vocabulary.flags import Flag, meanings
from tasks.vocabulary.severity import severity_of, worst_first

if TYPE_CHECKING:
    from gating.display.tube_drawing import TubeDrawing
    from gating.strategy.calibrated import CalibratedStrategy
    from tasks.store.tubes import Tube
    from tasks.study.snapshot import StrategyInUse

PAGE, DATA = "gating.html", "gating.js"
SHOWN = ".shown.json"
"""Beside each page: whose tube it says it is, and by what it was gated, so that a corrected sheet
makes it anew."""
WORDING = 1
"""Raised when pages should be written anew although neither tube nor format changed."""
NO_PAGE = "no page"
"""Stands in that file for a control that cannot be gated."""
EARLIER = ("gating.png",)
"""What earlier releases wrote beside a page, and nothing writes any more."""
_write = json.JSONEncoder(sort_keys=True).encode
"""As ``json.dumps``, which would make a new encoder for each of some ten thousand pages."""
FIGURES = (
    "beads car_double_positive cd20_without_cd19 coincidence compensation_condition "
    "compensation_residual fcs_version in_first_seconds lymphosum margins problems singlet_share "
    "stains time viable_share"
).split()
"""The quality figures that flags rest on; qc.json has all."""


def page_shows(folder: Path, tube: Tube, used: StrategyInUse, correction_sha256: str = "") -> bool:
    """Tell whether the page of a tube is in a folder and shows what is known of the tube now.

    ``used`` is what counts it, with the numbers of its instrument and the corrections of
    ``correction_sha256``.
    """
    made_with = (used.panel_sha256, correction_sha256)
    shown = _shown(tube, used.name, made_with, used.for_tube(tube))
    return all(_is_file(f"{folder}{os.sep}{name}") for name in (PAGE, DATA)) and _says(
        folder, shown
    )


def _is_file(path: str) -> bool:
    """Tell as ``Path.is_file``, in a third of the time: a pass asks of ten thousand tubes."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - see above
    except (FileNotFoundError, NotADirectoryError):
        return False


def has_no_page(folder: Path, tube: Tube, used: StrategyInUse) -> bool:
    """Tell whether a control was tried with what gates it now, and cannot be gated."""
    return _says(
        folder, _shown(tube, used.name, (used.panel_sha256, ""), used.for_tube(tube), NO_PAGE)
    )


def write_no_page(folder: Path, tube: Tube, used: StrategyInUse) -> None:
    """Note that a control cannot be gated, so that not every pass tries; a page of before goes."""
    for name in (PAGE, DATA):
        (folder / name).unlink(missing_ok=True)
    shown = _shown(tube, used.name, (used.panel_sha256, ""), used.for_tube(tube), NO_PAGE)
    write_atomically(folder / SHOWN, shown)


def write_gating_page(folder: Path, tube: Tube, gated: GatedTube) -> None:
    """Write the page of a tube as it was gated, whatever gated it."""
    gating = gated.gating
    head = tube_head(tube, gated)
    data = tube_data(head, tube_findings(gated), gated.compiled, drawing_of(gated))
    write_atomically(folder / DATA, data)
    page = render_gating_page(head, keep_versions(folder, gating))
    write_atomically(folder / PAGE, page.encode())
    made_with = (gating.panel_sha256, gating.correction_sha256)
    shown = _shown(tube, gating.strategy, made_with, gated.calibrated)
    write_atomically(folder / SHOWN, shown)
    for name in EARLIER:
        (folder / name).unlink(missing_ok=True)


def drawing_of(gated: GatedTube) -> TubeDrawing:
    """Draw the gates of a tube as it was gated."""
    seed = _seed(gated.gating.tube_sha256)
    return draw_tube(gated.compiled, gated.evaluation, gated.events, gated.header, seed)


def tube_head(tube: Tube, gated: GatedTube) -> TubeHead:
    """Gather what a page says of a tube before its gates."""
    gating, evaluation = gated.gating, gated.evaluation
    kept = evaluation.count(("root",)) / evaluation.total if evaluation.total else 1.0
    return TubeHead(
        **_identity(tube),
        strategy=gating.strategy,
        strategy_sha256=gating.strategy_sha256,
        panel_version=gating.panel,
        panel_sha256=gating.panel_sha256,
        calibration=gating.calibration,
        calibration_sha256=gating.calibration_sha256,
        tube_sha256=gating.tube_sha256,
        events=gating.total_events,
        kept=round(kept, 6),
        beads=beads_in_words(gating.qc),
        uncalibrated=in_words(gated.calibrated),
        stain=stains_in_words(gating.qc),
        corrected=corrected_in_words(gated.corrections),
        correction_sha256=gating.correction_sha256,
        corrections=document_of(gated.corrections),
    )


def _identity(tube: Tube) -> dict[str, str]:
    """Give what sheet and file say of a tube, as texts."""
    identity = tube.identity
    return {
        "patient": identity.patient,
        "visit": identity.visit,
        "specimen": identity.specimen,
        "panel": identity.panel,
        "control": identity.control or "",
        "file": identity.file,
        "collected": identity.collected.isoformat(),
        "acquired": identity.acquired.isoformat() if identity.acquired else "",
        "instrument": instrument_name(identity.instrument, tube.cytometer, tube.serial),
        "operator": identity.operator or "",
        "batch": identity.batch or "",
        "cytometer": tube.cytometer or "",
        "serial": tube.serial or "",
    }


def tube_findings(gated: GatedTube) -> TubeFindings:
    """Gather what a page says that was found in a tube."""
    gating, sentence_of = gated.gating, meanings()
    in_doubt = {
        Flag.UNCALIBRATED: uncalibrated_populations(gated.calibrated),
        Flag.CD19_BRIGHTNESS_OFF: populations_in_doubt(gated.calibrated, stain_ratios(gating.qc)),
    }
    return TubeFindings(
        flags=[(flag, severity_of(flag), sentence_of[flag]) for flag in worst_first(gating.flags)],
        of_population={
            count.population: worst_first(dict.fromkeys((*count.flags, *words)))
            for count in gating.counts
            for words in [
                [str(each) for each, named in in_doubt.items() if count.population in named]
            ]
        },
        figures={name: gating.qc[name] for name in FIGURES if name in gating.qc},
    )


def _seed(tube_sha256: str) -> int:
    """Give a tube's own number, by which samples of its events are chosen."""
    return int(tube_sha256[:16], 16)


def _says(folder: Path, shown: bytes) -> bool:
    """Tell whether the page in a folder was written for exactly this."""
    try:
        with open(f"{folder}{os.sep}{SHOWN}", "rb") as file:  # noqa: PTH123 - as ``_is_file``
            return file.read() == shown
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False


def _shown(
    tube: Tube,
    strategy: str,
    made_with: tuple[str, str],
    calibrated: CalibratedStrategy,
    page: str = PAGE,
) -> bytes:
    """Write what a page shows; ``made_with`` are the hashes of the panel and the corrections."""
    panel_sha256, correction_sha256 = made_with
    says = {
        "page": page,
        "format": [FORMAT, WORDING],
        **_identity(tube),
        "strategy": strategy,
        "panel_sha256": panel_sha256,
        "calibration_sha256": calibrated.sha256,
        "calibration_fault": calibrated.fault,
        "correction_sha256": correction_sha256,
    }
    return (_write(says) + "\n").encode()
