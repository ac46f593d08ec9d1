"""Lay out real study folders with small, genuine FCS files for the tests of intake and store."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from panels.catalogue import load_panel
from tasks.intake.sheet_notices import sheet_sentences
from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs
from tasks.simulate.tube import SERIAL
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study

HEADER = "file,patient,collected,panel\n"
PATIENTS = "patient,infused\nP01,2026-01-10T11:00\nP02,2026-01-20T11:00\n"
DRAWN = "2026-02-07T08:30"
AT_ONCE = "study: test\nintake: {settle_seconds: 0}\n"


def make_study(
    folder: Path, rows: Sequence[str] = (), *, settings: str = AT_ONCE, header: str = HEADER
) -> Study:
    """Make a study whose sample sheet has these rows."""
    (folder / "inbox").mkdir(parents=True)
    (folder / "study.yaml").write_text(settings, encoding="utf-8")
    (folder / "patients.csv").write_text(PATIENTS, encoding="utf-8")
    write_rows(folder, rows, header=header)
    return open_study(folder)


def write_rows(folder: Path, rows: Sequence[str], *, header: str = HEADER) -> None:
    """Write (or mend) the sample sheet."""
    (folder / "samples.csv").write_text(
        header + "".join(f"{row}\n" for row in rows), encoding="utf-8"
    )


def write_tube(
    path: Path,
    panel: str = "bcell",
    *,
    seed: int = 1,
    spill: bool = True,
    without: str = "",
    keywords: Mapping[str, str] | None = None,
) -> Path:
    """Write a tube of a shipped panel with 60 events.

    ``without`` leaves one marker's channel out; ``keywords`` are further ones of its TEXT.
    """
    definition = load_panel(panel)
    stains = [stain for stain in definition.markers if stain.marker != without]
    channels = [FcsChannel(name) for name in ("FSC-A", "FSC-H", "SSC-A")] + [
        FcsChannel(s.detector, s.marker) for s in stains
    ]
    events = np.random.default_rng(seed).uniform(0, 1000, (60, len(channels))).astype(np.float32)
    matrix = np.eye(len(stains)) + 0.01 * (1 - np.eye(len(stains)))
    stored = FcsSpill(tuple(s.detector for s in stains), matrix) if spill else None
    path.parent.mkdir(parents=True, exist_ok=True)
    write_fcs(
        path,
        events,
        channels,
        dialect="fcs3.1-le",
        spill=stored,
        keywords={"$CYT": "BD FACSLyric", "$CYTSN": SERIAL} | dict(keywords or {}),
    )
    return path


def sentences_on_sheets(study: Study) -> tuple[str, ...]:
    """Give what is said of the sheets although the work goes on."""
    return sheet_sentences(read_snapshot(study)).notices
