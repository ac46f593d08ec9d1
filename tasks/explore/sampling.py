"""Share a sample out over groups so that small groups come whole, the same way each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def shares(sizes: Sequence[int], most: int) -> Ints:
    """Share ``most`` out over groups: to each the same, at most its size; gives (groups,) numbers.

    What small groups leave over goes to the others. What cannot be divided goes to the first
    groups that still have more, so that the sum is ``most``, or all there is.
    """
    available = np.asarray(sizes, dtype=np.int64)
    given = np.zeros(len(available), dtype=np.int64)
    left = min(most, int(available.sum()))
    while left > 0:
        hungry = np.flatnonzero(given < available)
        each = left // len(hungry)
        if each == 0:
            given[hungry[:left]] += 1
            break
        taken = np.minimum(available[hungry] - given[hungry], each)
        given[hungry] += taken
        left -= int(taken.sum())
    return given


def first_of_each(groups: Ints, order: NDArray[np.uint64], quotas: Ints) -> Ints:
    """Choose of each group its first members in an order by chance; gives sorted places.

    ``groups`` (n,) numbers the group of each member, ``order`` (n,) is its own number by chance,
    ``quotas`` (groups,) says how many each group gives.
    """
    by_group = np.lexsort((order, groups))
    starts = np.searchsorted(groups[by_group], np.arange(len(quotas)))
    rank = np.arange(len(groups)) - starts[groups[by_group]]
    chosen = by_group[rank < quotas[groups[by_group]]]
    return np.sort(chosen)
