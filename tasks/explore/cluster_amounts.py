"""Give the cells of each cluster in each tube, with the limits and words that populations have.

A cluster's concentration is that of its compartment times its share of it: the compartment is the
anchor that ties the events of the tube to a volume. Nothing here is a bare zero: what was not
detected has an upper limit, what cannot be evaluated has nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import special

from tasks.counting.intervals import LEVEL, scaled_count, wilson
from tasks.counting.limits import LimitSettings
from tasks.counting.result_code import Code
from tasks.explore.cells import Floats, Integers

_Limited = tuple[float | None, float | None, float | None]
"""A value with its lower and its upper limit."""
_NOT_GIVEN: _Limited = (None, None, None)
FEWEST_SEEN = 10
"""Where cells are a sample, fewer of them than this are not said to be detected."""


@dataclass(frozen=True, slots=True)
class CompartmentAmount:
    """The compartment of one tube, as its row in the tables has it.

    ``per_ul`` with its 95 % limits is what the tables give (cells/µL; None: not given), ``code`` is
    the row's.
    """

    per_ul: float | None
    per_ul_low: float | None
    per_ul_high: float | None
    code: Code


@dataclass(frozen=True, slots=True)
class ClusterAmount:
    """What one cluster of one tube amounts to; ``None`` is "not given".

    ``events`` are those that the numbers rest on: Kish's effective number where the cells are a
    weighted sample. Percentages are of the compartment, concentrations cells/µL, with 95 % limits.
    """

    cluster: int
    events: int
    percent: float | None
    percent_low: float | None
    percent_high: float | None
    per_ul: float | None
    per_ul_low: float | None
    per_ul_high: float | None
    lod_per_ul: float | None
    lloq_per_ul: float | None
    code: Code


@dataclass(frozen=True, slots=True)
class ClusterEvents:
    """The events of one cluster in one tube.

    ``effective`` of them count, and each stands for ``weight`` events of the compartment. Of a
    cluster that was not seen, ``weight`` is the largest that one of its events might have had.
    ``seen`` are the sampled events themselves, unweighted.
    """

    effective: float
    weight: float
    seen: int

    @property
    def estimated(self) -> float:
        """Estimate how many events of the compartment are of the cluster."""
        return self.effective * self.weight

    def is_detected(self, limits: LimitSettings) -> bool:
        """Tell whether the tube has cells of the cluster, however small the sample of them.

        Every event that was seen is an event of the tube; a few that stand for many may be chance.
        """
        least = limits.detect_events
        return self.seen >= least or (self.seen >= FEWEST_SEEN and self.estimated >= least)


def cluster_events(labels: Integers, weight: Floats, count: int) -> tuple[ClusterEvents, ...]:
    """Count the events of ``count`` clusters in one tube (Kish 1965: (Σw)²/Σw²).

    ``labels`` (n,) are those of the tube's events, ``weight`` (n,) says for how many events of the
    compartment each stands: 1 where all of them are there.
    """
    most = float(weight.max(initial=1.0))
    found = []
    for cluster in range(count):
        own = weight[labels == cluster]
        if not len(own):
            found.append(ClusterEvents(0.0, most, 0))
            continue
        whole, squared = float(own.sum()), float((own**2).sum())
        found.append(ClusterEvents(whole**2 / squared, squared / whole, len(own)))
    return tuple(found)


def cluster_amounts(
    clusters: Sequence[ClusterEvents],
    of_events: int,
    compartment: CompartmentAmount,
    limits: LimitSettings | None = None,
) -> tuple[ClusterAmount, ...]:
    """Quantify the clusters of one tube whose compartment has ``of_events`` events.

    Percentages need as many events of the compartment as those of B-cell subsets do, concentrations
    a compartment that is itself quantified.
    """
    known = limits or LimitSettings()
    volume = _volume(of_events, compartment)
    return tuple(
        _amount(number, each, of_events, volume, known) for number, each in enumerate(clusters)
    )


@dataclass(frozen=True, slots=True)
class _Volume:
    """How many µL the compartment's events stand for, and how uncertain that is."""

    microlitres: float
    relative_variance: float


def _volume(of_events: int, compartment: CompartmentAmount) -> _Volume | None:
    """Tie the events to a volume by the compartment's concentration.

    The compartment's interval holds the counting error of its own events; a cluster is a part of
    them, so that error is counted with the cluster's events and taken out here.
    """
    per_ul, low, high = compartment.per_ul, compartment.per_ul_low, compartment.per_ul_high
    if compartment.code != "Q" or not of_events or not per_ul or not low or not high:
        return None
    z = float(special.ndtri(0.5 + LEVEL / 2))
    variance = (math.log(high / low) / (2 * z)) ** 2
    return _Volume(of_events / per_ul, max(0.0, variance - 1 / of_events))


def _amount(
    cluster: int,
    found: ClusterEvents,
    of_events: int,
    volume: _Volume | None,
    limits: LimitSettings,
) -> ClusterAmount:
    events = math.floor(found.effective + 1e-9)
    seen_in = None
    if volume is not None:
        seen_in = _Volume(volume.microlitres / found.weight, volume.relative_variance)
    code = _code(found, volume, limits)
    least = max(limits.detect_events / found.weight, min(limits.detect_events, FEWEST_SEEN))
    percent = _percent(events, found, of_events, limits)
    per_ul, per_ul_low, per_ul_high = _concentration(events, found, seen_in, code)
    return ClusterAmount(
        cluster=cluster,
        events=events,
        percent=percent[0],
        percent_low=percent[1],
        percent_high=percent[2],
        per_ul=per_ul,
        per_ul_low=per_ul_low,
        per_ul_high=per_ul_high,
        lod_per_ul=least / seen_in.microlitres if seen_in else None,
        lloq_per_ul=limits.quantify_events / seen_in.microlitres if seen_in else None,
        code=code,
    )


def _code(found: ClusterEvents, volume: _Volume | None, limits: LimitSettings) -> Code:
    if volume is None:
        return "NE"
    if not found.is_detected(limits):
        return "ND"
    return "Q" if found.effective + 1e-9 >= limits.quantify_events else "DNQ"


def _percent(events: int, found: ClusterEvents, of_events: int, limits: LimitSettings) -> _Limited:
    """Give a cluster's share of the compartment in percent, where enough of both was seen."""
    is_small = of_events < limits.b_subset_indicative_events
    if is_small or not found.is_detected(limits):
        return _NOT_GIVEN
    low, high = wilson(events, max(events, round(of_events / found.weight)))
    return min(100.0, 100 * found.estimated / of_events), 100 * low, 100 * high


def _concentration(
    events: int, found: ClusterEvents, volume: _Volume | None, code: Code
) -> _Limited:
    """Give a concentration in cells/µL; of what was not detected the upper limit alone."""
    if volume is None:
        return _NOT_GIVEN
    low, high = scaled_count(events, volume.microlitres, volume.relative_variance)
    if code == "ND":
        return None, None, high
    return found.effective / volume.microlitres, low, high
