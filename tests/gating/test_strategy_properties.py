"""Whatever strategy a laboratory writes, and however its files are written, the events kept are
those FlowKit keeps."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import flowkit
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gating.display.draw_tube import draw_tube
from gating.display.projection import project
from gating.evaluation.compile import compile_strategy
from gating.evaluation.engine import evaluate
from gating.fcs.events import Events, open_events
from gating.fcs.header import read_header
from gating.strategy.model import Strategy
from gating.thresholds.sensitivity import border_share
from panels.panel import Panel, match_panel
from tests.gating.test_events import describe, write_fcs

DETECTORS = ("FSC-A", "FSC-H", "SSC-A", "Time", "FITC-A", "PE-A", "APC-A")
AXES = ("FSC-A", "FSC-H", "SSC-A", "Time", "CD3", "CD19", "CD4")
SCATTER = AXES[:4]
RANGES = (1024, 4096, 65_536, 262_144, 4_194_304)
KINDS = (
    "rectangle",
    "polygon",
    "ellipse",
    "quadrant",
    "ratio",
    "all_of",
    "any_of",
    "none_of",
    "empty",
)


@dataclass(frozen=True)
class Plan:
    """How to make one file and one strategy: a seed for the numbers, and what is unusual."""

    seed: int
    kinds: tuple[str, ...]
    events: int
    integers: bool
    compensated: bool
    gains: bool


PLANS = st.builds(
    Plan,
    seed=st.integers(0, 2**32 - 1),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=9).map(tuple),
    events=st.sampled_from([1, 2, 60, 300]),
    integers=st.booleans(),
    compensated=st.booleans(),
    gains=st.booleans(),
)


def panel(plan: Plan) -> Panel:
    return Panel.model_validate(
        {
            "panel": "lab",
            "version": "1.0.0",
            "title": "t",
            "instrument": "i",
            "counting": ["dual"],
            "compensated": plan.compensated,
            "scatter": {name: name for name in SCATTER},
            "markers": [
                {"marker": marker, "detector": detector}
                for marker, detector in zip(AXES[4:], DETECTORS[4:], strict=True)
            ],
        }
    )


def write_tube(plan: Plan, rng: np.random.Generator, path: Path) -> Path:
    ranges = rng.choice(RANGES, len(DETECTORS))
    reach = rng.uniform(0, 1, (plan.events, len(DETECTORS)))
    reach[:, 4:] = 10 ** rng.uniform(-4, 0, (plan.events, 3))
    reach[:, 1] = np.minimum(reach[:, 0] * rng.uniform(0.7, 1.4, plan.events), 1)
    events = np.minimum(reach * ranges, ranges - 1)
    events[:, 3] = np.arange(plan.events)
    keywords = describe(list(DETECTORS), plan.events, TIMESTEP="0.01") | {
        f"$P{n}R": str(r) for n, r in enumerate(ranges, 1)
    }
    keywords |= {f"$P{n}S": marker for n, marker in enumerate(AXES[4:], 5)}
    if plan.gains:
        keywords |= {
            f"$P{n}G": f"{gain:g}"
            for n, gain in enumerate(rng.choice([0, 0.5, 1, 2, 4], len(DETECTORS)), 1)
        }
    if plan.integers:
        keywords |= {"$DATATYPE": "I"} | {
            f"$P{n}E": str(rng.choice(["0,0", "4,1", "4,0", "3,0.1"])) for n in range(5, 8)
        }
        stored = events.astype("<u4").tobytes()
    else:
        events[:, 4:] *= rng.choice([-0.05, 1], events[:, 4:].shape, p=[0.2, 0.8])
        stored = events.astype("<f4").tobytes()
    if plan.compensated:
        spill = np.eye(3) + rng.uniform(0, 0.4, (3, 3)) * (1 - np.eye(3))
        keywords["$SPILLOVER"] = ",".join(
            ["3", *DETECTORS[4:], *(f"{each:.6f}" for each in spill.ravel())]
        )
    return write_fcs(path, stored, keywords)


class Writer:
    """Writes the strategy of a plan; some borders lie exactly on an event."""

    def __init__(self, plan: Plan, rng: np.random.Generator, events: Events) -> None:
        self.plan, self.rng = plan, rng
        self.events = events.columns(range(len(DETECTORS)))
        self.ranges = [channel.maximum for channel in events.header.channels]
        self.names: list[str] = []

    def write(self) -> Strategy:
        gates = [self._gate(number, kind) for number, kind in enumerate(self.plan.kinds)]
        population = {"id": "p", "gate": self.names[-1], "label": "p", "reference": "p"}
        return Strategy.model_validate(
            {
                "strategy": "s",
                "version": "1.0.0",
                "title": "t",
                "panel": "lab",
                "gates": gates,
                "populations": [population],
                "scale": {"w": float(self.rng.choice([0.3, 0.5, 1.0]))},
                "scales": {"CD4": {"kind": "linear"}},
            }
        )

    def _gate(self, number: int, kind: str) -> dict[str, Any]:
        gate: dict[str, Any] = {
            "gate": f"g{number}",
            "parent": str(self.rng.choice(["root", *self.names])),
        }
        if kind in ("all_of", "any_of", "none_of"):
            most = 1 if kind == "none_of" else 2
            kind, shape = (
                (kind, self._chosen(most))
                if len(self.names) >= 2
                else ("rectangle", self._rectangle())
            )
        elif kind == "empty":
            kind, shape = "rectangle", {"FSC-A": {"above": 9e8}}
        else:
            shape = getattr(self, f"_{kind}")()
        quadrants = {signs: f"g{number}_{n}" for n, signs in enumerate(("++", "+-", "-+", "--"))}
        gate[kind] = shape | {"quadrants": quadrants} if kind == "quadrant" else shape
        self.names += list(quadrants.values()) if kind == "quadrant" else [gate["gate"]]
        return gate

    def _chosen(self, least: int) -> list[str]:
        count = int(self.rng.integers(least, min(3, len(self.names)) + 1))
        return [str(name) for name in self.rng.choice(self.names, count, replace=False)]

    def _place(self, axis: str) -> float:
        """Give a place on an axis in the strategy's units: an event's own value, or any."""
        column = AXES.index(axis)
        factor = 1.0 if axis == "Time" else self.ranges[column] / 262_144
        if self.rng.random() < 0.5:
            return float(self.rng.choice(self.events[:, column]) / factor)
        return float(
            self.rng.uniform(0, self.plan.events / 100)
            if axis == "Time"
            else 10 ** self.rng.uniform(2, 5.5)
        )

    def _pair(self) -> tuple[str, str]:
        x, y = self.rng.choice(AXES, 2, replace=False)
        return str(x), str(y)

    def _rectangle(self) -> dict[str, Any]:
        limits = {}
        for axis in self.rng.choice(AXES, int(self.rng.integers(1, 4)), replace=False):
            low, high = sorted((self._place(axis), self._place(axis)))
            sided = [{"above": low, "below": high}, {"above": low}, {"below": high}][
                self.rng.integers(3) if low < high else 1
            ]
            limits[str(axis)] = sided
        return limits

    def _polygon(self) -> dict[str, Any]:
        x, y = self._pair()
        return {
            "x": x,
            "y": y,
            "vertices": [
                (self._place(x), self._place(y)) for _ in range(int(self.rng.integers(3, 8)))
            ],
        }

    def _ellipse(self) -> dict[str, Any]:
        x, y = self._pair()
        span = np.array(
            [
                1.0
                if axis in ("CD3", "CD19")
                else self.plan.events / 100
                if axis == "Time"
                else 262_144.0
                for axis in (x, y)
            ]
        )
        tilt = self.rng.uniform(-0.05, 0.05)
        covariance = np.array([[0.08, tilt], [tilt, 0.06]]) * np.outer(span, span)
        centre = (self.rng.uniform(0, 1, 2) * span).tolist()
        return {
            "x": x,
            "y": y,
            "centre": centre,
            "covariance": covariance.tolist(),
            "distance_square": 1.5,
        }

    def _quadrant(self) -> dict[str, Any]:
        x, y = self._pair()
        return {"x": x, "y": y, "x_divider": self._place(x), "y_divider": self._place(y)}

    def _ratio(self) -> dict[str, Any]:
        low, high = sorted(self.rng.uniform(0, 4, 2).tolist())
        numerator, denominator = self._pair()
        return {"numerator": numerator, "denominator": denominator, "above": low, "below": high}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(plan=PLANS)
def test_any_strategy_on_any_file_keeps_the_events_flowkit_keeps(plan: Plan) -> None:
    rng = np.random.default_rng(plan.seed)
    with TemporaryDirectory() as folder:
        path = write_tube(plan, rng, Path(folder) / "a.fcs")
        header = read_header(path)
        events = open_events(header)
        compiled = compile_strategy(
            Writer(plan, rng, events).write(), match_panel(panel(plan), header.channels), header
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            kept = evaluate(compiled.gating, events, header)
            views = project(compiled, kept, events, header)
            drawing = draw_tube(compiled, kept, events, header, seed=1)
            shares = border_share(
                compiled, kept, events, header, tuple(compiled.strategy.parent_of())
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = compiled.gating.gate_sample(flowkit.Sample(path))
    for gate in kept.rows:
        assert np.array_equal(kept.mask(gate), expected.get_gate_membership(gate[-1], gate[:-1])), (
            gate,
            plan,
        )
    for view in views:
        assert view.events == kept.count(compiled.path_of[view.name])
        assert np.isfinite([*view.x.limits, *view.y.limits]).all()
        assert view.x.limits[0] < view.x.limits[1]
        assert view.y.limits[0] < view.y.limits[1]
    assert all(0 <= share <= 1 for share in shares.values())
    for place, gate in enumerate(drawing.gates):
        path, density = compiled.path_of[gate.name], drawing.densities[gate.density]
        assert gate.events == kept.count(path)
        assert density.counts.sum() == gate.parent_events
        holding = np.array([place in each for each in drawing.sample.sets], dtype=bool)
        assert np.array_equal(holding[drawing.sample.codes], kept.mask(path)[drawing.sample.rows])
        assert bool(gate.outlines or gate.hidden)
