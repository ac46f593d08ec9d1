"""Write the study's front page (index.html, study.js) from the ledger and the patients' tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from panels.text.printable import printable
from tasks.overview.attention import tubes_to_look_at
from tasks.overview.counted_tube import read_counted_tubes
from tasks.overview.grid import report_address
from tasks.overview.morning import Morning, StudyNow
from tasks.overview.study_document import study_document
from tasks.overview.uncalibrated import uncalibrated_sentence
from tasks.publish.app_files import write_app
from tasks.publish.front_page import FrontPage, LedgerLine, render_index
from tasks.publish.map_page import PAGE as MAP_PAGE
from tasks.publish.page_data import data_script
from tasks.publish.tables import write_atomically
from tasks.results.cohort_estimates import PAGE as COHORT_PAGE
from tasks.results.looked import Looked, keep_looked, kept_looked, made_of
from tasks.results.questions import questions_asked
from tasks.results.study_now import read_kept, study_now
from tasks.store.editions import last_editions
from tasks.store.ledger import FileRecord
from tasks.store.reviews import reviews_of
from tasks.store.tubes import taken_in
from tasks.study.snapshot import StudySnapshot


def write_front_page(snapshot: StudySnapshot, faults: Sequence[str] = ()) -> Path:
    """Write index.html and study.js at the end of a pass.

    ``faults`` are the sentences on what the pass could not write.
    """
    return _write(snapshot, read_morning(snapshot, faults, in_pass=True))


def rewrite_front_page(snapshot: StudySnapshot) -> Path:
    """Write index.html and study.js between passes, as the store knows the last one."""
    return _write(snapshot, read_morning(snapshot))


def read_morning(
    snapshot: StudySnapshot, faults: Sequence[str] = (), *, in_pass: bool = False
) -> Morning:
    """Read the store with all patients' tables, the sheets and what was kept of the instruments.

    ``in_pass``: the pass that reads them is about to end, with ``faults``; else those of the last
    one are said.
    """
    with snapshot.study.store() as store:
        kept = read_kept(snapshot, store)
        counted_of = made_of(store, kept.recent)
        editions = last_editions(store)
        decisions = reviews_of(store)
        known = taken_in(store)
    tubes = [tube for each in editions.values() for tube in read_counted_tubes(each.kinetics)]
    questions = questions_asked(tubes, decisions)
    look = tubes_to_look_at(tubes, kept.recent, snapshot.study.settings.time_zone, questions)
    now = study_now(snapshot, kept, Looked.of(look), faults, in_pass=in_pass)
    return Morning(
        **{each.name: getattr(now, each.name) for each in fields(now)},
        known=known,
        tubes=tubes,
        patients=sorted(editions),
        look=look,
        made_of=counted_of,
    )


def read_now(snapshot: StudySnapshot) -> StudyNow:
    """Read how the study stands; the tables only where the front page was not written of them."""
    with snapshot.study.store() as store:
        kept = read_kept(snapshot, store)
        looked = kept_looked(snapshot.study, store, kept.recent)
    return read_morning(snapshot) if looked is None else study_now(snapshot, kept, looked)


def _write(snapshot: StudySnapshot, morning: Morning) -> Path:
    study = snapshot.study
    front = FrontPage(
        study=study.settings.study,
        sentence=morning.night.sentence,
        standing=morning.night.standing,
        states={str(state): number for state, number in morning.states.items()},
        open_files=_lines(morning.files),
        aside=_lines(morning.aside),
        patients={patient: report_address(patient) for patient in morning.patients},
        cohort_page=(study.results / "cohort" / COHORT_PAGE).is_file(),
        map_page=(study.results / "cohort" / MAP_PAGE).is_file(),
        strategies={
            (each.panel, each.strategy): " ".join(filter(None, (each.description, each.newer)))
            for each in morning.standings
        },
        notices=morning.notices,
        uncalibrated=uncalibrated_sentence(morning.without),
        instruments=morning.instruments.standing,
    )
    study.results.mkdir(parents=True, exist_ok=True)
    write_app(study.results)
    document = study_document(snapshot, morning)
    write_atomically(study.results / "study.js", data_script("study", "", document))
    page = study.front_page
    write_atomically(page, render_index(front).encode())
    keep_looked(study, morning.made_of, Looked.of(morning.look))
    return page


def _lines(files: Sequence[FileRecord]) -> list[LedgerLine]:
    return [LedgerLine(printable(each.inbox_path), each.state, each.reason) for each in files]
