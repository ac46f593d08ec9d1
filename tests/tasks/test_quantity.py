"""From counts to cells/µL: volumes, anchors, limits and codes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.strategy.catalogue import load_strategy
from panels.text.errors import StrategyFault
from tasks.counting.background import baseline_backgrounds
from tasks.counting.counts import PopulationCount, TubeCounts
from tasks.counting.intervals import Interval, bead_ratio, clopper_pearson, garwood, widened
from tasks.counting.limits import CountErrors, LimitSettings, limit_of_blank
from tasks.counting.population_rules import PopulationRule
from tasks.counting.quantity import Quantity, quantify_visit
from tasks.counting.visit import group_by_visit
from tasks.counting.volume import CountMethod
from tasks.vocabulary.flags import Flag, anchor_flag
from tasks.vocabulary.tube_identity import TubeIdentity


@dataclass(frozen=True)
class Rule:
    id: str
    anchor: tuple[str, ...] = ("leukocytes",)
    minimum_parent_events: int = 0
    detect_events: int | None = None
    quantify_events: int | None = None
    clinical_threshold_per_ul: float | None = None
    background: Literal["none", "baseline"] = "none"
    specimens: tuple[str, ...] = ("blood", "marrow")
    stains: int = 1


def rules(*each: Rule) -> Mapping[str, PopulationRule]:
    return {rule.id: rule for rule in each}


RULES = {
    "tbnk@1.0.0": rules(
        Rule("leukocytes"), Rule("lymphocytes"), Rule("b_cells", clinical_threshold_per_ul=10.0)
    ),
    "bcell@1.0.0": rules(
        Rule("leukocytes", anchor=("leukocytes",)),
        Rule("b_cells", clinical_threshold_per_ul=10.0),
        Rule("naive_b", anchor=("b_cells", "leukocytes"), minimum_parent_events=100),
        Rule("long_lived_plasma_cells", specimens=("marrow",)),
    ),
    "cart@1.0.0": rules(
        Rule("t_cells"), Rule("car19_t", background="baseline", minimum_parent_events=5000)
    ),
}
COUNTING: dict[str, tuple[CountMethod, ...]] = {
    "tbnk": ("bead", "volumetric", "dual"),
    "bcell": ("chain", "dual"),
    "cart": ("chain", "dual"),
}
COUNTING_ONLY = LimitSettings(errors=CountErrors(pipette_cv=0, bead_lot_cv=0))
COLLECTED = datetime(2026, 3, 1, 9, tzinfo=UTC)


def tube(
    panel: str, events: Mapping[str, int], beads: int | None = None, **identity: object
) -> TubeCounts:
    reference = {"naive_b": "b_cells", "car19_t": "t_cells", "b_cells": "lymphocytes"}

    def count(population: str) -> PopulationCount:
        ref = reference.get(population, "leukocytes")
        total = events.get(ref, events["leukocytes"])
        return PopulationCount(population, events[population], ref, total, ref, total)

    base = TubeIdentity(f"{panel}-sha", f"{panel}.fcs", "P01", COLLECTED, panel, "D28")
    return TubeCounts(
        replace(base, **identity),
        f"{panel}@1.0.0",
        "s" * 64,
        {name: count(name) for name in events},
        beads,
        10 * events["leukocytes"],
    )


def tbnk(
    b_cells: int = 25, leukocytes: int = 40_000, beads: int | None = 9500, **identity: object
) -> TubeCounts:
    said: dict[str, object] = {"beads_per_tube": 49713.0, "blood_volume_ul": 50.0} | identity
    return tube(
        "tbnk", {"leukocytes": leukocytes, "lymphocytes": 20_000, "b_cells": b_cells}, beads, **said
    )


def bcell(
    naive: int = 300, b_cells: int = 400, leukocytes: int = 800_000, **identity: object
) -> TubeCounts:
    return tube(
        "bcell", {"leukocytes": leukocytes, "b_cells": b_cells, "naive_b": naive}, **identity
    )


def quantities(*tubes: TubeCounts, **options: object) -> dict[tuple[str, str], Quantity]:
    rows = quantify_visit(tubes, RULES, counting=COUNTING, **options)  # type: ignore[arg-type]
    return {(t.identity.panel, q.count.population): q for t, q in rows}


def test_beads_give_the_published_concentration() -> None:
    b = quantities(tbnk(b_cells=25), limits=COUNTING_ONLY)["tbnk", "b_cells"]
    assert (b.code, b.method) == ("DNQ", "bead")
    assert b.per_ul == pytest.approx(2.6165, abs=5e-5)
    assert (b.per_ul_low, b.per_ul_high) == (
        pytest.approx(1.6924, abs=5e-5),
        pytest.approx(3.8649, abs=5e-5),
    )
    beside = quantities(tbnk(b_cells=25))["tbnk", "b_cells"]
    assert beside.per_ul == b.per_ul
    assert (beside.per_ul_low, beside.per_ul_high) == pytest.approx(
        widened(Interval(1.6924, 3.8649), 2.6165, 0.03**2 + 0.02**2), abs=1e-3
    )
    volume = 50 * 9500 / 49713
    assert (b.lod_per_ul, b.lloq_per_ul) == (pytest.approx(20 / volume), pytest.approx(50 / volume))


@pytest.mark.parametrize(
    ("events", "code"), [(0, "ND"), (19, "ND"), (20, "DNQ"), (49, "DNQ"), (50, "Q")]
)
def test_codes_by_events(events: int, code: str) -> None:
    assert quantities(tbnk(b_cells=events))["tbnk", "b_cells"].code == code


def test_an_empty_population_has_an_upper_limit_and_no_value() -> None:
    b = quantities(tbnk(b_cells=0), limits=COUNTING_ONLY)["tbnk", "b_cells"]
    assert (b.code, b.per_ul, b.per_ul_low, b.percent_parent, b.percent_reference) == (
        "ND",
        None,
        None,
        None,
        None,
    )
    assert b.per_ul_high == pytest.approx(0.3861, abs=5e-5)
    assert b.lod_per_ul is not None


@given(
    events=st.integers(0, 60),
    beads=st.integers(0, 20_000),
    detect=st.integers(0, 30),
    quantify=st.integers(0, 60),
    threshold=st.none() | st.floats(0.01, 100),
)
def test_no_result_is_a_bare_zero(
    events: int, beads: int, detect: int, quantify: int, threshold: float | None
) -> None:
    strict = {
        "tbnk@1.0.0": rules(
            Rule(
                "b_cells",
                detect_events=detect,
                quantify_events=quantify,
                clinical_threshold_per_ul=threshold,
            )
        )
    }
    ((_, b),) = quantify_visit([tbnk(b_cells=events, beads=beads)], strict, counting=COUNTING)
    assert 0 not in (b.per_ul, b.percent_parent, b.percent_reference, b.per_ul_high)
    assert (b.per_ul is not None) == (b.code in ("Q", "DNQ"))
    if events == 0:
        assert b.code in ("ND", "NE")
    if b.per_ul is not None:
        assert b.per_ul_low is not None
        assert b.per_ul_high is not None
        assert b.per_ul_low <= b.per_ul <= b.per_ul_high


def test_too_few_beads_are_not_trusted() -> None:
    b = quantities(tbnk(b_cells=300, beads=999))["tbnk", "b_cells"]
    assert (b.code, b.method, b.per_ul, b.lod_per_ul) == ("NE", "none", None, None)
    assert {"few_beads", "no_volume"} <= set(b.flags)


def test_beads_without_a_lot_value_are_named() -> None:
    b = quantities(tbnk(beads_per_tube=None))["tbnk", "b_cells"]
    assert b.code == "NE"
    assert b.flags == ("bead_lot_missing", "no_volume")


def test_an_acquired_volume_stands_in_for_beads() -> None:
    b = quantities(tbnk(b_cells=100, beads=None, acquired_volume_ul=200.0, dilution=10.0))[
        "tbnk", "b_cells"
    ]
    assert (b.method, b.per_ul) == ("volumetric", 5.0)
    unknown = quantities(tbnk(b_cells=100, beads=None, acquired_volume_ul=200.0))["tbnk", "b_cells"]
    assert unknown.code == "NE"
    assert "dilution_missing" in unknown.flags


def test_few_lymphocytes_are_flagged_and_still_counted() -> None:
    counts = {"leukocytes": 3000, "lymphocytes": 900, "b_cells": 60}
    sample = tube("tbnk", counts, 9500, beads_per_tube=49713.0, blood_volume_ul=50.0)
    b = quantities(sample)["tbnk", "b_cells"]
    assert b.code == "Q"
    assert "few_lymphocytes" in b.flags


def test_a_tiny_volume_is_not_evaluable_rather_than_not_detected() -> None:
    b = quantities(tbnk(b_cells=3, beads_per_tube=500_000.0, beads=1200))["tbnk", "b_cells"]
    assert (b.code, b.per_ul, b.per_ul_high) == ("NE", None, None)
    assert b.lloq_per_ul is not None
    assert b.lloq_per_ul > 10
    assert "lloq_above_threshold" in b.flags
    assert (
        quantities(tbnk(b_cells=80, beads_per_tube=500_000.0, beads=1200))["tbnk", "b_cells"].code
        == "Q"
    )


def test_a_subset_is_tied_to_the_b_cells_of_the_bead_tube() -> None:
    naive = quantities(tbnk(b_cells=200), bcell(naive=3000, b_cells=4000))["bcell", "naive_b"]
    anchor = 200 * 49713 / 50 / 9500
    assert naive.method == "chain"
    assert naive.per_ul == pytest.approx(3000 * anchor / 4000)
    assert naive.flags == ()
    variance = 1 / 3000 + 1 / 4000 + 1 / 200 + 1 / 9500 + 0.03**2 + 0.02**2
    assert naive.per_ul_high == pytest.approx(
        naive.per_ul * math.exp(1.959964 * math.sqrt(variance)), rel=1e-6
    )


def test_without_quantified_b_cells_the_leukocytes_anchor() -> None:
    found = quantities(tbnk(b_cells=10), bcell(naive=60, b_cells=70))
    naive = found["bcell", "naive_b"]
    volume = 800_000 / (40_000 * 49713 / 50 / 9500)
    assert naive.per_ul == pytest.approx(60 / volume)
    assert set(naive.flags) == {"anchor_leukocytes", "indicative_percentage"}
    assert naive.lod_per_ul == pytest.approx(20 / volume)
    assert "anchor_leukocytes" not in found["bcell", "b_cells"].flags


def test_few_anchor_events_in_this_tube_cannot_carry_it() -> None:
    naive = quantities(tbnk(b_cells=200), bcell(naive=30, b_cells=40))["bcell", "naive_b"]
    assert set(naive.flags) == {"anchor_leukocytes", "few_parent_events"}
    assert (naive.percent_parent, naive.percent_reference, naive.code) == (None, None, "DNQ")


def test_a_population_that_anchors_itself_repeats_the_known_concentration() -> None:
    leukocytes = quantities(tbnk(), bcell())["bcell", "leukocytes"]
    known = quantities(tbnk())["tbnk", "leukocytes"]
    assert leukocytes.per_ul == pytest.approx(known.per_ul)
    assert leukocytes.flags == ("anchor_itself",)


def test_the_analyser_anchors_when_there_is_no_bead_tube() -> None:
    b = quantities(bcell(b_cells=400, leukocytes_per_ul=4000.0))["bcell", "b_cells"]
    assert (b.method, b.per_ul) == ("dual", pytest.approx(2.0))
    low, high = b.per_ul_low, b.per_ul_high
    assert low is not None
    assert high is not None
    variance = 1 / 400 + 1 / 800_000 + 0.03**2 + 0.03**2
    assert high / 2.0 == pytest.approx(math.exp(1.959964 * math.sqrt(variance)), rel=1e-6)


def test_analyser_counts_of_the_draw_are_shared_unless_they_differ() -> None:
    other = tube(
        "cart", {"leukocytes": 10_000, "t_cells": 6000, "car19_t": 0}, leukocytes_per_ul=4000.0
    )
    assert quantities(bcell(), other)["bcell", "b_cells"].per_ul == pytest.approx(2.0)
    third = replace(
        other, identity=replace(other.identity, tube_sha256="third", leukocytes_per_ul=5000.0)
    )
    clash = quantities(bcell(), other, third)["bcell", "b_cells"]
    assert clash.code == "NE"
    assert "analyser_counts_differ" in clash.flags


def test_all_anchors_come_from_the_duplicate_bead_tube_with_most_beads() -> None:
    fewer = tbnk(b_cells=120, leukocytes=25_000, beads=6000, tube_sha256="fewer")
    more = tbnk(b_cells=200, leukocytes=40_000, beads=9500, tube_sha256="more")
    found = quantities(fewer, more, bcell(naive=3800, b_cells=4000))
    assert found["bcell", "naive_b"].per_ul == pytest.approx(3800 / 4000 * 200 * 49713 / 50 / 9500)
    assert found["bcell", "b_cells"].per_ul == pytest.approx(
        4000 / 800_000 * 40_000 * 49713 / 50 / 9500
    )


@pytest.mark.parametrize(
    ("leukocytes", "b_cells", "counts"),
    [(40_000, 60, "agree"), (34_000, 60, "differ"), (37_500, 70, "agree")],
)
def test_duplicate_bead_counts_that_differ_by_more_than_a_tenth_are_flagged(
    leukocytes: int, b_cells: int, counts: str
) -> None:
    first, second = (
        tbnk(b_cells=60),
        tbnk(b_cells=b_cells, leukocytes=leukocytes, tube_sha256="second"),
    )
    rows = quantify_visit([first, second, bcell()], RULES, counting=COUNTING)
    said = {(t.identity.panel, q.count.population): "replicates_differ" in q.flags for t, q in rows}
    assert said["tbnk", "leukocytes"] == said["bcell", "b_cells"] == (counts == "differ")
    assert not said["tbnk", "b_cells"]


def test_duplicates_of_another_day_are_not_compared() -> None:
    second = tbnk(leukocytes=20_000, tube_sha256="second", collected=COLLECTED + timedelta(days=3))
    rows = quantify_visit([tbnk(), second], RULES, counting=COUNTING)
    assert not any("replicates_differ" in q.flags for _, q in rows)


def test_a_tube_of_another_day_anchors_nothing() -> None:
    late = bcell(collected=COLLECTED + timedelta(days=3))
    b = quantities(tbnk(b_cells=200), late)["bcell", "b_cells"]
    assert (b.code, b.method) == ("NE", "none")
    assert "no_volume" in b.flags


def test_control_tubes_give_no_rows_and_anchor_nothing() -> None:
    assert quantities(tbnk(control="batch")) == {}
    assert quantities(tbnk(control="fmo:CD19"), bcell())["bcell", "b_cells"].code == "NE"


def test_marrow_is_coded_by_events_and_has_no_concentration() -> None:
    counts = {"leukocytes": 500_000, "b_cells": 30, "naive_b": 5, "long_lived_plasma_cells": 600}
    found = quantities(tube("bcell", counts, specimen="marrow", leukocytes_per_ul=4000.0))
    llpc = found["bcell", "long_lived_plasma_cells"]
    assert (llpc.code, llpc.method, llpc.per_ul, llpc.lod_per_ul) == ("Q", "none", None, None)
    assert llpc.percent_reference == pytest.approx(0.12)
    assert found["bcell", "naive_b"].code == "NE"
    assert ("bcell", "long_lived_plasma_cells") not in quantities(bcell(), tbnk())


def marrow(plasma: int, leukocytes: int, **options: object) -> Quantity:
    counts = {"leukocytes": leukocytes, "long_lived_plasma_cells": plasma}
    return quantities(tube("bcell", counts, specimen="marrow"), **options)[
        "bcell", "long_lived_plasma_cells"
    ]


def test_marrow_without_enough_cells_is_not_evaluable_rather_than_not_detected() -> None:
    few = marrow(0, 90)
    assert (few.code, few.flags) == ("NE", ("few_marrow_cells",))
    assert marrow(0, 19_999).code == "NE"
    assert marrow(30, 19_999).code == "NE"
    assert marrow(60, 19_999).code == "Q"
    assert (marrow(0, 20_000).code, marrow(0, 20_000).flags) == ("ND", ())
    assert marrow(0, 5_000, limits=LimitSettings(marrow_limit_percent=0.5)).code == "ND"


def test_a_marrow_lymphocyte_population_needs_lymphocytes() -> None:
    counts = {"leukocytes": 100_000, "lymphocytes": 2_400, "b_cells": 0}
    assert quantities(tube("bcell", counts, specimen="marrow"))["bcell", "b_cells"].flags == (
        "few_marrow_cells",
    )


def test_a_car_percentage_of_few_t_cells_is_flagged_and_of_very_few_not_given() -> None:
    loose = RULES | {
        "cart@1.0.0": rules(
            Rule("t_cells"), Rule("car19_t", minimum_parent_events=500, background="baseline")
        )
    }

    def car(events: int, t_cells: int) -> Quantity:
        return quantify_visit([cart(events, t_cells=t_cells)], loose, counting=COUNTING)[1][1]

    assert (car(55, 60).percent_reference, car(55, 60).percent_parent) == (None, None)
    assert "few_parent_events" in car(55, 60).flags
    assert car(55, 60).per_ul is not None
    assert (car(55, 550).percent_reference, "few_t_cells" in car(55, 550).flags) == (10.0, True)
    assert (car(55, 5500).percent_reference, "few_t_cells" in car(55, 5500).flags) == (1.0, False)


def test_a_background_of_few_t_cells_is_flagged_and_raises_the_limits() -> None:
    baseline = cart(6, t_cells=1000, sha="base", day=-7)
    car = quantities(
        cart(60, t_cells=50_000),
        backgrounds=baseline_backgrounds([baseline], RULES, infused=COLLECTED),
    )["cart", "car19_t"]
    assert car.code == "ND", "0.6 % of its T cells shone before infusion"
    assert set(car.flags) == {"background_few_events", "limit_raised_by_background"}


@pytest.mark.parametrize("t_cells", [1, 400, 4_999])
def test_a_poor_tube_before_infusion_is_no_worse_than_none(t_cells: int) -> None:
    baseline = cart(0, t_cells=t_cells, sha="base", day=-7)
    backgrounds = baseline_backgrounds([baseline], RULES, infused=COLLECTED)
    for events in (30, 31, 300):
        later = cart(events, t_cells=44_000)
        alone = quantities(later)["cart", "car19_t"]
        beside = quantities(later, backgrounds=backgrounds)["cart", "car19_t"]
        assert (beside.code, beside.per_ul_low) == (alone.code, alone.per_ul_low)
        assert {"background_few_events"} <= set(beside.flags)


@pytest.mark.parametrize("corrected", ["car19_t", "t_cells"])
def test_a_count_held_against_a_corrected_background_says_so(corrected: str) -> None:
    baseline = replace(cart(40, sha="base", day=-7), corrected=frozenset({corrected}))
    backgrounds = baseline_backgrounds([baseline], RULES, infused=COLLECTED)
    later = quantities(cart(400, t_cells=100_000), backgrounds=backgrounds)["cart", "car19_t"]
    assert "background_corrected" in later.flags
    own = quantities(baseline, backgrounds=backgrounds)["cart", "car19_t"]
    assert "background_corrected" not in own.flags, "of itself the count says corrected"
    other = replace(baseline, corrected=frozenset({"leukocytes"}))
    backgrounds = baseline_backgrounds([other], RULES, infused=COLLECTED)
    later = quantities(cart(400, t_cells=100_000), backgrounds=backgrounds)["cart", "car19_t"]
    assert "background_corrected" not in later.flags


def test_the_shipped_strategies_ask_for_enough_cells_behind_a_percentage() -> None:
    cars = [
        p for p in load_strategy("cart@1.0.0").strategy.populations if p.background == "baseline"
    ]
    ids = ("plasmablasts", "plasma_cells", "long_lived_plasma_cells")
    secreting = [p for p in load_strategy("bcell@1.0.0").strategy.populations if p.id in ids]
    assert [p.minimum_parent_events for p in (*cars, *secreting)] == [500] * 4 + [50] * 3


def cart(
    car: int,
    t_cells: int = 50_000,
    sha: str = "cart-sha",
    day: int = 28,
    reagent: str = "idiotype-1",
) -> TubeCounts:
    events = {"leukocytes": 200_000, "t_cells": t_cells, "car19_t": car}
    identity = {
        "tube_sha256": sha,
        "collected": COLLECTED + timedelta(days=day),
        "visit": f"D{day}",
        "car_reagent": reagent,
    }
    return tube("cart", events, leukocytes_per_ul=4000.0, **identity)


def test_the_pre_infusion_tube_raises_the_limits() -> None:
    baseline, later = cart(40, sha="base", day=-7), cart(60, t_cells=100_000)
    backgrounds = baseline_backgrounds([baseline, later], RULES, infused=COLLECTED)
    assert set(backgrounds) == {("blood", "idiotype-1", "car19_t")}
    car = quantities(later, backgrounds=backgrounds)["cart", "car19_t"]
    assert limit_of_blank(80.0) >= 60
    assert car.code == "ND"
    assert "limit_raised_by_background" in car.flags
    assert (
        quantities(cart(400, t_cells=100_000), backgrounds=backgrounds)["cart", "car19_t"].code
        == "Q"
    )


def test_the_baseline_tube_is_not_its_own_background() -> None:
    baseline = cart(40, sha="base", day=-7)
    backgrounds = baseline_backgrounds([baseline], RULES, infused=COLLECTED)
    car = quantities(baseline, backgrounds=backgrounds)["cart", "car19_t"]
    assert car.code == "DNQ"
    assert set(car.flags) == {"positive_before_infusion", "limit_raised_by_background"}


def test_a_blank_of_as_many_t_cells_as_the_assay_asks_for_is_no_assay_fault() -> None:
    blank = cart(22, t_cells=44_000, sha="base", day=-7)
    backgrounds = baseline_backgrounds([blank], RULES, infused=COLLECTED)
    car = quantities(blank, backgrounds=backgrounds)["cart", "car19_t"]
    assert (car.code, set(car.flags)) == ("ND", {"limit_raised_by_background"})


def test_what_the_stain_may_show_without_cells_is_not_detected_where_no_tube_tells() -> None:
    """SCIENCE 3.3: 0.05 % of 44,000 T cells are 22 events; P(Poisson(22) <= 30) is above 95 %."""
    assert limit_of_blank(22.0) == 30
    below, above = (quantities(cart(n, t_cells=44_000))["cart", "car19_t"] for n in (30, 31))
    assert (below.code, above.code) == ("ND", "DNQ")
    assert set(below.flags) == {"no_background", "limit_raised_by_background"}
    assert quantities(cart(20, t_cells=20_000))["cart", "car19_t"].code == "DNQ"
    none = LimitSettings(background_share=0)
    assert quantities(cart(20, t_cells=44_000), limits=none)["cart", "car19_t"].code == "DNQ"


@pytest.mark.parametrize(
    ("before", "of", "after", "t_cells"),
    [
        (5, 4000, 150, 200_000),
        (2, 1000, 140, 200_000),
        (4, 4000, 50, 40_000),
        (3, 4000, 45, 40_000),
    ],
)
def test_a_poor_tube_that_shows_more_than_usual_is_not_replaced_by_the_usual_share(
    before: int, of: int, after: int, t_cells: int
) -> None:
    poor = cart(before, t_cells=of, sha="base", day=-7)
    backgrounds = baseline_backgrounds([poor], RULES, infused=COLLECTED)
    car = quantities(cart(after, t_cells=t_cells), backgrounds=backgrounds)["cart", "car19_t"]
    assert car.code == "ND"


def test_a_poor_tube_that_shows_no_more_than_usual_is_no_worse_than_none() -> None:
    backgrounds = baseline_backgrounds(
        [cart(2, t_cells=4000, sha="base", day=-7)], RULES, infused=COLLECTED
    )
    tube = cart(150, t_cells=200_000)
    poor, none = (
        quantities(tube, backgrounds=each)["cart", "car19_t"] for each in (backgrounds, {})
    )
    assert (poor.code, poor.lod_per_ul, poor.per_ul_low) == ("Q", none.lod_per_ul, none.per_ul_low)


def test_an_assumed_background_is_taken_from_the_lower_limit() -> None:
    """0.05 % of 200,000 T cells are 100 events; the lower limit of 119 is 98.6 (Garwood)."""
    below, above = (quantities(cart(n, t_cells=200_000))["cart", "car19_t"] for n in (119, 200))
    assert below.code == "DNQ"
    assert below.per_ul_low == 0.0
    assert above.per_ul_low is not None
    without = quantities(cart(200, t_cells=200_000), limits=LimitSettings(background_share=0))
    free = without["cart", "car19_t"].per_ul_low
    assert above.per_ul_low / free == pytest.approx((garwood(200).low - 100) / garwood(200).low)


def test_a_population_of_either_stain_may_show_the_background_of_both() -> None:
    both = {"cart@1.0.0": rules(Rule("t_cells"), Rule("car19_t", background="baseline", stains=2))}
    rows = quantify_visit([cart(45, t_cells=44_000)], both, counting=COUNTING)
    assert rows[1][1].code == "ND"
    populations = load_strategy("cart@4.0.0").strategy.populations
    stains = {each.id: each.stains for each in populations if each.stains != 1}
    assert stains == {"car_any_t": 2, "car_double_positive": 0}


def test_another_reagent_has_no_background() -> None:
    backgrounds = baseline_backgrounds([cart(0, sha="base", day=-7)], RULES, infused=COLLECTED)
    flags = quantities(cart(60, reagent="protein-2"), backgrounds=backgrounds)[
        "cart", "car19_t"
    ].flags
    assert set(flags) == {"no_background", "reagent_changed", "limit_raised_by_background"}


def test_order_of_tubes_changes_nothing() -> None:
    tubes = [tbnk(b_cells=200), bcell(), cart(60, day=0)]
    forward = quantify_visit(tubes, RULES, counting=COUNTING)
    assert quantify_visit(tubes[::-1], RULES, counting=COUNTING) == forward
    assert [t.identity.panel for t, _ in forward] == ["bcell"] * 3 + ["cart"] * 2 + ["tbnk"] * 3


def test_a_tube_of_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(StrategyFault, match="not among the strategies"):
        quantify_visit([replace(tbnk(), strategy="tbnk@9.0.0")], RULES, counting=COUNTING)


def test_tubes_are_grouped_by_patient_specimen_and_visit() -> None:
    groups = group_by_visit([cart(1, day=28), tbnk(), bcell(specimen="marrow")])
    assert [(key, len(group)) for key, group in groups.items()] == [
        (("P01", "marrow", "D28"), 1),
        (("P01", "blood", "D28"), 2),
    ]


def test_overridden_limits_hold() -> None:
    strict = LimitSettings(detect_events=13, quantify_events=22, validation_id="VAL-7")
    assert quantities(tbnk(b_cells=22), limits=strict)["tbnk", "b_cells"].code == "Q"


def test_without_other_errors_the_bead_interval_is_the_bead_ratio() -> None:
    b = quantities(tbnk(b_cells=212), limits=COUNTING_ONLY)["tbnk", "b_cells"]
    assert (b.per_ul_low, b.per_ul_high) == pytest.approx(bead_ratio(212, 9500, 49713 / 50))


def test_every_flag_is_explained() -> None:
    assert all(flag.sentence.endswith(".") and ";" not in flag for flag in Flag)
    assert anchor_flag("monocytes") is Flag.ANCHOR_OTHER


@pytest.mark.parametrize(("specimen", "code"), [("blood", "Q"), ("marrow", "NE")])
def test_a_percentage_above_a_hundred_is_not_given_and_says_why(specimen: str, code: str) -> None:
    """A reference of another branch of the gates is no whole: 203 cells are not 203 % of 100
    others."""
    known = {"tbnk@1.0.0": rules(Rule("leukocytes"), Rule("nk_cells"))}

    def nk(events: int, reference: int) -> Quantity:
        counts = {
            "leukocytes": PopulationCount(
                "leukocytes", 90_000, "cells", 99_000, "leukocytes", 90_000
            ),
            "nk_cells": PopulationCount(
                "nk_cells", events, "small_non_t", 5_000, "b_cells", reference
            ),
        }
        who = TubeIdentity(
            "a" * 64,
            "t.fcs",
            "P01",
            COLLECTED,
            "tbnk",
            "D28",
            specimen,
            acquired_volume_ul=20.0,
            dilution=1.0,
        )
        made = quantify_visit([TubeCounts(who, "tbnk@1.0.0", "", counts)], known, counting=COUNTING)
        return next(quantity for _, quantity in made if quantity.count.population == "nk_cells")

    more = nk(203, 100)
    assert (more.percent_reference, more.percent_parent, more.code) == (
        None,
        pytest.approx(4.06),
        code,
    )
    assert "reference_not_parent" in more.flags
    assert "few_parent_events" not in more.flags
    whole, none = nk(100, 100), nk(203, 0)
    assert (whole.percent_reference, "reference_not_parent" in whole.flags) == (100.0, False)
    assert (
        none.percent_reference,
        "reference_not_parent" in none.flags,
        "few_parent_events" in none.flags,
    ) == (None, False, True)
    clopper_pearson(whole.count.events, whole.count.reference_events)
