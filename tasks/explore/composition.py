"""Compare the clusters' shares of a compartment between the first visit and each later one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasks.explore.cluster_amounts import cluster_events
from tasks.explore.comparison import Amount, Change, Contrast, between_visits

if TYPE_CHECKING:
    from tasks.explore.placing import PlacedTube

Visits = Mapping[str, tuple[Amount, ...]]
"""By visit: the amount of each cluster."""
FEWEST_EVENTS = 50
"""A tube with fewer cells of the compartment has no composition."""


def composition(tubes: Sequence[PlacedTube], clusters: int) -> dict[str, Any] | None:
    """Compare within patients (docs/explore.md, ``composition``); None where there is no pair.

    The first visit is the one with the earliest mean day; of several tubes of a visit the one with
    most cells is taken.
    """
    first = _first_visit(tubes)
    patients = _patients(tubes, clusters)
    later = dict.fromkeys(visit for visits in patients.values() for visit in visits)
    pairs: dict[Contrast, list[tuple[Amount, Amount]]] = {}
    for visits in patients.values():
        for visit in later:
            if visit == first or not {first, visit} <= set(visits):
                continue
            for cluster in range(clusters):
                contrast = Contrast(str(cluster + 1), first, visit)
                pair = visits[first][cluster], visits[visit][cluster]
                pairs.setdefault(contrast, []).append(pair)
    if not pairs:
        return None
    compared = between_visits(pairs)
    return {"sentence": compared.sentence, "rows": [_row(each) for each in compared.changes]}


def _first_visit(tubes: Sequence[PlacedTube]) -> str:
    days: dict[str, list[float]] = {}
    for each in tubes:
        if each.day is not None:
            days.setdefault(each.identity.visit, []).append(each.day)
    return min(days, key=lambda visit: sum(days[visit]) / len(days[visit]), default="")


def _patients(tubes: Sequence[PlacedTube], clusters: int) -> dict[str, Visits]:
    """Give the amounts by patient and visit; tubes come by patient and time."""
    largest: dict[tuple[str, str], PlacedTube] = {}
    for each in tubes:
        place = each.identity.patient, each.identity.visit
        known = largest.get(place)
        has_more = known is None or each.events.events > known.events.events
        if each.events.events >= FEWEST_EVENTS and has_more:
            largest[place] = each
    found: dict[str, dict[str, tuple[Amount, ...]]] = {}
    for (patient, visit), tube in largest.items():
        found.setdefault(patient, {})[visit] = _amounts(tube, clusters)
    return dict(found)


def _amounts(tube: PlacedTube, clusters: int) -> tuple[Amount, ...]:
    events = cluster_events(tube.labels, tube.events.weights, clusters)
    return tuple(Amount(each.effective, tube.events.events / each.weight) for each in events)


def _row(change: Change) -> dict[str, Any]:
    low, high = change.interval or (None, None)
    return {
        "name": change.contrast.name,
        "from": change.contrast.first,
        "to": change.contrast.second,
        "patients": change.patients,
        "ratio": _short(change.ratio),
        "low": _short(low),
        "high": _short(high),
        "p": _short(change.p),
        "adjusted": _short(change.q),
    }


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
