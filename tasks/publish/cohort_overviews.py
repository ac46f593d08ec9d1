"""Draw who is where: each patient's depletion, recovery and CAR persistence, the visits there are, and the exposures."""

import itertools
import textwrap
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tasks.publish.cohort_plots import DRAWN, WIDTH, Colour, stratum_colours, stratum_signs
from tasks.publish.curves import DPI, EARLY_DAYS, FADED, INK, scale_days
from tasks.publish.wording import significant
from tasks.vocabulary.populations import B_CELLS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PRODUCTS = DRAWN[1:]
SWIMMER_DEFINITION = "B_10"
EARLIEST_DRAWN_DAY = -14.0
COUNTED, NOTHING_EVALUABLE, MISSING, NOT_REACHED = (
    "counted",
    "nothing evaluable",
    "missing",
    "not reached",
)
STATES = {
    COUNTED: ("#cfe8da", "●"),
    NOTHING_EVALUABLE: ("#f8dfa5", "×"),
    MISSING: ("#ffffff", "–"),
    NOT_REACHED: ("#eceff3", ""),
}
NO_STRATA: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a figure with a line a patient: the patient, or the name of the group whose patients follow."""

    name: str
    is_group: bool = False


def lines_of(patients: Sequence[str], strata: Mapping[str, str]) -> list[Line]:
    """Order the patients by group and name, each group under its name; without groups by name."""
    found: list[Line] = []
    for group, own in itertools.groupby(
        sorted(patients, key=lambda name: (strata.get(name, ""), name)),
        lambda name: strata.get(name, ""),
    ):
        found += [Line(group, is_group=True)] if group else []
        found += [Line(name) for name in own]
    return found


def draw_swimmers(
    kinetics: "pd.DataFrame",
    parameters: "pd.DataFrame",
    recovery: "pd.DataFrame",
    strata: Mapping[str, str] = NO_STRATA,
) -> "Figure":
    """Draw one bar a patient: B cells gone (below 10 per µL) and back, both as intervals, and how long CAR T cells were quantified.

    The frames have the columns of ``KINETICS``, ``PARAMETERS`` and ``RECOVERY``. Patients of a
    stratum stand together.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    from tasks.kinetics.winning_rows import winning_rows

    lines = lines_of(sorted(set(kinetics["patient"])), strata)
    blood = winning_rows(kinetics[(kinetics["specimen"] == "blood") & (kinetics["code"] != "NE")])
    judged = (
        recovery[recovery["definition"].str.startswith(f"{SWIMMER_DEFINITION}@")]
        .set_index("patient")
        .to_dict("index")
    )
    body = 0.46 * max(1, len(lines))
    height = body + 1.35
    with sns.axes_style("ticks"), sns.plotting_context("paper", font_scale=1.0):
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
        axes = figure.subplots()
        figure.subplots_adjust(
            left=_label_room(lines),
            right=1 - 0.3 / WIDTH,
            top=1 - 0.1 / height,
            bottom=1.25 / height,
        )
        colours = sns.color_palette("colorblind", len(DRAWN))
        for row, line in enumerate(lines):
            if line.is_group:
                continue
            own = blood[blood["patient"] == line.name]
            _draw_depletion(
                axes, row, judged.get(line.name), own[own["population"] == B_CELLS], colours[0]
            )
            for lane, (population, _) in enumerate(PRODUCTS):
                tbql = parameters[
                    (parameters["patient"] == line.name) & (parameters["population"] == population)
                ]
                _draw_persistence(
                    axes,
                    row + 0.19 + 0.15 * lane,
                    own[own["population"] == population],
                    tbql,
                    colours[1 + lane],
                )
        scale_days(
            axes,
            min([0.0, *kinetics["day"].clip(lower=EARLIEST_DRAWN_DAY)]),
            max([EARLY_DAYS, *kinetics["day"]]),
            even=True,
        )
        axes.axvline(0, color=INK, linewidth=0.8, linestyle=":", zorder=0)
        axes.set_ylim(max(1, len(lines)) - 0.5, -0.5)
        axes.tick_params(labelsize=8.5)
        _name_lines(axes, lines, 0.0)
        if not lines:
            axes.text(
                0.5,
                0.5,
                "no patient yet",
                transform=axes.transAxes,
                ha="center",
                va="center",
                color=FADED,
                gid="empty",
            )
        sns.despine(ax=axes)
        figure.text(0.5, 0.8 / height, "days since first infusion", ha="center", fontsize=9.5)
        figure.legend(
            handles=_swimmer_signs(colours),
            loc="lower center",
            ncols=4,
            frameon=False,
            fontsize=8,
            handletextpad=0.5,
        )
    return figure


def visit_states(kinetics: "pd.DataFrame") -> tuple[list[str], dict[str, list[str]]]:
    """Say for each patient and visit whether blood was counted: the visits by median day, and each patient's states.

    Counted: B cells or CAR T cells could be evaluated. Nothing evaluable: there are tubes, but they
    allow no statement on either. Missing: no blood tube, though the patient came to a later visit.
    """
    blood = kinetics[kinetics["specimen"] == "blood"]
    visits = [
        str(v) for v in blood.groupby("visit")["day"].median().sort_values(kind="stable").index
    ]
    told = blood[blood["population"].isin([name for name, _ in DRAWN]) & (blood["code"] != "NE")]
    present = set(zip(blood["patient"], blood["visit"], strict=True))
    counted = set(zip(told["patient"], told["visit"], strict=True))
    states = {}
    for patient in sorted(set(kinetics["patient"])):
        last = max((i for i, visit in enumerate(visits) if (patient, visit) in present), default=-1)
        states[str(patient)] = [
            COUNTED if (patient, visit) in counted
            else NOTHING_EVALUABLE if (patient, visit) in present
            else MISSING if i < last
            else NOT_REACHED
            for i, visit in enumerate(visits)
        ]  # fmt: skip
    return visits, states


def draw_completeness(kinetics: "pd.DataFrame", strata: Mapping[str, str] = NO_STRATA) -> "Figure":
    """Draw which visit of which patient was counted, allowed no statement, or is missing; see ``visit_states``."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch, Rectangle

    visits, states = visit_states(kinetics)
    lines = lines_of(list(states), strata)
    height = 1.25 + 0.3 * max(1, len(lines))
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    axes = figure.subplots()
    figure.subplots_adjust(
        left=_label_room(lines), right=1 - 0.15 / WIDTH, top=1 - 0.62 / height, bottom=0.5 / height
    )
    for row, line in enumerate(lines):
        for column, state in enumerate([] if line.is_group else states[line.name]):
            colour, sign = STATES[state]
            axes.add_patch(
                Rectangle(
                    (column, row),
                    1,
                    1,
                    facecolor=colour,
                    edgecolor="white",
                    linewidth=1.5,
                    gid=state,
                )
            )
            axes.text(
                column + 0.5, row + 0.5, sign, ha="center", va="center", fontsize=9, color=INK
            )
    axes.set_xlim(0, max(1, len(visits)))
    axes.set_ylim(max(1, len(lines)), 0)
    axes.set_xticks(
        [i + 0.5 for i in range(len(visits))],
        visits,
        rotation=45,
        ha="left",
        rotation_mode="anchor",
    )
    axes.tick_params(
        length=0, labelsize=8.5, top=False, labeltop=True, bottom=False, labelbottom=False
    )
    _name_lines(axes, lines, 0.5)
    for spine in axes.spines.values():
        spine.set(color="#d9dfe6")
    if not states:
        axes.text(
            0.5,
            0.5,
            "no visit yet",
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=FADED,
            gid="empty",
        )
    signs = [
        Patch(facecolor=colour, edgecolor=FADED, linewidth=0.5, label=f"{sign} {state}".strip())
        for state, (colour, sign) in STATES.items()
    ]
    figure.legend(handles=signs, loc="lower center", ncols=4, frameon=False, fontsize=8.5)
    return figure


def draw_exposure(
    parameters: "pd.DataFrame", patients: Sequence[str], strata: Mapping[str, str] = NO_STRATA
) -> "Figure":
    """Draw the exposure of every patient (AUC, day 0 to 28) from the highest to the lowest, one plot a product.

    ``parameters`` has the columns of ``PARAMETERS``. Who has no exposure is named under the plot
    and has no bar. A hatched bar is a lower bound. Patients of a stratum have its colour.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    groups = stratum_colours(strata.values())
    signs = 0.15 + 0.2 * -(-len(groups) // 3) if groups else 0.0
    height = 0.3 + 2.95 * len(PRODUCTS) + signs
    with sns.axes_style("ticks"), sns.plotting_context("paper", font_scale=1.0):
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
        grid = figure.subplots(len(PRODUCTS), 1, squeeze=False)[:, 0]
        colours = sns.color_palette("colorblind", len(DRAWN))[1:]
        for axes, (population, label), colour in zip(grid, PRODUCTS, colours, strict=True):
            chosen = parameters[
                (parameters["population"] == population) & (parameters["parameter"] == "AUC0-28")
            ]
            bars = {patient: groups.get(strata.get(patient, ""), colour) for patient in patients}
            _draw_bars(axes, chosen[chosen["specimen"] == "blood"], bars)
            axes.set_title(label, loc="left", fontsize=10, fontweight="bold", color=INK)
            sns.despine(ax=axes)
        figure.subplots_adjust(
            left=0.85 / WIDTH,
            right=1 - 0.15 / WIDTH,
            top=1 - 0.32 / height,
            bottom=(0.8 + signs) / height,
            hspace=0.62,
        )
        figure.text(
            0.13 / WIDTH,
            0.53,
            "AUC0-28 (cells × days per µL)",
            rotation=90,
            va="center",
            ha="center",
            fontsize=9.5,
        )
        if groups:
            handles = stratum_signs(groups, patients, strata)
            figure.legend(
                handles=handles,
                loc="lower center",
                ncols=3,
                frameon=False,
                fontsize=8,
                handletextpad=0.4,
            )
    return figure


def _name_lines(axes: "Axes", lines: Sequence[Line], middle: float) -> None:
    """Write the patients' names beside their lines (``middle`` below its upper end) and those of the groups in bold."""
    axes.set_yticks([row + middle for row in range(len(lines))], [line.name for line in lines])
    for label, tick, line in zip(
        axes.get_yticklabels(), axes.yaxis.get_major_ticks(), lines, strict=True
    ):
        if line.is_group:
            label.set(fontweight="bold", color=INK)
            tick.tick1line.set_visible(False)


def _draw_depletion(
    axes: "Axes",
    row: int,
    judged: Mapping[Hashable, Any] | None,
    counts: "pd.DataFrame",
    colour: Colour,
) -> None:
    last = float(counts["day"].max()) if len(counts) else None
    if judged is None or last is None or judged["depleted"] is not True:
        known = judged is not None and judged["depleted"] is False
        words = (
            "B cells not evaluable"
            if last is None
            else "not seen depleted"
            if known
            else "nobody can tell whether depleted"
        )
        axes.text(2, row - 0.12, words, va="center", fontsize=8, color=FADED, gid="not depleted")
    else:
        onset = max(EARLIEST_DRAWN_DAY, _or(judged["depletion_low"], EARLIEST_DRAWN_DAY))
        gone, low, high = (
            float(judged["depletion_high"]),
            float(judged["low"]),
            _or(judged["high"], None),
        )
        _bar(axes, row, onset, gone, colour, gid="onset")
        _bar(axes, row, gone, low, colour, gid="depleted")
        if high is None:
            _arrow(axes, low, row - 0.12, colour, gid="not recovered")
        else:
            _bar(axes, row, low, high, colour, gid="recovery")
    if last is not None:
        axes.plot([0, last], [row - 0.12] * 2, color=FADED, linewidth=0.9, zorder=1)
        axes.plot(
            [last],
            [row - 0.12],
            "|",
            color=INK,
            markersize=11,
            markeredgewidth=1.6,
            gid="last",
            zorder=5,
        )


def _bar(axes: "Axes", row: int, start: float, end: float, colour: Colour, *, gid: str) -> None:
    """Draw a certain stretch solid, and an interval in which it began or ended hatched."""
    certain = gid == "depleted"
    bar = axes.barh(row - 0.12, end - start, left=start, height=0.3, zorder=3)[0]
    bar.set(facecolor=colour if certain else "white", edgecolor=colour, linewidth=0.8, gid=gid)
    if not certain:
        bar.set_hatch("/////")


def _draw_persistence(
    axes: "Axes", y: float, counts: "pd.DataFrame", parameters: "pd.DataFrame", colour: Colour
) -> None:
    """Draw from the first to the last quantified visit; beyond it faint until the cells were seen gone, or an arrow."""
    seen = counts.loc[(counts["code"] == "Q") & (counts["day"] >= 0), "day"]
    if seen.empty:
        words = "not evaluable" if counts.empty else "never quantified"
        axes.text(2, y, words, va="center", fontsize=6.5, color=colour, gid="never")
        return
    first, last = float(seen.min()), float(seen.max())
    line = axes.plot(
        [first, last],
        [y, y],
        color=colour,
        linewidth=3.2,
        solid_capstyle="butt",
        gid="persistence",
        zorder=3,
    )[0]
    line.set(marker="s" if first == last else "", markersize=2.8)
    value = parameters.set_index("parameter")["value"]
    # Both are on the product's own clock; their difference is the same on the patient's.
    gap = float(value.get("Tbql", float("nan"))) - float(value.get("Tlast", float("nan")))
    if gap > 0:
        axes.plot(
            [last, last + gap],
            [y, y],
            color=colour,
            linewidth=1.2,
            linestyle=(0, (1, 1)),
            gid="leaving",
            zorder=3,
        )
    else:
        _arrow(axes, last, y, colour, gid="persisting")


def _arrow(axes: "Axes", day: float, y: float, colour: Colour, *, gid: str) -> None:
    """Point to the right, beside the sign of the last visit."""
    sign = axes.annotate(
        "▶", (day, y), (4, 0), textcoords="offset points", va="center", gid=gid, zorder=6
    )
    sign.set(fontsize=7, color=colour)


def _draw_bars(axes: "Axes", rows: "pd.DataFrame", colours: Mapping[str, Colour]) -> None:
    given = rows.dropna(subset=["value"]).sort_values(
        ["value", "patient"], ascending=[False, True], kind="stable"
    )
    lost = [name for name in colours if name not in set(given["patient"])]
    axes.set_xticks(
        range(len(given)), given["patient"].tolist(), rotation=90 if len(given) > 14 else 0
    )
    axes.tick_params(labelsize=8.5 if len(given) <= 30 else 6.5)
    axes.set_xlim(-0.6, max(len(given), 6) - 0.4)
    for i, row in enumerate(given.to_dict("records")):
        bound, colour = row["censoring"] == "right", colours[row["patient"]]
        bar = axes.bar(i, row["value"], width=0.7, gid="bound" if bound else "exposure")[0]
        bar.set(
            facecolor="white" if bound else colour,
            edgecolor=colour,
            hatch="/////" if bound else None,
        )
        words = ("≥ " if bound else "") + significant(float(row["value"]))
        label = axes.annotate(
            words, (i, row["value"]), (0, 2), textcoords="offset points", ha="center", va="bottom"
        )
        label.set(
            fontsize=8 if len(given) <= 20 else 6.5,
            rotation=90 if len(given) > 20 else 0,
            color=INK,
        )
    axes.set_ylim(0, float(given["value"].max()) * 1.18 if len(given) else 1.0)
    if given.empty:
        axes.set_yticks([])
        axes.text(
            0.5,
            0.5,
            "no exposure can be given",
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=FADED,
            gid="empty",
        )
    if lost:
        words = textwrap.fill(f"not estimable, no bar: {', '.join(lost)}", 130)
        below = -44 if len(given) > 14 else -24
        note = axes.annotate(
            words,
            (0, 0),
            (0, below),
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
            gid="not estimable",
        )
        note.set(fontsize=8.5, color=FADED)


def _swimmer_signs(colours: Sequence[Colour]) -> list["object"]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Patch(facecolor=colours[0], edgecolor=colours[0], label="B cells below 10 per µL"),
        Patch(
            facecolor="white",
            edgecolor=colours[0],
            hatch="/////",
            label="fell or came back in this interval",
        ),
        Line2D(
            [],
            [],
            linestyle="none",
            marker=">",
            color=FADED,
            markersize=6,
            label="not over when last seen",
        ),
        Line2D(
            [],
            [],
            linestyle="none",
            marker="|",
            color=INK,
            markersize=9,
            markeredgewidth=1.6,
            label="last evaluable B-cell visit",
        ),
        *(
            Line2D([], [], color=c, linewidth=3.2, label=f"{label} quantified")
            for (_, label), c in zip(PRODUCTS, colours[1:], strict=True)
        ),
        Line2D(
            [],
            [],
            color=FADED,
            linewidth=1.2,
            linestyle=(0, (1, 1)),
            label="no longer quantified by its end",
        ),
    ]


def _label_room(lines: Sequence[Line]) -> float:
    """Give the share of the figure's width that the longest name needs."""
    return min(0.3, (0.3 + 0.082 * max((len(line.name) for line in lines), default=1)) / WIDTH)


def _or(value: object, otherwise: Any) -> Any:
    from tasks.kinetics.rows import number

    found = number(value)
    return otherwise if found is None else found
