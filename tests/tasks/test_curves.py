from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.text import Text

from tasks.publish.curves import draw_kinetic_curves
from tasks.publish.figure_bytes import png_bytes
from tasks.publish.log_axis import labelled_amounts
from tests.tasks.published_rows import DETECTED, NOT_DETECTED, NOT_EVALUABLE, at, kinetics

CAR = [("car19_t", "CAR19 T cells"), ("carbcma_t", "CARBCMA T cells")]
SERIES = kinetics(
    at(-7, **NOT_DETECTED),
    at(7, per_ul=40.0, per_ul_low=30.0, per_ul_high=50.0),
    at(14, per_ul=60.0, per_ul_low=50.0, per_ul_high=70.0),
    at(21, **NOT_EVALUABLE),
    at(28),
    at(56, **DETECTED),
    at(84, **NOT_DETECTED),
    at(364, **NOT_DETECTED),
)


def drawn(axes: Axes, sign: str) -> list[list[tuple[float, float]]]:
    lines = [line for line in axes.lines if line.get_gid() == sign]
    return [
        list(
            zip(np.asarray(x.get_xdata()).tolist(), np.asarray(x.get_ydata()).tolist(), strict=True)
        )
        for x in lines
    ]


def points(axes: Axes, sign: str) -> list[tuple[float, float]]:
    return [point for line in drawn(axes, sign) for point in line]


def test_each_population_has_its_own_plot_under_its_label():
    figure = draw_kinetic_curves(SERIES, CAR, {"CAR19": 0.0})
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "CAR19 T cells",
        "CARBCMA T cells",
    ]


def test_every_code_has_its_own_sign_at_its_own_place():
    axes = draw_kinetic_curves(SERIES, CAR[:1], {}).axes[0]
    assert points(axes, "Q") == [(7.0, 40.0), (14.0, 60.0), (28.0, 5.3)]
    assert points(axes, "DNQ") == [(56.0, 0.75)]
    assert points(axes, "ND") == [(-7.0, 0.5), (84.0, 0.5), (364.0, 0.5)]
    assert [day for day, _ in points(axes, "NE")] == [21.0]
    assert [day for day, _ in points(axes, "LLOQ")] == [
        -7.0,
        7.0,
        14.0,
        21.0,
        28.0,
        56.0,
        84.0,
        364.0,
    ]


def test_no_line_runs_through_a_visit_without_a_number():
    axes = draw_kinetic_curves(SERIES, CAR[:1], {}).axes[0]
    assert [[day for day, _ in line] for line in drawn(axes, "joined")] == [
        [7.0, 14.0],
        [28.0, 56.0],
    ]


def test_intervals_are_drawn_where_there_is_a_number():
    axes = draw_kinetic_curves(SERIES, CAR[:1], {}).axes[0]
    intervals = next(c for c in axes.collections if c.get_gid() == "interval").get_segments()
    assert [segment[:, 1].tolist() for segment in intervals] == [
        [30.0, 50.0],
        [50.0, 70.0],
        [4.6, 6.1],
        [0.5, 1.07],
    ]


def test_a_population_nobody_measured_and_one_never_evaluable_say_so():
    lost = kinetics(at(7, **NOT_EVALUABLE))
    figure = draw_kinetic_curves(lost, CAR, {})
    reasons = [t.get_text() for t in figure.findobj(Text) if t.get_gid() == "empty"]
    assert reasons == ["no evaluable visit", "not measured"]


def test_a_patient_without_any_result_still_has_a_figure():
    assert png_bytes(draw_kinetic_curves(SERIES[:0], CAR, {})).startswith(b"\x89PNG")


def test_each_infusion_is_marked_on_its_day():
    axes = draw_kinetic_curves(SERIES, CAR[:1], {"CAR19": 0.0, "CARBCMA": 1.0}).axes[0]
    assert sorted({x for x, _ in points(axes, "infusion")}) == [0.0, 1.0]


def test_axes_carry_units_and_day_labels_do_not_touch():
    figure = draw_kinetic_curves(SERIES, [*CAR, ("car_any_t", "Any CAR T cell")], {})
    png_bytes(figure)
    words = [t.get_text() for t in figure.texts]
    assert "cells per µL (log scale)" in words
    assert "days since infusion (logarithmic after day 28)" in words
    labels = [label.get_window_extent() for label in figure.axes[0].get_xticklabels()]
    assert len(labels) >= 6
    assert all(left.x1 < right.x0 for left, right in pairwise(labels))


def test_marrow_is_drawn_in_percent_without_limits():
    marrow = {"specimen": "marrow", "population": "long_lived_plasma_cells", "method": "none"}
    bare = {
        "per_ul": None,
        "per_ul_low": None,
        "per_ul_high": None,
        "lod_per_ul": None,
        "lloq_per_ul": None,
    }
    rows = kinetics(
        at(-7, **marrow, **bare, percent_reference=0.3), at(28, **(NOT_DETECTED | marrow | bare))
    )
    figure = draw_kinetic_curves(
        rows,
        [("long_lived_plasma_cells", "Long-lived plasma cells")],
        {"CAR19": 0.0},
        specimen="marrow",
    )
    assert points(figure.axes[0], "Q") == [(-7.0, 0.3)]
    assert [day for day, _ in points(figure.axes[0], "ND")] == [28.0]
    assert "% of reference (log scale)" in [t.get_text() for t in figure.texts]
    assert "lower limit of quantification" not in [
        t.get_text() for t in figure.legends[0].get_texts()
    ]


@given(
    low=st.floats(1e-6, 1e6),
    times=st.floats(1.02, 1e6),
)
def test_a_logarithmic_axis_always_has_two_labels_within_it(low: float, times: float) -> None:
    labels = labelled_amounts(low, low * times)
    assert len(labels) >= 2
    assert all(low * 0.99 <= label <= low * times * 1.01 for label in labels)
    assert len(set(labels)) == len(labels)


def test_amounts_between_two_powers_of_ten_are_labelled_in_steps() -> None:
    """One visit of 2 cells/µL: the axis reaches from 0.11 to 5.4 and holds one power of ten."""
    rows = kinetics(at(7, per_ul=2.0, per_ul_low=1.5, per_ul_high=3.0))
    axes = draw_kinetic_curves(rows, CAR[:1], {}).axes[0]
    low, high = axes.get_ylim()
    assert [label for label in axes.get_yticks() if low <= label <= high] == [0.2, 0.5, 1, 2, 5]
