"""Whatever strategy is made up, the engine keeps exactly the events that FlowKit keeps."""

from dataclasses import dataclass

import flowkit
import numpy as np
from flowkit import gates, transforms
from hypothesis import given, settings
from hypothesis import strategies as st

from gating.evaluation.engine import evaluate, gate_paths
from gating.fcs.spillover import Spill
from tests.gating.tubes import ArrayTube

DETECTORS = ("FSC-A", "SSC-A", "B515-A", "G575-A", "R660-A", "Time")
STAINED = DETECTORS[2:5]
EVENTS = 400


@dataclass(frozen=True)
class Plan:
    """How to build one strategy: a seed for the numbers, and the kinds of gates in order."""

    seed: int
    kinds: tuple[str, ...]
    compensated: bool
    saturated: bool


PLANS = st.builds(
    Plan,
    seed=st.integers(0, 2**32 - 1),
    kinds=st.lists(
        st.sampled_from(
            ["rectangle", "range", "polygon", "ellipse", "quadrant", "and", "or", "not", "ratio"]
        ),
        min_size=1,
        max_size=9,
    ).map(tuple),
    compensated=st.booleans(),
    saturated=st.booleans(),
)


class Sample:
    """What FlowKit's gate_sample asks of a Sample, on events already in memory."""

    def __init__(self, tube: ArrayTube) -> None:
        self.id, self.event_count = "made up", tube.count
        self.pnn_labels, self.pns_labels, self.null_channels = (
            list(tube.detectors),
            list(tube.labels),
            [],
        )
        self.fluoro_indices = [tube.detectors.index(d) for d in STAINED]
        self._events = tube.events

    def get_events(self, source: str) -> np.ndarray:
        assert source == "raw"
        return self._events

    def get_channel_index(self, name: str) -> int:
        return self.pnn_labels.index(name)


def made_up_tube(plan: Plan, rng: np.random.Generator) -> ArrayTube:
    scatter = rng.uniform(0, 262_143, (EVENTS, 2))
    stained = rng.choice([-1.0, 1.0], (EVENTS, 3), p=[0.15, 0.85]) * 10 ** rng.uniform(
        0, 5.4, (EVENTS, 3)
    )
    if plan.saturated:
        stained[rng.random((EVENTS, 3)) < 0.1] = 262_143.0
        scatter[rng.random((EVENTS, 2)) < 0.1] = 262_143.0
    events = (
        np.column_stack([scatter, stained, np.arange(EVENTS)]).astype(np.float32).astype(np.float64)
    )
    matrix = np.eye(3) + rng.uniform(0, 0.3, (3, 3)) * (1 - np.eye(3))
    return ArrayTube(events, DETECTORS, ("",) * len(DETECTORS), Spill(STAINED, matrix))


class Builder:
    """Builds the FlowKit strategy of a plan."""

    def __init__(self, plan: Plan, tube: ArrayTube, rng: np.random.Generator) -> None:
        self.plan, self.rng = plan, rng
        self.strategy = flowkit.GatingStrategy()
        self.strategy.add_comp_matrix(
            "spill", flowkit.Matrix(tube.spill.matrix, list(STAINED), fluorochromes=list(STAINED))
        )
        for name, transform in {
            "logicle": transforms.LogicleTransform(262144, 0.5, 4.5, 0),
            "wide": transforms.LogicleTransform(262144, 1.0, 4.5, 0.5),
            "asinh": transforms.AsinhTransform(262144, 4.0, 0.5),
            "hyperlog": transforms.HyperlogTransform(262144, 0.5, 4.5, 0),
            "linear": transforms.LinearTransform(262144, 100),
        }.items():
            self.strategy.add_transform(name, transform)
        self.strategy.add_transform(
            "ratio", transforms.RatioTransform(["FSC-A", "SSC-A"], 1.0, 0.0, -1.0)
        )
        self.paths: list[tuple[str, ...]] = []

    def build(self) -> flowkit.GatingStrategy:
        for number, kind in enumerate(self.plan.kinds):
            parents = [("root",), *self.paths]
            parent = parents[self.rng.integers(len(parents))]
            self._add(kind, f"g{number}", parent)
        return self.strategy

    def _side(self, *, bounded: bool) -> flowkit.Dimension:
        name = str(self.rng.choice(DETECTORS[:5]))
        stained = name in STAINED
        reference = (
            str(self.rng.choice(["logicle", "wide", "asinh", "hyperlog", "linear"]))
            if stained and self.rng.random() < 0.8
            else None
        )
        low, high = (
            sorted(self.rng.uniform(-0.1, 1.0, 2))
            if reference
            else sorted(10 ** self.rng.uniform(2, 5.4, 2))
        )
        ends = (
            [(low, high), (low, None), (None, high)][self.rng.integers(3)]
            if bounded
            else (None, None)
        )
        compensation = "spill" if self.plan.compensated and stained else "uncompensated"
        return flowkit.Dimension(name, compensation, reference, *ends)

    def _two_sides(self) -> list[flowkit.Dimension]:
        first = self._side(bounded=False)
        second = self._side(bounded=False)
        while second.id == first.id:
            second = self._side(bounded=False)
        return [first, second]

    def _points(self, sides: list[flowkit.Dimension], count: int) -> np.ndarray:
        columns = [
            self.rng.uniform(0, 1, count)
            if s.transformation_ref
            else self.rng.uniform(0, 262_144, count)
            for s in sides
        ]
        return np.column_stack(columns)

    def _add(self, kind: str, name: str, parent: tuple[str, ...]) -> None:
        complement = bool(self.rng.random() < 0.3)
        if kind in ("and", "or", "not"):
            if not self.paths:
                return
            chosen = [
                self.paths[i]
                for i in self.rng.integers(0, len(self.paths), 1 if kind == "not" else 2)
            ]
            references = [
                {"ref": p[-1], "path": p[:-1], "complement": bool(self.rng.random() < 0.4)}
                for p in chosen
            ]
            gate: gates.Gate = gates.BooleanGate(name, kind, references)
        elif kind == "quadrant":
            self._add_quadrants(name, parent)
            return
        elif kind == "ratio":
            low, high = sorted(self.rng.uniform(0, 5, 2))
            gate = gates.RectangleGate(
                name,
                [flowkit.RatioDimension("ratio", "uncompensated", range_min=low, range_max=high)],
                complement,
            )
        elif kind == "range":
            gate = gates.RectangleGate(name, [self._side(bounded=True)], complement)
        elif kind == "rectangle":
            gate = gates.RectangleGate(
                name, [self._side(bounded=True) for _ in range(self.rng.integers(2, 4))], complement
            )
            if len({d.id for d in gate.dimensions}) < len(gate.dimensions):
                return
        elif kind == "polygon":
            sides = self._two_sides()
            gate = gates.PolygonGate(
                name, sides, self._points(sides, int(self.rng.integers(3, 8))).tolist(), complement
            )
        else:
            sides = self._two_sides()
            spread = self._points(sides, 12)
            gate = gates.EllipsoidGate(
                name, sides, spread.mean(axis=0).tolist(), np.cov(spread.T) + np.eye(2) * 1e-6, 1.5
            )
        self.strategy.add_gate(gate, parent)
        self.paths.append((*parent, name))

    def _add_quadrants(self, name: str, parent: tuple[str, ...]) -> None:
        sides = self._two_sides()
        dividers = [
            flowkit.QuadrantDivider(
                f"{name}{i}",
                s.id,
                s.compensation_ref,
                [float(self._points([s], 1)[0, 0])],
                s.transformation_ref,
            )
            for i, s in enumerate(sides)
        ]
        cuts = [d.values[0] for d in dividers]
        ranges = {
            "pp": [(c, None) for c in cuts],
            "nn": [(None, c) for c in cuts],
            "pn": [(cuts[0], None), (None, cuts[1])],
        }
        quadrants = [
            gates.Quadrant(f"{name}_{sign}", [d.id for d in dividers], each)
            for sign, each in ranges.items()
        ]
        self.strategy.add_gate(gates.QuadrantGate(name, dividers, quadrants), parent)
        self.paths += [(*parent, name, f"{name}_{sign}") for sign in ranges]


@settings(max_examples=6 * settings.default.max_examples)
@given(plan=PLANS)
def test_any_strategy_keeps_the_events_flowkit_keeps(plan: Plan) -> None:
    rng = np.random.default_rng(plan.seed)
    tube = made_up_tube(plan, rng)
    strategy = Builder(plan, tube, rng).build()
    kept = evaluate(strategy, tube, tube)
    assert set(kept.rows) == set(gate_paths(strategy))
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = strategy.gate_sample(Sample(tube))
    for path in kept.rows:
        assert np.array_equal(kept.mask(path), expected.get_gate_membership(path[-1], path[:-1])), (
            path,
            plan,
        )
    codes, sets = kept.codes()
    assert codes.dtype == np.uint8 if len(sets) <= 256 else np.uint16
    assert sorted(set(codes.tolist())) == list(range(len(sets)))
    assert len(set(sets)) == len(sets)
    for path in kept.rows:
        assert np.array_equal(
            kept.mask(path), np.array([path in members for members in sets])[codes]
        )
