"""Time a nightly run that finds nothing new, on an archive of about 1,000 counted tubes; the
server's start is left out.

    python benchmarks/quiet_night.py [--folder DIR] [--patients 28] [--rounds 3]

The first run makes and counts the study (some minutes); with --folder it is kept for the next time.
Each round is a process of its own, as a nightly run is: the clock covers the imports, the flow, and
the end of the process, but not the server.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUND = """
import sys
from flows.nightly import nightly
summary = nightly(sys.argv[1])
assert summary["counted"] == summary["accepted"] == summary["failed"] == 0, summary
"""


def main() -> None:
    """Prepare the study if it is not there, then time quiet nights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--patients", type=int, default=28)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        folder = (options.folder or Path(spare) / "study").resolve()
        measure(folder, options.patients, options.rounds)


def measure(folder: Path, patients: int, rounds: int) -> None:
    """Time ``rounds`` quiet nights over the study in ``folder``."""
    from flows.server.start import prefect_server
    from tasks.simulate.study import is_complete, write_study
    from tasks.store.ledger import count_by_state
    from tasks.study.folder import open_study

    if not is_complete(folder):
        write_study(folder, patients=patients, events=0.05)
    with prefect_server():
        from flows.nightly import nightly

        nightly(str(folder))
        with open_study(folder).store() as store:
            tubes = count_by_state(store)["counted"]
        seconds = []
        for _ in range(rounds):
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-W", "ignore", "-c", ROUND, str(folder)],
                check=True,
                capture_output=True,
            )
            seconds.append(time.perf_counter() - start)
        bare = []
        for _ in range(rounds):
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-W", "ignore", "-c", "import prefect, pandas"],
                check=True,
                capture_output=True,
            )
            bare.append(time.perf_counter() - start)
    quiet, imports = statistics.median(seconds), statistics.median(bare)
    print(
        f"{tubes:,} counted tubes, nothing new: {quiet:.2f} s (median of {rounds}), "
        f"{quiet / imports:.1f} x importing prefect and pandas"
    )


if __name__ == "__main__":
    main()
