"""Wrap the steps of the pipeline as Prefect tasks: names and retries; the work itself is next door.

How long a piece of work may take is bounded where it can be ended, in the processes of
tasks/steps/worker_pool.py. A timeout of Prefect's would only mark a task whose thread hangs in the
operating system, and the thread would hang on.

Paths and hashes cross a task's border, events and frames never do. Only what touches the world (the
shared folder) is retried, and only for faults that pass. Run names carry a tube's short hash and a
patient's pseudonym, nothing else.
"""

import errno
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from panels.text.errors import LeaseLost, ReconflowError, StoreBusy
from tasks.concordance.recount import Recount
from tasks.intake.take_in import IntakeSummary
from tasks.results.build_tables import PatientInputs
from tasks.tubes.count_tube import CountOutcome

RETRIES = 2
STAYS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
"""What the operating system will say again in half a minute; a file that is not there may come back
with its share."""
SECONDS_BETWEEN: list[float] = [5, 30]


def _may_pass(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    """Retry what the shared folder or the store's lock did, never a fault that would come again."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, OSError) and error.errno in STAYS:
        return False
    return isinstance(error, OSError | StoreBusy)


@task(
    name="take in",
    cache_policy=NO_CACHE,
    retries=RETRIES,
    retry_delay_seconds=SECONDS_BETWEEN,
    retry_condition_fn=_may_pass,
)
def take_in_files(study: Path) -> IntakeSummary:
    """Take up what lies in the inbox; gives the summary of the intake."""
    from tasks.intake.take_in import take_in
    from tasks.study.folder import open_study

    return take_in(open_study(study))


@task(
    name="measure",
    task_run_name="measure {tube_sha256:.12}",
    cache_policy=NO_CACHE,
    retries=RETRIES,
    retry_delay_seconds=SECONDS_BETWEEN,
    retry_condition_fn=_may_pass,
)
def measure(study: Path, tube_sha256: str) -> CountOutcome:
    """Measure what a control or baseline tube tells about thresholds."""
    from tasks.steps.worker_pool import apart
    from tasks.study.folder import open_study
    from tasks.tubes.count_tube import measure_reference

    return apart(measure_reference, open_study(study), tube_sha256)


@task(
    name="count",
    task_run_name="count {tube_sha256:.12}",
    cache_policy=NO_CACHE,
    retries=RETRIES,
    retry_delay_seconds=SECONDS_BETWEEN,
    retry_condition_fn=_may_pass,
)
def count(study: Path, tube_sha256: str) -> CountOutcome:
    """Gate and count one tube."""
    from tasks.steps.worker_pool import apart
    from tasks.study.folder import open_study
    from tasks.tubes.count_tube import count_tube

    return apart(count_tube, open_study(study), tube_sha256)


@task(
    name="recount",
    cache_policy=NO_CACHE,
    retries=RETRIES,
    retry_delay_seconds=SECONDS_BETWEEN,
    retry_condition_fn=_may_pass,
)
def recount(study: Path, item: tuple[str, str]) -> Recount:
    """Gate one tube (SHA-256) under another strategy beside the current one."""
    from tasks.concordance.recount import recount_tube
    from tasks.steps.worker_pool import apart
    from tasks.study.folder import open_study

    return apart(recount_tube, open_study(study), *item)


@task(
    name="tables",
    task_run_name="tables {inputs.patient}",
    cache_policy=NO_CACHE,
    retries=RETRIES,
    retry_delay_seconds=SECONDS_BETWEEN,
    retry_condition_fn=_may_pass,
)
def patient_tables(study: Path, inputs: PatientInputs) -> str | None:
    """Write one patient's tables and report; gives the sentence of the fault that stopped it, if one did."""
    from tasks.results.build_tables import build_patient
    from tasks.steps.worker_pool import apart
    from tasks.study.folder import open_study

    try:
        apart(build_patient, open_study(study), inputs)
    except (StoreBusy, LeaseLost):
        raise
    except ReconflowError as fault:
        return f"{inputs.patient}: {fault}"
    return None


@task(
    name="cohort",
    cache_policy=NO_CACHE,
    retries=RETRIES,
    retry_delay_seconds=SECONDS_BETWEEN,
    retry_condition_fn=_may_pass,
)
def cohort_tables(study: Path) -> int:
    """Join the patients' tables into the cohort's; gives the number of patients."""
    from tasks.results.build_tables import build_cohort
    from tasks.study.folder import open_study

    return build_cohort(open_study(study))


@task(
    name="front page",
    cache_policy=NO_CACHE,
    retries=RETRIES,
    retry_delay_seconds=SECONDS_BETWEEN,
    retry_condition_fn=_may_pass,
)
def front_page(study: Path) -> str:
    """Write results/index.html; gives its path."""
    from tasks.results.front_page import write_front_page
    from tasks.study.folder import open_study

    return str(write_front_page(open_study(study)))
