"""Gather what the sheets leave open although the work goes on: lines that are gone, courses without stop, drugs nobody knows."""

from collections.abc import Sequence

from tasks.intake.gone_lines import gone_lines
from tasks.sheets.drugs import drug_questions, read_drugs
from tasks.store.tubes import Tube, taken_in
from tasks.study.folder import Study


def sheet_notices(study: Study, known: Sequence[Tube] | None = None) -> tuple[str, ...]:
    """Give a sentence for each, in a fixed order; ``known`` are all tubes taken in, where they were read already."""
    if known is None:
        with study.store() as store:
            known = taken_in(store)
    exposures, _ = read_drugs(study.drugs_sheet)
    return (*gone_lines(study, known), *drug_questions(exposures, study.patients().patients))
