"""Show on stderr how far a command has come."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

_SHOWN: ContextVar["Progress | None"] = ContextVar("shown_progress", default=None)


@contextmanager
def progress_shown(*, quiet: bool = False) -> Iterator[None]:
    """Draw a bar for each step of the block.

    Where stderr is no terminal, the bars are printed once, at the end.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<20}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), disable=quiet) as shown:
        token = _SHOWN.set(shown)
        try:
            yield
        finally:
            _SHOWN.reset(token)


def track(step: str) -> Callable[[int, int], None]:
    """Begin a step and give what to call with (done, total) as it goes on."""
    shown = _SHOWN.get()
    if shown is None:
        return lambda _done, _total: None
    bar = shown.add_task(step, total=None)
    return lambda done, total: shown.update(bar, completed=done, total=total)
