"""Gather what is wrong with the sheets, and what they leave open although the work goes on.

The latter are lines that are gone, courses of a drug without stop, and drugs nobody knows.
"""

from collections.abc import Sequence

from tasks.intake.gone_lines import gone_lines
from tasks.intake.inbox import list_inbox
from tasks.intake.registry import read_registry
from tasks.sheets.drug_notices import drug_notices
from tasks.store.tubes import Tube, taken_in
from tasks.study.snapshot import StudySnapshot


def sheet_faults(snapshot: StudySnapshot) -> tuple[str, ...]:
    """Give a sentence for every line of a sheet that cannot be used, each once, sheet by sheet.

    Those of instruments.csv are among the notices on the instruments.
    """
    study, patients = snapshot.study, snapshot.patients
    samples = read_registry(study, patients, list_inbox(study)).samples
    faults = (*patients.faults, *samples.faults, *snapshot.drug_problems)
    return tuple(dict.fromkeys(map(str, faults)))


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
