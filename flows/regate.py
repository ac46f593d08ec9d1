"""Compare another version of a strategy with the one in use, over the archive: the steps."""

from typing import Any, cast

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

import flows.process_start  # noqa: F401 - before anything imports numpy
from flows.each import MOST_AT_ONCE, each
from flows.served_study import served_study
from panels.files.watchdog import watchdog
from panels.text.quoting import unexpected
from tasks.concordance.compare import agreement
from tasks.concordance.page import verdict, write_concordance
from tasks.concordance.recount import (
    Recount,
    comparison,
    folder_of,
    measure_references,
    recount_inputs,
    tubes_to_compare,
)
from tasks.steps.one_pass import one_pass
from tasks.steps.prefect_tasks import recount

THREADS = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=MOST_AT_ONCE))


@flow(name="regate", task_runner=THREADS)
@watchdog()
def regate(study: str, strategy: str) -> dict[str, Any]:
    """Recount the archive beside the current counts, compare, and write results/concordance.

    Gives what ``reconflow regate --json`` prints. Raises UsageFault where the process serves
    another study.
    """
    with one_pass(served_study(study), "regate") as this:
        snapshot, archive = this.snapshot, this.snapshot.study
        compared = comparison(snapshot, strategy)
        faults = measure_references(snapshot, compared)
        recounts = each(
            recount,
            recount_inputs(snapshot, compared),
            tubes_to_compare(archive, compared),
            study=archive,
            note=this.note_worker,
            unexpected=_unexpected,
        )
        faults += [f"{tube.tube_sha256[:12]}: {tube.fault}" for tube in recounts if tube.fault]
        agreed = agreement(snapshot, compared)
        page = write_concordance(archive, compared, agreed, faults)
    return {
        "current": compared.current.name,
        "other": compared.other.name,
        "recounted": len(recounts),
        "tubes": int(agreed.pairs["tube_sha256"].nunique()),
        "changed": len(agreed.changed),
        "faults": faults,
        "verdict": verdict(compared, agreed),
        "folder": str(folder_of(archive, compared)),
        "page": page,
    }


def _unexpected(tube_sha256: str, error: BaseException) -> Recount:
    described = str(error) if isinstance(error, OSError) else f"Unexpected {unexpected(error)}"
    return Recount(tube_sha256, f"{described}. The next regate tries again.")
