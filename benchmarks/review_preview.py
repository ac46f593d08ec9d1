"""Time a boundary that is dragged on the review pages: from the call to the answer of the server.

    PYTHONPATH=. python benchmarks/review_preview.py [--events 11] [--moves 20] [--folder DIR]

A simulated patient's B-cell tubes (``--events`` scales them: 11 gives about a million events) are
counted, and the pages served on loopback as ``reconflow review`` serves them. One threshold is then
dragged through several places, one call after the other, as the page does. Wall time and the CPU
time of this process, which is client and server, are given: on a machine with other work only the
latter says what a call costs.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tasks.corrections.live_tube import LiveTubes
from tasks.simulate.study import write_study
from tasks.steps.pass_under_way import Pass
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tests.review_server import serving
from tests.tasks.plain_pass import take_in_count_and_build

THRESHOLD, AXIS = "cd24_tr", "CD24"
FROM, TO = 0.45, 0.60
"""Display positions between which the boundary is dragged."""


def main() -> None:
    """Print milliseconds a call in the median and at most."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=float, default=11.0)
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        folder = asked.folder or Path(spare) / "study"
        study = open_study(folder) if (folder / "study.yaml").is_file() else made(folder, asked)
        measure(study, asked.moves)


def made(folder: Path, asked: argparse.Namespace) -> Study:
    """Simulate and count the B-cell tubes of one patient."""
    write_study(folder, patients=1, visits=2, events=asked.events, workers=2)
    for path in (folder / "inbox").iterdir():
        if "_bcell" not in path.name:
            path.unlink()
    shutil.rmtree(folder / "simulation-truth", ignore_errors=True)
    with (folder / "study.yaml").open("a", encoding="utf-8") as file:
        file.write("intake: {settle_seconds: 0}\n")
    study = open_study(folder)
    take_in_count_and_build(Pass(read_snapshot(study)))
    return study


def measure(study: Study, moves: int) -> None:
    """Drag the boundary through the server, and the same without it."""
    with study.store() as store:
        tubes = [tube.identity for tube in taken_in(store)]
    tube = min(tubes, key=lambda each: each.collected)
    sha256 = tube.tube_sha256
    places = [FROM + (TO - FROM) * step / moves for step in range(moves)]
    live = LiveTubes()
    opened = _spent(live.open, study, sha256)
    print(f"{tube.file}: opened in {_ms(opened)}")
    again = [_spent(live.open, study, sha256) for _ in places]
    _print("asked whether anything changed", again)
    held = live.open(study, sha256)
    _print("counts and curve", [_spent(held.preview, {THRESHOLD: x}, {}) for x in places])
    with serving(study) as served:
        address = f"/api/tubes/{sha256}/preview"
        headers = {"x-reconflow-csrf": served.log_in("Anna").json()["csrf"]}

        def call(place: float) -> None:
            body = {"thresholds": {THRESHOLD: place}, "gates": {}}
            answer = served.client.post(address, json=body, headers=headers)
            assert answer.status_code == 200, answer.text

        print(f"first call of the server: {_ms(_spent(call, TO))}")
        _print("a call", [_spent(call, x) for x in places])


def _spent(act: Callable[..., object], *given: object) -> tuple[float, float]:
    wall, cpu = time.monotonic(), time.process_time()
    act(*given)
    return time.monotonic() - wall, time.process_time() - cpu


def _ms(spent: tuple[float, float]) -> str:
    return f"{1000 * spent[0]:,.0f} ms (CPU {1000 * spent[1]:,.0f})"


def _print(what: str, spent: list[tuple[float, float]]) -> None:
    wall, cpu = zip(*spent, strict=True)
    median = _ms((statistics.median(wall), statistics.median(cpu)))
    print(f"{what}: {median}, at most {_ms((max(wall), max(cpu)))}")


if __name__ == "__main__":
    main()
