"""Compare random strategies over wide parents with FlowKit's gate_sample, and a shipped one too.

    python benchmarks/random_gates.py [--events 1000000] [--rounds 3] [--seeds 3]

A random strategy has 24 gates, a third each polygons of 5 to 9 vertices, ellipses and rectangles,
on logicle axes, every second one under all events and the others under one of those. Times are
processor seconds of one thread, each contender in a process of its own, in turns; membership of
every gate is compared. OpenFlo, where it is installed, reads, compensates, transforms and gates the
same random strategies with its own functions (the shipped one has gates that it does not know).
"""

import argparse
import hashlib
import importlib.util
import json
import logging
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

GATES = 24
SHIPPED = "bcell@3.0.0"


def random_strategy(detectors, seed):  # noqa: ANN001, ANN201
    """Make a GatingStrategy with gates of random places, sizes and shapes."""
    import flowkit
    from flowkit import gates, transforms

    rng = np.random.default_rng(seed)
    strategy = flowkit.GatingStrategy()
    strategy.add_transform("logicle", transforms.LogicleTransform(262144, 0.5, 4.5, 0))
    made = []
    for number in range(GATES):
        pair = rng.choice(len(detectors), 2, replace=False)
        names = [detectors[place] for place in pair]
        centre, radius = rng.uniform(0.3, 0.7, 2), rng.uniform(0.1, 0.35, 2)
        parent = (
            ("root",) if number % 2 == 0 or not made else ("root", made[rng.integers(len(made))])
        )
        name = f"gate{number}"

        def axis(channel, low=None, high=None):  # noqa: ANN001, ANN202
            return flowkit.Dimension(
                channel,
                compensation_ref="FCS",
                transformation_ref="logicle",
                range_min=low,
                range_max=high,
            )

        kind = number % 3
        if kind == 0:
            angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 10)))
            vertices = centre + radius * np.column_stack([np.cos(angles), np.sin(angles)])
            gate = gates.PolygonGate(name, [axis(each) for each in names], vertices.tolist())
        elif kind == 1:
            spread = np.diag(radius**2 / 4)
            spread[0, 1] = spread[1, 0] = rng.uniform(-0.6, 0.6) * np.sqrt(
                spread[0, 0] * spread[1, 1]
            )
            gate = gates.EllipsoidGate(
                name, [axis(each) for each in names], centre.tolist(), spread.tolist(), 4.0
            )
        else:
            gate = gates.RectangleGate(
                name,
                [
                    axis(each, c - r, c + r)
                    for each, c, r in zip(names, centre, radius, strict=True)
                ],
            )
        strategy.add_gate(gate, parent)
        if parent == ("root",):
            made.append(name)
    return strategy


def plan_of(what, path):  # noqa: ANN001, ANN201
    """Give the header and the FlowKit strategy of a contest: a seed, or a shipped strategy."""
    from gating.evaluation.compile import compile_strategy
    from gating.fcs.header import read_header
    from gating.strategy.catalogue import load_strategy
    from panels.catalogue import load_panel
    from panels.panel import match_panel

    header = read_header(path)
    if what.isdecimal():
        return header, random_strategy(list(header.spill.detectors), int(what))
    strategy = load_strategy(what).strategy
    match = match_panel(load_panel(strategy.panel), header.channels)
    return header, compile_strategy(strategy, match, header).gating


def contend(who, what, path):  # noqa: ANN001, ANN201
    """Run one contender once: processor seconds and a digest of every gate's membership."""
    import flowkit

    from gating.evaluation.engine import evaluate
    from gating.fcs.events import open_events

    plan_of(what, path)
    if who == "openflo":
        logging.disable(logging.WARNING)
        importlib.import_module("openflo.pipeline")
    start = _cpu()
    header, gating = plan_of(what, path)
    if who == "bare":
        events = open_events(header)
        matrix = np.linalg.inv(header.spill.matrix)
        places = [[c.detector for c in header.channels].index(d) for d in header.spill.detectors]
        for first in range(0, events.count, 16384):
            events.columns(places, slice(first, min(first + 16384, events.count))) @ matrix
        return {"seconds": _cpu() - start, "kept": {}}
    if who == "reconflow":
        found = evaluate(gating, open_events(header), header)
        seconds = _cpu() - start
        masks = {"/".join(each): found.mask(each) for each in found.rows}
    elif who == "openflo":
        masks = openflo_masks(gating, path)
        seconds = _cpu() - start
    else:
        results = gating.gate_sample(flowkit.Sample(path))
        seconds = _cpu() - start
        masks = {
            "/".join((*above, gate)): results.get_gate_membership(gate, above)
            for gate, above in gating.get_gate_ids()
        }
    kept = {n: hashlib.sha256(np.packbits(m).tobytes()).hexdigest() for n, m in masks.items()}
    return {"seconds": seconds, "kept": kept, "events": sum(int(m.sum()) for m in masks.values())}


def openflo_masks(gating, path):  # noqa: ANN001, ANN201
    """Read and gate with OpenFlo; gives the membership of every gate by its path."""
    from openflo.pipeline import FlowSample, cumulative_gate_mask

    sample = FlowSample(str(path))
    sample.auto_compensate()
    sample.apply_transform(channels=sample.comp_channels, t=262144, m=4.5, w=0.5, a=0)
    theirs = {}
    for name, above in gating.get_gate_ids():
        gate = gating.get_gate(name, above)
        x, y = gate.dimensions
        made = {"parent_id": above[-1] if above[-1] != "root" else None}
        made |= {"x_channel": x.id, "y_channel": y.id}
        if hasattr(gate, "vertices"):
            made |= {"kind": "polygon", "vertices": gate.vertices}
        elif hasattr(gate, "covariance_matrix"):
            made |= {"kind": "ellipsoid", "mean": gate.coordinates}
            made |= {"cov": gate.covariance_matrix, "distance_sq": gate.distance_square}
        else:
            made |= {"kind": "rect", "x0": x.min, "x1": x.max, "y0": y.min, "y1": y.max}
        theirs[name] = made
    cache = {}
    return {
        "/".join((*above, name)): cumulative_gate_mask(theirs, name, sample.data, cache=cache)
        for name, above in gating.get_gate_ids()
    }


def _cpu():  # noqa: ANN202
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def agreement(runs, who):  # noqa: ANN001, ANN201
    """Say in how many gates another contender found the same events as reconflow."""
    ours, theirs = runs["reconflow"][0], runs[who][0]
    same = sum(theirs["kept"].get(name) == digest for name, digest in ours["kept"].items())
    return (
        f"same events in {same} of {len(ours['kept'])} gates "
        f"(events in all gates: {theirs['events']} against {ours['events']})"
    )


def main():  # noqa: ANN201
    """Run the contenders in turn and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--one", nargs=3)
    options = parser.parse_args()
    if options.one:
        who, what, path = options.one
        print(json.dumps(contend(who, what, Path(path))))
        return
    from benchmarks.gating_speed import make_tube

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tube.fcs"
        make_tube(path, options.events)
        for what in (*map(str, range(options.seeds)), SHIPPED):
            runs = {who: [] for who in ("reconflow", "flowkit", "bare")}
            if what != SHIPPED and importlib.util.find_spec("openflo"):
                runs["openflo"] = []
            for _ in range(options.rounds):
                for who, each in runs.items():
                    command = [
                        sys.executable,
                        "-W",
                        "ignore",
                        __file__,
                        "--one",
                        who,
                        what,
                        str(path),
                    ]
                    done = subprocess.run(command, check=True, capture_output=True, text=True)
                    each.append(json.loads(done.stdout))
            took = {
                who: statistics.median(r["seconds"] for r in each) for who, each in runs.items()
            }
            ours = took.pop("reconflow")
            print(f"{what:12} {ours:.3f} s, {ours / took.pop('bare'):.1f} bare passes")
            for who, seconds in took.items():
                print(f"{'':12} {who} {seconds / ours:.1f} x; {agreement(runs, who)}")


if __name__ == "__main__":
    main()
