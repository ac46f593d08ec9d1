"""Give the cells of each cluster in each tube, with the limits and words that populations have.

A cluster's concentration is that of its compartment times its share of it: the compartment is the
anchor that ties the events of the tube to a volume. Nothing here is a bare zero: what was not
detected has an upper limit, what cannot be evaluated has nothing.
"""

import math
from dataclasses import dataclass

from scipy import special

from tasks.counting.intervals import LEVEL, scaled_count, wilson
from tasks.counting.limits import LimitSettings
from tasks.counting.result_code import Code
from tasks.explore.cluster_counts import ClusterCounts

_Limited = tuple[float | None, float | None, float | None]
"""A value with its lower and its upper limit."""
_NOT_GIVEN: _Limited = (None, None, None)
WITHOUT_SHARES = ("DNQ", "ND")
"""Where the compartment itself is so, it has too few cells to be divided."""


@dataclass(frozen=True, slots=True)
class CompartmentAmount:
    """The compartment of one tube, as its row in the tables has it.

    ``per_ul`` with its 95 % limits is what the tables give, ``code`` the row's; ``lod_per_ul`` and
    ``lloq_per_ul`` are the tube's limits of detection and quantification for it. All are cells/µL,
    None where they are not given.
    """

    per_ul: float | None
    per_ul_low: float | None
    per_ul_high: float | None
    code: Code
    lod_per_ul: float | None = None
    lloq_per_ul: float | None = None


@dataclass(frozen=True, slots=True)
class ClusterAmount:
    """What one cluster of one tube amounts to; ``None`` is "not given".

    ``events`` are those that were counted. Percentages are of the compartment, concentrations
    cells/µL, with 95 % limits.
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
class _Tube:
    """What the clusters of one tube have in common.

    ``volume_ul`` is the volume in which their events were counted (None: not known) and
    ``relative_variance`` how uncertain it is; ``net_share`` is what the compartment's background
    leaves of its lower limit; ``detect`` and ``quantify`` are numbers of events.
    """

    compartment: CompartmentAmount
    counted: int
    volume_ul: float | None
    relative_variance: float
    net_share: float
    detect: int
    quantify: int


def cluster_amounts(
    found: ClusterCounts, compartment: CompartmentAmount, limits: LimitSettings | None = None
) -> tuple[ClusterAmount, ...]:
    """Quantify the clusters of one tube.

    A cluster's limits are those of the study, or the compartment's where these are higher: what a
    stain shows without its cells may lie in any cluster. Percentages need as many events of the
    compartment as those of B-cell subsets do, and a compartment that is itself quantified or has no
    volume. No cluster is surer than its compartment.
    """
    known = limits or LimitSettings()
    tube = _tube(found, compartment, known)
    gives_shares = (
        compartment.code not in WITHOUT_SHARES and found.events >= known.b_subset_indicative_events
    )
    return tuple(
        _amount(number, events, tube, gives_shares=gives_shares)
        for number, events in enumerate(found.counts)
    )


def limits_in_events(
    events: int, compartment: CompartmentAmount, limits: LimitSettings
) -> tuple[int, int]:
    """Give from how many of a compartment's ``events`` a part is detected, and quantified.

    They are those of the study, or the compartment's where these are higher.
    """
    least = limits.detect_events, limits.quantify_events
    if not compartment.per_ul or not events:
        return least
    volume = events / compartment.per_ul
    return (
        _at_least(least[0], compartment.lod_per_ul, volume),
        _at_least(least[1], compartment.lloq_per_ul, volume),
    )


def _tube(found: ClusterCounts, compartment: CompartmentAmount, limits: LimitSettings) -> _Tube:
    """Tie the counted events to a volume by the compartment's concentration.

    The compartment's interval holds the counting error of its own events; a cluster is a part of
    them, so that error is counted with the cluster's events and taken out here. It is read from the
    upper limit: the lower one allows for the background too, which may lie in any cluster and is
    taken from the lower limit of each in the same proportion.
    """
    per_ul, low, high = compartment.per_ul, compartment.per_ul_low, compartment.per_ul_high
    if compartment.code not in ("Q", "DNQ") or not found.counted or not (per_ul and high):
        return _Tube(
            compartment, found.counted, None, 0.0, 1.0, limits.detect_events, limits.quantify_events
        )
    z = float(special.ndtri(0.5 + LEVEL / 2))
    variance = max(0.0, (math.log(high / per_ul) / z) ** 2 - 1 / found.events)
    every = scaled_count(found.events, found.events / per_ul, variance)
    return _Tube(
        compartment,
        found.counted,
        found.counted / per_ul,
        variance,
        min(1.0, (low or 0.0) / every.low),
        *limits_in_events(found.counted, compartment, limits),
    )


def _at_least(events: int, per_ul: float | None, volume_ul: float) -> int:
    """Give a limit in events, raised to that of the compartment (cells/µL) in the same volume."""
    return max(events, math.ceil((per_ul or 0.0) * volume_ul - 1e-6))


def _amount(cluster: int, events: int, tube: _Tube, *, gives_shares: bool) -> ClusterAmount:
    code = _code(events, tube)
    shares = _percent(events, tube) if gives_shares and events >= tube.detect else _NOT_GIVEN
    concentration = _concentration(events, tube, code)
    return ClusterAmount(
        cluster,
        events,
        *shares,
        *concentration,
        lod_per_ul=_limit(tube.detect, tube.compartment.lod_per_ul, tube),
        lloq_per_ul=_limit(tube.quantify, tube.compartment.lloq_per_ul, tube),
        code=code,
    )


def _code(events: int, tube: _Tube) -> Code:
    if tube.compartment.code == "ND":
        return "ND"
    if tube.volume_ul is None:
        return "NE"
    if events < tube.detect:
        return "ND"
    is_quantified = events >= tube.quantify and tube.compartment.code == "Q"
    return "Q" if is_quantified else "DNQ"


def _percent(events: int, tube: _Tube) -> _Limited:
    low, high = wilson(events, tube.counted)
    return 100 * events / tube.counted, 100 * low, 100 * high


def _concentration(events: int, tube: _Tube, code: Code) -> _Limited:
    """Give a concentration in cells/µL; of what was not detected the upper limit alone."""
    if tube.compartment.code == "ND":
        return None, None, tube.compartment.per_ul_high
    if tube.volume_ul is None:
        return _NOT_GIVEN
    low, high = scaled_count(events, tube.volume_ul, tube.relative_variance)
    if code == "ND":
        return None, None, high
    return events / tube.volume_ul, low * tube.net_share, high


def _limit(events: int, of_compartment: float | None, tube: _Tube) -> float | None:
    """Give a limit in cells/µL; of a compartment that was not detected its own."""
    if tube.compartment.code == "ND":
        return of_compartment
    return events / tube.volume_ul if tube.volume_ul else None
