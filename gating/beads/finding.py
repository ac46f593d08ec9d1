"""Find the counting beads of a tube in its own events, and prove that none is missing.

Beads of one lot are the tightest cluster that a cytometer sees: a coefficient of variation of 3–6 %
in every detector at once, and bright in detectors that no single cell fills together. Where the
cluster lies depends on detector voltages, so no position is supposed; it may lie at the end of the
range. Compensation would move and widen it, since a bead's dyes are not those of the stains, so it
is looked for in uncompensated signals (SCIENCE section 10).

Part of the beads is worse than none, so a cluster is used only where it is proven to be whole: next
to nothing just outside it or between it and the cells, no second cluster, no sharp edge through it
in any detector, no more doublets than beads make, and about the same share of the events from the
beginning of the acquisition to its end (beads settle).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gating.beads.completeness import cut_channel, events_outside, uneven_share
from gating.beads.counting import alike, beads_in_each
from gating.beads.peak_edge import AT_END, COFACTOR
from gating.beads.signals import Signals
from gating.beads.tight_clusters import (
    ROOM,
    WIDE,
    TightCluster,
    bright_in_several,
    tight_clusters,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
State = Literal["proven", "incomplete", "absent"]

MOST_OUTSIDE, CHANCE = 0.03, 3
MOST_DOUBLETS, MOST_WITH_CELLS = 0.10, 0.30


@dataclass(frozen=True, slots=True)
class BeadFinding:
    """What is known of the beads of one tube.

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
        """Give what a reviewer needs to know of the beads, as values JSON can hold.

        ``centre`` is in shares of the range.
        """
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


def find_beads(signals: Signals, expected: Mapping[str, float] | None = None) -> BeadFinding:
    """Find and prove the beads among the events of one tube.

    ``expected`` is a declared position (marker → share of its range): of two clusters that may be
    the beads it chooses the one within a factor of two of it. It is not needed, and proves nothing.
    """
    bright = bright_in_several(signals.fluorescence)
    places = np.arcsinh(signals.fluorescence[bright] / COFACTOR)
    clusters = tight_clusters(places)
    if not clusters:
        reason = (
            f"{len(places)} events are bright in several detectors at once, and no tight cluster."
        )
        return BeadFinding("absent", reason)
    cluster, rival = _choose(clusters, places, signals.markers, expected or {})
    holding = cluster.depth(places) >= -1
    return _assess(signals, bright, cluster, holding, rival)


def lowest_of(centre: float) -> float:
    """Give how far below its middle (share of the range) a cluster of usual width reaches."""
    return float(np.sinh(np.arcsinh(centre / COFACTOR) - ROOM) * COFACTOR)


def _choose(
    clusters: list[TightCluster],
    places: Floats,
    markers: tuple[str, ...],
    expected: Mapping[str, float],
) -> tuple[TightCluster, int]:
    """Choose the beads among one or two clusters; give also how many events the rival holds.

    A cluster that is expected has no rival that is not.
    """
    first, *others = clusters
    if not others:
        return first, 0
    other = others[0]
    sizes = [
        int((np.abs(places - each.middle) <= WIDE).all(axis=1).sum()) for each in (first, other)
    ]
    doublets = sizes[1] <= MOST_DOUBLETS * sizes[0]
    first_fits = _is_expected(first, markers, expected)
    other_fits = _is_expected(other, markers, expected)
    if other_fits and not first_fits and not doublets:
        return other, 0
    if first_fits and not other_fits:
        return first, 0
    apart = first.depth(places) < -1
    rival = int((np.abs(places[apart] - other.middle) <= WIDE).all(axis=1).sum())
    return first, rival


def _is_expected(
    cluster: TightCluster, markers: tuple[str, ...], expected: Mapping[str, float]
) -> bool:
    """Tell whether a cluster lies within a factor of two of what is expected in each detector."""
    centre = cluster.centre
    ratios = [centre[i] / expected[name] for i, name in enumerate(markers) if name in expected]
    return bool(ratios) and all(0.5 <= ratio <= 2 for ratio in ratios)


def _assess(
    signals: Signals, bright: NDArray[np.int64], cluster: TightCluster, holding: Bools, rival: int
) -> BeadFinding:
    """Count the beads of a cluster, and check that it is all of the beads.

    ``bright`` (n,) are the rows of the bright events, ``holding`` (n,) tells which of them hold a
    bead.
    """
    values, scatter = signals.fluorescence[bright][holding], signals.scatter[bright][holding]
    number = beads_in_each(values, scatter, cluster)
    used, centre = cluster.used, cluster.centre
    apart = np.abs(np.arcsinh(values[:, used] / COFACTOR) - cluster.middle[used])
    alone = (number == 1) & (apart <= cluster.room).all(axis=1) & alike(scatter)
    names = [signals.markers[i] for i in used]
    low = np.sinh(cluster.middle[used] - cluster.room) * COFACTOR
    finding = BeadFinding(
        state="proven",
        floor=dict(zip(names, map(float, low), strict=True)),
        centre=dict(zip(names, map(float, centre[used]), strict=True)),
        cv=dict(zip(names, map(float, cluster.spread[used]), strict=True)),
        at_end=_at_end(values[alone], signals.markers, used),
        events=int(holding.sum()),
        beads=int(number.sum()),
        single=int(alone.sum()),
        multiple=int((number > 1).sum()),
        with_cell=int(((number == 1) & ~alone).sum()),
        outside=events_outside(signals.fluorescence[bright][~holding], cluster),
    )
    cut = cut_channel(signals, values[alone], scatter[alone], cluster)
    uneven = uneven_share(bright[holding], len(signals.fluorescence))
    reason = _why_incomplete(finding, rival, cut) or uneven
    return replace(finding, state="incomplete", reason=reason) if reason else finding


def _at_end(values: Floats, markers: tuple[str, ...], used: NDArray[np.int64]) -> tuple[str, ...]:
    """Name the markers in whose detectors single beads lie at the end of the range."""
    if not len(values):
        return ()
    return tuple(markers[i] for i in used if (values[:, i] >= 1).mean() > AT_END)


def _why_incomplete(finding: BeadFinding, rival: int, cut: str) -> str:
    """Say why a cluster is not proven to be all of the beads; empty when it is.

    ``rival`` are the events of a second cluster, ``cut`` the channel that ends sharply.
    """
    n = finding.events
    if rival > MOST_OUTSIDE * n + CHANCE:
        return f"Two clusters may be the beads: {n} events and {rival} events."
    if finding.outside > MOST_OUTSIDE * n + CHANCE:
        return (
            f"{finding.outside} events lie just outside the cluster of {n} or between it and the "
            f"cells."
        )
    if cut:
        return f"The cluster ends sharply in {cut}, as if a trigger or a drawn region had cut it."
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
