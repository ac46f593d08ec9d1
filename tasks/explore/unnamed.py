"""List stable clusters that no gate names, and gates that hold two kinds of cells.

Cells are named by the leaf populations that hold them, together (``car19_t and cd8_t``): the gates
of a strategy overlap. A cluster is not named where most of its cells lie in no leaf population, or
where they are a small part of what some hold, apart from the typical cells there: the gates hold
them without meaning them. Where such a part is large, the gates span two kinds of cells. An
unstable cluster and what lies between clusters are in no list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tasks.explore.annotation import Enrichment, differences, enrichments
from tasks.explore.cells import NOISE, WHOLE, Booleans, Cells, Floats, Integers

Gates = tuple[str, ...]
"""Leaf populations that hold an event, together; empty: none does."""
Why = Literal["outside", "inside"]

LEAST_SHARE = 0.01
"""Of the compartment, in the tube where a cluster is largest."""
LEAST_EVENTS = 10
"""In that tube: fewer would be a share of chance. Stability asks more of all tubes together."""
HELD = 0.75
"""A gate holds a cluster when it holds this share of its cells."""
LARGE_PART = 0.2
"""A gate spans two clusters when each has this share of its cells."""
APART = 2.5
"""Two clusters are apart when a marker differs by so many SDs."""
STILL_TYPICAL = 0.1
"""Share of a gate's cells that must be typical ones where a cluster is largest: a gate whose cells
all look otherwise in a tube is a shift of the stain."""


@dataclass(frozen=True, slots=True, eq=False)
class Unnamed:
    """A stable cluster that no gate names.

    ``why``: most cells lie ``outside`` all leaf populations, or ``inside`` of ``gates`` but apart
    from the typical cells there, ``apart`` saying in which markers. ``largest`` is its largest
    share of the compartment in a tube, ``tube`` which; ``events`` are indices into the cells.
    """

    cluster: int
    why: Why
    gates: Gates
    apart: tuple[Enrichment, ...]
    largest: float
    tube: int
    events: Integers


@dataclass(frozen=True, slots=True, eq=False)
class Spanning:
    """Leaf populations that hold two kinds of cells.

    ``clusters`` are the typical one and another; ``shares`` theirs of the gates' cells; ``apart``
    is how the other differs from the typical; ``events`` are its indices into the cells.
    """

    gates: Gates
    clusters: tuple[int, int]
    shares: tuple[float, float]
    apart: tuple[Enrichment, ...]
    events: Integers


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """Both lists; ``shifted`` are clusters that look like a shift of a stain in one tube."""

    unnamed: tuple[Unnamed, ...]
    spanning: tuple[Spanning, ...]
    shifted: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Named:
    """Cells by cluster and by the leaf populations that hold them, ``in_leaves``."""

    cells: Cells
    labels: Integers
    stable: tuple[int, ...]
    in_leaves: Booleans

    def weight(self, chosen: Booleans) -> float:
        return float(self.cells.weight[chosen].sum())

    def gates(self, cluster: int) -> Gates | None:
        """Give the gates that hold a cluster, empty where most cells are in none.

        None: it lies on a border, and is named by what is on both sides.
        """
        own = self.labels == cluster
        weight = self.cells.weight[own]
        held = weight @ self.in_leaves[own] / weight.sum()
        gates = tuple(
            name for name, share in zip(self.cells.leaves, held, strict=True) if share >= HELD
        )
        outside = float(weight @ ~self.in_leaves[own].any(axis=1)) / weight.sum()
        if gates or outside > 0.5:
            return gates
        return None

    def inside(self, gates: Gates) -> Booleans:
        """Tell which events all of the gates hold."""
        columns = [self.cells.leaves.index(name) for name in gates]
        held: Booleans = np.all(self.in_leaves[:, columns], axis=1)
        return held

    def typical(self, held: Booleans) -> int:
        """Give the stable cluster with most of some cells."""
        chosen = held & np.isin(self.labels, self.stable)
        parts = np.bincount(self.labels[chosen], self.cells.weight[chosen])
        return int(parts.argmax()) if parts.size else NOISE

    def apart(self, cluster: int, other: int) -> tuple[Enrichment, ...]:
        """Give the markers in which two clusters are apart; empty where they are not."""
        own, others = self.labels == cluster, self.labels == other
        cells = self.cells
        found = differences(
            cells.values[own], cells.values[others], cells.weight[own], cells.weight[others]
        )
        told = enrichments(cells.markers, found)
        return tuple(each for each in told if abs(each.difference) >= APART)

    def largest(self, cluster: int) -> tuple[float, int]:
        """Give a cluster's largest share of a tube's compartment, where there are enough events."""
        own = self.labels == cluster
        tubes = int(self.cells.tube.max()) + 1
        seen = np.bincount(self.cells.tube[own], minlength=tubes)
        part = np.bincount(self.cells.tube[own], self.cells.weight[own], minlength=tubes)
        whole = np.bincount(self.cells.tube, self.cells.weight, minlength=tubes)
        share: Floats = np.where(seen >= LEAST_EVENTS, part / np.maximum(whole, 1e-9), 0.0)
        return float(share.max()), int(share.argmax())


def lists(cells: Cells, labels: Integers, stable: Sequence[int]) -> Lists:
    """List what the gates leave unnamed and what they hold together.

    ``labels`` (events,) are the clusters of the cells, ``stable`` those that may be listed.
    """
    named = _Named(cells, labels, tuple(stable), cells.in_leaves)
    unnamed: list[Unnamed] = []
    spanning: list[Spanning] = []
    shifted: list[int] = []
    for cluster in named.stable:
        if not _may_be_listed(named, cluster):
            continue
        gates = named.gates(cluster)
        found = _outside(named, cluster) if gates == () else _inside(named, cluster, gates)
        match found:
            case Unnamed():
                unnamed.append(found)
            case Spanning():
                spanning.append(found)
            case "shifted":
                shifted.append(cluster)
    return Lists(tuple(unnamed), tuple(spanning), tuple(shifted))


def _may_be_listed(named: _Named, cluster: int) -> bool:
    """Tell whether a cluster is large enough somewhere, and not simply the whole compartment."""
    own = named.labels == cluster
    if not own.any() or named.weight(own) >= WHOLE * float(named.cells.weight.sum()):
        return False
    return named.largest(cluster)[0] >= LEAST_SHARE


def _outside(named: _Named, cluster: int) -> Unnamed:
    events = np.flatnonzero(named.labels == cluster)
    return Unnamed(cluster, "outside", (), (), *named.largest(cluster), events)


def _inside(
    named: _Named, cluster: int, gates: Gates | None
) -> Unnamed | Spanning | Literal["shifted"] | None:
    """Hold a cluster against the typical cells of the gates that hold it; None: it is named."""
    if gates is None:
        return None
    held = named.inside(gates)
    typical = named.typical(held)
    apart = named.apart(cluster, typical) if typical not in (NOISE, cluster) else ()
    if not apart:
        return None
    share, tube = named.largest(cluster)
    if _is_shift(named, held, typical, tube):
        return "shifted"
    events = np.flatnonzero(named.labels == cluster)
    whole = named.weight(held)
    first, second = (
        named.weight(held & (named.labels == each)) / whole for each in (typical, cluster)
    )
    if min(first, second) >= LARGE_PART:
        return Spanning(gates, (typical, cluster), (first, second), apart, events)
    return Unnamed(cluster, "inside", gates, apart, share, tube, events)


def _is_shift(named: _Named, held: Booleans, typical: int, tube: int) -> bool:
    """Tell whether a tube has almost none of the typical cells of some gates."""
    here = held & (named.cells.tube == tube)
    return named.weight(here & (named.labels == typical)) < STILL_TYPICAL * named.weight(here)
