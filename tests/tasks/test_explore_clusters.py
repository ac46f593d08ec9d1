"""Clusters of a compartment: what is found, how stable it is, and what of it no gate names."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.random import Generator

from panels.text.errors import ReconflowError
from tasks.counting.intervals import difference, garwood, scaled_count, wilson
from tasks.counting.limits import LimitSettings
from tasks.explore.annotation import describe
from tasks.explore.cells import NOISE, Cells, leaf_populations
from tasks.explore.cluster_amounts import CompartmentAmount, cluster_amounts, limits_in_events
from tasks.explore.cluster_counts import AT_ONCE, ClusterCounts, cluster_counts
from tasks.explore.clusters import FEWEST_EVENTS, DensityClusters, find_clusters
from tasks.explore.findings import Findings, findings, judge
from tasks.explore.stability import STABLE, best_jaccard, stability
from tasks.explore.unnamed import LEAST_SHARE, Part, lists
from tasks.explore.valleys import joined, valley
from tests.explore_cohorts import b_cohort, second_b_cohort

MIDDLES = np.array([[0.2, 0.2, 0.2, 0.5], [0.7, 0.2, 0.2, 0.5], [0.2, 0.7, 0.2, 0.5]])
ISLAND = (0.7, 0.7, 0.7, 0.5)
SPREAD = 0.05
SIZES = (600, 350, 200)


def blobs(rng: Generator, sizes: tuple[int, ...] = SIZES) -> np.ndarray:
    """Draw three clouds of cells in three markers; the fourth marker is constant."""
    number = np.repeat(np.arange(3), sizes)
    values = rng.normal(MIDDLES[number], SPREAD)
    values[:, 3] = 0.5
    return values


def island(rng: Generator, cells: int) -> np.ndarray:
    """Draw a small cloud of its own."""
    values = rng.normal(ISLAND, SPREAD, (cells, 4))
    values[:, 3] = 0.5
    return values


def test_clouds_are_found_and_later_cells_go_to_them() -> None:
    rng = np.random.default_rng(1)
    values = np.vstack([blobs(rng), island(rng, 45)])
    found = find_clusters(values)
    labels = found.assign(values)
    assert found.count == 4
    truth = np.repeat(np.arange(4), (*SIZES, 45))
    for cloud in range(4):
        own = labels[truth == cloud]
        assert np.mean(own == np.bincount(own[own >= 0]).argmax()) > 0.95
    later = found.assign(np.array([ISLAND, tuple(MIDDLES[1]), (0.45, 0.45, 0.2, 0.5)]))
    assert later[0] == labels[-1]
    assert later[1] == np.bincount(labels[truth == 1]).argmax()
    assert later[2] == NOISE
    assert np.array_equal(find_clusters(values).assign(values), labels)


def test_a_mixture_divides_clouds_as_density_does() -> None:
    rng = np.random.default_rng(2)
    values = blobs(rng)
    found = find_clusters(values, "mixture", seed=1)
    labels = found.assign(values)
    truth = np.repeat(np.arange(3), SIZES)
    assert [np.unique(truth[labels == each]).size for each in range(found.count)] == [
        1
    ] * found.count
    assert found.assign(np.array([[0.99, 0.99, 0.01, 0.5]])).tolist() == [NOISE]


@pytest.mark.parametrize("method", ["density", "mixture"])
def test_what_cannot_be_clustered_is_said(method: str) -> None:
    few = np.random.default_rng(0).normal(size=(FEWEST_EVENTS - 1, 3))
    with pytest.raises(ReconflowError, match=f"{FEWEST_EVENTS - 1} cells are too few"):
        find_clusters(few, method)  # type: ignore[arg-type]
    with pytest.raises(ReconflowError, match="No marker differs"):
        find_clusters(np.full((FEWEST_EVENTS, 3), 0.3), method)  # type: ignore[arg-type]


def test_cells_spread_without_order_are_no_cluster_that_is_listed() -> None:
    values = np.random.default_rng(3).uniform(size=(800, 4))
    cells = _cells(values, {"gate": np.zeros(800, dtype=bool)})
    found = findings(cells, judge(cells.values))
    assert found.lists.unnamed == ()
    assert found.lists.spanning == ()


def test_a_cloud_that_was_cut_in_two_is_joined_again() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(4000, 3))
    halves = (values[:, 0] > 0.3).astype(np.int64)
    assert joined(values, halves).tolist() == [0, 0]
    edge = (values[:, 0] > 1.5).astype(np.int64)
    assert joined(values, edge).tolist() == [0, 0]


def test_a_small_cloud_beside_a_large_one_stays_apart() -> None:
    rng = np.random.default_rng(5)
    large, small = rng.normal(size=(5000, 3)), rng.normal((6, 0, 0), 0.7, (60, 3))
    assert valley(large, small) < 0.1
    third = rng.normal((6.2, 0, 0), 0.7, (60, 3))
    labels = np.repeat(np.arange(3), (5000, 60, 60))
    assert joined(np.vstack([large, small, third]), labels).tolist() == [0, 1, 1]


def test_stability_tells_clouds_from_a_division_by_chance() -> None:
    rng = np.random.default_rng(6)
    values = np.vstack([blobs(rng), island(rng, 50)])
    labels = find_clusters(values).assign(values)
    by_chance = np.where(labels == 0, np.where(rng.random(len(labels)) < 0.5, 0, 4), labels)
    judged = stability(values, by_chance, lambda some, _: find_clusters(some), seed=1)
    assert judged.stable == (1, 2, 3)
    assert min(judged.rand) > 0.95
    assert max(judged.jaccard[0], judged.jaccard[4]) < STABLE


def test_the_best_jaccard_index_counts_noise_as_outside() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, NOISE, NOISE])
    other = np.array([1, 1, 1, NOISE, 0, 0, 0, NOISE])
    assert best_jaccard(labels, other, 2).tolist() == pytest.approx([3 / 4, 2 / 3])
    assert best_jaccard(labels, np.full(8, NOISE), 2).tolist() == [0, 0]


def _cells(
    values: np.ndarray, gates: dict[str, np.ndarray], tube: np.ndarray | None = None
) -> Cells:
    number = values.shape[1]
    return Cells(
        markers=tuple(f"CD{each}" for each in range(1, number + 1)),
        values=values,
        tube=np.zeros(len(values), dtype=np.int64) if tube is None else tube,
        weight=np.ones(len(values)),
        populations=tuple(gates),
        inside=np.column_stack(list(gates.values())),
        leaves=tuple(gates),
    )


def _two_gates(small: int = 60) -> tuple[Cells, np.ndarray]:
    """Make two gated clouds, one of which has a small cloud beside it that its gate holds too."""
    rng = np.random.default_rng(7)
    sizes = (3000, 900, small)
    cloud = np.repeat(np.arange(3), sizes)
    middles = np.array([(0.2, 0.2, 0.2), (0.7, 0.2, 0.2), (0.2, 0.2, 0.6)])
    values = rng.normal(middles[cloud], SPREAD)
    return _cells(values, {"naive": cloud != 1, "memory": cloud == 1}), cloud


def test_a_cluster_that_a_gate_holds_without_meaning_it_is_listed() -> None:
    cells, cloud = _two_gates()
    [found] = lists(cells, cloud, (0, 1, 2)).unnamed
    assert (found.cluster, found.why, found.gates) == (2, "inside", ("naive",))
    assert [each.word for each in found.apart] == ["CD3 high"]
    assert np.array_equal(found.events, np.flatnonzero(cloud == 2))


def test_an_unstable_or_a_tiny_cluster_is_in_no_list() -> None:
    cells, cloud = _two_gates()
    assert lists(cells, cloud, (0, 1)).unnamed == ()
    few, cloud = _two_gates(small=int(LEAST_SHARE * 3900) - 2)
    assert lists(few, cloud, (0, 1, 2)).unnamed == ()


def test_noise_is_in_no_list() -> None:
    cells, cloud = _two_gates()
    labels = np.where(cloud == 2, NOISE, cloud)
    assert lists(cells, labels, (0, 1)).unnamed == ()


def test_a_gate_with_two_clusters_of_a_fifth_or_more_spans_them() -> None:
    cells, cloud = _two_gates(small=1000)
    found = lists(cells, cloud, (0, 1, 2))
    assert found.unnamed == ()
    [spanning] = found.spanning
    [part] = spanning.parts
    assert (spanning.gates, spanning.typical, part.cluster) == (("naive",), 0, 2)
    assert (spanning.share, part.share) == pytest.approx((0.75, 0.25))


def _stages() -> tuple[Cells, np.ndarray]:
    """Make four kinds of one gate that two markers divide, one apart in a third, and other cells.

    The kinds that are not the usual one are few.
    """
    rng = np.random.default_rng(8)
    cloud = np.repeat(np.arange(6), (3000, 160, 140, 60, 50, 900))
    middles = np.full((6, 3), 0.2)
    middles[[1, 3], 0] = 0.7
    middles[[2, 3, 4], 1] = 0.7
    middles[[4, 5], 2] = (0.7, 0.9)
    values = rng.normal(middles[cloud], SPREAD)
    return _cells(values, {"cd8": cloud < 5, "cd4": cloud == 5}), cloud


def test_kinds_that_the_same_markers_divide_are_one_entry_of_their_gate() -> None:
    """Three memory stages beside the usual one say one thing; what none of them has is its own."""
    cells, cloud = _stages()
    found = lists(cells, cloud, tuple(range(6)))
    [spanning] = found.spanning
    assert (spanning.gates, spanning.typical) == (("cd8",), 0)
    assert [each.cluster for each in spanning.parts] == [1, 2, 3]
    assert [{each.word for each in part.apart} for part in spanning.parts] == [
        {"CD1 high"},
        {"CD2 high"},
        {"CD1 high", "CD2 high"},
    ]
    [own] = found.unnamed
    assert (own.cluster, own.gates) == (4, ("cd8",))


def test_a_gate_that_holds_one_of_the_kinds_as_well_changes_nothing_for_the_others() -> None:
    cells, cloud = _stages()
    also = replace(
        cells,
        populations=(*cells.populations, "car"),
        inside=np.column_stack([cells.inside, cloud == 1]),
        leaves=(*cells.leaves, "car"),
    )
    found = lists(also, cloud, tuple(range(6)))
    assert [each.cluster for each in found.unnamed] == [4]
    [spanning] = found.spanning
    assert [each.cluster for each in spanning.parts] == [2, 3]


def test_a_kind_with_a_marker_of_its_own_stays_an_entry_of_its_own() -> None:
    """Without the kind that has both, each of two has what no other cell of the gate has."""
    cells, cloud = _stages()
    labels = np.where(cloud == 3, NOISE, cloud)
    found = lists(cells, np.where(labels == 4, NOISE, labels), (0, 1, 2, 5))
    assert found.spanning == ()
    assert [each.cluster for each in found.unnamed] == [1, 2]


def test_cells_outside_all_gates_are_unnamed() -> None:
    cells, cloud = _two_gates()
    naive, memory = cells.inside.T
    outside = replace(cells, inside=np.column_stack([naive & (cloud != 2), memory]))
    [found] = lists(outside, cloud, (0, 1, 2)).unnamed
    assert (found.why, found.gates, found.apart) == ("outside", (), ())


def test_a_gate_whose_cells_all_moved_in_one_tube_is_a_shift_of_the_stain() -> None:
    cells, cloud = _two_gates()
    moved = replace(cells, tube=(cloud == 2).astype(np.int64))
    found = lists(moved, cloud, (0, 1, 2))
    assert (found.unnamed, found.shifted) == ((), (2,))


def test_a_cluster_on_a_border_is_named_by_both_sides() -> None:
    cells, cloud = _two_gates()
    half = np.arange(len(cloud)) % 2 == 0
    naive, memory = cells.inside.T
    across = np.column_stack([naive & ~((cloud == 2) & half), memory | ((cloud == 2) & half)])
    assert lists(replace(cells, inside=across), cloud, (0, 1, 2)).unnamed == ()


def test_clusters_are_described_by_markers_and_by_weighted_overlap() -> None:
    cells, cloud = _two_gates()
    weighted = replace(cells, weight=np.where(cells.inside[:, 1], 2.0, 1.0))
    of_second = describe(weighted, cloud, 3)[1]
    assert of_second.phenotype == "CD1 high"
    [overlap] = of_second.overlaps
    assert (overlap.population, overlap.of_cluster, overlap.of_population) == ("memory", 1, 1)
    overlaps = {each.population: each for each in describe(weighted, cloud, 3)[2].overlaps}
    assert overlaps["naive"].of_population == pytest.approx(60 / 3060)


def test_leaves_are_populations_with_none_below_that_holds_cells() -> None:
    paths = {
        "b": ("root", "b"),
        "naive": ("root", "b", "naive"),
        "transitional": ("root", "b", "naive", "tr"),
        "plasma": ("root", "p"),
        "long_lived": ("root", "p", "ll"),
        "nearly_all": ("root", "x"),
    }
    inside = np.zeros((100, 6), dtype=bool)
    inside[:, 0], inside[:60, 1], inside[:20, 2], inside[90:, 3] = True, True, True, True
    inside[:95, 5] = True
    assert leaf_populations(paths, inside, "b") == ("transitional", "plasma")


COMPARTMENT = CompartmentAmount(50.0, 45.0, 55.5, "Q")


def test_a_cluster_counts_as_the_same_cells_counted_in_the_tube_s_volume() -> None:
    counts = ClusterCounts((400, 30, 5, 0), 1000, 1000)
    counted = cluster_amounts(counts, COMPARTMENT)
    assert (counts.outside, counts.outside_share, counts.share(1)) == (565, 0.565, 0.03)
    volume = 1000 / 50.0
    beyond = (math.log(55.5 / 50.0) / 1.959964) ** 2 - 1 / 1000
    assert [each.code for each in counted] == ["Q", "DNQ", "ND", "ND"]
    for each, events in zip(counted[:2], (400, 30), strict=True):
        low, high = scaled_count(events, volume, beyond)
        assert each.per_ul == pytest.approx(events / volume)
        net = 45.0 / scaled_count(1000, volume, beyond).low
        assert (each.per_ul_low, each.per_ul_high) == pytest.approx((low * net, high), rel=1e-6)
        assert each.percent_low == pytest.approx(100 * wilson(events, 1000).low)
    assert {each.lod_per_ul for each in counted} == {20 / volume}
    assert {each.lloq_per_ul for each in counted} == {50 / volume}


def test_what_was_not_detected_is_an_upper_limit_and_never_a_zero() -> None:
    [few, none] = cluster_amounts(ClusterCounts((5, 0), 1000, 1000), COMPARTMENT)
    for each in (few, none):
        assert each.code == "ND"
        assert (each.per_ul, each.per_ul_low, each.percent) == (None, None, None)
        assert each.per_ul_high is not None
        assert each.per_ul_high > 0
    assert none.per_ul_high < few.per_ul_high  # type: ignore[operator]


def test_a_cluster_of_a_compartment_without_a_volume_has_a_share_alone() -> None:
    counts, no_volume = ClusterCounts((80,), 200, 200), CompartmentAmount(None, None, None, "NE")
    [only] = cluster_amounts(counts, no_volume)
    assert (only.code, only.per_ul, only.per_ul_high, only.lod_per_ul) == ("NE", None, None, None)
    assert only.percent == pytest.approx(40)
    [few] = cluster_amounts(ClusterCounts((40,), 49, 49), no_volume)
    assert (few.code, few.percent) == ("NE", None)


def test_what_was_not_detected_has_no_part_that_was() -> None:
    depleted = CompartmentAmount(None, None, 1.0, "ND", lod_per_ul=0.9, lloq_per_ul=2.2)
    [only] = cluster_amounts(ClusterCounts((60,), 60, 60), depleted)
    assert (only.code, only.percent, only.per_ul, only.per_ul_high) == ("ND", None, None, 1.0)
    assert (only.lod_per_ul, only.lloq_per_ul) == (0.9, 2.2)


def test_no_cluster_is_surer_than_its_compartment() -> None:
    """The compartment's limits are raised by its background: 62 events of it are not quantified."""
    raised = CompartmentAmount(3.1, 2.3, 4.2, "DNQ", lod_per_ul=2.0, lloq_per_ul=4.0)
    amounts = cluster_amounts(ClusterCounts((55, 5), 62, 62), raised)
    assert [each.code for each in amounts] == ["DNQ", "ND"]
    assert [each.percent for each in amounts] == [None, None]
    assert {each.lod_per_ul for each in amounts} == {2.0}


@pytest.mark.parametrize(
    ("events", "background", "parts"),
    [(118, 20, (118,)), (70, 20, (60, 10)), (300, 100, (250, 50))],
)
def test_a_part_of_a_compartment_with_background_stays_within_its_limits(
    events: int, background: int, parts: tuple[int, ...]
) -> None:
    """What the stain shows without its cells lowers the lower limit alone, of each part too."""
    volume, uncertain = 20.0, 0.003
    every = scaled_count(events, volume, uncertain)
    net = max(difference(events, background, 1.0).low, 0.0) / garwood(events).low
    whole = CompartmentAmount(events / volume, every.low * net, every.high, "Q")
    amounts = cluster_amounts(ClusterCounts(parts, events, events), whole)
    for each in amounts:
        if each.per_ul is not None:
            assert each.per_ul_low / each.per_ul <= whole.per_ul_low / whole.per_ul + 1e-9
            assert each.per_ul_high <= whole.per_ul_high * (1 + 1e-9)
    if parts == (events,):
        assert amounts[0].per_ul_low == pytest.approx(whole.per_ul_low)
        assert amounts[0].per_ul_high == pytest.approx(whole.per_ul_high)


def test_a_part_of_what_its_background_may_explain_is_detected_all_the_same() -> None:
    whole = CompartmentAmount(1.65, 0.0, 2.36, "DNQ")
    [only] = cluster_amounts(ClusterCounts((33,), 33, 33), whole)
    assert (only.code, only.per_ul_low) == ("DNQ", 0.0)


def test_a_cluster_is_detected_from_the_compartments_own_limit_on() -> None:
    raised = replace(COMPARTMENT, lod_per_ul=2.0, lloq_per_ul=4.0)
    amounts = cluster_amounts(ClusterCounts((39, 40, 79, 80), 1000, 1000), raised)
    assert [each.code for each in amounts] == ["ND", "DNQ", "DNQ", "Q"]


def test_the_limits_of_a_tube_are_the_higher_of_the_studys_and_the_compartments() -> None:
    """1,000 events at 50 per µL are those of 20 µL, in which 2 cells per µL are 40 events."""
    study = LimitSettings()
    raised = replace(COMPARTMENT, lod_per_ul=2.0, lloq_per_ul=4.0)
    assert limits_in_events(1000, raised, study) == (40, 80)
    assert limits_in_events(1000, replace(raised, lod_per_ul=0.5), study) == (20, 80)
    assert limits_in_events(1000, COMPARTMENT, study) == (20, 50)
    assert limits_in_events(0, raised, study) == (20, 50)
    assert limits_in_events(60, CompartmentAmount(None, None, 1.0, "ND", 0.9), study) == (20, 50)


def test_a_part_of_a_large_compartment_gives_the_same_amount_less_surely() -> None:
    [surely] = cluster_amounts(ClusterCounts((400,), 1000, 1000), COMPARTMENT)
    [less] = cluster_amounts(ClusterCounts((40,), 100, 1000), COMPARTMENT)
    assert less.per_ul == pytest.approx(surely.per_ul)
    assert less.percent == pytest.approx(surely.percent)
    assert (surely.code, less.code) == ("Q", "DNQ")
    assert less.lod_per_ul == pytest.approx(10 * surely.lod_per_ul)  # type: ignore[operator]
    assert less.per_ul_low < surely.per_ul_low  # type: ignore[operator]


def test_every_event_of_a_tube_is_counted_in_its_cluster() -> None:
    rng = np.random.default_rng(9)
    known, cloud = blobs(rng), np.repeat(np.arange(3), SIZES)
    found = DensityClusters(known, cloud, np.full(3, 0.3))
    later = np.vstack([blobs(rng, (AT_ONCE, 7, 150)), island(rng, 11)]).astype(np.float32)
    counts = cluster_counts(found, later, len(later))
    assert counts.counts == (AT_ONCE, 7, 150)
    assert (counts.outside, counts.counted) == (11, AT_ONCE + 168)
    nobody = cluster_counts(found, later[:0], 0)
    assert (nobody.counts, nobody.outside_share, nobody.share(0)) == ((0, 0, 0), 0, 0)


def _sure(found: Findings, kinds: np.ndarray) -> list[str]:
    """Give the kind that each entry of both lists consists of."""
    entries = [*found.lists.unnamed, *_parts(found)]
    return [
        str(name) for each in entries for name, share in [_most(kinds[each.events])] if share > 0.9
    ]


def _parts(found: Findings) -> list[Part]:
    return [part for each in found.lists.spanning for part in each.parts]


def _most(kinds: np.ndarray) -> tuple[str, float]:
    names, numbers = np.unique(kinds.astype(str), return_counts=True)
    return str(names[numbers.argmax()]), float(numbers.max() / numbers.sum())


def test_a_simulated_population_that_no_gate_describes_is_found() -> None:
    cohort = b_cohort(11, 0.03, cells=700, patients=1, dn2=False)
    found = findings(cohort.cells, judge(cohort.cells.values, seed=1))
    [entry] = found.lists.unnamed
    assert (entry.why, entry.gates) == ("inside", ("naive_igm_igd_b",))
    assert {"CD21 low", "CD24 low"} <= {each.word for each in entry.apart}
    assert _sure(found, cohort.kind) == ["activated_naive_b"]
    assert min(found.judged.stability.rand) > 0.9
    assert "belong to none" in found.sentences[0]


def test_nothing_is_invented_in_tubes_of_another_simulator() -> None:
    cohort = second_b_cohort(12, 0.0, cells=500, patients=1)
    found = findings(cohort.cells, judge(cohort.cells.values, seed=1))
    assert set(_sure(found, cohort.kind)) <= {"b_igm_only", "b_naive_igm_low"}
    assert len(_sure(found, cohort.kind)) == len(found.lists.unnamed) + len(_parts(found))
