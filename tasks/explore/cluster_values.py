"""Give what a map's page shows of clusters, as plain values (docs/explore.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasks.explore.cluster_amounts import (
    ClusterAmount,
    CompartmentAmount,
    cluster_amounts,
)
from tasks.explore.cluster_words import ClusterWords
from tasks.explore.findings import Findings
from tasks.explore.parts import Results, Row
from tasks.explore.stability import STABLE

if TYPE_CHECKING:
    from tasks.counting.limits import LimitSettings
    from tasks.explore.explore import Exploration
    from tasks.explore.placing import PlacedTube

Json = dict[str, Any]

NOTHING: Mapping[str, Any] = {
    "clusters": [],
    "stability": None,
    "amounts": [],
    "outside": [],
    "unnamed": [],
    "spanning": [],
    "shifted": [],
}


def cluster_values(  # noqa: PLR0913 - keyword-only values of one call
    done: Exploration,
    tubes: Sequence[PlacedTube],
    *,
    populations: Sequence[str],
    results: Results,
    labels: Mapping[str, str],
    limits: LimitSettings,
    patient: str | None,
) -> Json:
    """Give the clusters of a map and what the tubes of a page have of them.

    ``populations`` are those that the page numbers; ``labels`` the populations' names;
    ``patient`` is the page's (None: all patients).
    """
    found = done.findings
    if found is None:
        return dict(NOTHING)
    say = ClusterWords(done, found, labels, patient)
    lists = say.lists()
    return {
        "clusters": _clusters(done, found, populations),
        "stability": {
            "rand": [round(each, 4) for each in found.judged.stability.rand],
            "sentence": say.whole(),
        },
        "amounts": [
            row
            for number, tube in enumerate(tubes)
            for of_tube in [results.get(tube.identity.tube_sha256, {})]
            for row in _amounts(number, tube, of_tube.get(done.compartment.population, {}), limits)
        ],
        "outside": [[number, *_outside(tube, limits)] for number, tube in enumerate(tubes)],
        **lists,
        "spanning": [
            listed
            | {
                "other": each.typical,
                "populations": [populations.index(g) for g in each.gates if g in populations],
            }
            for listed, each in zip(lists["spanning"], found.lists.spanning, strict=True)
        ],
    }


def compartment_amount(row: Row) -> CompartmentAmount:
    """Read what a compartment amounts to from its row of the tables; an empty row is of none."""
    return CompartmentAmount(
        per_ul=row.get("per_ul"),
        per_ul_low=row.get("per_ul_low"),
        per_ul_high=row.get("per_ul_high"),
        code=row.get("code", "NE"),
        lod_per_ul=row.get("lod_per_ul"),
        lloq_per_ul=row.get("lloq_per_ul"),
    )


def _clusters(done: Exploration, found: Findings, populations: Sequence[str]) -> list[Json]:
    weight = done.map.reference.weights
    labels, judged = found.judged.labels, found.judged.stability.jaccard
    return [
        {
            "name": str(each.cluster + 1),
            "phenotype": each.phenotype,
            "stable": judged[each.cluster] >= STABLE,
            "jaccard": round(judged[each.cluster], 4),
            "share": round(float(weight[labels == each.cluster].sum() / weight.sum()), 6),
            "overlaps": [
                [
                    populations.index(shared.population),
                    round(shared.of_cluster, 4),
                    round(shared.of_population, 4),
                ]
                for shared in each.overlaps
                if shared.population in populations
                and shared.population != done.compartment.population
            ],
        }
        for each in found.descriptions
    ]


def _amounts(number: int, tube: PlacedTube, row: Row, limits: LimitSettings) -> list[list[Any]]:
    """Give a tube's clusters: [tube, cluster, share, per_ul, low, high, code, printed].

    ``row`` is that of the compartment.
    """
    return [
        [
            number,
            each.cluster,
            None if each.percent is None else round(each.percent / 100, 6),
            _short(each.per_ul),
            _short(each.per_ul_low),
            _short(each.per_ul_high),
            each.code,
            _printed(each),
        ]
        for each in cluster_amounts(tube.clusters, compartment_amount(row), limits)
    ]


def _outside(tube: PlacedTube, limits: LimitSettings) -> tuple[float | None, int]:
    """Give the share of a tube's cells that is in no cluster (None: too few), and the cells."""
    found = tube.clusters
    is_enough = found.counted >= limits.b_subset_indicative_events
    return (round(found.outside_share, 6) if is_enough else None), found.outside


def _printed(amount: ClusterAmount) -> str:
    from tasks.kinetics.wide_table import print_result

    return print_result(
        {
            "code": amount.code,
            "per_ul": amount.per_ul,
            "per_ul_high": amount.per_ul_high,
            "lod_per_ul": amount.lod_per_ul,
            "specimen": "blood",
        }
    )


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
