"""Find the counting beads of a tube in the tube itself, and prove that all of them were found.

Beads of one lot are the tightest cluster that a cytometer sees: a coefficient of variation of 3–6 %
in every detector at once, and bright in detectors that no single cell fills together. Where the
cluster lies depends on detector voltages, so no position is supposed; it may lie at the end of the
range. Compensation would move and widen it, since a bead's dyes are not those of the stains, so it
is looked for in uncompensated signals (SCIENCE section 10).

A cut cluster is worse than none: 60 % of the beads lost makes all concentrations 2.5 times too
high. So the cluster has to prove itself whole: next to nothing just outside it or between it and
the cells, no second cluster, no sharp edge through it in any detector, no more doublets than beads
make, and about the same share of the events from the beginning of the acquisition to its end (beads
settle).

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

from gating.beads.peak_edge import AT_END, COFACTOR, is_cut_below
from gating.beads.tight_clusters import (
    BRIGHT,
    ROOM,
    ROOM_SPREADS,
    WIDE,
    TightCluster,
    bright_in_several,
    tight_clusters,
)

if TYPE_CHECKING:
    from gating.fcs.event_source import EventSource, Rows
    from gating.fcs.header import TubeHeader
    from panels.panel import PanelMatch

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
State = Literal["proven", "incomplete", "absent"]

SCATTER_NAMES = ("FSC-A", "SSC-A")
JUST_OUTSIDE, BETWEEN = 2.2, 0.25
MOST_OUTSIDE, CHANCE = 0.03, 3
MOST_DOUBLETS, MOST_WITH_CELLS = 0.10, 0.30
TWO_BEADS = 1.6
PARTS, UNEVEN, UNLIKELY = 4, 1.25, 5.0
"""Parts of the acquisition, and how much the share of beads may differ between them: as a factor,
and in SDs of counting."""


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

    ``floor``: marker → share of its detector's range from which an event holds a bead (in all of
    them at once). ``centre`` and ``cv`` are those of single beads. ``events`` hold ``beads``:
    ``single`` one bead alone, ``multiple`` several beads, ``with_cell`` one bead and a cell.
    ``outside``: events just outside the cluster or between it and the cells. ``reason`` says why
    the beads are not proven.
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

    ``expected`` is a declared position (marker → share of its range): of two clusters that may be
    the beads it chooses the one within a factor of two of it. It is not needed, and proves nothing.
    """
    bright = bright_in_several(signals.fluorescence)
    places = np.arcsinh(signals.fluorescence[bright] / COFACTOR)
    clusters = tight_clusters(places)
    if not clusters:
        return BeadFinding(
            "absent",
            f"{len(places)} events are bright in several detectors at once, and no tight cluster.",
        )
    cluster, rival = _chosen(clusters, places, signals.markers, expected or {})
    holding = cluster.depth(places) >= -1
    return _judged(signals, bright, cluster, holding, rival)


def lowest_of(centre: float) -> float:
    """Give how far below its middle (share of the range) a cluster of usual width reaches."""
    return float(np.sinh(np.arcsinh(centre / COFACTOR) - ROOM) * COFACTOR)


def _chosen(
    clusters: list[TightCluster],
    places: Floats,
    markers: tuple[str, ...],
    expected: Mapping[str, float],
) -> tuple[TightCluster, int]:
    """Choose the beads among one or two clusters; give also how many events the other one holds."""
    first, *others = clusters
    if not others:
        return first, 0
    other = others[0]
    sizes = [
        int((np.abs(places - each.middle) <= WIDE).all(axis=1).sum()) for each in (first, other)
    ]
    doublets = sizes[1] <= MOST_DOUBLETS * sizes[0]
    if (
        not doublets
        and _is_expected(other, markers, expected)
        and not _is_expected(first, markers, expected)
    ):
        first, other = other, first
    apart = first.depth(places) < -1
    rival = int((np.abs(places[apart] - other.middle) <= WIDE).all(axis=1).sum())
    settled = _is_expected(first, markers, expected) and not _is_expected(other, markers, expected)
    return first, 0 if settled else rival


def _is_expected(
    cluster: TightCluster, markers: tuple[str, ...], expected: Mapping[str, float]
) -> bool:
    centre = cluster.centre
    ratios = [centre[i] / expected[name] for i, name in enumerate(markers) if name in expected]
    return bool(ratios) and all(0.5 <= ratio <= 2 for ratio in ratios)


def _judged(
    signals: Signals, bright: NDArray[np.int64], cluster: TightCluster, holding: Bools, rival: int
) -> BeadFinding:
    """Count the beads of a cluster by the rule, and ask whether it is whole."""
    values, scatter = signals.fluorescence[bright][holding], signals.scatter[bright][holding]
    number = _beads_in_each(values, scatter, cluster)
    centre = cluster.centre
    above = np.abs(np.arcsinh(values[:, cluster.used] / COFACTOR) - cluster.middle[cluster.used])
    alone = (number == 1) & (above <= cluster.room).all(axis=1) & _alike(scatter)
    outside = _outside(signals.fluorescence[bright][~holding], cluster)
    names = [signals.markers[i] for i in cluster.used]
    at_end = (
        tuple(signals.markers[i] for i in cluster.used if (values[alone, i] >= 1).mean() > AT_END)
        if alone.any()
        else ()
    )
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
    uneven = _uneven(bright[holding], len(signals.fluorescence))
    reason = _why_not_whole(finding, rival, edge) or uneven
    return replace(finding, state="incomplete", reason=reason) if reason else finding


def _beads_in_each(values: Floats, scatter: Floats, cluster: TightCluster) -> NDArray[np.int64]:
    """Count the beads in each event that holds one.

    In the detectors whose range could show two beads, an event of m beads is m times as bright as
    one; the least of these ratios tells, since a cell beside a bead is dim in some detector. Where
    every detector is at its end, scatter has to tell: twice in both channels (or beyond the range).
    """
    centre = cluster.centre
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


def _outside(values: Floats, cluster: TightCluster) -> int:
    """Count events just below the cluster, and those bright in all its detectors between it and the cells."""
    if not len(values):
        return 0
    just_below = cluster.depth(np.arcsinh(values / COFACTOR)) >= -JUST_OUTSIDE
    centre = np.sinh(cluster.middle[cluster.used]) * COFACTOR
    between = (values[:, cluster.used] >= np.maximum(BETWEEN * centre, BRIGHT)).all(axis=1)
    return int((just_below | between).sum())


def _edge(signals: Signals, values: Floats, scatter: Floats, cluster: TightCluster) -> str:
    """Name the first channel in which single beads end sharply at the low side, as a trigger or a drawn region cuts.

    A detector in which beads are dim may be the trigger too; there a skewed peak is no cut, only a
    steep edge is.
    """
    for i, name in enumerate(signals.markers):
        if is_cut_below(values[:, i], steep=i not in cluster.used):
            return name
    columns = zip(signals.scatter_names, scatter.T, strict=True)
    return next((name for name, column in columns if is_cut_below(column)), "")


def _uneven(rows: NDArray[np.int64], total: int) -> str:
    """Say that beads came with another share of the events in one part of the acquisition than in another; empty when not."""
    ends = np.linspace(0, total, PARTS + 1)
    counts, _ = np.histogram(rows, bins=ends)
    low, high = int(counts.min()), int(counts.max())
    if high <= UNEVEN * low or high - low <= UNLIKELY * np.sqrt(high + low):
        return ""
    first, last = (f"{100 * count / (total / PARTS):.1f} %" for count in (counts[0], counts[-1]))
    return (
        f"Beads are {first} of the first quarter of the events and {last} of the last: they "
        f"settled, or did not flow with the cells."
    )


def _why_not_whole(finding: BeadFinding, rival: int, edge: str) -> str:
    """Say in words why a cluster is not proven to be all of the beads; empty when it is."""
    n = finding.events
    if rival > MOST_OUTSIDE * n + CHANCE:
        return f"Two clusters may be the beads: {n} events and {rival} events."
    if finding.outside > MOST_OUTSIDE * n + CHANCE:
        return (
            f"{finding.outside} events lie just outside the cluster of {n} or between it and the "
            f"cells."
        )
    if edge:
        return f"The cluster ends sharply in {edge}, as if a trigger or a drawn region had cut it."
    if finding.multiple > MOST_DOUBLETS * n + CHANCE:
        return (
            f"{finding.multiple} of {n} events are several times as bright as a bead: beads clump "
            f"or are of two kinds."
        )
    if finding.with_cell > MOST_WITH_CELLS * n + CHANCE:
        return (
            f"{finding.with_cell} of {n} beads passed the laser together with a cell: the tube "
            f"was acquired too fast."
        )
    return ""
