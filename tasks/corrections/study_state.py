"""Tell cheaply whether anything of a study changed since a moment."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from pathlib import Path

from tasks.store.audit import noted_head
from tasks.store.editions import last_edition_number
from tasks.study.folder import Study
from tasks.study.settings import FILE_NAME


def study_state(study: Study) -> Hashable:
    """Give what is another one when a decision, new tables or a file of the study changed.

    Files are told by time and size, tables and decisions by how many the store holds: whoever needs
    to know what changed has to read it.
    """
    with study.store() as store:
        return noted_head(store), last_edition_number(store), tuple(_files(study))


def _files(study: Study) -> Iterator[tuple[str, int, int]]:
    """Yield path, time and size of the settings, the sheets, and what strategies are made of."""
    sheets = (study.samples_sheet, study.patients_sheet, study.drugs_sheet, study.instruments_sheet)
    for path in (study.folder / FILE_NAME, *sheets):
        yield from _told(path)
    for folder in (study.own_strategies, study.own_panels, study.own_calibrations):
        for inside, _, names in os.walk(folder):
            for name in sorted(names):
                yield from _told(Path(inside, name))


def _told(path: Path) -> Iterator[tuple[str, int, int]]:
    try:
        told = path.stat()
    except OSError:
        return
    yield str(path), told.st_mtime_ns, told.st_size
