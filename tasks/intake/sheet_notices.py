"""Gather what the sheets leave open although the work goes on.

These are lines that are gone, courses of a drug without stop, and drugs nobody knows.
"""

from collections.abc import Sequence

from tasks.intake.gone_lines import gone_lines
from tasks.sheets.drug_notices import drug_notices
from tasks.store.tubes import Tube, taken_in
from tasks.study.snapshot import StudySnapshot


def sheet_notices(snapshot: StudySnapshot, known: Sequence[Tube] | None = None) -> tuple[str, ...]:
    """Give a sentence for each, in a fixed order.

    ``known`` are all tubes taken in, where they were read already.
    """
    if known is None:
        with snapshot.study.store() as store:
            known = taken_in(store)
    return (
        *gone_lines(snapshot.study, snapshot.patients, known),
        *drug_notices(snapshot.exposures, snapshot.patients.patients),
    )
