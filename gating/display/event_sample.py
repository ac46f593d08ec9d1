"""Choose single events of a tube to be drawn: rare populations whole, others evenly.

Which events are chosen depends on the tube's own seed and on its gates alone, so that any worker
chooses the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gating.evaluation.engine import Evaluation, Path
from gating.fcs.event_source import Rows

RARE = 250
"""A gate of so many events is held whole; of a larger one so many are chosen."""
MOST_CHOSEN = 6_000
"""Beyond so many events together, of a strategy with very many gates, fewer are chosen of each."""
ROOT: Path = ("root",)


class EventOrder:
    """An order of a tube's events by chance, the same whenever it is asked for.

    The first events of a gate in this order are an even sample of it; that of a gate holds that of
    every gate above it as far as it shares its events, so that few events serve all gates.
    """

    def __init__(self, evaluation: Evaluation, seed: int) -> None:
        self._evaluation = evaluation
        self._place = chance_numbers(np.arange(evaluation.total), seed)

    def first(self, path: Path, most: int) -> Rows:
        """Give at most ``most`` events of a gate (all where there are not more), unsorted."""
        rows = self._evaluation.of(path)
        if rows is None:
            rows = np.arange(self._evaluation.total)
        if len(rows) <= most:
            return rows
        places = self._place[rows]
        # The first of very many lie below a bound that twice as many do; only those are sorted.
        bound = min(2**64 - 1, 2 * most * 2**64 // len(rows))
        near = np.flatnonzero(places < np.uint64(bound))
        if len(near) > most:
            rows, places = rows[near], places[near]
        return np.asarray(rows[np.argpartition(places, most - 1)[:most]])

    def stratified(self, paths: Sequence[Path]) -> Rows:
        """Choose events of every gate and of all events; gives sorted indices."""
        each = RARE
        rows = self._chosen(paths, each)
        while len(rows) > MOST_CHOSEN and each > 1:
            each //= 2
            rows = self._chosen(paths, each)
        return rows

    def _chosen(self, paths: Sequence[Path], each: int) -> Rows:
        chosen = np.zeros(self._evaluation.total, dtype=bool)
        for path in (ROOT, *paths):
            chosen[self.first(path, each)] = True
        return np.flatnonzero(chosen)


def membership(
    evaluation: Evaluation, paths: Sequence[Path], rows: Rows
) -> tuple[NDArray[np.uint16], tuple[tuple[int, ...], ...], tuple[float, ...]]:
    """Tell which gates hold each of some events (n,), sorted.

    Gives a code for each event, for each code the indices of its gates in ``paths``, and for each
    gate the share of its events that are among ``rows`` (1 for a gate without events).
    """
    inside = np.zeros((len(rows), len(paths)), dtype=bool)
    for place, path in enumerate(paths):
        inside[:, place] = _among(evaluation.rows[path], rows)
    keys = np.packbits(inside, axis=1).view(f"S{-(-len(paths) // 8)}")[:, 0]
    _, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    held = inside.sum(axis=0)
    totals = [evaluation.count(path) for path in paths]
    return (
        codes.astype(np.uint16),
        tuple(tuple(np.flatnonzero(each).tolist()) for each in inside[first]),
        tuple(float(n / of) if of else 1.0 for n, of in zip(held, totals, strict=True)),
    )


def _among(gate: Rows, rows: Rows) -> NDArray[np.bool_]:
    """Tell which of some events (sorted) are among those of a gate (sorted)."""
    if len(gate) == 0:
        return np.zeros(len(rows), dtype=bool)
    found = np.minimum(np.searchsorted(gate, rows), len(gate) - 1)
    return np.asarray(gate[found] == rows)


def chance_numbers(rows: Rows, seed: int) -> NDArray[np.uint64]:
    """Give events, by their indices (n,), each a number of its own by chance (SplitMix64).

    It is made of the index and the tube's seed, and written out so that no release of a library
    changes which events are chosen.
    """
    numbers = (rows.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    numbers += np.uint64(seed % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers ^= numbers >> np.uint64(shift)
        numbers *= np.uint64(factor)
    numbers ^= numbers >> np.uint64(31)
    return numbers
