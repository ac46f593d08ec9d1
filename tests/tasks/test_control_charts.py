"""A series is held against its limits, what matters is said, and patients are no drift."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tasks.control_charts.bridging import Bridging, bridge
from tasks.control_charts.drift import Event, drifts, matters
from tasks.control_charts.history import breaches
from tasks.control_charts.limits import ControlLimits, limits_of_first
from tasks.control_charts.series import Chart, Reading, Series, judge
from tasks.control_charts.westgard import Rule
from tasks.vocabulary.signals import SignalName, Statistic, signal_name

CD3 = SignalName("t_cells", "CD3", "median")
BEADS = SignalName("beads", "CD3", "median")
FIRST = datetime(2026, 1, 1, 9, tzinfo=UTC)
KNOWN = ControlLimits(1000.0, 20.0, 25, provisional=False, origin="tbnk/lyric@1.0.0")


def series(
    values: Sequence[float],
    signal: SignalName = CD3,
    *,
    donors: Sequence[str] = tuple(f"P{i}" for i in range(12)),
    limits: ControlLimits | None = None,
    change: Callable[[Reading, int], Reading] = lambda reading, _: reading,
) -> Series:
    """Make a series of one tube a day, its donors taking turns."""
    readings = [
        Reading(
            tube=f"{i:03d}",
            file=f"t{i}.fcs",
            acquired=FIRST + timedelta(days=i),
            day=(FIRST + timedelta(days=i)).date().isoformat(),
            value=float(value),
            events=1000,
            donor="beads" if signal.of_beads else donors[i % len(donors)],
            is_control=signal.of_beads,
            limits=limits,
        )
        for i, value in enumerate(values)
    ]
    changed = tuple(change(reading, i) for i, reading in enumerate(readings))
    return Series("tbnk", signal, "FITC-A", changed)


def steady(number: int, seed: int = 1) -> list[float]:
    """Give values around 1000 with an SD of 20 that break no rule."""
    return (1000 + 20 * np.random.default_rng(seed).uniform(-1.5, 1.5, number)).tolist()


def sentence(chart: Chart, events: Sequence[Event] = ()) -> str:
    (drift,) = drifts("Lyric R1", [chart], events)
    return drift.sentence


# Limits


def test_limits_are_mean_and_sd_of_the_first_twenty() -> None:
    values = steady(40)
    limits = limits_of_first(values).limits
    assert limits == ControlLimits(
        pytest.approx(np.mean(values[:20])),
        pytest.approx(np.std(values[:20], ddof=1)),
        20,
        provisional=False,
    )


@pytest.mark.parametrize("number", [10, 11, 19])
def test_limits_of_fewer_are_provisional(number: int) -> None:
    limits = limits_of_first(steady(number)).limits
    assert limits is not None
    assert (limits.provisional, limits.tubes) == (True, 10)


@pytest.mark.parametrize("number", [0, 1, 9])
def test_nine_tubes_set_no_limits(number: int) -> None:
    chart = judge(series(steady(number)))
    assert chart.limits == (None,) * number
    assert chart.violations == ()
    assert chart.last is None


def test_one_bad_tube_among_the_first_does_not_widen_the_limits() -> None:
    values = steady(30)
    spoilt = [*values[:7], 3000.0, *values[8:]]
    reference = limits_of_first(spoilt)
    assert reference.outlying == (7,)
    assert reference.limits is not None
    assert reference.limits.sd < 30
    assert not reference.limits.provisional


def test_first_tubes_of_two_levels_are_all_kept() -> None:
    reference = limits_of_first([*steady(12), *[1500.0, 1505.0] * 4])
    assert reference.outlying == ()
    assert reference.limits is not None
    assert reference.limits.sd > 200


def test_a_signal_that_does_not_vary_has_no_limits() -> None:
    chart = judge(series([0.0] * 30))
    assert set(chart.limits) == {None}
    assert chart.now == ()


def test_the_tubes_that_set_the_target_are_not_judged_by_it() -> None:
    chart = judge(series(steady(30)))
    assert [z is None for z in chart.z] == [True] * 20 + [False] * 10


def test_the_limits_of_a_calibration_hold_from_the_first_tube() -> None:
    chart = judge(series([1000.0, 1070.0], limits=KNOWN))
    assert chart.z == (0.0, 3.5)
    assert chart.now == (Rule.ONE_3S,)


def test_a_run_does_not_reach_over_a_new_calibration() -> None:
    later = replace(KNOWN, origin="tbnk/lyric@2.0.0")
    values = [1010.0] * 16
    both = series(values, change=lambda each, i: replace(each, limits=KNOWN if i < 8 else later))
    assert judge(both).violations == ()
    assert judge(series(values, limits=KNOWN)).now == (Rule.TEN_X,)


# Patients


def test_tubes_after_an_infusion_are_shown_and_not_judged() -> None:
    chart = judge(
        series(
            [*steady(30), 5000.0, 5000.0, 1000.0],
            change=lambda each, i: replace(each, not_judged="" if i not in (30, 31) else "after"),
        )
    )
    assert chart.z[30] is None
    assert chart.violations == ()
    assert len(chart.z) == 33


def test_one_patient_who_differs_is_no_drift() -> None:
    values = [*steady(24), 990.0, *[1100.0] * 12]
    alone = series(values, change=lambda each, i: replace(each, donor="X") if i >= 25 else each)
    assert {each.rule for each in judge(alone).violations} <= {Rule.ONE_3S}
    assert not matters(judge(alone))


def test_new_patients_who_differ_are_no_drift_and_the_same_ones_are() -> None:
    values = [*steady(25), *[1100.0] * 12]
    new = series(
        values, change=lambda each, i: replace(each, donor=f"N{i % 6}") if i >= 25 else each
    )
    shift = judge(new).shift
    assert shift is not None
    assert shift.within is None
    assert not matters(judge(new))
    many = series(values, change=lambda each, i: replace(each, donor=f"N{i}") if i >= 25 else each)
    assert matters(judge(many))
    same = judge(series(values))
    assert same.shift is not None
    assert same.shift.within == pytest.approx(100, abs=10)
    assert matters(same)


def test_a_patient_whose_tubes_set_the_target_is_a_witness_each_time() -> None:
    """Where all tubes are of one patient, the target is that patient's own."""
    values = [*steady(25), *[1100.0] * 12]
    chart = judge(series(values, donors=("P1",)))
    assert Rule.TEN_X in chart.now
    assert matters(chart)
    rare = series(values, donors=[*(f"Q{i}" for i in range(18)), "P1", "P1"])
    later = judge(
        replace(
            rare,
            readings=tuple(
                replace(each, donor="P1") if i >= 25 else each
                for i, each in enumerate(rare.readings)
            ),
        )
    )
    assert Rule.TEN_X not in later.now


def test_beads_need_no_patients() -> None:
    chart = judge(series([*steady(25), *[1100.0] * 4], BEADS))
    assert matters(chart)
    assert "laser" in sentence(chart)
    assert "beads" in sentence(chart)


@pytest.mark.parametrize(
    ("name", "watched"),
    [
        ("t_cells/CD3/median", True),
        ("t_cells/CD45/median", True),
        ("monocyte_like/CD38/median", False),
        ("granulocyte_like/CD24/median", False),
        ("beads/CD4/median", True),
        ("beads/CD4/cv", True),
        ("t_cells/CD19/spread", True),
        ("t_cells/CD19/mode", False),
        ("t_cells/CD19/spill", True),
        ("root/SSC-A/margin", False),
    ],
)
def test_only_what_patients_do_not_move_is_watched(name: str, *, watched: bool) -> None:
    signal = signal_name(name)
    assert signal is not None
    assert str(signal) == name
    assert signal.is_watched is watched
    assert signal.in_words


@pytest.mark.parametrize("text", ["", "CD3", "t_cells/CD3/other", "/CD3/median", "t_cells//median"])
def test_a_name_that_is_none_is_not_read(text: str) -> None:
    assert signal_name(text) is None


def test_a_marker_with_a_slash_keeps_it() -> None:
    assert signal_name("t_cells/CD14/viability/spread") == SignalName(
        "t_cells", "CD14/viability", "spread"
    )


# Drift in words


def test_a_drift_is_said_with_its_size_since_when_and_what_to_do() -> None:
    chart = judge(series([*steady(24), *[1080.0] * 12]))
    assert sentence(chart) == (
        "CD3 of T cells (FITC-A, panel tbnk) on Lyric R1 has read 8 % above its target in the "
        "last 12 tubes, since 2026-01-25 (rules 2-2s, 4-1s, 10x). Check the laser, the detector's "
        "voltage and the stain, or calibrate anew."
    )


def test_a_detector_that_fades_slowly_is_said_before_it_has_lost_a_tenth() -> None:
    values = np.array(steady(60)) * np.concatenate([np.ones(25), 1 - 0.005 * np.arange(35)])
    first = next(n for n in range(26, 60) if matters(judge(series(values[:n].tolist()))))
    assert 1 - values[first - 1] / 1000 < 0.13
    shift = judge(series(values[:first].tolist())).shift
    assert shift is not None
    assert shift.change is not None
    assert -0.10 < shift.change < -0.05


@pytest.mark.parametrize(
    ("shifted", "said"), [(1012.0, False), (1044.0, False), (1060.0, True), (940.0, True)]
)
def test_a_shift_too_small_to_change_a_count_stays_on_the_page(
    shifted: float, *, said: bool
) -> None:
    chart = judge(series([*steady(24), *[shifted] * 12], limits=KNOWN))
    assert Rule.TEN_X in chart.now
    assert matters(chart) is said


@pytest.mark.parametrize(
    ("statistic", "shifted", "said"),
    [
        ("spread", 1250.0, True),
        ("spread", 1150.0, False),
        ("spread", 750.0, False),
        ("median", 750.0, True),
    ],
)
def test_a_wider_spread_matters_and_a_narrower_one_does_not(
    statistic: Statistic, shifted: float, *, said: bool
) -> None:
    chart = judge(series([*steady(24), *[shifted] * 12], SignalName("t_cells", "CD3", statistic)))
    assert matters(chart) is said


@pytest.mark.parametrize(("shifted", "said"), [(0.10, False), (0.20, True), (0.0, False)])
def test_spillover_matters_from_a_tenth_of_the_boundary(shifted: float, *, said: bool) -> None:
    spill = SignalName("t_cells", "CD19", "spill")
    values = [value / 20_000 for value in steady(24)]
    chart = judge(series([*values, *[shifted] * 12], spill))
    assert matters(chart) is said
    if said:
        assert sentence(chart).endswith("Run the compensation controls again.")


def test_provisional_limits_decide_nothing() -> None:
    chart = judge(series([*steady(10), *[1200.0] * 9]))
    assert chart.now
    assert not matters(chart)


def test_a_drift_that_is_over_is_history() -> None:
    chart = judge(series([*steady(24), *[1080.0] * 12, 990.0]))
    assert chart.shift is None
    assert chart.now == ()
    ended = {each.rule: each for each in breaches(chart)}
    assert set(ended) == {Rule.ONE_3S, Rule.TWO_2S, Rule.FOUR_1S, Rule.TEN_X}
    assert ended[Rule.TEN_X].until == "2026-02-05"
    assert not any(each.lasts for each in ended.values())


def test_a_rule_broken_twice_is_two_breaches() -> None:
    chart = judge(series([1000.0, 1070.0, 1000.0, 1070.0, 1075.0], limits=KNOWN))
    single = [each for each in breaches(chart) if each.rule == Rule.ONE_3S]
    assert [(each.since, each.tubes, each.lasts) for each in single] == [
        ("2026-01-02", 1, False),
        ("2026-01-04", 2, True),
    ]


def test_a_service_at_the_beginning_is_named_and_an_old_one_is_not() -> None:
    chart = judge(series([*steady(24), *[1080.0] * 12]))
    assert "It began about 2026-01-24 (laser replaced). " in sentence(
        chart, [Event("2026-01-03", "cleaned"), Event("2026-01-24", "laser replaced")]
    )
    assert "cleaned" not in sentence(chart, [Event("2026-01-03", "cleaned")])


def test_a_new_lot_at_the_beginning_is_named_unless_lots_change_all_the_time() -> None:
    values = [*steady(24), *[1080.0] * 12]
    new = judge(series(values, change=lambda e, i: replace(e, lot="B" if i >= 23 else "A")))
    assert "The lot changed to B on 2026-01-24. " in sentence(new)
    weekly = judge(series(values, change=lambda e, i: replace(e, lot=f"W{i // 3}")))
    assert "lot changed" not in sentence(weekly)


def test_a_detector_is_said_once_and_the_worst_first() -> None:
    mild, bad = [*steady(24), *[1080.0] * 12], [*steady(24), *[1200.0] * 12]
    other = replace(series(bad, SignalName("t_cells", "CD45", "median")), detector="V500-A")
    charts = [judge(series(mild)), judge(series(mild, BEADS)), judge(other)]
    found = drifts("Lyric R1", charts)
    assert [each.chart.series.detector for each in found] == ["V500-A", "FITC-A"]


def test_false_sentences_are_rare() -> None:
    """Of 600 signals of a steady instrument watched for 60 tubes, patients differing by 10 %."""
    rng = np.random.default_rng(3)
    said = 0
    for _ in range(600):
        patient = rng.normal(0, 0.10, 12)
        values = 1000 * (1 + rng.normal(0, 0.03, 60) + np.tile(patient, 5))
        said += matters(judge(series(values.tolist())))
    assert said <= 3


# Lots


def pairs(ratio: float, number: int) -> list[tuple[dict[str, float], dict[str, float]]]:
    rng = np.random.default_rng(4)
    old = rng.uniform(5_000, 20_000, number).tolist()
    return [({"s": value}, {"s": value * ratio}) for value in old]


@pytest.mark.parametrize(
    ("ratio", "number", "verdict"),
    [
        (1.0, 5, "accepted"),
        (0.81, 5, "accepted"),
        (1.24, 8, "accepted"),
        (0.79, 5, "refused"),
        (1.26, 5, "refused"),
        (1.0, 4, "too few tubes: 4 of 5"),
        (2.0, 1, "too few tubes: 1 of 5"),
    ],
)
def test_a_new_lot_is_judged_by_five_samples(ratio: float, number: int, verdict: str) -> None:
    bridging = bridge("tbnk", ("A", "B"), pairs(ratio, number))
    (found,) = bridging.ratios
    assert found.in_words == verdict
    assert found.ratio == pytest.approx(ratio)
    assert (found.samples, bridging.samples) == (number, number)


def test_the_ratio_is_the_geometric_mean_whichever_lot_is_the_new_one() -> None:
    one = [({"s": 100.0}, {"s": 200.0}), ({"s": 100.0}, {"s": 50.0})]
    assert bridge("p", ("A", "B"), one).ratios[0].ratio == pytest.approx(1)
    assert bridge("p", ("A", "B"), one).ratios[0].lowest == pytest.approx(0.5)
    assert bridge("p", ("A", "B"), one).ratios[0].highest == pytest.approx(2)


def test_a_signal_that_one_tube_lacks_is_not_compared_there() -> None:
    measured = [({"s": 1.0, "t": 1.0}, {"s": 1.0}), ({"s": 1.0}, {"s": 0.0, "t": 1.0})]
    assert [(r.signal, r.samples) for r in bridge("p", ("A", "B"), measured).ratios] == [("s", 1)]
    assert bridge("p", ("A", "B"), []) == Bridging("p", "A", "B", 0, ())
