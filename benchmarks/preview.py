"""Measure how long a dragged boundary takes to be counted in one large tube.

    python benchmarks/preview.py [--events 1000000] [--moves 5]

The tube is a simulated 12-colour one (16 channels), gated once as a night gates it. Each threshold
is then moved a few times, as a hand drags it: the first move also compensates the columns that it
needs, the others find them held. The counts of each last move are held against a whole evaluation.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from gating_speed import make_tube

from gating.evaluation.compile import compile_strategy
from gating.evaluation.corrections import Corrections
from gating.evaluation.engine import evaluate
from gating.evaluation.preview import Preview
from gating.fcs.events import open_events
from gating.fcs.header import read_header
from gating.strategy.catalogue import load_strategy
from gating.thresholds.apply import apply_strategy
from panels.catalogue import load_panel
from panels.panel import match_panel

STRATEGY = "bcell@3.0.0"


def main() -> None:
    """Print milliseconds by threshold, and what the whole evaluation takes beside."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--moves", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tube.fcs"
        make_tube(path, asked.events)
        measure(path, asked.moves)


def measure(path: Path, moves: int) -> None:
    """Drag every threshold of one tube."""
    strategy = load_strategy(STRATEGY).strategy
    header = read_header(path)
    match = match_panel(load_panel(strategy.panel), header.channels)
    events = open_events(header)
    applied = apply_strategy(strategy, match, header, events)
    preview = Preview(applied.compiled, applied.evaluation, match, header, events)
    realised = {each.threshold: each.value for each in applied.compiled.thresholds}
    later: list[float] = []
    print(f"{events.count:,} events, {len(header.channels)} channels, {STRATEGY}")
    print(f"{'threshold':<12}{'first ms':>10}{'later ms':>10}")
    for name, value in realised.items():
        taken = []
        for move in range(1, moves + 1):
            corrections = Corrections({name: value * (1 + 0.05 * move)})
            begun = time.perf_counter()
            preview.counts(corrections)
            taken.append(1000 * (time.perf_counter() - begun))
        later += taken[1:]
        print(f"{name:<12}{taken[0]:>10.0f}{statistics.median(taken[1:]):>10.0f}")
        begun = time.perf_counter()
        resolved = {**applied.compiled.resolved, **corrections.resolved(applied.compiled)}
        whole = compile_strategy(strategy, match, header, resolved, applied.compiled.beads)
        expected = evaluate(whole.gating, events, header)
        seconds = time.perf_counter() - begun
        found = preview.moved(corrections)
        if any(not np.array_equal(found.rows[path], rows) for path, rows in expected.rows.items()):
            raise SystemExit(f"{name}: the preview holds other events than a whole evaluation")
    print(f"later moves: median {statistics.median(later):.0f} ms, longest {max(later):.0f} ms")
    print(f"a whole evaluation: {1000 * seconds:.0f} ms")


if __name__ == "__main__":
    main()
