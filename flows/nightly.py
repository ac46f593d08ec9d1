"""Run one study from the inbox to the report: the steps, in order."""

from typing import Any, cast

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

import flows.one_thread  # noqa: F401 - before anything imports numpy
from flows.artifacts import show_patient, show_report
from flows.each import each
from flows.served_study import served_study
from tasks.steps.one_pass import one_pass
from tasks.steps.prefect_tasks import (
    cohort_tables,
    count,
    front_page,
    measure,
    patient_tables,
    take_in_files,
)

THREADS = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=8))
"""Threads only wait here: the work is done in processes (tasks/steps/worker_pool.py)."""


@flow(name="nightly", task_runner=THREADS)
def nightly(study: str) -> dict[str, Any]:
    """Take in, gate and count, write tables and report; gives what ``reconflow run --json`` prints.

    A tube's fault is recorded against the tube and the night goes on; so is a patient's. Raises
    UsageFault where the process serves another study.
    """
    folder, log = served_study(study), get_run_logger()
    with one_pass(folder, "nightly") as this:
        this.taken_in = take_in_files(folder)
        measured = each(measure, this.study, this.references(), unexpected=this.note_failure)
        this.counted = each(count, this.study, this.tubes(), unexpected=this.note_failure)
        for outcome in (*measured, *this.counted):
            if not outcome.counted:
                log.warning("tube %s: %s", outcome.tube_sha256[:12], outcome.reason)
        patients = this.patients()
        this.faults = [fault for fault in each(patient_tables, this.study, patients) if fault]
        if patients or this.cohort_is_due():
            cohort_tables(folder)
        this.report = front_page(folder)
        show_report(this.report)
        for inputs in patients:
            show_patient(this.study, inputs.patient)
    return this.summary
