"""Run one study from the inbox to the report: the steps, in order."""

from functools import partial
from typing import Any, cast

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

import flows.process_start  # noqa: F401 - before anything imports numpy
from flows.artifacts import show_patient, show_report
from flows.each import MOST_AT_ONCE, each, once
from flows.notify import night_ended, night_failed
from flows.served_study import served_study
from panels.files.watchdog import watchdog
from tasks.steps.one_pass import one_pass
from tasks.steps.prefect_tasks import (
    cohort_tables,
    compartment_maps,
    count,
    front_page,
    instrument_pages,
    measure,
    patient_tables,
    take_in_files,
)

THREADS = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=MOST_AT_ONCE))
"""Threads only wait here: the work is done elsewhere (tasks/steps/worker_pool.py)."""


@flow(
    name="nightly",
    task_runner=THREADS,
    on_completion=[night_ended],
    on_failure=[night_failed],
    on_crashed=[night_failed],
)
@watchdog()
def nightly(study: str) -> dict[str, Any]:
    """Take in, gate and count, write tables and report; gives what ``reconflow run --json`` prints.

    A tube's fault is recorded against the tube and the night goes on; so is a patient's. Raises
    UsageFault where the process serves another study.
    """
    folder, log = served_study(study), get_run_logger()
    with one_pass(folder, "nightly") as this:
        this.note_intake(take_in_files(folder))
        run_each = partial(each, study=this.study, note=this.note_worker)
        measured = run_each(measure, this.snapshot, this.references(), unexpected=this.note_failure)
        tubes = this.tubes()
        this.counted = run_each(count, this.counting, tubes, unexpected=this.note_failure)
        for outcome in (*measured, *this.counted):
            if not outcome.counted:
                log.warning("tube %s: %s", outcome.tube_sha256[:12], outcome.reason)
        patients = this.patients()
        this.faults = [
            fault for fault in run_each(patient_tables, this.snapshot, patients) if fault
        ]
        if patients or this.cohort_is_due():
            once(cohort_tables, this.snapshot)
        unwritten = once(instrument_pages, (this.snapshot, this.study_sha256))
        this.faults.extend(unwritten)
        this.report = once(front_page, (this.snapshot, (*this.faults, *this.world_faults)))
        show_report(this.snapshot.study, this.report)
        for inputs in patients:
            show_patient(this.snapshot.study, inputs.patient)
        if this.study.settings.explore.compartments:
            this.maps = once(compartment_maps, this.snapshot)
    return this.summary
