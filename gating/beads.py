"""Find the counting beads of a tube in the tube itself, and prove that all of them were found.

Beads of one lot are the tightest cluster that a cytometer sees: a coefficient of variation of 3–6 %
in every detector at once, and bright in detectors that no single cell fills together. Where the
cluster lies depends on detector voltages, so no position is supposed; it may lie at the end of the
range. Compensation would move and widen it, since a bead's dyes are not those of the stains, so it
is looked for in uncompensated signals (SCIENCE section 10).

A cut cluster is worse than none: 60 % of the beads lost makes all concentrations 2.5 times too high.
So the cluster has to prove itself whole: next to nothing just outside it or between it and the cells,
no second cluster, no sharp edge through it in any detector, no more doublets than beads make.

Counting rule: an event that holds a bead is a bead, whatever else is in it (a bead that passes the
laser with a cell is brighter than a bead in some detectors and dimmer in none); one that is m times
as bright in every detector that can show it counts as m beads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gating.channels import EventSource, Rows
    from gating.events import TubeHeader
    from panels.panel import PanelMatch

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
State = Literal["proven", "incomplete", "absent"]

SCATTER_NAMES = ("FSC-A", "SSC-A")
BRIGHT = 0.02
"""Share of a detector's range from which a bead is called bright in it."""
SEVERAL = 3
COFACTOR = 0.002
"""Scale of the arcsinh, as a share of the range: above it a difference is that of logarithms."""
NEAR, WIDE = 0.15, 0.45
TIGHT = 0.25
"""Least share of the events within WIDE of a cluster's middle that lie within NEAR of it."""
WIDEST = 0.12
"""Largest robust SD of a bead cluster on the logarithm, about 12 %."""
LEAST_EVENTS = 20
SAMPLED, TRIES = 1500, 6
SETTLED_ON, RESTS = 6000, 0.002
ROOM, ROOM_SPREADS = 0.25, 6.0
"""How far below its middle a cluster reaches: at least 22 %, and six SDs."""
JUST_OUTSIDE, BETWEEN = 2.2, 0.25
MOST_OUTSIDE, CHANCE = 0.03, 3
MOST_DOUBLETS, MOST_WITH_CELLS = 0.10, 0.30
TWO_BEADS = 1.6
EDGES = (1.2, 2.0)
"""Distances from the mode, in SDs of the upper half, beyond which both tails are compared."""
FARTHEST = 4.0
EDGE_EVENTS, EDGE_SHARE, EDGE_CHANCE = 40, 0.5, 1e-6
AT_END = 0.005
STEEP_WIDTH, STEEP = 0.2, 1 / 3
MODE_BINS = 400


@dataclass(frozen=True, slots=True)
class Signals:
    """Uncompensated signals of a tube's events, each channel as a share of its range (n × channels).

    ``fluorescence`` are the detectors of ``markers``, ``scatter`` FSC-A and SSC-A.
    """

    markers: tuple[str, ...]
    fluorescence: Floats
    scatter_names: tuple[str, ...]
    scatter: Floats


@dataclass(frozen=True, slots=True)
class BeadFinding:
    """What was found of the beads of one tube.

    ``floor``: marker → share of its detector's range from which an event holds a bead (in all of them at once).
    ``centre`` and ``cv`` are those of single beads. ``events`` hold ``beads``: ``single`` one bead alone,
    ``multiple`` several beads, ``with_cell`` one bead and a cell. ``outside``: events just outside the
    cluster or between it and the cells. ``reason`` says why the beads are not proven.
    """

    state: State
    reason: str = ""
    floor: Mapping[str, float] = field(default_factory=dict)
    centre: Mapping[str, float] = field(default_factory=dict)
    cv: Mapping[str, float] = field(default_factory=dict)
    at_end: tuple[str, ...] = ()
    events: int = 0
    beads: int = 0
    single: int = 0
    multiple: int = 0
    with_cell: int = 0
    outside: int = 0

    @property
    def numbers(self) -> dict[str, object]:
        """Give what a reviewer asks of the beads, as values JSON can hold (shares of the range)."""
        return {
            "state": self.state,
            "reason": self.reason,
            "beads": self.beads,
            "events": self.events,
            "single": self.single,
            "several_beads": self.multiple,
            "with_cell": self.with_cell,
            "just_outside": self.outside,
            "centre": {name: round(value, 6) for name, value in self.centre.items()},
            "cv": {name: round(value, 6) for name, value in self.cv.items()},
            "at_end_of_range": list(self.at_end),
        }


NO_BEADS = BeadFinding("absent")


@dataclass(frozen=True, slots=True)
class _Cluster:
    """A tight cluster on the arcsinh scale: ``middle`` and ``spread`` by detector, ``used`` those it is bright in."""

    middle: Floats
    spread: Floats
    used: NDArray[np.int64]

    @property
    def room(self) -> Floats:
        return np.maximum(ROOM, ROOM_SPREADS * self.spread[self.used])

    def depth(self, places: Floats) -> Floats:
        """Give each event's lowest place among the used detectors, in units of the room below the middle."""
        lowest: Floats = ((places[:, self.used] - self.middle[self.used]) / self.room).min(axis=1)
        return lowest


def bead_signals(
    events: EventSource,
    header: TubeHeader,
    match: PanelMatch,
    markers: Sequence[str],
    rows: Rows | None = None,
) -> Signals:
    """Read the uncompensated signals of some markers and the scatter of a tube (``rows``: only these events)."""
    read = [marker for marker in markers if marker in match.channel]
    scatter = [name for name in SCATTER_NAMES if name in match.channel]
    indices = [match.channel[name] for name in (*read, *scatter)]
    ends = np.array([header.channels[index].maximum - 1 for index in indices])
    shares = events.columns(indices, rows) / ends
    return Signals(tuple(read), shares[:, : len(read)], tuple(scatter), shares[:, len(read) :])


def find_beads(signals: Signals, expected: Mapping[str, float] | None = None) -> BeadFinding:
    """Find and prove the beads among the events of one tube.

    ``expected`` is a declared position (marker → share of its range): of two clusters that may be the
    beads it chooses the one within a factor of two of it. It is not needed, and proves nothing.
    """
    bright = _bright_in_several(signals.fluorescence)
    places = np.arcsinh(signals.fluorescence[bright] / COFACTOR)
    clusters = _clusters(places)
    if not clusters:
        return BeadFinding("absent", f"{len(places)} events are bright in several detectors at once, and no tight cluster.")
    cluster, rival = _chosen(clusters, places, signals.markers, expected or {})
    holding = cluster.depth(places) >= -1
    return _judged(signals, bright, cluster, holding, rival)


def lowest_of(centre: float) -> float:
    """Give how far below its middle (share of the range) a cluster of usual width reaches."""
    return float(np.sinh(np.arcsinh(centre / COFACTOR) - ROOM) * COFACTOR)


def _bright_in_several(values: Floats) -> NDArray[np.int64]:
    """List the events that are bright in two thirds of the detectors, and in three at least."""
    count = values.shape[1]
    needed = min(count, max(SEVERAL, -(-2 * count // 3)))
    if not len(values) or count < 2:
        return np.empty(0, dtype=np.int64)
    weakest = np.partition(values, count - needed, axis=1)[:, count - needed]
    return np.flatnonzero(weakest >= BRIGHT)


def _clusters(places: Floats) -> list[_Cluster]:
    """Find the tight clusters among bright events, the largest core first (two at most)."""
    found: list[_Cluster] = []
    left = places
    for _ in range(TRIES):
        if len(left) < LEAST_EVENTS or len(found) == 2:
            break
        seed = _densest(left)
        if seed is None:
            break
        cluster = _settled(left, seed)
        near = np.abs(left - cluster.middle).max(axis=1) <= WIDE
        if len(cluster.used) >= min(SEVERAL, places.shape[1]) and near.sum() >= LEAST_EVENTS:
            found.append(cluster)
        left = left[~near]
    return found


def _densest(places: Floats) -> Floats | None:
    """Give the place with most events near it, among those that have about as few in a wider box as in a narrow one."""
    from scipy.spatial.distance import cdist

    sample = places[:: -(-len(places) // SAMPLED)]
    apart = cdist(sample, sample, "chebyshev")
    near, wide = ((apart <= radius).sum(axis=1) for radius in (NEAR, WIDE))
    tight = near >= np.maximum(5, TIGHT * wide)
    return sample[int(np.argmax(np.where(tight, near, -1)))] if tight.any() else None


def _settled(places: Floats, seed: Floats) -> _Cluster:
    """Move a box to the median of what is in it until it rests."""
    middle, spread = seed, np.full(len(seed), NEAR / 3)
    sample = places[:: -(-len(places) // SETTLED_ON)]
    for _ in range(10):
        reach = np.clip(4 * spread, NEAR, WIDE)
        inside = sample[(np.abs(sample - middle) <= reach).all(axis=1)]
        if len(inside) < 5:
            break
        before = middle
        low, middle, high = np.quantile(inside, (0.1587, 0.5, 0.8413), axis=0)
        spread = (high - low) / 2
        if np.abs(middle - before).max() < RESTS:
            break
    bright = np.sinh(middle) * COFACTOR >= BRIGHT
    return _Cluster(middle, spread, np.flatnonzero(bright & (spread <= WIDEST)))


def _chosen(
    clusters: list[_Cluster], places: Floats, markers: tuple[str, ...], expected: Mapping[str, float]
) -> tuple[_Cluster, int]:
    """Choose the beads among one or two clusters; give also how many events the other one holds."""
    first, *others = clusters
    if not others:
        return first, 0
    other = others[0]
    sizes = [int((np.abs(places - each.middle) <= WIDE).all(axis=1).sum()) for each in (first, other)]
    doublets = sizes[1] <= MOST_DOUBLETS * sizes[0]
    if not doublets and _is_expected(other, markers, expected) and not _is_expected(first, markers, expected):
        first, other = other, first
    apart = first.depth(places) < -1
    rival = int((np.abs(places[apart] - other.middle) <= WIDE).all(axis=1).sum())
    settled = _is_expected(first, markers, expected) and not _is_expected(other, markers, expected)
    return first, 0 if settled else rival


def _is_expected(cluster: _Cluster, markers: tuple[str, ...], expected: Mapping[str, float]) -> bool:
    centre = np.sinh(cluster.middle) * COFACTOR
    ratios = [centre[i] / expected[name] for i, name in enumerate(markers) if name in expected]
    return bool(ratios) and all(0.5 <= ratio <= 2 for ratio in ratios)


def _judged(
    signals: Signals, bright: NDArray[np.int64], cluster: _Cluster, holding: Bools, rival: int
) -> BeadFinding:
    """Count the beads of a cluster by the rule, and ask whether it is whole."""
    values, scatter = signals.fluorescence[bright][holding], signals.scatter[bright][holding]
    number = _beads_in_each(values, scatter, cluster)
    centre = np.sinh(cluster.middle) * COFACTOR
    above = np.abs(np.arcsinh(values[:, cluster.used] / COFACTOR) - cluster.middle[cluster.used])
    alone = (number == 1) & (above <= cluster.room).all(axis=1) & _alike(scatter)
    outside = _outside(signals.fluorescence[bright][~holding], cluster)
    names = [signals.markers[i] for i in cluster.used]
    at_end = tuple(
        signals.markers[i] for i in cluster.used if (values[alone, i] >= 1).mean() > AT_END
    ) if alone.any() else ()
    low = np.sinh(cluster.middle[cluster.used] - cluster.room) * COFACTOR
    finding = BeadFinding(
        state="proven",
        floor=dict(zip(names, map(float, low), strict=True)),
        centre=dict(zip(names, map(float, centre[cluster.used]), strict=True)),
        cv=dict(zip(names, map(float, cluster.spread[cluster.used]), strict=True)),
        at_end=at_end,
        events=int(holding.sum()),
        beads=int(number.sum()),
        single=int(alone.sum()),
        multiple=int((number > 1).sum()),
        with_cell=int(((number == 1) & ~alone).sum()),
        outside=outside,
    )
    edge = _edge(signals, values[alone], scatter[alone], cluster)
    reason = _why_not_whole(finding, rival, edge)
    return replace(finding, state="incomplete", reason=reason) if reason else finding


def _beads_in_each(values: Floats, scatter: Floats, cluster: _Cluster) -> NDArray[np.int64]:
    """Count the beads in each event that holds one.

    In the detectors whose range could show two beads, an event of m beads is m times as bright as one;
    the least of these ratios tells, since a cell beside a bead is dim in some detector. Where every
    detector is at its end, scatter has to tell: twice in both channels (or beyond the range).
    """
    centre = np.sinh(cluster.middle) * COFACTOR
    able = [i for i in cluster.used if 2 * centre[i] <= 1]
    if able:
        ratio = (values[:, able] / centre[able]).min(axis=1)
        return np.where(ratio < TWO_BEADS, 1, np.rint(ratio)).astype(np.int64)
    middle = np.median(scatter, axis=0) if len(scatter) else np.ones(scatter.shape[1])
    ratios = scatter / np.maximum(middle, 1e-12)
    twice = ((np.abs(ratios - 2) <= 0.3) | (scatter >= 1)).all(axis=1) & (scatter < 1).any(axis=1)
    return np.where(twice, 2, 1).astype(np.int64)


def _alike(scatter: Floats) -> Bools:
    """Tell which events scatter as most of them do; a bead beside a cell scatters more."""
    if not len(scatter):
        return np.zeros(0, dtype=bool)
    places = np.log(np.maximum(scatter, 1e-9))
    low, middle, high = np.quantile(places, (0.1587, 0.5, 0.8413), axis=0)
    room = np.maximum(ROOM, ROOM_SPREADS * np.minimum(middle - low, high - middle))
    alike: Bools = (np.abs(places - middle) <= room).all(axis=1)
    return alike


def _outside(values: Floats, cluster: _Cluster) -> int:
    """Count events just below the cluster, and those bright in all its detectors between it and the cells."""
    if not len(values):
        return 0
    just_below = cluster.depth(np.arcsinh(values / COFACTOR)) >= -JUST_OUTSIDE
    centre = np.sinh(cluster.middle[cluster.used]) * COFACTOR
    between = (values[:, cluster.used] >= np.maximum(BETWEEN * centre, BRIGHT)).all(axis=1)
    return int((just_below | between).sum())


def _edge(signals: Signals, values: Floats, scatter: Floats, cluster: _Cluster) -> str:
    """Name the first channel in which single beads end sharply at the low side, as a trigger or a drawn region cuts.

    A detector in which beads are dim may be the trigger too; there a skewed peak is no cut, only a steep edge is.
    """
    for i, name in enumerate(signals.markers):
        if _is_cut_below(values[:, i], steep=i not in cluster.used):
            return name
    columns = zip(signals.scatter_names, scatter.T, strict=True)
    return next((name for name, column in columns if _is_cut_below(column)), "")


def _is_cut_below(column: Floats, *, steep: bool = False) -> bool:
    """Tell whether the low tail of a peak is far smaller than its high tail, beyond chance (``steep``: and its edge is)."""
    from scipy import special

    if len(column) < 2 * EDGE_EVENTS or (column >= 1).mean() > AT_END:
        return False
    places = np.arcsinh(column / COFACTOR)
    mode = _mode(places)
    upper = places[places > mode]
    spread = float(np.quantile(upper, 0.6827)) - mode if len(upper) else 0.0
    if len(upper) < EDGE_EVENTS or spread <= 0 or (steep and not _ends_steeply(places, spread)):
        return False
    beyond = (places - mode) / spread
    for distance in EDGES:
        above = int(((beyond > distance) & (beyond < FARTHEST)).sum())
        below = int(((beyond < -distance) & (beyond > -FARTHEST)).sum())
        if below < EDGE_SHARE * above and special.bdtr(below, above + below, 0.5) < EDGE_CHANCE:
            return True
    return False


def _ends_steeply(places: Floats, spread: float) -> bool:
    """Tell whether the lowest fifth of a spread already holds a third of the density of the densest one."""
    width = STEEP_WIDTH * spread
    bins = ((places - np.quantile(places, 0.001)) / width).astype(np.int64)
    counts = np.bincount(np.maximum(bins, 0))
    return bool(counts[0] >= STEEP * counts.max())


def _mode(values: Floats) -> float:
    """Give the highest place of a histogram smoothed over half a robust SD."""
    from scipy.ndimage import gaussian_filter1d

    low, quarter, three_quarters, high = np.quantile(values, (0.002, 0.25, 0.75, 0.998))
    if high <= low:
        return float(low)
    counts, edges = np.histogram(values, bins=MODE_BINS, range=(low, high))
    width = (three_quarters - quarter) / 1.349 / 2 / (edges[1] - edges[0])
    place = int(np.argmax(gaussian_filter1d(counts.astype(np.float64), width, mode="constant")))
    return float(edges[place] + edges[place + 1]) / 2


def _why_not_whole(finding: BeadFinding, rival: int, edge: str) -> str:
    """Say in words why a cluster is not proven to be all of the beads; empty when it is."""
    n = finding.events
    if rival > MOST_OUTSIDE * n + CHANCE:
        return f"Two clusters may be the beads: {n} events and {rival} events."
    if finding.outside > MOST_OUTSIDE * n + CHANCE:
        return f"{finding.outside} events lie just outside the cluster of {n} or between it and the cells."
    if edge:
        return f"The cluster ends sharply in {edge}, as if a trigger or a drawn region had cut it."
    if finding.multiple > MOST_DOUBLETS * n + CHANCE:
        return f"{finding.multiple} of {n} events are several times as bright as a bead: beads clump or are of two kinds."
    if finding.with_cell > MOST_WITH_CELLS * n + CHANCE:
        return f"{finding.with_cell} of {n} beads passed the laser together with a cell: the tube was acquired too fast."
    return ""
