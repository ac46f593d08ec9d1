"""Run one step, for one thing or for many at once, with what its work shares."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from prefect import Task

from flows.progress import track
from panels.text.errors import RunnerFault
from tasks.steps.worker_pool import workers
from tasks.study.folder import Study

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_AT_ONCE = 32
"""So many pieces of work can be under way at once, each with a thread that waits for it; more
workers than that have nothing to do."""


def each(
    step: Task[Any, Result],
    shared: object,
    items: Sequence[Item],
    *,
    study: Study,
    note: Callable[[str], None] = lambda _: None,
    unexpected: Callable[[Item, BaseException], Result] | None = None,
) -> list[Result]:
    """Submit ``step(item)`` for every item and give the results in the items' order.

    ``shared`` is what the work of all items needs; each worker that ``study`` asks for is given it
    once. ``note`` is told a sentence of each worker that may not be used. ``unexpected`` turns an
    error that survived its retries into a result, so that one item does not stop the others. Raises
    RunnerFault when nobody is left to do the work.
    """
    if not items:
        return []
    show = track(step.name)
    results: list[Result] = []
    with workers(study.settings.workers, len(items), shared, study, note):
        futures = [step.submit(item) for item in items]
        for done, (item, future) in enumerate(zip(items, futures, strict=True), 1):
            result = future.result(raise_on_failure=unexpected is None)
            if isinstance(result, RunnerFault):
                raise result
            if unexpected and isinstance(result, BaseException):
                result = unexpected(item, result)
            results.append(result)
            show(done, len(items))
    return results


def once(step: Task[[], Result], shared: object) -> Result:
    """Run one step that needs ``shared``, in this process."""
    with workers(1, 1, shared):
        return step()
