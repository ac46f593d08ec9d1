"""Have the figures of a large cohort drawn in other processes, while its tables are written."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context

from tasks.results.cohort_pictures import Drawn, Shown, draw_figure, drawn_here
from tasks.results.cohort_tables import build_cohort
from tasks.steps.worker_pool import apart, workers
from tasks.study.snapshot import StudySnapshot

MANY_PATIENTS = 150
"""The figures of fewer are drawn before new processes would have imported what they need."""


def build_cohort_together(snapshot: StudySnapshot) -> int:
    """Write the cohort's results as ``build_cohort``, its figures drawn by the study's workers.

    They are processes of this computer, also where a cluster counts: figures are few, and are
    drawn from what lies in this process.
    """
    number = snapshot.study.settings.workers

    @contextmanager
    def drawn_apart(shown: Shown, names: Sequence[str]) -> Iterator[Callable[[str], Drawn]]:
        if number < 2 or len(names) < 2 or shown.patients < MANY_PATIENTS:
            with drawn_here(shown, names) as draw:
                yield draw
            return
        threads = ThreadPoolExecutor(len(names))
        with workers(min(number, len(names)), shown.patients, shown):
            try:
                drawn = {
                    name: threads.submit(copy_context().run, apart, draw_figure, name)
                    for name in names
                }
                yield lambda name: drawn[name].result()
            finally:
                threads.shutdown(cancel_futures=True)

    return build_cohort(snapshot, drawn_apart)
