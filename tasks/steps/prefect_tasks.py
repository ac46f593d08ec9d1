"""Wrap the steps of the pipeline as Prefect tasks: names and retries; the work itself is next door.

How long a piece of work may take is bounded where it can be ended, in the processes of
tasks/steps/worker_pool.py. A timeout of Prefect's would only mark a task whose thread hangs in the
operating system, and the thread would hang on.

Paths, hashes and names cross a task's border, events and frames never do; what a study is made of
lies with the workers (tasks/steps/worker_pool.py). Only what touches the world (the
shared folder) is retried, and only for faults that pass. Run names carry a tube's short hash and a
patient's pseudonym, nothing else.
"""

import errno
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from panels.files.watchdog import note_progress
from panels.text.errors import LeaseLost, ReconflowError, RunnerFault, StoreBusy
from panels.text.quoting import unexpected
from tasks.concordance.recount import Recount
from tasks.intake.take_in import IntakeSummary
from tasks.results.patient_inputs import PatientInputs
from tasks.steps.piece_of_work import DidNotEnd
from tasks.steps.worker_pool import apart, aside
from tasks.study.snapshot import StudySnapshot
from tasks.tubes.count_tube import CountOutcome

P = ParamSpec("P")
Result = TypeVar("Result")

RETRIES = 2
STAYS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
"""What the operating system will say again in half a minute; a file that is not there may come back
with its share."""
SECONDS_BETWEEN: list[float] = [5, 30]


def _may_pass(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    """Retry what the shared folder or the store's lock did, never a fault that would come again."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, DidNotEnd) or (isinstance(error, OSError) and error.errno in STAYS):
        return False
    return isinstance(error, OSError | StoreBusy)


def step(
    name: str, run_name: str | None = None
) -> Callable[[Callable[P, Result]], Task[P, Result]]:
    """Make a function a Prefect task that is tried again for faults of the world, never cached."""
    return task(
        name=name,
        task_run_name=run_name,
        cache_policy=NO_CACHE,
        retries=RETRIES,
        retry_delay_seconds=SECONDS_BETWEEN,
        retry_condition_fn=_may_pass,
    )


@step("take in")
def take_in_files(study: Path) -> IntakeSummary:
    """Take up what lies in the inbox; gives the summary of the intake."""
    from tasks.intake.take_in import take_in
    from tasks.study.folder import open_study

    return take_in(open_study(study))


@step("measure", "measure {tube_sha256:.12}")
def measure(tube_sha256: str) -> CountOutcome:
    """Measure what a control or baseline tube shows of each threshold."""
    from tasks.tubes.count_tube import measure_reference

    return apart(measure_reference, tube_sha256)


@step("count", "count {tube_sha256:.12}")
def count(tube_sha256: str) -> CountOutcome:
    """Gate and count one tube."""
    from tasks.tubes.count_tube import count_tube

    return apart(count_tube, tube_sha256)


@step("recount")
def recount(tube_sha256: str) -> Recount:
    """Gate one tube under another version of its strategy beside the current one."""
    from tasks.concordance.recount import recount_tube

    return apart(recount_tube, tube_sha256)


@step("tables", "tables {inputs.patient}")
def patient_tables(inputs: PatientInputs) -> str | None:
    """Write one patient's tables and report; gives the sentence of the fault that stopped it."""
    from tasks.results.patient_tables import build_patient

    try:
        apart(build_patient, inputs)
    except (StoreBusy, LeaseLost, RunnerFault):
        raise
    except ReconflowError as fault:
        return f"{inputs.patient}: {fault}"
    return None


@step("cohort")
def cohort_tables() -> int:
    """Join the patients' tables into the cohort's; gives the number of patients."""
    from tasks.steps.cohort_drawing import build_cohort_together

    return apart(build_cohort_together)


@step("instruments")
def instrument_pages() -> list[str]:
    """Write the control charts of every instrument; gives the sentence of what stopped it.

    What is shared is the study, and the hash of all that its tables are made of. Whatever goes
    wrong here must not keep the front page from being written.
    """
    from tasks.monitor.pages import bring_up_to_date

    def pages(ending: tuple[StudySnapshot, str]) -> None:
        bring_up_to_date(*ending)

    try:
        apart(pages)
    except LeaseLost:
        raise
    except (ReconflowError, OSError) as fault:
        return [f"The instruments' control charts were not written: {fault}"]
    except Exception as error:  # noqa: BLE001 - a fault of ours is said, and the night goes on
        return [f"The instruments' control charts were not written: {unexpected(error)}."]
    return []


@step("front page")
def front_page() -> str:
    """Write corrections.csv, index.html and study.js, with what could not be written.

    Gives the path of the page.
    """
    from tasks.results.corrections_table import write_corrections_table
    from tasks.results.front_page import write_front_page

    def corrections_table(ending: tuple[StudySnapshot, Sequence[str]]) -> None:
        write_corrections_table(ending[0])

    def front_page_file(ending: tuple[StudySnapshot, Sequence[str]]) -> Path:
        return write_front_page(*ending)

    apart(corrections_table)
    return str(apart(front_page_file))


@step("maps")
def compartment_maps() -> list[str]:
    """Lay the cells of the compartments that the study names on their maps.

    Gives the sentences of what stopped one. They are made in a process of their own: nothing that a
    map loads or breaks reaches the pass, whose tables are written by now.
    """
    from tasks.explore.write_data import named_compartments

    with aside() as alone:
        return [sentence for name in apart(named_compartments) for sentence in _mapped(alone, name)]


def _mapped(alone: Callable[..., Any], name: str) -> list[str]:
    """Lay the cells of one compartment on its map; gives the sentence of what stopped it."""
    from tasks.explore.write_data import map_compartment

    try:
        said: list[str] = alone(map_compartment, name)
    except LeaseLost:
        raise
    except OSError as fault:
        said = [f"The map of {name} was not brought up to date: {fault}"]
    except Exception as error:  # noqa: BLE001 - a fault of ours is said, and the night goes on
        said = [f"The map of {name} was not brought up to date: {unexpected(error)}."]
    finally:
        note_progress()
    return said
