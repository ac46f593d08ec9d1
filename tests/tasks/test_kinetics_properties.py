"""Whatever the samples, areas add up, units only scale, order and repetition change nothing, and
more visits only narrow what is known."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tasks.kinetics.areas import area
from tasks.kinetics.nca import NAMES, PartialArea, partial_area
from tasks.kinetics.nca_rules import NcaRules
from tasks.kinetics.recovery import Crossing, RecoverySettings, VisitCount, definitions, recovery
from tasks.kinetics.sample_series import series
from tests.tasks.nca_values import nca

CONC = st.one_of(st.just(0.0), st.floats(1e-3, 1e5))
CURVES = st.lists(st.tuples(st.floats(0.01, 30.0), CONC), min_size=2, max_size=15).map(
    lambda steps: (np.cumsum([step for step, _ in steps]), np.array([conc for _, conc in steps]))
)
RULES = st.builds(
    NcaRules,
    blq_first=st.sampled_from(["zero", "drop"]),
    blq_middle=st.sampled_from(["zero", "drop"]),
    blq_last=st.sampled_from(["zero", "drop"]),
    auc_method=st.sampled_from(["lin-up-log-down", "linear"]),
)
SIZED = [name for name in NAMES if name in {"Cmax", "Clast"} or name.startswith("AUC")]


def analysed(time, conc, rules):
    return nca(time, conc, conc == 0, rules)


@given(curve=CURVES, rules=RULES, data=st.data())
def test_areas_of_adjacent_intervals_add_up(curve, rules, data):
    time, conc = curve
    cut = data.draw(st.integers(0, len(time) - 1))
    parts = area(time[: cut + 1], conc[: cut + 1], rules) + area(time[cut:], conc[cut:], rules)
    assert parts == pytest.approx(area(time, conc, rules), rel=1e-9)


@given(curve=CURVES, rules=RULES, factor=st.floats(1e-3, 1e3))
def test_another_unit_of_concentration_scales_amounts_and_nothing_else(curve, rules, factor):
    time, conc = curve
    before, after = analysed(time, conc, rules), analysed(time, conc * factor, rules)
    for name in NAMES:
        expected = (
            before[name] * factor if name in SIZED and before[name] is not None else before[name]
        )
        assert (after[name] is None) == (expected is None), name
        assert expected is None or after[name] == pytest.approx(expected, rel=1e-6), name


@given(curve=CURVES, rules=RULES, factor=st.floats(0.01, 100))
def test_another_unit_of_time_scales_areas(curve, rules, factor):
    time, conc = curve
    assert area(time * factor, conc, rules) == pytest.approx(
        factor * area(time, conc, rules), rel=1e-9
    )


@given(curve=CURVES, rules=RULES, more=st.floats(1.0, 10.0), place=st.integers(0, 14))
@example(
    curve=(np.array([1.0, 2.5]), np.array([300000.0, 300000.0])),
    rules=NcaRules(),
    more=1 + 2**-52,
    place=0,
)
def test_more_cells_never_make_less_area(curve, rules, more, place):
    """Of samples that have cells: a fall to zero is a straight line, one to nearly zero a
    logarithm, and that lies below."""
    time, conc = curve
    assume((conc > 0).any())
    raised = conc.copy()
    filled = np.flatnonzero(conc)
    raised[filled[place % filled.size]] *= more
    assert area(time, raised, rules) >= area(time, conc, rules) * (1 - 1e-9)


@given(curve=CURVES, rules=RULES, data=st.data())
def test_the_order_of_rows_changes_nothing(curve, rules, data):
    time, conc = curve
    order = np.array(data.draw(st.permutations(range(len(time)))))
    assert analysed(time[order], conc[order], rules) == analysed(time, conc, rules)


@given(curve=CURVES, rules=RULES)
def test_repeated_samples_are_averaged_or_refused(curve, rules):
    time, conc = curve
    averaging = rules.model_copy(update={"duplicates": "average"})
    once, twice = (
        analysed(time, conc, averaging),
        analysed(np.repeat(time, 2), np.repeat(conc, 2), averaging),
    )
    assert twice == pytest.approx(once, rel=1e-12, nan_ok=True)
    halved = analysed(np.repeat(time, 2), np.ravel(np.column_stack([conc, 0 * conc])), averaging)
    assert halved["Cmax"] == (None if once["Cmax"] is None else pytest.approx(once["Cmax"] / 2))
    with pytest.raises(ValueError, match="two samples have the same time"):
        analysed(np.repeat(time, 2), np.repeat(conc, 2), rules)


@given(
    curve=CURVES,
    rules=RULES,
    early=st.lists(
        st.tuples(st.floats(-50, -0.01), st.floats(0, 1e4)), max_size=4, unique_by=lambda e: e[0]
    ),
)
def test_samples_before_infusion_and_missing_ones_change_nothing(curve, rules, early):
    time, conc = curve
    with_early = (
        np.concatenate([[t for t, _ in early], time]),
        np.concatenate([[c for _, c in early], conc]),
    )
    assert analysed(*with_early, rules) == analysed(time, conc, rules)
    missing = np.append(time, time[-1] + 1), np.append(conc, math.nan)
    assert nca(*missing, missing[1] == 0, rules) == analysed(time, conc, rules)
    with pytest.raises(ValueError, match="times must be finite"):
        analysed(np.append(time, math.nan), np.append(conc, 1.0), rules)


@given(curve=CURVES, rules=RULES)
def test_partial_areas_grow_with_their_end(curve, rules):
    time, conc = curve
    found = [partial_area(series(time, conc, conc == 0, rules), end) for end in (28, 84, 168)]
    sizes = [each.value for each in found if isinstance(each, PartialArea)]
    assert all(later >= earlier * (1 - 1e-9) for earlier, later in itertools.pairwise(sizes))


def from_day(crossing: Crossing) -> float:
    """Give the day after which it lies; day 0 is a day."""
    return -math.inf if crossing.low is None else crossing.low


def to_day(crossing: Crossing) -> float:
    return math.inf if crossing.high is None else crossing.high


def visit(day: float, level: float) -> VisitCount:
    code = "Q" if level >= 1.25 else "ND"
    return VisitCount(
        day, code, level if code == "Q" else None, 0.5, 1.25, None, percent_known=False
    )


@given(
    bottom=st.floats(20, 200),
    slope=st.floats(0.03, 0.3),
    days=st.lists(st.integers(-10, 400), min_size=4, max_size=25, unique=True).map(sorted),
    kept=st.sets(st.integers(0, 24), min_size=3),
)
@example(bottom=20.0, slope=0.25, days=[0, 1, 2, 3], kept={1, 2, 3})
def test_recovery_intervals_nest_as_visits_are_added(bottom, slope, days, kept):
    """Cells that go once and come back once: every visit more can only narrow when."""

    def level(day: int) -> float:
        return (
            80 * math.exp(-0.8 * max(day, 0))
            if day < bottom
            else 200 / (1 + math.exp(-slope * (day - bottom - 60)))
        )

    fewer = sorted({days[place % len(days)] for place in kept})
    for definition in (each for each in definitions(RecoverySettings()) if each.basis == "per_ul"):
        known, better = (
            recovery([visit(day, level(day)) for day in chosen], definition)
            for chosen in (fewer, days)
        )
        assume(known.depletion is not None and better.depletion is not None)
        for before, after in (
            (known.depletion, better.depletion),
            (known.recovery, better.recovery),
        ):
            assert from_day(before) <= from_day(after)
            assert to_day(after) <= to_day(before)
