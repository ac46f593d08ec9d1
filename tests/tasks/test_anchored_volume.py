"""How much blood a tube holds, by itself or tied to another tube, and how well that is known."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tasks.counting.anchored_volume import anchor_variance, anchored_volume, partner_of
from tasks.counting.counts import PopulationCount, TubeCounts
from tasks.counting.direct_volume import direct_volume
from tasks.counting.draw import Draw
from tasks.counting.limits import CountErrors, LimitSettings
from tasks.counting.volume import CountMethod
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.populations import ANCHORS
from tasks.vocabulary.tube_identity import TubeIdentity

COUNTING: Mapping[str, tuple[CountMethod, ...]] = {
    "tbnk": ("bead", "volumetric"),
    "bcell": ("chain", "dual"),
}
COLLECTED = datetime(2026, 3, 1, 9, tzinfo=UTC)
LIMITS = LimitSettings(errors=CountErrors(pipette_cv=0.03, bead_lot_cv=0.02))
BEADS = {"beads_per_tube": 50_000.0, "blood_volume_ul": 50.0}
ONE, TWO, THREE = ANCHORS[:3]


def tube(
    name: str, events: Mapping[str, int], beads: int | None = None, **identity: object
) -> TubeCounts:
    panel = name.split("-", maxsplit=1)[0]
    known = TubeIdentity(f"{name}-sha", f"{name}.fcs", "P01", COLLECTED, panel, "D28")
    counts = {
        each: PopulationCount(each, number, "root", 10**7, "root", 10**7)
        for each, number in events.items()
    }
    return TubeCounts(replace(known, **identity), f"{panel}@1.0.0", "", counts, beads)


def draw(*tubes: TubeCounts, limits: LimitSettings = LIMITS) -> Draw:
    return Draw(tubes, COUNTING, {}, limits)


def between(here: Mapping[str, int], there: Mapping[str, int]) -> float:
    one, other = tube("bcell", here), tube("tbnk", there, 10_000, **BEADS)
    return anchor_variance(draw(one, other), one, other)


def test_the_variance_between_two_anchors_is_half_of_what_their_counts_do_not_explain() -> None:
    """Of two studies the estimate of DerSimonian and Laird is ((y₁ − y₂)² − v₁ − v₂) / 2."""
    here, there = {ONE: 9_000, TWO: 700}, {ONE: 3_000, TWO: 400}
    apart = math.log(9_000 / 3_000) - math.log(700 / 400)
    counted = 1 / 9_000 + 1 / 3_000 + 1 / 700 + 1 / 400
    assert between(here, there) == pytest.approx((apart**2 - counted) / 2, rel=1e-9)


def test_of_anchors_counted_equally_well_it_is_their_variance_beyond_the_counting() -> None:
    here, there = {ONE: 2_000, TWO: 3_000, THREE: 2_400}, {ONE: 3_000, TWO: 2_000, THREE: 2_400}
    ratio = math.log(3 / 2)
    counted = 1 / 2_000 + 1 / 3_000
    assert between(here, there) == pytest.approx(ratio**2 - counted, rel=1e-9)


def test_anchors_that_counting_explains_or_that_are_alone_have_no_variance_between_them() -> None:
    assert between({ONE: 410, TWO: 390}, {ONE: 400, TWO: 400}) == 0.0
    assert between({ONE: 9_000}, {ONE: 3_000}) == 0.0
    assert between({ONE: 9_000, TWO: 700}, {ONE: 3_000}) == 0.0


@pytest.mark.parametrize(("apart", "flagged"), [(0.135, False), (0.15, True)])
def test_anchors_are_said_to_differ_from_a_tenth_between_them_on(
    apart: float, *, flagged: bool
) -> None:
    here = {ONE: 1_000_000, TWO: round(1_000_000 * math.exp(apart))}
    washed = tube("bcell", here | {"b_cells": 100})
    counted = tube("tbnk", {ONE: 1_000_000, TWO: 1_000_000}, 10_000, **BEADS)
    both = draw(washed, counted)
    volume, flags = anchored_volume(both, washed, "b_cells", anchors=[ONE], method="chain")
    assert volume is not None
    assert (Flag.ANCHORS_DIFFER in flags) == flagged
    sd = math.sqrt(anchor_variance(both, washed, counted))
    assert (sd > 0.1) == flagged
    assert abs(sd - 0.1) < 0.01


def test_a_chain_carries_the_errors_of_its_beads_and_of_its_anchor_in_both_tubes() -> None:
    washed = tube("bcell", {ONE: 8_000, "b_cells": 100})
    counted = tube("tbnk", {ONE: 400}, 10_000, **BEADS)
    both = draw(washed, counted)
    volume, flags = anchored_volume(both, washed, "b_cells", anchors=[ONE], method="chain")
    assert volume is not None
    assert flags == ()
    assert volume.microlitres == pytest.approx(10.0 * 8_000 / 400)
    of_beads = 1 / 10_000 + 0.02**2 + 0.03**2
    assert volume.relative_variance == pytest.approx(of_beads + 1 / 400 + 1 / 8_000)
    repeated, flags = anchored_volume(both, washed, ONE, anchors=[ONE], method="chain")
    assert repeated is not None
    assert flags == (Flag.ANCHOR_ITSELF,)
    assert repeated.relative_variance == pytest.approx(of_beads + 1 / 400)


def test_what_is_tied_to_a_count_that_a_person_corrected_says_so() -> None:
    here, there = {ONE: 9_000, TWO: 700, "car19_t": 100}, {ONE: 3_000, TWO: 400}

    def flagged(population: str, *, own: str = "", partner: str = "", anchor: str = ONE) -> bool:
        one = replace(tube("bcell", here), corrected=frozenset([own]))
        other = replace(tube("tbnk", there, 10_000, **BEADS), corrected=frozenset([partner]))
        volume, flags = anchored_volume(
            draw(one, other), one, population, anchors=[anchor], method="chain"
        )
        assert volume is not None
        return Flag.ANCHORED_ON_CORRECTED in flags

    assert not flagged("car19_t")
    assert flagged("car19_t", partner=ONE)
    assert flagged("car19_t", own=ONE)
    assert not flagged("car19_t", partner=TWO)
    assert not flagged("car19_t", own="car19_t")
    assert flagged(ONE, partner=ONE)
    assert not flagged(ONE, own=ONE)


def test_an_analyser_ties_leukocytes_and_lymphocytes_and_nothing_else() -> None:
    counts = {"leukocytes_per_ul": 5_000.0, "lymphocytes_per_ul": 1_200.0}
    washed = tube("bcell", {ONE: 8_000, "lymphocytes": 2_400, "t_cells": 900}, **counts)
    volume, _ = anchored_volume(
        draw(washed), washed, "b_cells_cd20", anchors=["t_cells", "lymphocytes"], method="dual"
    )
    assert volume is not None
    assert volume.microlitres == pytest.approx(2_400 / 1_200)
    assert anchored_volume(draw(washed), washed, "car19_t", anchors=["t_cells"], method="dual") == (
        None,
        (),
    )
    nothing = tube("bcell", {ONE: 8_000}, leukocytes_per_ul=0.0)
    assert anchored_volume(draw(nothing), nothing, "b", anchors=[ONE], method="dual") == (None, ())


def test_a_chain_is_tied_to_beads_before_any_volume_and_to_most_blood_among_equals() -> None:
    washed = tube("bcell", {ONE: 8_000})
    beads = tube("tbnk-beads", {ONE: 400}, 10_000, **BEADS)
    volumes = [
        tube(f"tbnk-{size}", {ONE: 400}, acquired_volume_ul=size, dilution=1.0)
        for size in (90.0, 120.0, 100.0)
    ]
    partner = partner_of(draw(washed, *volumes, beads), washed)
    assert partner is not None
    assert partner[0] is beads
    assert partner[1].microlitres == pytest.approx(10.0)
    most = partner_of(draw(washed, *volumes), washed)
    assert most is not None
    assert most[0] is volumes[1]


@pytest.mark.parametrize(("seconds", "tied"), [(0, True), (1, False)])
def test_a_tube_drawn_up_to_the_limit_apart_is_of_the_same_draw(
    seconds: int, *, tied: bool
) -> None:
    washed = tube("bcell", {ONE: 8_000})
    later = COLLECTED + timedelta(hours=LIMITS.same_draw_hours, seconds=seconds)
    beads = tube("tbnk", {ONE: 400}, 10_000, collected=later, **BEADS)
    assert (partner_of(draw(washed, beads), washed) is not None) == tied


@pytest.mark.parametrize(("fewer", "tied"), [(0, True), (1, False)])
def test_an_anchor_of_just_enough_events_carries_the_others(fewer: int, *, tied: bool) -> None:
    washed = tube("bcell", {ONE: LIMITS.quantify_events - fewer, "b_cells": 10})
    beads = tube("tbnk", {ONE: 400}, 10_000, **BEADS)
    volume, _ = anchored_volume(
        draw(washed, beads), washed, "b_cells", anchors=[ONE], method="chain"
    )
    assert (volume is not None) == tied


def test_cells_that_passed_together_shrink_the_volume_and_half_of_them_is_an_error() -> None:
    counted = replace(tube("tbnk", {ONE: 400}, 10_000, **BEADS), alone=0.8)
    volume, _ = direct_volume(counted, ["bead"], LIMITS)
    assert volume is not None
    assert volume.microlitres == pytest.approx(0.8 * 10.0)
    shared = 0.02**2 + 0.03**2 + 0.1**2
    assert volume.systematic_variance == pytest.approx(shared)
    assert volume.relative_variance == pytest.approx(shared + 1 / 10_000)


def test_an_acquired_volume_shrinks_by_what_was_left_out_and_by_the_dilution() -> None:
    counted = tube("tbnk", {ONE: 400}, acquired_volume_ul=60.0, dilution=3.0)
    volume, _ = direct_volume(replace(counted, alone=0.9, kept=0.5), ["volumetric"], LIMITS)
    assert volume is not None
    assert volume.microlitres == pytest.approx(0.9 * 0.5 * 60.0 / 3.0)
    assert volume.systematic_variance == pytest.approx(0.03**2 + 0.05**2)
    small = tube("tbnk", {ONE: 400}, acquired_volume_ul=0.5, dilution=1.0)
    volume, _ = direct_volume(small, ["volumetric"], LIMITS)
    assert volume is not None
    assert volume.microlitres == pytest.approx(0.5)


def test_just_enough_beads_and_lymphocytes_are_enough() -> None:
    enough = {"lymphocytes": LIMITS.minimum_lymphocytes}
    volume, flags = direct_volume(
        tube("tbnk", enough, LIMITS.minimum_beads, **BEADS), ["bead"], LIMITS
    )
    assert (volume is not None, flags) == (True, ())
    fewer = {"lymphocytes": LIMITS.minimum_lymphocytes - 1}
    volume, flags = direct_volume(
        tube("tbnk", fewer, LIMITS.minimum_beads, **BEADS), ["bead"], LIMITS
    )
    assert (volume is not None, flags) == (True, (Flag.FEW_LYMPHOCYTES,))
    few = tube("tbnk", enough, LIMITS.minimum_beads - 1, **BEADS)
    assert direct_volume(few, ["bead"], LIMITS) == (None, (Flag.FEW_BEADS,))


def test_beads_that_are_not_proven_are_said_where_somebody_meant_to_count_by_them() -> None:
    doubtful = replace(tube("tbnk", {ONE: 400}, 10_000, **BEADS), bead_proof="incomplete")
    assert direct_volume(doubtful, ["bead"], LIMITS) == (None, (Flag.BEADS_INCOMPLETE,))
    stray = replace(tube("tbnk", {ONE: 400}, 10_000), bead_proof="incomplete")
    assert direct_volume(stray, ["bead"], LIMITS) == (None, ())
