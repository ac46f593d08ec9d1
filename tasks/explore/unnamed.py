"""List stable clusters that no gate names, and gates that hold several kinds of cells.

Cells are named by the leaf populations that hold them, together (``car19_t and cd8_t``): the gates
of a strategy overlap. A cluster is not named where most of its cells lie in no leaf population, or
where they are a small part of what some hold and a kind of their own there: the gates hold them
without meaning them. Where such a part is large, or only joins what other clusters of the same
gates have one by one (memory stages of CD8 T cells: CD45RA, CCR7, both), the gates span several
kinds of cells. An unstable cluster and what lies between clusters are in no list.
"""

from collections.abc import Iterable, Mapping, Sequence
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
"""A cluster with this share of a gate's cells is as much what the gate means as the typical one."""
APART = 2.5
"""Two clusters are apart when a marker differs by so many SDs."""
STILL_TYPICAL = 0.1
"""Share of a gate's cells that must be typical ones where a cluster is largest: a gate whose cells
all look otherwise in a tube is a shift of the stain."""


@dataclass(frozen=True, slots=True, eq=False)
class Unnamed:
    """A stable cluster that no gate names.

    ``why``: most cells lie ``outside`` all leaf populations, or ``inside`` of ``gates`` but apart
    from the typical cells there, ``apart`` saying in which markers; ``events`` are indices into the
    cells.
    """

    cluster: int
    why: Why
    gates: Gates
    apart: tuple[Enrichment, ...]
    events: Integers


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A cluster that gates hold beside their typical one.

    ``share`` is that of the gates' cells, ``apart`` says in which markers it differs from the
    typical cluster, ``events`` are indices into the cells.
    """

    cluster: int
    share: float
    apart: tuple[Enrichment, ...]
    events: Integers


@dataclass(frozen=True, slots=True, eq=False)
class Spanning:
    """Leaf populations that hold several kinds of cells.

    ``typical`` is the cluster with most of their cells, of which it has the ``share``; ``parts``
    are the others, the largest first.
    """

    gates: Gates
    typical: int
    share: float
    parts: tuple[Part, ...]


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
    gates_of = {
        cluster: gates
        for cluster in named.stable
        if (labels == cluster).any()
        for gates in [named.gates(cluster)]
        if gates is not None
    }
    unnamed = [
        _outside(named, cluster)
        for cluster, gates in gates_of.items()
        if not gates and _may_be_listed(named, cluster)
    ]
    spanning: list[Spanning] = []
    shifted: list[int] = []
    for gates in dict.fromkeys(each for each in gates_of.values() if each):
        found = _inside(named, gates, gates_of)
        unnamed += found.unnamed
        spanning += found.spanning
        shifted += found.shifted
    unnamed.sort(key=lambda each: each.cluster)
    return Lists(tuple(unnamed), tuple(spanning), tuple(sorted(shifted)))


def _may_be_listed(named: _Named, cluster: int) -> bool:
    """Tell whether a cluster is large enough somewhere, and not simply the whole compartment."""
    own = named.labels == cluster
    if not own.any() or named.weight(own) >= WHOLE * float(named.cells.weight.sum()):
        return False
    return named.largest(cluster)[0] >= LEAST_SHARE


def _outside(named: _Named, cluster: int) -> Unnamed:
    events = np.flatnonzero(named.labels == cluster)
    return Unnamed(cluster, "outside", (), (), events)


def _inside(named: _Named, gates: Gates, gates_of: Mapping[int, Gates]) -> Lists:
    """Hold the clusters that some gates hold, and no other ones, against the typical cells there.

    ``gates_of`` are those of each cluster.
    """
    held = named.inside(gates)
    in_all = {cluster for cluster, those in gates_of.items() if {*gates} <= {*those}}
    typical, whole = named.typical(held), named.weight(held)
    unnamed: list[Unnamed] = []
    parts: list[Part] = []
    shifted: list[int] = []
    for cluster in (each for each, those in gates_of.items() if those == gates):
        if typical in (cluster, NOISE) or not _may_be_listed(named, cluster):
            continue
        apart = named.apart(cluster, typical)
        if not apart:
            continue
        share = named.weight(held & (named.labels == cluster)) / whole
        events = np.flatnonzero(named.labels == cluster)
        others = (in_all | {typical}) - {cluster}
        if _is_shift(named, held, typical, named.largest(cluster)[1]):
            shifted.append(cluster)
        elif share >= LARGE_PART or not _is_own_kind(named, cluster, others):
            parts.append(Part(cluster, share, apart, events))
        else:
            unnamed.append(Unnamed(cluster, "inside", gates, apart, events))
    parts.sort(key=lambda part: -part.share)
    share = named.weight(held & (named.labels == typical)) / whole
    spanning = (Spanning(gates, typical, share, tuple(parts)),) if parts else ()
    return Lists(tuple(unnamed), spanning, tuple(shifted))


def _is_own_kind(named: _Named, cluster: int, others: Iterable[int]) -> bool:
    """Tell whether a cluster is apart from every other one in the same marker, to the same side."""
    sides = [{each.word for each in named.apart(cluster, other)} for other in others]
    return bool(set.intersection(*sides))


def _is_shift(named: _Named, held: Booleans, typical: int, tube: int) -> bool:
    """Tell whether a tube has almost none of the typical cells of some gates."""
    here = held & (named.cells.tube == tube)
    return named.weight(here & (named.labels == typical)) < STILL_TYPICAL * named.weight(here)
