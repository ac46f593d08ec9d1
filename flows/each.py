"""Run one step for many things at once."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from prefect import Task

from flows.progress import track
from tasks.steps.worker_pool import workers
from tasks.study.folder import Study

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    step: Task[Any, Result],
    study: Study,
    items: Sequence[Item],
    *,
    unexpected: Callable[[Item, BaseException], Result] | None = None,
) -> list[Result]:
    """Submit ``step(study folder, item)`` for every item and give the results in the items' order.

    ``unexpected`` turns an error that survived its retries into a result, so that one item does not
    stop the others.
    """
    if not items:
        return []
    show = track(step.name)
    results: list[Result] = []
    with workers(study.settings.workers, len(items)):
        futures = [step.submit(study.folder, item) for item in items]
        for done, (item, future) in enumerate(zip(items, futures, strict=True), 1):
            found = future.result(raise_on_failure=unexpected is None)
            results.append(
                unexpected(item, found)
                if unexpected and isinstance(found, BaseException)
                else found
            )
            show(done, len(items))
    return results
