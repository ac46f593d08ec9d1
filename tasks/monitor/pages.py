"""Write the page of each instrument, ``results/instruments/<instrument>.html``.

A page that would be the same again is not written, so that a quiet night changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from panels.files.durable import remove_unfinished
from tasks.monitor.instruments import FOLDER, Instrument, Monitoring, monitor
from tasks.monitor.overview import KEPT, keep_overview, overview_of
from tasks.publish.instrument_page import OURS, InstrumentPage, render_instrument_page
from tasks.publish.tables import write_atomically
from tasks.sheets.instruments import read_instrument_events
from tasks.study.folder import Study
from tasks.study.snapshot import StudySnapshot

MADE_OF = ".made_of.json"
"""Beside the pages: what they were made of, and the SHA-256 of each as it was written."""


def bring_up_to_date(snapshot: StudySnapshot, study_sha256: str) -> None:
    """Judge the instruments and write their pages, unless all is there and made of the same.

    ``study_sha256`` stands for the tubes, their counts and what counts them
    (tasks/results/tables_expected.py); where it is empty, nothing is known to be the same. Raises
    OSError when nothing can be written.
    """
    sheet = read_instrument_events(snapshot.study.instruments_sheet)
    parts = repr((version("reconflow"), study_sha256, sheet))
    made_of = hashlib.sha256(parts.encode()).hexdigest()
    folder = snapshot.study.results / FOLDER
    if study_sha256 and _kept(folder) == {"made_of": made_of, "files": _written(folder)}:
        return
    judge_and_write(snapshot)
    if study_sha256:
        kept = json.dumps({"made_of": made_of, "files": _written(folder)}) + "\n"
        write_atomically(folder / MADE_OF, kept.encode())


def _written(folder: Path) -> dict[str, str]:
    """Give the SHA-256 of the overview and of each page in the folder."""
    files = [*folder.glob("*.html"), *folder.glob(KEPT)]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _kept(folder: Path) -> object:
    try:
        return json.loads((folder / MADE_OF).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def judge_and_write(snapshot: StudySnapshot) -> Monitoring:
    """Judge every instrument of a study, write its page, and keep what the front page says.

    Raises OSError when nothing can be written.
    """
    monitoring = monitor(snapshot)
    write_instrument_pages(snapshot.study, monitoring)
    keep_overview(snapshot.study, overview_of(monitoring))
    return monitoring


def write_instrument_pages(study: Study, monitoring: Monitoring) -> list[Path]:
    """Write the pages that changed and remove those of instruments that have none any more.

    Gives the pages of all instruments. Raises OSError when they cannot be written.
    """
    folder = study.results / FOLDER
    if folder.is_dir():
        remove_unfinished(folder)
    pages = []
    for instrument in monitoring.instruments:
        path = folder / instrument.page
        content = render_instrument_page(_page(study, instrument)).encode()
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
        pages.append(path)
    for path in sorted(folder.glob("*.html")):
        # A corrected sheet gives an instrument another name; the page under the old one would stay
        # as it was for ever.
        if path not in pages and OURS in path.read_bytes()[:2000]:
            path.unlink()
    return pages


def _page(study: Study, instrument: Instrument) -> InstrumentPage:
    return InstrumentPage(
        study=study.settings.study,
        title=instrument.title,
        names=instrument.names,
        tubes=instrument.tubes,
        first=instrument.first,
        last=instrument.last,
        calibrations=instrument.calibrations,
        charts=instrument.charts,
        drifts=instrument.drifts,
        bridgings=instrument.bridgings,
        events=instrument.events,
    )
