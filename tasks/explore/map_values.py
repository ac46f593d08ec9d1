"""Give what a map's page shows, as plain values (docs/explore.md, "The page's data")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.explore.batch_shift import shifts_of
from tasks.explore.cells import NOISE
from tasks.explore.cluster_amounts import limits_in_events
from tasks.explore.cluster_values import Json, cluster_values, compartment_amount
from tasks.explore.composition import NOT_COMPARED, compositions
from tasks.explore.parts import Results, Row
from tasks.explore.reference_values import map_limits, marker_ticks, reference_values
from tasks.explore.sampling import shares
from tasks.explore.tube_events import TubeEvents, first_by_chance
from tasks.explore.tube_notes import page_notes
from tasks.publish.page_data import packed
from tasks.vocabulary.populations import CAR_PRODUCTS, population_rank, short_label

if TYPE_CHECKING:
    from tasks.counting.limits import LimitSettings
    from tasks.explore.explore import Exploration
    from tasks.explore.placing import PlacedTube
    from tasks.study.snapshot import StudySnapshot

FORMAT = 1
EXPLORATORY = "Exploratory: no table, parameter or flag reads this."
MOST_OF_PATIENT, MOST_OF_COHORT = 10_000, 20_000
NO_CLUSTER = 255
THOUSANDTHS = 1_000


def map_values(
    done: Exploration, results: Results, snapshot: StudySnapshot, patient: str | None = None
) -> Json:
    """Give a patient's map, or that of all patients; None is not measured.

    ``results`` are the rows of the tables.
    """
    labels, needed = snapshot.labels(), snapshot.study.settings.limits
    tubes = [t for t in done.tubes if patient is None or t.identity.patient == patient]
    most = MOST_OF_COHORT if patient is None else MOST_OF_PATIENT
    shown = _shown(tubes, most)
    populations, sets, codes = _populations(done, shown)
    record, limits = done.map.record, map_limits(done.map.coordinates)
    visits = _visits(tubes)
    return {
        "format": FORMAT,
        "map": record.map,
        "map_sha256": done.map.sha256,
        "compartment": done.compartment.id,
        "population": record.population,
        "label": done.compartment.label,
        "patient": patient,
        "panel": done.compartment.panel,
        "strategy": record.strategy,
        "exploratory": EXPLORATORY,
        "counted_until": max((each.counted_at for each in tubes), default=""),
        "visits": visits,
        "tubes": [
            _tube(tube, len(each.coordinates), row, needed)
            for tube, each in zip(tubes, shown, strict=True)
            for row in [results.get(tube.identity.tube_sha256, {}).get(record.population, {})]
        ],
        "populations": [{"id": id_, "label": short_label(labels, id_)} for id_ in populations],
        "sets": sets,
        "markers": _markers(done),
        "left_out": [each.model_dump() for each in record.left_out],
        "events": _events(done, shown, codes),
        **cluster_values(
            done,
            tubes,
            populations=populations,
            results=results,
            labels=labels,
            limits=needed,
            patient=patient,
        ),
        **(NOT_COMPARED if patient else compositions(done, results, snapshot, visits)),
        "limits": dict(zip("xy", limits, strict=True)),
        "shifts": [
            _rounded(asdict(each)) for each in shifts_of(done.shifts, (t.identity for t in tubes))
        ],
        "notes": page_notes(done, patient),
        "unread": [t.tube_sha256 for t in done.unread if patient in (None, t.patient)],
        "reference": reference_values(done.map, limits),
        "needed": {"detect": needed.detect_events, "quantify": needed.quantify_events},
        "products": [populations.index(id_) for id_ in CAR_PRODUCTS if id_ in populations],
    }


def _shown(tubes: Sequence[PlacedTube], most: int) -> list[PlacedTube]:
    """Choose the events that are shown: at most ``most``, shared out over the tubes."""
    quotas = shares([len(each.coordinates) for each in tubes], most)
    shown = []
    for each, quota in zip(tubes, quotas, strict=True):
        places = first_by_chance(each.events, int(quota))
        shown.append(
            replace(
                each,
                events=each.events.chosen(places),
                coordinates=each.coordinates[places],
                labels=each.labels[places],
            )
        )
    return shown


def _visits(tubes: Sequence[PlacedTube]) -> list[Json]:
    """List the visits by day, each with the mean day of its tubes; unknown days come last."""
    days: dict[str, list[float]] = {}
    for each in tubes:
        days.setdefault(each.identity.visit, [])
        if each.day is not None:
            days[each.identity.visit].append(each.day)
    visits = [
        {"visit": visit, "day": round(sum(known) / len(known), 3) if known else None}
        for visit, known in days.items()
    ]
    return sorted(visits, key=lambda each: (each["day"] is None, each["day"] or 0.0))


def _tube(tube: PlacedTube, shown: int, row: Row, limits: LimitSettings) -> Json:
    """Describe a tube, of which so many events are ``shown``; ``row`` is its compartment's."""
    from tasks.kinetics.wide_table import print_result

    identity = tube.identity
    detect, quantify = limits_in_events(tube.events.events, compartment_amount(row), limits)
    return {
        "sha12": identity.tube_sha256[:12],
        "sha256": identity.tube_sha256,
        "patient": identity.patient,
        "visit": identity.visit,
        "day": None if tube.day is None else round(tube.day, 3),
        "collected": identity.collected.isoformat(),
        "instrument": identity.instrument or "",
        "batch": identity.batch or "",
        "counted_as": tube.counted_as,
        "counted_at": tube.counted_at,
        "correction": tube.correction_sha256,
        "review": row.get("review") or "",
        "events": tube.events.events,
        "shown": shown,
        "per_ul": row.get("per_ul"),
        "low": row.get("per_ul_low"),
        "high": row.get("per_ul_high"),
        "code": row.get("code", ""),
        "printed": print_result(row) if row else "",
        "detect": detect,
        "quantify": quantify,
    }


def _populations(
    done: Exploration, shown: Sequence[PlacedTube]
) -> tuple[list[str], list[list[int]], list[NDArray[np.uint16]]]:
    """Give the populations of the shown events, sets of them, and each tube's codes for sets."""
    of_gate: dict[str, list[str]] = {}
    for id_, each in done.compartment.used.populations.items():
        of_gate.setdefault(each.gate, []).append(id_)
    held = [[_held(gates, of_gate) for gates in each.events.sets] for each in shown]
    met = {
        sets[code]
        for each, sets in zip(shown, held, strict=True)
        for code in np.unique(each.events.codes)
    }
    populations = sorted({id_ for ids in met for id_ in ids}, key=population_rank)
    sets = sorted(met)
    place = {ids: number for number, ids in enumerate(sets)}
    codes = [
        np.array([place.get(ids, 0) for ids in sets_], dtype=np.uint16)[each.events.codes]
        for each, sets_ in zip(shown, held, strict=True)
    ]
    return populations, [[populations.index(id_) for id_ in ids] for ids in sets], codes


def _held(gates: Sequence[str], of_gate: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({id_ for gate in gates for id_ in of_gate.get(gate, ())}))


def _markers(done: Exploration) -> list[Json]:
    """Give the limits of the markers' colours, the same in all patients' maps."""
    reference = done.map.reference
    low, high = np.quantile(reference.values, (0.001, 0.999), axis=0)
    return [
        {
            "name": marker,
            "mapped": marker in done.map.record.names,
            "low": float(f"{low[place]:.5g}"),
            "high": float(f"{max(high[place], low[place] + 1e-3):.5g}"),
            "ticks": marker_ticks(done.compartment, marker),
        }
        for place, marker in enumerate(reference.markers)
    ]


def _events(
    done: Exploration, shown: Sequence[PlacedTube], codes: Sequence[NDArray[np.uint16]]
) -> Json:
    lengths = [len(each.coordinates) for each in shown]
    coordinates = np.concatenate([np.empty((0, 2)), *(each.coordinates for each in shown)])
    markers = done.map.reference.markers
    values = np.concatenate(
        [np.empty((0, len(markers))), *(_in_order(each.events, markers) for each in shown)]
    )
    weights = np.concatenate([np.empty(0), *(each.events.weights for each in shown)])
    (low_x, high_x), (low_y, high_y) = map_limits(done.map.coordinates)
    return {
        "count": sum(lengths),
        "x": packed(_parts(coordinates[:, 0], low_x, high_x, np.uint16)),
        "y": packed(_parts(coordinates[:, 1], low_y, high_y, np.uint16)),
        "tube": packed(np.repeat(np.arange(len(shown), dtype=np.uint16), lengths)),
        "row": packed(_joined([each.events.rows for each in shown], np.uint32)),
        "code": packed(_joined(codes, np.uint16)),
        "weight": packed(np.rint(weights * THOUSANDTHS).astype(np.uint32)),
        "cluster": packed(_joined([_cluster_codes(each) for each in shown], np.uint8)),
        "values": [
            packed(_parts(values[:, place], each["low"], each["high"], np.uint8))
            for place, each in enumerate(_markers(done))
        ],
    }


def _cluster_codes(tube: PlacedTube) -> NDArray[Any]:
    return np.where(tube.labels == NOISE, NO_CLUSTER, tube.labels)


def _in_order(events: TubeEvents, markers: Sequence[str]) -> NDArray[np.float32]:
    """Give values with the columns of the reference, whatever the order of the panel by now."""
    return events.values[:, [events.markers.index(marker) for marker in markers]]


def _joined(parts: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate([np.empty(0), *parts]).astype(dtype)


def _parts(values: NDArray[Any], low: float, high: float, dtype: Any) -> NDArray[Any]:
    """Tell in which of the even parts that a type can number values lie, from low to high."""
    number = np.iinfo(dtype).max + 1
    return np.clip((values - low) / (high - low) * number, 0, number - 1).astype(dtype)


def _rounded(shift: Json) -> Json:
    return shift | {"shift": round(shift["shift"], 5), "sd": round(shift["sd"], 3)}
