"""Time reading, gating, counting and writing the page of one tube against release 0.3.0, which drew
a picture of all gates, and say how much is on the disk.

    python benchmarks/tube_page.py [--events 100000] [--rounds 7]

Release 0.3.0 is checked out of this repository into a temporary worktree. Each release has a study
and a process of its own with the same tube, bcell@2.0.0 in both; a tube is counted once to import
and to fill the store, then the two take turns. Ratios are medians of pairs, so that a machine's
drift hits both alike.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
EARLIER = "1587dcc89de69a621da9eec24dc1269fcb336867"
"""The commit of release 0.3.0."""
STRATEGY = "bcell@2.0.0"
ROUNDS = """
import sys, time
from pathlib import Path
study = open_study(Path(sys.argv[1]))
take_in(study)
with study.store() as store:
    (tube,) = taken_in(store)
sha = tube.identity.tube_sha256
count = prepare(study)
for line in sys.stdin:
    wall, busy = time.perf_counter(), time.process_time()
    outcome = count(sha)
    print(time.perf_counter() - wall, time.process_time() - busy, flush=True)
    assert outcome.counted, outcome
"""
IMPORTS = {
    "0.3.0": """
from tasks.count_tube import count_tube
from tasks.intake.turn import take_in
from tasks.store.tubes import taken_in
from tasks.study import open_study
prepare = lambda study: lambda sha: count_tube(study, sha)
""",
    "now": """
from tasks.intake.take_in import take_in
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import open_study
from tasks.tubes.count_tube import count_tube, counting_inputs
def prepare(study):
    inputs = counting_inputs(read_snapshot(study))
    return lambda sha: count_tube(inputs, sha)
""",
}


def main() -> None:
    """Make the tube, let both releases count it in turn, and print what it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, checked_out(Path(folder) / "0.3.0") as earlier:
        source = {"0.3.0": earlier, "now": HERE}
        first = make_study(Path(folder) / "study of 0.3.0", options.events)
        shutil.copytree(first, Path(folder) / "study of now")
        processes = {
            name: Release(source[name], Path(folder) / f"study of {name}", name) for name in source
        }
        for each in processes.values():
            each.count()
        pairs = [[each.count() for each in processes.values()] for _ in range(options.rounds)]
        report(pairs, {name: each.study for name, each in processes.items()}, options.events)
        for each in processes.values():
            each.end()


@contextmanager
def checked_out(folder: Path) -> Iterator[Path]:
    """Check release 0.3.0 out into a folder, which is gone afterwards."""
    git = ["git", "-C", str(HERE), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), EARLIER], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def make_study(folder: Path, events: int) -> Path:
    """Write a study whose inbox holds one simulated B-cell tube."""
    sys.path.insert(0, str(HERE / "benchmarks"))
    from gating_speed import make_tube

    (folder / "inbox").mkdir(parents=True)
    make_tube(folder / "inbox" / "a.fcs", events)
    settings = f"study: s\nintake: {{settle_seconds: 0}}\nstrategies: {{bcell: {STRATEGY}}}\n"
    for name, content in {
        "study.yaml": settings,
        "patients.csv": "patient,infused\nP01,2026-01-10T11:00\n",
        "samples.csv": "file,patient,collected,panel\na.fcs,P01,2026-02-07T08:30,bcell\n",
    }.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


class Release:
    """A process of one release that counts its tube whenever it is told to."""

    def __init__(self, source: Path, study: Path, name: str) -> None:
        self.study = study
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", IMPORTS[name] + ROUNDS, str(study)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=source,
            env=os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"},
        )

    def count(self) -> tuple[float, float]:
        """Count the tube once; gives the seconds it took, and those of the processor."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("The process has no pipes.")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        wall, busy = map(float, self._process.stdout.readline().split())
        return wall, busy

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


def report(pairs: list[list[tuple[float, float]]], studies: dict[str, Path], events: int) -> None:
    """Print medians, the median ratio of pairs, and the bytes of the tube's folder."""
    print(f"reading, gating, counting, page of a tube of about {events:,} events, {STRATEGY}")
    for place, what in enumerate(("elapsed", "processor")):
        seconds = [[each[place] for each in pair] for pair in pairs]
        medians = ", ".join(
            f"{name} {statistics.median(column):.3f} s"
            for name, column in zip(studies, zip(*seconds, strict=True), strict=True)
        )
        ratios = [earlier / now for earlier, now in seconds]
        print(
            f"{what}: {medians}; {statistics.median(ratios):.2f} times as fast "
            f"({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} pairs)"
        )
    for name, study in studies.items():
        (folder,) = (study / "results" / "tubes").iterdir()
        sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
        listed = ", ".join(f"{file} {size:,}" for file, size in sorted(sizes.items()))
        print(f"{name}: {sum(sizes.values()):,} bytes a tube ({listed})")


if __name__ == "__main__":
    main()
