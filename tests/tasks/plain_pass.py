"""Walk the steps of a pass in this process, without Prefect."""

from tasks.intake.take_in import take_in
from tasks.results.build_tables import build_patient
from tasks.steps.one_pass import Pass
from tasks.tubes.count_tube import count_tube, measure_reference


def take_in_count_and_build(this: Pass) -> None:
    """Take in, measure, count and write the patients' tables of a pass under way."""
    this.taken_in = take_in(this.study)
    for sha in this.references():
        measure_reference(this.study, sha)
    this.counted = [count_tube(this.study, sha) for sha in this.tubes()]
    for inputs in this.patients():
        build_patient(this.study, inputs)
