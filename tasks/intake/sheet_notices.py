"""Gather what is wrong with the sheets, and what they leave open although the work goes on.

The latter are lines that are gone, courses of a drug without stop, and drugs nobody knows.
"""

from dataclasses import dataclass

from tasks.intake.gone_lines import gone_lines
from tasks.intake.inbox import list_inbox
from tasks.intake.registry import read_registry
from tasks.sheets.drug_notices import drug_notices
from tasks.study.snapshot import StudySnapshot


@dataclass(frozen=True, slots=True)
class SheetSentences:
    """What is to be said of the sheets.

    ``faults`` are the lines that cannot be used, each once, sheet by sheet; those of
    instruments.csv are among the notices on the instruments. ``notices`` are in a fixed order.
    """

    faults: tuple[str, ...]
    notices: tuple[str, ...]


def sheet_sentences(snapshot: StudySnapshot) -> SheetSentences:
    """Read the sheets, and look for tubes that they name no more."""
    registry = read_registry(snapshot.study, snapshot.patients, list_inbox(snapshot.study))
    patients = snapshot.patients
    faults = (*patients.faults, *registry.samples.faults, *snapshot.drug_problems)
    notices = (
        *gone_lines(snapshot.study, registry),
        *drug_notices(snapshot.exposures, patients.patients),
    )
    return SheetSentences(tuple(dict.fromkeys(map(str, faults))), notices)
