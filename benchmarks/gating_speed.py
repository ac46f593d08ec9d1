"""Compare reading + gating one large tube with FlowKit's Sample + gate_sample, in time, memory and
membership.

    python benchmarks/gating_speed.py [--events 1000000] [--rounds 3]
    python benchmarks/gating_speed.py --growth
        cost against the number of events and of gates, memory of five million events

Every contender runs in a process of its own: imports first, then the clock and the memory baseline
start. Ratios are of medians over rounds in which the contenders take turns, so that a machine's
drift hits them alike.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

import numpy as np

CONTENDERS = (
    "reconflow",
    "flowkit",
    "flowkit_cached",
    "bare_pass",
    "bcell_2_gates",
    "bcell_2_whole",
)
"""``bcell_2_gates``: the shipped bcell@2.0.0 on its declared boundaries; ``bcell_2_whole``: with
time quality, thresholds and their sensitivity."""


def make_tube(path: Path, events: int) -> None:
    """Write one simulated 12-colour B-cell tube of about that many events."""
    from panels.catalogue import load_panel
    from panels.simulation.conditions import Conditions
    from panels.simulation.tube import simulate_tube
    from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs

    shares = {
        "granulocyte": 0.60,
        "monocyte": 0.08,
        "nk": 0.04,
        "t_cd4_naive": 0.05,
        "t_cd4_em": 0.06,
        "t_cd8_em": 0.06,
        "t_cd8_naive": 0.04,
        "naive_mature_b": 0.04,
        "transitional_b": 0.008,
        "switched_memory_b": 0.012,
        "dn1_b": 0.006,
        "plasmablast": 0.002,
        "plasma_cell_cd19neg": 0.002,
    }
    tube = simulate_tube(
        load_panel("bcell"),
        {k: v * events * 0.885 for k, v in shares.items()},
        Conditions(),
        np.random.default_rng(1),
    )
    channels = [
        FcsChannel(detector, label)
        for detector, label in zip(tube.detectors, tube.labels, strict=True)
    ]
    spill = FcsSpill(tube.spill_detectors, tube.stored_spill)
    write_fcs(
        path,
        tube.events,
        channels,
        dialect="fcs3.1-le",
        spill=spill,
        keywords={"$TIMESTEP": "0.01"},
    )


def repeat_tube(source: Path, path: Path, times: int) -> None:
    """Write a tube whose events are another's, so many times over."""
    from gating.fcs.events import open_events
    from gating.fcs.header import read_header
    from tasks.simulate.fcs import FcsChannel, FcsSpill, write_fcs

    header = read_header(source)
    events = open_events(header)
    stored = events.table.view(events.plain).reshape(events.count, -1)
    channels = [FcsChannel(channel.detector, channel.label) for channel in header.channels]
    spill = FcsSpill(header.spill.detectors, header.spill.matrix)
    write_fcs(
        path,
        np.tile(stored, (times, 1)),
        channels,
        dialect="fcs3.1-le",
        spill=spill,
        keywords={"$TIMESTEP": "0.01"},
    )


def contend(name: str, path: Path) -> dict[str, object]:
    """Run one contender once: seconds, peak memory above the baseline, and a digest of every gate's
    membership.
    """
    import flowkit

    from gating.evaluation.compile import compile_strategy
    from gating.evaluation.engine import evaluate
    from gating.fcs.events import open_events
    from gating.fcs.header import read_header
    from gating.strategy.catalogue import load_strategy
    from panels.catalogue import load_panel
    from panels.panel import match_panel

    def compiled():  # noqa: ANN202
        header = read_header(path)
        return header, compile_strategy(
            load_strategy("bcell@1.0.0").strategy,
            match_panel(load_panel("bcell"), header.channels),
            header,
        )

    compiled()
    kept: dict[str, str] = {}
    with _Peak() as peak:
        start = time.perf_counter()
        header, plan = compiled()
        if name == "reconflow":
            evaluation = evaluate(plan.gating, open_events(header), header)
            seconds = time.perf_counter() - start
            masks = {path: evaluation.mask(path) for path in evaluation.rows}
        elif name.startswith("flowkit"):
            sample = flowkit.Sample(path)
            results = plan.gating.gate_sample(sample, cache_events=name == "flowkit_cached")
            seconds = time.perf_counter() - start
            masks = {
                (*ancestors, gate): results.get_gate_membership(gate, ancestors)
                for gate, ancestors in plan.gating.get_gate_ids()
            }
        else:
            mapped = np.memmap(
                path, "<f4", "r", header.layout.start, (header.event_count, len(header.channels))
            )
            block = np.empty((header.event_count, 4), order="F")
            for place, channel in enumerate((5, 8, 10, 12)):
                block[:, place] = mapped[:, channel]
            block @ np.linalg.inv(header.spill.matrix[:4, :4])
            seconds, masks = time.perf_counter() - start, {}
    kept = {"/".join(gate): _digest(mask) for gate, mask in masks.items()}
    return {"seconds": seconds, "peak": peak.bytes, "kept": kept}


def contend_shipped(name: str, path: Path) -> dict[str, object]:
    """Run the shipped strategy once: its gates alone, or with time quality, thresholds and
    their sensitivity.
    """
    import scipy.special  # noqa: F401 - imported before the clock starts

    from gating.evaluation.compile import compile_strategy
    from gating.evaluation.engine import evaluate
    from gating.fcs.events import open_events
    from gating.fcs.header import read_header
    from gating.quality.acquisition import time_quality
    from gating.strategy.catalogue import load_strategy
    from gating.thresholds.apply import apply_strategy
    from panels.catalogue import load_panel
    from panels.panel import match_panel
    from tasks.tubes.population_counts import population_counts
    from tasks.tubes.tube_quality import judge_tube

    strategy, panel = load_strategy("bcell@2.0.0").strategy, load_panel("bcell")
    compile_strategy(strategy, match_panel(panel, read_header(path).channels), read_header(path))
    with _Peak() as peak:
        start = time.perf_counter()
        header = read_header(path)
        events, match = open_events(header), match_panel(panel, header.channels)
        if name == "bcell_2_gates":
            evaluate(compile_strategy(strategy, match, header).gating, events, header)
        else:
            steady = time_quality(
                events,
                header,
                {name: index for name, index in match.channel.items() if name != "Time"},
            )
            applied = apply_strategy(strategy, match, header, events, rows=steady.kept)
            negatives = {
                name: measured.negative
                for name, measured in applied.measurements.items()
                if measured.negative
            }
            judge_tube(applied.compiled, applied.evaluation, events, header)
            population_counts(applied.compiled, applied.evaluation, events, header, negatives)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak": peak.bytes, "kept": {}}


def contend_gates(count: int, path: Path) -> dict[str, object]:
    """Run the first ``count`` gates of the shipped strategy once; gives the highest resident memory
    of the whole process too.
    """
    import resource

    import flowkit  # noqa: F401 - imported before the clock starts

    from gating.evaluation.compile import compile_strategy
    from gating.evaluation.engine import evaluate
    from gating.fcs.events import open_events
    from gating.fcs.header import read_header
    from gating.strategy.catalogue import load_strategy
    from panels.catalogue import load_panel
    from panels.panel import match_panel

    whole, panel = load_strategy("bcell@1.0.0").strategy, load_panel("bcell")
    strategy = whole.model_copy(update={"gates": whole.gates[:count]})
    compile_strategy(strategy, match_panel(panel, read_header(path).channels), read_header(path))
    with _Peak() as peak:
        start = time.perf_counter()
        header = read_header(path)
        evaluate(
            compile_strategy(strategy, match_panel(panel, header.channels), header).gating,
            open_events(header),
            header,
        )
        seconds = time.perf_counter() - start
    whole_process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "peak": peak.bytes, "whole": whole_process}


class _Peak:
    """Measure the highest resident memory above that at entry, by sampling; pages of the mapped
    file count too.
    """

    def __enter__(self) -> Self:
        self._base, self._high, self._stop = _resident(), 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.002):
            self._high = max(self._high, _resident())

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.bytes = max(0, max(self._high, _resident()) - self._base)


def _resident() -> int:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def _digest(mask: np.ndarray) -> str:
    import hashlib

    return hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()


def growth(rounds: int) -> None:
    """Print what more events and more gates cost."""
    with tempfile.TemporaryDirectory() as folder:
        tubes = {}
        for name, made in (("quarter", 250_000), ("one", 1_000_000)):
            tubes[name] = Path(folder) / f"{name}.fcs"
            make_tube(tubes[name], made)
        tubes["five"] = Path(folder) / "five.fcs"
        repeat_tube(tubes["one"], tubes["five"], 5)
        runs: dict[tuple[str, int], list[dict[str, float]]] = {}
        for _ in range(rounds):
            for name, count in (
                ("quarter", 24),
                ("one", 24),
                ("five", 24),
                ("one", 3),
                ("one", 6),
                ("one", 12),
                ("one", 18),
            ):
                command = [
                    sys.executable,
                    "-W",
                    "ignore",
                    __file__,
                    "--gates",
                    str(count),
                    "--file",
                    str(tubes[name]),
                ]
                result = json.loads(
                    subprocess.run(command, check=True, capture_output=True, text=True).stdout
                )
                runs.setdefault((name, count), []).append(result)
        print(
            f"{'tube':10}{'gates':>6}{'seconds':>9}{'time / one, 24':>16}{'peak / file':>13}"
            f"{'whole process MB':>18}"
        )
        first = statistics.median(run["seconds"] for run in runs["one", 24])
        for (name, count), results in runs.items():
            seconds, peak, whole = (
                statistics.median(run[key] for run in results)
                for key in ("seconds", "peak", "whole")
            )
            size = tubes[name].stat().st_size
            print(
                f"{name:10}{count:6}{seconds:9.3f}{seconds / first:16.2f}{peak / size:13.2f}"
                f"{whole / 1e6:18.0f}"
            )


def main() -> None:
    """Run the contenders in turn and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contender", choices=CONTENDERS)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--gates", type=int)
    options = parser.parse_args()
    if options.gates:
        print(json.dumps(contend_gates(options.gates, options.file)))
        return
    if options.growth:
        growth(options.rounds)
        return
    if options.contender:
        run = contend_shipped if options.contender.startswith("bcell_2") else contend
        print(json.dumps(run(options.contender, options.file)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tube.fcs"
        make_tube(path, options.events)
        size = path.stat().st_size
        runs: dict[str, list[dict[str, object]]] = {name: [] for name in CONTENDERS}
        for _ in range(options.rounds):
            for name in CONTENDERS:
                command = [
                    sys.executable,
                    "-W",
                    "ignore",
                    __file__,
                    "--contender",
                    name,
                    "--file",
                    str(path),
                ]
                runs[name].append(
                    json.loads(
                        subprocess.run(command, check=True, capture_output=True, text=True).stdout
                    )
                )
    seconds = {
        name: statistics.median(float(r["seconds"]) for r in each) for name, each in runs.items()
    }
    peaks = {name: statistics.median(float(r["peak"]) for r in each) for name, each in runs.items()}
    print(f"{options.events:,} events, file {size / 1e6:.0f} MB, median of {options.rounds} rounds")
    print(f"{'':16}{'seconds':>9}{'time / reconflow':>18}{'peak / file':>13}")
    for name in CONTENDERS:
        print(
            f"{name:16}{seconds[name]:9.3f}{seconds[name] / seconds['reconflow']:18.2f}"
            f"{peaks[name] / size:13.2f}"
        )
    same = (
        runs["reconflow"][0]["kept"]
        == runs["flowkit"][0]["kept"]
        == runs["flowkit_cached"][0]["kept"]
    )
    print(
        f"membership of all {len(runs['reconflow'][0]['kept'])} gates identical to FlowKit's, "
        f"event for event: {same}"
    )


if __name__ == "__main__":
    main()
