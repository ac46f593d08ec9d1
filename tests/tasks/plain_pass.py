"""Walk the steps of a pass in this process, without Prefect."""

from tasks.concordance.recount import Comparison, recount_inputs, recount_tube, tubes_to_compare
from tasks.intake.take_in import take_in
from tasks.results.patient_notes import baseline_warnings, patient_notes
from tasks.results.patient_tables import build_patient
from tasks.steps.pass_under_way import Pass
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tasks.tubes.count_tube import count_tube, measure_reference


def take_in_count_and_build(this: Pass) -> None:
    """Take in, measure, count and write the patients' tables of a pass under way."""
    this.note_intake(take_in(this.study))
    count_all(this)
    for inputs in this.patients():
        build_patient(this.snapshot, inputs)


def count_all(this: Pass) -> None:
    """Measure and count what is due in a pass under way."""
    for sha in this.references():
        measure_reference(this.snapshot, sha)
    due = this.tubes()
    assert this.counting is not None
    this.counted = [count_tube(this.counting, sha) for sha in due]


def plain_night(study: Study) -> Pass:
    """Take in, measure, count and write the patients' tables; every tube has to be counted."""
    this = Pass(read_snapshot(study))
    take_in_count_and_build(this)
    assert all(outcome.counted for outcome in this.counted)
    return this


def recount_all(study: Study, compared: Comparison) -> None:
    """Recount every tube of the archive that was not compared yet; none may fail."""
    inputs = recount_inputs(read_snapshot(study), compared)
    for sha in tubes_to_compare(study, compared):
        assert not recount_tube(inputs, sha).fault


def notes(study: Study) -> dict[str, tuple[str, ...]]:
    """Give what the patients' reports begin with."""
    with study.store() as store:
        return patient_notes(read_snapshot(study), taken_in(store))


def warnings(study: Study) -> dict[str, str]:
    """Give what is wrong with the patients' named baseline visits."""
    with study.store() as store:
        return baseline_warnings(read_snapshot(study).patients, taken_in(store))
