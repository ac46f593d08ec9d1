"""A shape judged by the cells of a grid keeps the events that FlowKit's gate keeps, one by one."""

import flowkit
import numpy as np
import pytest
from flowkit import gates
from hypothesis import given
from hypothesis import strategies as st

from gating.evaluation.gate_membership import dimension_of, grid_of, membership_of
from gating.evaluation.shape_grid import CELLS, SHIFT, TOUCHED

FULL = 262144
SCALES = {
    "logicle": flowkit.transforms.LogicleTransform(FULL, 0.5, 4.5, 0),
    "wide": flowkit.transforms.LogicleTransform(FULL, 1.2, 4.5, 0.3),
    "asinh": flowkit.transforms.AsinhTransform(FULL, 4.0, 1.0),
    "hyperlog": flowkit.transforms.HyperlogTransform(FULL, 0.5, 4.5, 0),
    "linear": None,
}
EXTREMES = np.array(
    [0.0, -0.0, 5e-324, -5e-324, 1e-40, -1e-40, 1.0, -1.0, 1e9, -1e9, 1e38, -1e38, 1e39, -1e39]
)


class _Channels:
    """The channels x and y, as the engine names them."""

    def index(self, name, compensation=None):  # noqa: ARG002
        return "xy".index(name)


def shape(kind, scales, places, *, complement=False):
    """Make a gate and its strategy: a polygon through ``places``, or an ellipse around them."""
    strategy = flowkit.GatingStrategy()
    for name, scale in SCALES.items():
        if scale is not None:
            strategy.add_transform(name, scale)
    axes = [
        flowkit.Dimension(name, transformation_ref=None if scale == "linear" else scale)
        for name, scale in zip("xy", scales, strict=True)
    ]
    if kind == "polygon":
        gate = gates.PolygonGate("g", axes, places.tolist(), use_complement=complement)
    else:
        spread = np.cov(places.T)
        gate = gates.EllipsoidGate("g", axes, places.mean(axis=0).tolist(), spread.tolist(), 2.5)
    return gate, [dimension_of(strategy, _Channels(), axis) for axis in axes]


def on_linear(places, scale):
    """Bring display places to the linear scale."""
    transform = SCALES[scale]
    return places if transform is None else transform.inverse(places.reshape(-1, 1))[:, 0]


def events_near(places, scales, rng):
    """Give events all over the scale, along the outline to within rounding, and out of range."""
    low, high = places.min(axis=0), places.max(axis=0)
    reach = np.maximum(high - low, 1e-3)
    anywhere = rng.uniform(low - reach, high + reach, (6_000, 2))
    following = np.roll(places, -1, axis=0)
    share = rng.uniform(0, 1, (40, len(places), 1))
    along = (places + share * (following - places)).reshape(-1, 2)
    beside = along + rng.choice([0, 1e-12, -1e-12, 1e-8, -1e-4, 1e-4], along.shape) * reach
    corners = np.array(np.meshgrid(places[:, 0], places[:, 1])).reshape(2, -1).T
    displayed = np.vstack([anywhere, along, beside, corners])
    linear = np.column_stack(
        [on_linear(displayed[:, side], scale) for side, scale in enumerate(scales)]
    )
    wild = np.array(np.meshgrid(EXTREMES, EXTREMES)).reshape(2, -1).T
    mixed = np.vstack([np.column_stack([wild[:, 0], linear[: len(wild), 1]]), wild])
    return np.vstack([linear, np.nextafter(linear, np.inf), mixed])


def kept(gate, dimensions, events, grid):
    columns = {(side, None): np.ascontiguousarray(events[:, side]) for side in (0, 1)}
    ((_, inside),) = membership_of(gate, dimensions, columns, grid)
    return inside


def places_of(scales, corners):
    """Bring corners of the unit square to display places of both scales."""
    size = [FULL if scale == "linear" else 1.0 for scale in scales]
    return np.array(corners) * size


@given(
    st.sampled_from(["polygon", "ellipse"]),
    st.tuples(st.sampled_from(sorted(SCALES)), st.sampled_from(sorted(SCALES))),
    st.lists(
        st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)), min_size=3, max_size=9, unique=True
    ),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_grid_keeps_what_the_gate_keeps(kind, scales, corners, complement, seed):
    places = places_of(scales, corners)
    gate, dimensions = shape(kind, scales, places, complement=complement)
    if kind == "ellipse" and np.linalg.matrix_rank(gate.covariance_matrix) < 2:
        return
    events = events_near(places, scales, np.random.default_rng(seed))
    grid = grid_of(gate, dimensions)
    plain = kept(gate, dimensions, events, None)
    assert np.array_equal(kept(gate, dimensions, events, grid), plain)


@pytest.mark.parametrize("kind", ["polygon", "ellipse"])
@pytest.mark.parametrize("scales", [("logicle", "logicle"), ("linear", "logicle")])
def test_few_events_are_left_to_the_gate_itself(kind, scales):
    places = places_of(scales, [(0.3, 0.3), (0.6, 0.35), (0.7, 0.6), (0.4, 0.7)])
    gate, dimensions = shape(kind, scales, places)
    grid = grid_of(gate, dimensions)
    events = events_near(places, scales, np.random.default_rng(1))[:6_000]
    inside, unsure = grid.judge(events[:, 0], events[:, 1])
    assert inside.any()
    assert len(unsure) < 0.03 * len(events)
    assert (grid.kinds == TOUCHED).sum() < 12 * CELLS


def test_a_thin_sliver_is_never_missed_between_the_middles_of_cells():
    scales = ("logicle", "logicle")
    places = places_of(scales, [(0.2, 0.2), (0.8, 0.8), (0.8, 0.8 + 1e-5)])
    gate, dimensions = shape("polygon", scales, places)
    middle = np.linspace(0.25, 0.79, 500)
    displayed = np.column_stack([middle, middle + 1e-5 * (middle - 0.2) / 1.2])
    events = np.column_stack([on_linear(displayed[:, side], "logicle") for side in (0, 1)])
    assert kept(gate, dimensions, events, grid_of(gate, dimensions)).all()


def test_values_that_share_their_leading_bits_with_an_edge_are_within_its_cells_reach():
    scales = ("logicle", "logicle")
    places = places_of(scales, [(0.1, 0.1), (0.9, 0.1), (0.5, 0.9)])
    gate, dimensions = shape("polygon", scales, places)
    axis = grid_of(gate, dimensions).x
    bits = np.arange(0, 2 ** (32 - SHIFT), dtype=np.uint64) << SHIFT
    for step in (0, (1 << SHIFT) - 1):
        stored = (bits + step).astype(np.uint32).view(np.float32)
        values = stored[np.abs(stored) < 1e7].astype(np.float64)
        cells = axis.cells(values)
        shown = SCALES["logicle"].apply(values.reshape(-1, 1))[:, 0]
        assert ((shown >= axis.low[cells]) & (shown <= axis.high[cells])).all()


def test_an_outline_without_area_has_no_grid():
    scales = ("logicle", "logicle")
    gate, dimensions = shape("polygon", scales, np.array([(0.2, 0.3), (0.2, 0.5), (0.2, 0.4)]))
    assert grid_of(gate, dimensions) is None


def test_a_gate_that_names_one_channel_twice_has_no_grid():
    scales = ("logicle", "logicle")
    gate, dimensions = shape(
        "polygon", scales, places_of(scales, [(0.2, 0.1), (0.8, 0.3), (0.5, 0.9)])
    )
    assert grid_of(gate, [dimensions[0], dimensions[0]]) is None
