"""Test differences by permutation of ranks, exactly, with their estimate and interval.

Ties get mean ranks; the distribution is counted over all permutations of the ranks at hand, by
adding one after the other, so there is no approximation and no random draw.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.counting.intervals import Interval
from tasks.explore.cells import Floats

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class RankTest:
    """A two-sided exact test of a shift, and how large the shift is.

    ``estimate`` is Hodges and Lehmann's, ``interval`` the 95 % limits by the same permutations
    (None: so few values reach no 95 %). ``least_p`` is the smallest p that so many values can have.
    """

    n: int
    estimate: float
    interval: Interval | None
    p: float
    least_p: float


def paired(differences: Sequence[float]) -> RankTest:
    """Test whether differences within patients lie around zero (Wilcoxon's signed ranks).

    Every difference may be of either sign: 2^n permutations. Needs one difference at least.
    """
    values = np.asarray(differences, dtype=np.float64)
    walsh = np.sort(
        [(values[i] + values[j]) / 2 for i in range(len(values)) for j in range(i, len(values))]
    )
    nonzero = values[values != 0]
    ranks = _doubled_ranks(np.abs(nonzero))
    ways = _sums_of_any(ranks)
    seen = int(ranks[nonzero > 0].sum())
    untied = _sums_of_any(2 * np.arange(1, len(values) + 1))
    return RankTest(
        n=len(values),
        estimate=float(np.median(walsh)),
        interval=_interval(walsh, untied),
        p=_two_sided(ways, seen),
        least_p=min(1.0, 2.0 ** (1 - len(values))),
    )


def unpaired(first: Sequence[float], second: Sequence[float]) -> RankTest:
    """Test whether the second group's values are shifted against the first's (Mann and Whitney).

    The patients may belong to either group. Needs one value in each at least.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    ranks = _doubled_ranks(np.concatenate([one, other]))
    ways = _sums_of_some(ranks, len(other))
    apart = np.sort(np.subtract.outer(other, one).ravel())
    untied = _sums_of_some(2 * np.arange(1, len(ranks) + 1), len(other))
    least = len(other) * (len(other) + 1)
    return RankTest(
        n=len(ranks),
        estimate=float(np.median(apart)),
        interval=_interval(apart, untied[least:]),
        p=_two_sided(ways, int(ranks[len(one) :].sum())),
        least_p=min(1.0, 2 / math.comb(len(ranks), len(other))),
    )


def _doubled_ranks(values: Floats) -> np.ndarray:
    """Give twice the mean ranks, which are whole numbers."""
    _, place, equal = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (2 * np.cumsum(equal) - equal + 1)[place]
    return ranks


def _sums_of_any(ranks: np.ndarray) -> Floats:
    """Count the choices of any of the ranks that have each sum, as shares of all choices."""
    ways = np.zeros(int(ranks.sum()) + 1)
    ways[0] = 1.0
    for rank in ranks:
        ways[rank:] = ways[rank:] + ways[: len(ways) - rank]
        ways /= 2
    return ways


def _sums_of_some(ranks: np.ndarray, number: int) -> Floats:
    """Count the choices of a number of the ranks that have each sum, as shares of all choices."""
    ways = np.zeros((number + 1, int(ranks.sum()) + 1))
    ways[0, 0] = 1.0
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, : ways.shape[1] - rank].copy()
    total: Floats = ways[number] / ways[number].sum()
    return total


def _two_sided(ways: Floats, seen: int) -> float:
    """Give the chance of a sum as far out as the one seen, twice the smaller tail."""
    tail = min(float(ways[: seen + 1].sum()), float(ways[seen:].sum()))
    return min(1.0, 2 * tail)


def _interval(ordered: Floats, ways: Floats) -> Interval | None:
    """Take the limits between which the test would not reject, from the ordered estimates.

    ``ways`` are by doubled ranks: the sum of ranks k is at 2k.
    """
    below = np.cumsum(ways[::2])
    rejected = int(np.count_nonzero(below <= ALPHA / 2 * (1 + 1e-9)))
    if not rejected:
        return None
    return Interval(float(ordered[rejected - 1]), float(ordered[-rejected]))
