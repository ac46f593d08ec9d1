"""Two independent concentrations of one draw: agreement, contradiction, and which of them is
believed."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gating.strategy.catalogue import load_strategy
from tasks.counting.anchored_volume import anchor_variance
from tasks.counting.bead_rates import expected_bead_rates, with_bead_rates
from tasks.counting.counts import PopulationCount, TubeCounts
from tasks.counting.draw import Draw
from tasks.counting.limits import LimitSettings
from tasks.counting.quantity import Quantity, quantify_visit
from tasks.counting.visit import compare_visit
from tasks.counting.volume import CountMethod
from tasks.results.draw_checks import contradictions
from tasks.study.settings import SHIPPED_STRATEGIES
from tasks.vocabulary.tube_identity import TubeIdentity

COLLECTED = datetime(2026, 3, 1, 9)  # noqa: DTZ001 - a study's own local time
COUNTING: dict[str, tuple[CountMethod, ...]] = {
    "tbnk": ("bead", "volumetric", "dual"),
    "bcell": ("chain", "dual"),
    "cart": ("chain", "dual"),
}
TBNK, BCELL, CART = (SHIPPED_STRATEGIES[panel] for panel in ("tbnk", "bcell", "cart"))
RULES = {
    pin: {p.id: p for p in load_strategy(pin).strategy.populations}
    for pin in SHIPPED_STRATEGIES.values()
}
REFERENCE = {
    pin: {p.id: p.reference for p in load_strategy(pin).strategy.populations}
    for pin in SHIPPED_STRATEGIES.values()
}
# 5,000 leukocytes, 1,000 T cells, 150 B cells per µL; 10 µL of blood by 9,943 beads of 49,713 in 50
# µL.
BLOOD = {"leukocytes": 5000.0, "lymphocytes": 1500.0, "t_cells": 1000.0, "b_cells": 150.0}
BEADS = {"beads_per_tube": 49_713.0, "blood_volume_ul": 50.0}


def tube(
    pin: str,
    per_ul: Mapping[str, float],
    microlitres: float,
    *,
    beads: int | None = None,
    **identity: object,
) -> TubeCounts:
    panel = pin.partition("@")[0]
    events = {
        name: round(value * microlitres) for name, value in per_ul.items() if name in RULES[pin]
    }
    counts = {
        name: PopulationCount(
            name,
            n,
            "leukocytes",
            events["leukocytes"],
            REFERENCE[pin][name],
            events[REFERENCE[pin][name]],
        )
        for name, n in events.items()
    }
    base = TubeIdentity(
        f"{panel}{len(identity)}" * 8, f"{panel}.fcs", "P01", COLLECTED, panel, "D28"
    )
    return TubeCounts(
        replace(base, **identity), pin, "s" * 64, counts, beads, 10 * events["leukocytes"]
    )


def bead_tube(beads: int = 9943, **identity: object) -> TubeCounts:
    return tube(TBNK, BLOOD, 10.0, beads=beads, **(BEADS | identity))


def found(*tubes: TubeCounts, **limits: object) -> dict[tuple[str, str], Quantity]:
    rows = quantify_visit(
        tubes, RULES, counting=COUNTING, limits=LimitSettings.model_validate(limits)
    )
    return {(t.identity.panel, q.count.population): q for t, q in rows}


def test_beads_and_an_analyser_that_agree_are_said_to_have_been_compared() -> None:
    draw = bead_tube(leukocytes_per_ul=5200.0)
    assert not any("concentration_contradicted" in q.flags for q in found(draw).values())
    ((compared,),) = compare_visit([draw], RULES, counting=COUNTING).values()
    assert compared.numbers() == {
        "population": "leukocytes",
        "sources": [f"the beads of tube {draw.identity.tube_sha256[:12]}", "the analyser"],
        "per_ul": [pytest.approx(5000, rel=1e-3), 5200.0],
        "ratio": pytest.approx(5000 / 5200, rel=1e-3),
        "contradicted": False,
        "beyond_refusal": False,
    }


@pytest.mark.parametrize("analyser", [3800.0, 6500.0])
def test_a_difference_beyond_a_quarter_marks_every_number_that_hangs_on_the_beads(
    analyser: float,
) -> None:
    chained = tube(BCELL, BLOOD | {"naive_b": 100.0}, 200.0)
    told = found(bead_tube(leukocytes_per_ul=analyser), chained)
    assert {q.code for q in told.values()} == {"Q"}
    assert all("concentration_contradicted" in q.flags for q in told.values())


@pytest.mark.parametrize("analyser", [1000.0, 25_000.0])
def test_beyond_twofold_nothing_is_given_until_a_person_decides(analyser: float) -> None:
    chained = tube(CART, BLOOD | {"car19_t": 20.0}, 200.0)
    told = found(bead_tube(leukocytes_per_ul=analyser), chained)
    for quantity in told.values():
        assert (quantity.code, quantity.per_ul, quantity.per_ul_high) == ("NE", None, None)
        assert "concentration_contradicted" in quantity.flags


def test_the_analyser_counts_on_whichever_tube_of_the_draw_it_stands() -> None:
    beside = tube(BCELL, BLOOD, 200.0, leukocytes_per_ul=20_000.0)
    assert found(bead_tube(), beside)["tbnk", "t_cells"].code == "NE"
    another_day = replace(
        beside, identity=replace(beside.identity, collected=COLLECTED + timedelta(days=3))
    )
    assert found(bead_tube(), another_day)["tbnk", "t_cells"].code == "Q"


def test_an_acquired_volume_far_from_the_analyser_is_refused() -> None:
    draw = tube(
        TBNK,
        BLOOD,
        10.0,
        acquired_volume_ul=5500.0,
        dilution=10.0,
        leukocytes_per_ul=5000.0,
    )
    leukocytes = found(draw)["tbnk", "leukocytes"]
    assert (leukocytes.code, leukocytes.method) == ("NE", "volumetric")
    ((visit, sentence),) = contradictions(
        {("D28", "blood"): compare_visit([draw], RULES, counting=COUNTING)},
        {"leukocytes": "White blood cells (CD45+)"},
    )
    assert visit == "D28"
    assert sentence.startswith("White blood cells: 90.9/µL by the acquired volume of tube")
    assert "against 5000/µL by the analyser, ratio 0.0182" in sentence
    assert "until a person decides" in sentence
    ((_, large),) = contradictions(
        {
            ("D28", "blood"): compare_visit(
                [bead_tube(leukocytes_per_ul=30_000.0)], RULES, counting=COUNTING
            )
        },
        {},
    )
    assert "against 30000/µL by the analyser" in large


def test_more_that_agree_than_contradict_are_believed_and_a_tie_is_not() -> None:
    one_against_one = bead_tube(acquired_volume_ul=100.0, dilution=10.0, leukocytes_per_ul=20_000.0)
    assert found(one_against_one)["tbnk", "leukocytes"].code == "NE"
    duplicate = bead_tube(tube_sha256="duplicate")
    leukocytes = found(one_against_one, duplicate)["tbnk", "leukocytes"]
    assert (leukocytes.code, leukocytes.per_ul) == ("Q", pytest.approx(5000, rel=1e-3))
    assert "concentration_contradicted" in leukocytes.flags
    alone = bead_tube(beads=2000, acquired_volume_ul=100.0, dilution=10.0, leukocytes_per_ul=5000.0)
    assert found(alone)["tbnk", "leukocytes"].code == "NE"


def test_what_one_comparison_refuses_no_milder_one_gives_back() -> None:
    lymphocytes_off = bead_tube(leukocytes_per_ul=5000.0, lymphocytes_per_ul=450.0)
    mild = tube(BCELL, BLOOD | {"lymphocytes": 1050.0}, 200.0)
    assert found(lymphocytes_off)["tbnk", "lymphocytes"].code == "NE"
    assert found(lymphocytes_off, mild)["tbnk", "lymphocytes"].code == "NE"


def test_analyser_counts_that_contradict_each_other_are_said_where_numbers_hang_on_them() -> None:
    bcell = tube(BCELL, BLOOD, 200.0, leukocytes_per_ul=5000.0)
    cart = tube(CART, BLOOD, 200.0, leukocytes_per_ul=12_000.0)
    told = found(bcell, cart)
    assert {q.code for q in told.values()} == {"NE"}
    assert all("concentration_contradicted" in q.flags for q in told.values())


def test_tubes_without_any_volume_of_their_own_are_compared_with_each_other() -> None:
    bcell = tube(BCELL, BLOOD, 200.0, leukocytes_per_ul=5000.0)
    cart = tube(CART, BLOOD | {"lymphocytes": 700.0}, 150.0)
    told = found(bcell, cart)
    assert told["cart", "lymphocytes"].code == told["bcell", "lymphocytes"].code == "NE"
    assert told["bcell", "b_cells"].code == "Q"


def test_a_tube_with_hardly_a_leukocyte_is_held_against_the_analyser_too() -> None:
    empty = {name: value / 1000 for name, value in BLOOD.items()}
    told = found(tube(TBNK, empty, 10.0, beads=9943, **(BEADS | {"leukocytes_per_ul": 5000.0})))
    assert {q.code for q in told.values()} == {"NE"}


def test_a_strategy_with_names_of_its_own_is_compared_all_the_same() -> None:
    own = {"cd45": "leukocytes", "helpers": "t_cells"}
    rules = {
        "mine@1.0.0": {
            name: RULES[TBNK][like].model_copy(update={"id": name}) for name, like in own.items()
        }
    }
    counts = {
        name: PopulationCount(name, n, "cd45", 50_000, "cd45", 50_000)
        for name, n in (("cd45", 50_000), ("helpers", 9000))
    }
    identity = bead_tube(acquired_volume_ul=10.0, dilution=10.0).identity
    counted = TubeCounts(identity, "mine@1.0.0", "s" * 64, counts, 9943, 60_000)
    rows = quantify_visit([counted], rules, counting=COUNTING)
    assert {q.code for _, q in rows} == {"NE"}


def test_the_volume_that_a_washed_tube_took_in_says_nothing_of_the_blood() -> None:
    washed = tube(BCELL, BLOOD, 200.0, acquired_volume_ul=600.0, dilution=10.0)
    assert {q.code for q in found(bead_tube(), washed).values()} == {"Q"}


def test_the_analysers_count_beside_a_control_or_an_unusable_tube_is_known_to_the_draw() -> None:
    unusable = tube(BCELL, BLOOD, 200.0, leukocytes_per_ul=1500.0)
    unusable = replace(unusable, flags=("acquisition_unusable",))
    assert found(bead_tube(), unusable)["tbnk", "t_cells"].code == "NE"
    control = tube(CART, BLOOD, 200.0, leukocytes_per_ul=1500.0, control="fmo:CAR19")
    assert found(bead_tube(), control)["tbnk", "t_cells"].code == "NE"


def test_duplicates_are_compared_by_every_population_they_share() -> None:
    other = tube(
        TBNK,
        BLOOD | {"t_cells": 320.0},
        10.0,
        beads=9943,
        **(BEADS | {"tube_sha256": "other"}),
    )
    rows = quantify_visit([bead_tube(), other], RULES, counting=COUNTING)
    codes = {(t.identity.tube_sha256 == "other", q.count.population): q.code for t, q in rows}
    assert codes[True, "t_cells"] == codes[False, "t_cells"] == "NE"
    assert codes[True, "leukocytes"] == codes[False, "leukocytes"] == "Q"


def test_marrow_has_no_concentration_to_contradict() -> None:
    marrow = bead_tube(leukocytes_per_ul=20_000.0, specimen="marrow")
    assert compare_visit([marrow], RULES, counting=COUNTING) == {}


def test_numbers_tied_to_a_contradicted_analyser_are_marked_too() -> None:
    dual = tube(CART, BLOOD, 200.0, leukocytes_per_ul=5000.0)
    volumetric = tube(TBNK, BLOOD, 10.0, acquired_volume_ul=300.0, dilution=10.0)
    told = quantify_visit([dual, volumetric], RULES, counting=COUNTING | {"cart": ("dual",)})
    assert {q.code for t, q in told if q.method == "dual"} == {"NE"}


def test_the_same_population_in_two_tubes_is_compared() -> None:
    lost = tube(CART, BLOOD | {"t_cells": 700.0, "car19_t": 20.0}, 200.0)
    told = found(bead_tube(), lost)
    for row in (("cart", "t_cells"), ("cart", "car19_t"), ("tbnk", "t_cells")):
        assert "concentration_contradicted" in told[row].flags
        assert told[row].code == "Q"
    for row in (("tbnk", "leukocytes"), ("tbnk", "b_cells"), ("cart", "leukocytes")):
        assert "concentration_contradicted" not in told[row].flags
    third = tube(CART, BLOOD | {"t_cells": 300.0, "car19_t": 20.0}, 200.0)
    assert {
        found(bead_tube(), third)[row].code
        for row in (("cart", "t_cells"), ("cart", "car19_t"), ("tbnk", "t_cells"))
    } == {"NE"}


def test_leukocytes_that_agree_leave_the_beads_alone_when_only_the_lymphocytes_differ() -> None:
    told = found(bead_tube(leukocytes_per_ul=5000.0, lymphocytes_per_ul=1000.0))
    assert "concentration_contradicted" in told["tbnk", "lymphocytes"].flags
    assert "concentration_contradicted" not in told["tbnk", "t_cells"].flags


def test_few_cells_raise_no_alarm_by_chance() -> None:
    chained = tube(BCELL, BLOOD | {"b_cells": 0.5}, 200.0)
    few = tube(TBNK, BLOOD | {"b_cells": 6.5}, 10.0, beads=9943, **BEADS)
    assert not any(
        "concentration_contradicted" in q.flags
        for q in found(few, chained).values()
        if q.count.population != "b_cells"
    )


def test_an_analyser_is_poor_at_counting_few_leukocytes() -> None:
    low = {name: value / 20 for name, value in BLOOD.items()}
    counted = tube(TBNK, low, 10.0, beads=9943, **(BEADS | {"leukocytes_per_ul": 185.0}))
    assert "concentration_contradicted" not in found(counted)["tbnk", "leukocytes"].flags
    assert (
        "concentration_contradicted"
        in found(bead_tube(leukocytes_per_ul=3700.0))["tbnk", "leukocytes"].flags
    )


def test_the_limits_are_the_studys() -> None:
    draw = bead_tube(leukocytes_per_ul=6000.0)
    assert (
        "concentration_contradicted"
        in found(draw, concentration_difference=0.15)["tbnk", "t_cells"].flags
    )
    assert (
        found(draw, concentration_difference=0.1, concentration_refused=1.15)[
            "tbnk", "t_cells"
        ].code
        == "NE"
    )
    with pytest.raises(ValueError, match="concentration_refused must be above"):
        LimitSettings(concentration_difference=1.5)


def test_anchors_that_differ_widen_the_interval_by_what_they_differ() -> None:
    shifted = tube(CART, BLOOD | {"t_cells": 1120.0}, 400.0)
    even = tube(CART, BLOOD, 400.0)
    wide, narrow = (found(bead_tube(), each)["cart", "leukocytes"] for each in (shifted, even))
    assert wide.per_ul_high is not None
    assert narrow.per_ul_high is not None
    assert wide.per_ul_high / wide.per_ul_low > narrow.per_ul_high / narrow.per_ul_low  # type: ignore[operator]
    draw = Draw((bead_tube(), shifted), COUNTING, {}, LimitSettings())
    assert anchor_variance(draw, shifted, bead_tube()) == pytest.approx(0.05**2, rel=0.8)
    assert anchor_variance(draw, even, bead_tube()) == 0.0


def rated(rates: Mapping[str, float]) -> list[TubeCounts]:
    return [
        replace(bead_tube(tube_sha256=sha, batch="B7"), bead_rate=rate)
        for sha, rate in rates.items()
    ]


def test_beads_that_come_far_slower_than_in_their_batch_contradict_the_count() -> None:
    tubes = rated(
        {"a": 100.0, "b": 104.0, "c": 97.0, "d": 99.0, "e": 101.0, "slow": 70.0, "lost": 40.0}
    )
    expected = expected_bead_rates(tubes)
    by_sha = {tube.identity.tube_sha256: tube for tube in with_bead_rates(tubes, expected)}
    assert found(by_sha["a"])["tbnk", "t_cells"].flags == ()
    slow = found(by_sha["slow"])["tbnk", "t_cells"]
    assert (slow.code, "concentration_contradicted" in slow.flags) == ("Q", True)
    lost = found(by_sha["lost"])["tbnk", "t_cells"]
    assert (lost.code, "concentration_contradicted" in lost.flags) == ("Q", True)


def test_a_bead_rate_neither_refuses_nor_vouches() -> None:
    wrong_lot = replace(
        bead_tube(leukocytes_per_ul=2000.0, batch="B7"), bead_rate=100.0, expected_bead_rate=101.0
    )
    assert found(wrong_lot)["tbnk", "t_cells"].code == "NE"


def test_a_batch_whose_rates_scatter_or_that_has_few_tubes_expects_nothing() -> None:
    assert (
        expected_bead_rates(
            rated({"a": 100.0, "b": 60.0, "c": 150.0, "d": 80.0, "e": 120.0, "f": 40.0})
        )
        == {}
    )
    assert expected_bead_rates(rated({"a": 100.0, "b": 104.0, "c": 97.0, "lost": 40.0})) == {}
    no_batch = [
        replace(tube, identity=replace(tube.identity, batch=None))
        for tube in rated(dict.fromkeys("abcdef", 100.0))
    ]
    assert expected_bead_rates(no_batch) == {}


@given(scale=st.floats(0.1, 10), analyser=st.floats(50, 50_000))
def test_no_concentration_is_given_that_another_of_the_draw_contradicts_by_far(
    scale: float, analyser: float
) -> None:
    draw = bead_tube(beads=round(9943 * scale), leukocytes_per_ul=analyser)
    quantity = found(draw)["tbnk", "leukocytes"]
    counted = 50_000 / (50 * round(9943 * scale) / 49_713) if round(9943 * scale) >= 1000 else None
    if counted is None or quantity.method != "bead":
        return
    apart = max(counted / analyser, analyser / counted)
    sure = analyser >= 500
    assert quantity.code == ("NE" if apart > 2.01 and sure else quantity.code)
    assert (
        ("concentration_contradicted" in quantity.flags) == (apart > 1.25)
        or not sure
        or 1.24 < apart < 1.26
    )


def test_the_order_of_tubes_changes_nothing() -> None:
    tubes = [
        bead_tube(leukocytes_per_ul=9000.0),
        tube(CART, BLOOD, 100.0),
        tube(BCELL, BLOOD, 200.0),
    ]
    forward = quantify_visit(tubes, RULES, counting=COUNTING)
    assert quantify_visit(tubes[::-1], RULES, counting=COUNTING) == forward
