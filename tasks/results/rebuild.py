"""Write one patient's tables anew at once, without waiting for the next pass."""

from tasks.results.front_page import rewrite_front_page
from tasks.results.patient_inputs import tables_due
from tasks.results.patient_tables import build_patient
from tasks.strategies.in_use import read_snapshot
from tasks.strategies.pins import finish_promotions
from tasks.study.folder import Study, open_study
from tasks.study.lock import study_lock


def rebuild_tables(study: Study, patient: str) -> bool:
    """Write a patient's tables if they are made of something else now; tells whether they were.

    Waits for a pass that is under way. Nothing is counted; the front page is written anew, the
    cohort's tables follow with the next pass. Raises ReconflowError when the tables cannot be
    written.
    """
    with study_lock(study):
        snapshot = read_snapshot(finish_promotions(open_study(study.folder)))
        due = [each for each in tables_due(snapshot).patients if each.patient == patient]
        for inputs in due:
            build_patient(snapshot, inputs)
        rewrite_front_page(snapshot)
    return bool(due)
