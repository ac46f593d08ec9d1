"""Take some hundreds or thousands of files in that came in one drop: processor time and memory.

    PYTHONPATH=. python benchmarks/intake_drop.py FINISHED [--files 500 1000 2000] [--events 500]

FINISHED is a study for which a pass has ended (`reconflow demo`); the files are copies of its tubes
with few events. Each drop is taken in by a process of its own; its peak memory is the process's,
beside that of one that took in a single patient.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.copied_study import begin_study, copies_of, drop_file
from tasks.store.ledger import count_by_state
from tasks.study.folder import Study, open_study

TAKE_IN = """
import resource, sys
from pathlib import Path
from tasks.intake.take_in import take_in
from tasks.study.folder import open_study
taken = take_in(open_study(Path(sys.argv[1])))
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def main() -> None:
    """Make each drop, and take it in."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("finished", type=Path)
    parser.add_argument("--files", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--events", type=int, default=500)
    options = parser.parse_args()
    source = open_study(options.finished.resolve())
    for files in (1, *options.files):
        with tempfile.TemporaryDirectory() as spare:
            take_in_drop(source, Path(spare) / "study", files, options.events)


def take_in_drop(source: Study, folder: Path, files: int, events: int) -> None:
    """Make a study with so many files in its inbox, take them in, and print what it cost."""
    copies = copies_of(source, files)
    begin_study(source, folder, copies)
    for copy in copies:
        drop_file(source, folder / "inbox", copy, events)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", TAKE_IN, str(folder)], check=True, capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    with open_study(folder).store() as store:
        states = {state: number for state, number in count_by_state(store).items() if number}
    busy, peak = map(float, done.stdout.split())
    print(
        f"{len(copies):,} files: {busy:.1f} s of CPU, {1000 * busy / len(copies):.0f} ms a file, "
        f"{seconds:.0f} s in all, peak memory {peak:.0f} MB; {states}",
        flush=True,
    )


if __name__ == "__main__":
    main()
