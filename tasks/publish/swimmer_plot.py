"""Draw each patient's course as one line: B cells gone and back, and CAR T cells quantified."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.kinetics.rows import number
from tasks.publish.day_axis import EARLY_DAYS, scale_days
from tasks.publish.figure_style import (
    DOTTED,
    DPI,
    FADED,
    HATCH,
    INK,
    WIDTH,
    Colour,
    legend_below,
    paper_style,
    say_empty,
)
from tasks.publish.patient_lines import label_room, name_lines, patient_lines
from tasks.publish.strata import NO_STRATA
from tasks.publish.strokes import Strokes
from tasks.vocabulary.populations import B_CELLS, IN_COHORT_FIGURES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PRODUCTS = IN_COHORT_FIGURES[1:]
DEFINITION = "B_10"
"""The definition of recovery that is drawn: 10 B cells per µL."""
EARLIEST_DRAWN_DAY = -14.0
BAR_MIDDLE = -0.12
"""How far the bar of the B cells is from the middle of its line; the CAR products are below it."""


@dataclass(frozen=True, slots=True)
class Course:
    """What is drawn of one patient.

    ``blood`` has the evaluable rows of ``KINETICS``, ``parameters`` the patient's rows of
    ``PARAMETERS``; ``recovery`` is the row of ``RECOVERY`` under the drawn definition (None: there
    is none).
    """

    blood: "pd.DataFrame"
    parameters: "pd.DataFrame"
    recovery: Mapping[Hashable, Any] | None


def draw_swimmers(
    kinetics: "pd.DataFrame",
    parameters: "pd.DataFrame",
    recovery: "pd.DataFrame",
    strata: Mapping[str, str] = NO_STRATA,
) -> "Figure":
    """Draw one bar a patient: B cells gone (below 10 per µL) and back, and CAR T cells quantified.

    Depletion and recovery are drawn as intervals. The frames have the columns of ``KINETICS``,
    ``PARAMETERS`` and ``RECOVERY``. Patients of a stratum follow each other.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    lines = patient_lines(sorted(set(kinetics["patient"])), strata)
    courses = _courses(kinetics, parameters, recovery)
    height = 0.46 * max(1, len(lines)) + 1.35
    with paper_style():
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
        axes = figure.subplots()
        figure.subplots_adjust(
            left=label_room(lines),
            right=1 - 0.3 / WIDTH,
            top=1 - 0.1 / height,
            bottom=1.25 / height,
        )
        colours = sns.color_palette("colorblind", len(IN_COHORT_FIGURES))
        strokes = Strokes()
        for row, line in enumerate(lines):
            if not line.is_group:
                _draw_course(axes, strokes, row, courses[line.name], colours)
        strokes.draw(axes)
        first = min([0.0, *kinetics["day"].clip(lower=EARLIEST_DRAWN_DAY)])
        scale_days(axes, first, max([EARLY_DAYS, *kinetics["day"]]), even=True)
        axes.axvline(0, color=INK, linewidth=0.8, linestyle=":", zorder=0)
        axes.set_ylim(max(1, len(lines)) - 0.5, -0.5)
        axes.tick_params(labelsize=8.5)
        name_lines(axes, lines, 0.0)
        if not lines:
            say_empty(axes, "no patient yet")
        sns.despine(ax=axes)
        figure.text(0.5, 0.8 / height, "days since first infusion", ha="center", fontsize=9.5)
        legend_below(figure, _signs(colours), 4, text_gap=0.5)
    return figure


def _courses(
    kinetics: "pd.DataFrame", parameters: "pd.DataFrame", recovery: "pd.DataFrame"
) -> dict[str, Course]:
    from tasks.kinetics.winning_rows import winning_rows

    blood = winning_rows(kinetics[(kinetics["specimen"] == "blood") & (kinetics["code"] != "NE")])
    drawn = recovery[recovery["definition"].str.startswith(f"{DEFINITION}@")]
    recoveries = drawn.set_index("patient").to_dict("index")
    counts, derived = _by_patient(blood), _by_patient(parameters)
    return {
        patient: Course(
            counts.get(patient, blood.iloc[:0]),
            derived.get(patient, parameters.iloc[:0]),
            recoveries.get(patient),
        )
        for patient in set(kinetics["patient"])
    }


def _by_patient(frame: "pd.DataFrame") -> dict[str, "pd.DataFrame"]:
    """Part a table by patient at once; to look for each patient's rows takes a look at them all."""
    return {str(patient): rows for patient, rows in frame.groupby("patient", sort=False)}


def _draw_course(
    axes: "Axes", strokes: Strokes, row: int, course: Course, colours: Sequence[Colour]
) -> None:
    b_cells = course.blood[course.blood["population"] == B_CELLS]
    if b_cells.empty:
        _say_not_depleted(axes, row, "B cells not evaluable")
    else:
        _draw_depletion(axes, strokes, row, course.recovery, colours[0])
        last, y = float(b_cells["day"].max()), row + BAR_MIDDLE
        strokes.line("seen", (0, last), y, color=FADED, linewidth=0.9, zorder=1)
        strokes.sign("last", last, y, marker="|", size=11, color=INK, linewidth=1.6, zorder=5)
    for lane, (population, _) in enumerate(PRODUCTS):
        counts = course.blood[course.blood["population"] == population]
        parameters = course.parameters[course.parameters["population"] == population]
        y = row + 0.19 + 0.15 * lane
        _draw_persistence(axes, strokes, y, counts, parameters, colours[1 + lane])


def _draw_depletion(
    axes: "Axes",
    strokes: Strokes,
    row: int,
    recovery: Mapping[Hashable, Any] | None,
    colour: Colour,
) -> None:
    """Draw when the B cells fell, were gone and came back; or say that nobody saw them gone.

    A certain stretch is solid, an interval in which it began or ended hatched.
    """
    if recovery is None or recovery["depleted"] is not True:
        known = recovery is not None and recovery["depleted"] is False
        why = "not seen depleted" if known else "nobody can tell whether depleted"
        _say_not_depleted(axes, row, why)
        return
    onset = EARLIEST_DRAWN_DAY
    last_before = number(recovery["depletion_low"])
    if last_before is not None:
        onset = max(EARLIEST_DRAWN_DAY, last_before)
    gone, low = float(recovery["depletion_high"]), float(recovery["low"])
    y = row + BAR_MIDDLE
    strokes.bar("onset", (onset, gone), y, color=colour, hatch=HATCH)
    strokes.bar("depleted", (gone, low), y, color=colour, hatch="")
    high = number(recovery["high"])
    if high is None:
        strokes.arrow("not recovered", low, y, color=colour)
    else:
        strokes.bar("recovery", (low, high), y, color=colour, hatch=HATCH)


def _say_not_depleted(axes: "Axes", row: int, why: str) -> None:
    words = axes.text(2, row + BAR_MIDDLE, why, color=FADED, gid="not depleted")
    words.set(va="center", fontsize=8)


def _draw_persistence(
    axes: "Axes",
    strokes: Strokes,
    y: float,
    counts: "pd.DataFrame",
    parameters: "pd.DataFrame",
    colour: Colour,
) -> None:
    """Draw a CAR product from the first to the last quantified visit.

    Beyond it the line is faint until the cells were seen gone; where they were not, there is an
    arrow.
    """
    seen = counts.loc[(counts["code"] == "Q") & (counts["day"] >= 0), "day"]
    if seen.empty:
        why = "not evaluable" if counts.empty else "never quantified"
        axes.text(2, y, why, va="center", fontsize=6.5, color=colour, gid="never")
        return
    first, last = float(seen.min()), float(seen.max())
    if first == last:
        strokes.sign("once", last, y, marker="s", size=2.8, color=colour, linewidth=0.5, zorder=3)
    else:
        strokes.line("persistence", (first, last), y, color=colour, linewidth=3.2, zorder=3)
    values = parameters.set_index("parameter")["value"]
    # Both count from the product's infusion; their difference is the same on the patient's.
    gap = float(values.get("Tbql", float("nan"))) - float(values.get("Tlast", float("nan")))
    if gap > 0:
        days = last, last + gap
        strokes.line("leaving", days, y, color=colour, linewidth=1.2, zorder=3, linestyle=DOTTED)
    else:
        strokes.arrow("persisting", last, y, color=colour)


def _signs(colours: Sequence[Colour]) -> list["Artist"]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    gone = Patch(facecolor=colours[0], edgecolor=colours[0], label="B cells below 10 per µL")
    interval = Patch(facecolor="white", edgecolor=colours[0], hatch=HATCH)
    interval.set_label("fell or came back in this interval")
    arrow = Line2D([], [], linestyle="none", color=FADED, label="not over when last seen")
    arrow.set(marker=">", markersize=6)
    last = Line2D([], [], linestyle="none", color=INK, label="last evaluable B-cell visit")
    last.set(marker="|", markersize=9, markeredgewidth=1.6)
    products = [
        Line2D([], [], color=colour, linewidth=3.2, label=f"{label} quantified")
        for (_, label), colour in zip(PRODUCTS, colours[1:], strict=True)
    ]
    leaving = Line2D([], [], color=FADED, linewidth=1.2, linestyle=DOTTED)
    leaving.set_label("no longer quantified by its end")
    return [gone, interval, arrow, last, *products, leaving]
