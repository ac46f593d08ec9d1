"""Gather what the sheets leave open although the work goes on: lines that are gone, courses without stop, drugs nobody knows."""

from collections.abc import Sequence

from tasks.intake.gone_lines import gone_lines
from tasks.sheets.drugs import drug_questions
from tasks.store.tubes import Tube, taken_in
from tasks.study.snapshot import StudySnapshot


def sheet_notices(snapshot: StudySnapshot, known: Sequence[Tube] | None = None) -> tuple[str, ...]:
    """Give a sentence for each, in a fixed order.

    ``known`` are all tubes taken in, where they were read already.
    """
    if known is None:
        with snapshot.study.store() as store:
            known = taken_in(store)
    questions = drug_questions(snapshot.exposures, snapshot.patients.patients)
    return (*gone_lines(snapshot.study, snapshot.patients, known), *questions)
