"""Time what a site waits for when it has counted 10,000 tubes: a night with nothing new, `status`,
the cohort of all patients, the front page.

    PYTHONPATH=. python benchmarks/many_tubes.py FINISHED --folder DIR [--tubes 10000] [--rounds 3]

FINISHED is a study for which a pass has ended (`reconflow demo`); DIR is made as copies of it
(benchmarks/copied_study.py) and by a first pass, which takes some minutes, and is kept. Each round
is a process of its own: the figure is its processor time, with interpreter and imports, which says
more than the clock on a machine with other work. Of a night the server's start is left out.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.copied_study import copied_study
from benchmarks.quiet_night import ROUND
from tasks.results.cohort_pictures import KEPT
from tasks.study.folder import open_study

STATUS = "import sys; from flows.cli import run; run(['status', '--study', sys.argv[1]])"
COHORT = """
import sys
from pathlib import Path
from tasks.steps.cohort_drawing import build_cohort_together
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import open_study
build_cohort_together(read_snapshot(open_study(Path(sys.argv[1]))))
"""
FRONT_PAGE = """
import sys
from pathlib import Path
from tasks.results.front_page import rewrite_front_page
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import open_study
rewrite_front_page(read_snapshot(open_study(Path(sys.argv[1]))))
"""


def main() -> None:
    """Make the study if it is not there, and time everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("finished", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--tubes", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = options.folder.resolve()
    if not folder.is_dir():
        copied_study(options.finished.resolve(), folder, options.tubes)
    measure(folder, options.rounds)


def measure(folder: Path, rounds: int) -> None:
    """Bring the study up to date, then time each piece of work, and print it."""
    from flows.server.start import prefect_server

    with prefect_server():
        first_night = "import sys; from flows.nightly import nightly; nightly(sys.argv[1])"
        subprocess.run([sys.executable, "-c", first_night, str(folder)], check=True)
        pictures = open_study(folder).results / "cohort" / KEPT
        print(f"load {os.getloadavg()[1]:.0f} on {os.cpu_count()} cores; median of {rounds}")
        tell("a night with nothing new", ROUND, folder, rounds)
        tell("front page", FRONT_PAGE, folder, rounds)
        tell("cohort, no figure kept", COHORT, folder, rounds, forget=pictures)
        tell("cohort, figures kept", COHORT, folder, rounds)
    # With a server of a site beside it, Prefect is loaded to ask for the next night: 1.5 s more.
    tell("status", STATUS, folder, rounds)


def tell(what: str, script: str, folder: Path, rounds: int, *, forget: Path | None = None) -> None:
    """Run a script on the study some times, and print its processor time, clock and memory.

    ``forget`` is a file that is deleted before each round.
    """
    busy, clock = [], []
    for _ in range(rounds):
        if forget is not None:
            forget.unlink(missing_ok=True)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-W", "ignore", "-c", script, str(folder)]
        subprocess.run(command, check=True, capture_output=True)
        clock.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    print(
        f"{what}: {statistics.median(busy):.1f} s of CPU, {statistics.median(clock):.1f} s in all",
        flush=True,
    )


if __name__ == "__main__":
    main()
