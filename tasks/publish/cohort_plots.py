"""Draw what the patients of a cohort show together: time to recovery, and everybody's cells over time with their median."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tasks.kinetics.summary import FEWEST_FOR_MEDIAN, FEWEST_FOR_QUARTILES
from tasks.kinetics.turnbull import DEFINITIONS, EVERYONE, RecoveryCurve, definition_id
from tasks.publish.curves import DPI, EARLY_DAYS, FADED, INK, scale_days
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.populations import IN_COHORT_FIGURES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colour = tuple[float, float, float]
WIDTH = 9.4
DRAWN = IN_COHORT_FIGURES


def stratum_colours(strata: Iterable[str]) -> dict[str, Colour]:
    """Give each group of patients its colour, the same in every figure."""
    import seaborn as sns

    names = sorted(set(strata))
    return dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))


def draw_recovery(curves: Sequence[RecoveryCurve]) -> "Figure":
    """Draw the share of depleted patients who recovered, one plot a definition, one colour a stratum.

    A shaded box is an interval in which the share rises and nobody knows where; broken lines go on
    after the last visit of those who had not recovered.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    colours = stratum_colours(
        curve.stratum for curve in curves if curve.stratum != EVERYONE
    ) or stratum_colours([EVERYONE])
    room = 0.2 * len(colours)
    height = 2 * (2.55 + 2 * room) + 1.05
    last = max(
        [
            EARLY_DAYS,
            *(
                day
                for curve in curves
                for step in curve.steps
                for day in (step.low, step.high or 0.0)
            ),
        ]
    )
    with sns.axes_style("ticks"), sns.plotting_context("paper", font_scale=1.0):
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
        for axes, definition in zip(
            figure.subplots(2, 2, sharex=True, sharey=True).flat, DEFINITIONS, strict=True
        ):
            own = [
                curve
                for curve in curves
                if curve.stratum in colours and definition_id(curve.definition) == definition
            ]
            _draw_definition(axes, own, colours, last)
            sns.despine(ax=axes)
        figure.subplots_adjust(left=0.72 / WIDTH, right=1 - 0.12 / WIDTH, wspace=0.08)
        figure.subplots_adjust(
            top=1 - (0.38 + room) / height,
            bottom=(0.95 + room) / height,
            hspace=(0.75 + 2 * room) / 1.75,
        )
        figure.text(0.5, 0.5 / height, "days since infusion", ha="center", fontsize=9.5)
        figure.text(
            0.13 / WIDTH,
            0.5,
            "patients recovered (% of those depleted)",
            rotation=90,
            va="center",
            ha="center",
            fontsize=9.5,
        )
        figure.legend(
            handles=_recovery_signs(),
            loc="lower center",
            ncols=4,
            frameon=False,
            fontsize=8,
            handletextpad=0.5,
        )
    return figure


def definition_words(version: str) -> str:
    """Put a versioned definition of recovery into words."""
    name, _, limit = version.split("@", maxsplit=1)[0].rstrip(")").partition("(")
    words = {
        "B_10": "10 B cells per µL or more",
        "B_20": "20 B cells per µL or more",
        "B_1pct": "more than 1 % of lymphocytes, or 100 per µL",
        "B_LLN": f"lower limit of normal ({limit} per µL) or more"
        if limit
        else "lower limit of normal or more",
    }
    return words.get(name, version)


def median_words(curve: RecoveryCurve) -> str:
    """Say in which interval the median time to recovery lies."""
    if not curve.patients:
        return "no patient seen depleted"
    low = _day(curve.median_low or 0.0)
    if curve.median_high is None:
        return f"median not reached, after day {low}"
    return f"median after day {low}, by day {_day(curve.median_high)}"


def _day(day: float) -> str:
    return f"{day:.1f}".removesuffix(".0")


def draw_cohort_curves(
    kinetics: "pd.DataFrame",
    populations: Sequence[tuple[str, str]] = DRAWN,
    strata: Mapping[str, str] | None = None,
) -> "Figure":
    """Draw every patient's course in blood and, visit by visit, the median, one plot a population; by stratum where there are any.

    ``kinetics`` has the columns of ``KINETICS``. Below the limit of quantification (LLOQ) a hollow
    sign stands at the tube's LLOQ, and that limit enters the median; a median is given from two
    patients on where at least half of them are quantified. Bars hold the middle half of the
    patients, from four on. Numbers under each plot count the evaluable patients.
    """
    import pandas as pd
    import seaborn as sns
    from matplotlib.figure import Figure

    from tasks.kinetics.winning_rows import winning_rows

    blood = winning_rows(kinetics[(kinetics["specimen"] == "blood")])
    groups = stratum_colours((strata or {}).values())
    of_population = [(label, with_amounts(blood, population)) for population, label in populations]
    days = [0.0, 7.0, *blood["day"]]
    with sns.axes_style("ticks"), sns.plotting_context("paper", font_scale=1.0):
        figure = Figure(dpi=DPI, facecolor="white")
        grid = figure.subplots(len(populations), 1, sharex=True, squeeze=False)[:, 0]
        scale_days(grid[0], min(days), max(days))
        columns = _count_columns(grid[0], pd.concat([rows for _, rows in of_population]))
        lines = max((line for _, line in columns.values()), default=0) + 1
        room, signs = 11 / 72 * max(0, lines * len(groups) - 2), 0.2 * -(-len(groups) // 5)
        tall, gap, bottom = 2.0, 0.72 + room, 1.05 + room + signs
        height = 0.32 + tall * len(populations) + gap * (len(populations) - 1) + bottom
        figure.set_size_inches(WIDTH, height)
        figure.subplots_adjust(
            left=0.95 / WIDTH,
            right=1 - 0.12 / WIDTH,
            top=1 - 0.32 / height,
            bottom=bottom / height,
            hspace=gap / tall,
        )
        colours = sns.color_palette("colorblind", len(populations))
        for axes, (label, rows), colour in zip(grid, of_population, colours, strict=True):
            axes.set_title(label, loc="left", fontsize=10, fontweight="bold", color=INK)
            scale_days(axes, min(days), max(days))
            own = [
                (rows[rows["patient"].map(strata or {}) == name], groups[name], groups[name])
                for name in groups
            ]
            _draw_population(axes, rows, own or [(rows, colour, INK)], columns)
            axes.axvline(0, color=INK, linewidth=0.8, linestyle=":", zorder=0)
            axes.tick_params(labelbottom=axes is grid[-1], labelsize=8.5)
            sns.despine(ax=axes)
        grid[-1].tick_params(axis="x", pad=24 + 72 * room)
        clock = "days since first infusion" + (
            " (logarithmic after day 28)" if max(days) > 2 * EARLY_DAYS else ""
        )
        figure.text(0.5, (0.34 + signs) / height, clock, ha="center", fontsize=9.5)
        figure.text(
            0.13 / WIDTH,
            0.53,
            "cells per µL (log scale)",
            rotation=90,
            va="center",
            ha="center",
            fontsize=9.5,
        )
        figure.legend(
            handles=_curve_signs(grouped=bool(groups)),
            loc="lower center",
            ncols=5,
            frameon=False,
            fontsize=8,
            handletextpad=0.4,
        )
        if groups:
            handles = stratum_signs(groups, sorted(set(kinetics["patient"])), strata or {})
            named = figure.legend(
                handles=handles,
                loc="lower center",
                ncols=5,
                frameon=False,
                fontsize=8,
                handletextpad=0.4,
            )
            named.set_bbox_to_anchor((0.5, 0.2 / height))
    return figure


def stratum_signs(
    groups: Mapping[str, Colour], patients: Sequence[str], strata: Mapping[str, str]
) -> list["object"]:
    """Name the groups with their colours and numbers of patients, for a legend."""
    from matplotlib.patches import Patch

    sizes = {name: sum(strata.get(patient) == name for patient in patients) for name in groups}
    labels = {
        name: f"{name} ({size} patient{'' if size == 1 else 's'})" for name, size in sizes.items()
    }
    return [Patch(facecolor=colour, label=labels[name]) for name, colour in groups.items()]


def with_amounts(winners: "pd.DataFrame", population: str) -> "pd.DataFrame":
    """Choose a population's rows and give them ``quantified`` and ``amount`` (cells/µL): below the LLOQ it is that limit.

    The amount is empty where the visit is not evaluable.
    """
    rows = (
        winners[winners["population"] == population]
        .sort_values(["patient", "day"], kind="stable")
        .copy()
    )
    rows["quantified"] = rows["code"] == "Q"
    rows["amount"] = (
        rows["per_ul"]
        .where(rows["quantified"], rows["lloq_per_ul"])
        .where(rows["code"] != "NE")
        .astype(float)
    )
    return rows


def visit_medians(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Sum up each visit of ``with_amounts``: columns visit, day, patients (evaluable), median, lower and upper quartile (empty: not given).

    A visit's day is the median of its patients' days.
    """
    import pandas as pd

    found = []
    for name, visit in rows.dropna(subset=["amount"]).groupby("visit", sort=False):
        amounts, count = visit["amount"], len(visit)
        known = count >= FEWEST_FOR_MEDIAN and 2 * int(visit["quantified"].sum()) >= count
        middle = amounts.median() if known else float("nan")
        quartiles = (
            amounts.quantile([0.25, 0.75])
            if known and count >= FEWEST_FOR_QUARTILES
            else [float("nan")] * 2
        )
        found.append((str(name), float(visit["day"].median()), count, middle, *quartiles))
    frame = pd.DataFrame(found, columns=["visit", "day", "patients", "median", "lower", "upper"])
    return frame.sort_values("day", kind="stable", ignore_index=True)


def _draw_definition(
    axes: "Axes", curves: Sequence[RecoveryCurve], colours: Mapping[str, Colour], last: float
) -> None:
    from matplotlib.ticker import PercentFormatter

    scale_days(axes, 0.0, last, even=True)
    axes.set_ylim(-0.02, 1.04)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    axes.tick_params(labelsize=8.5)
    axes.axhline(0.5, color=FADED, linewidth=0.7, linestyle=":", zorder=0)
    title = definition_words(curves[0].definition)
    axes.text(
        0,
        1.06 + 0.095 * len(curves),
        title,
        transform=axes.transAxes,
        fontsize=10,
        fontweight="bold",
        color=INK,
        gid="title",
    )
    for i, curve in enumerate(curves):
        colour, alone = colours[curve.stratum], curve.stratum == EVERYONE
        place = 1.05 + 0.095 * (len(curves) - 1 - i)
        if not alone:
            axes.text(0, place, "■", transform=axes.transAxes, fontsize=9, color=colour)
        seen = f"{curve.recovered} of {curve.patients} recovered; " if curve.patients else ""
        told = ("" if alone else f"{curve.stratum}: ") + seen + median_words(curve)
        axes.text(
            0 if alone else 0.035,
            place,
            told,
            transform=axes.transAxes,
            fontsize=min(8.2, 500 / len(told)),
            color=INK,
            gid="told",
        )
        _draw_steps(axes, curve, colour)
        _count_watched(axes, curve, FADED if alone else colour, i)
    axes.tick_params(axis="x", labelbottom=True, pad=3 + 11 * len(curves))


def _draw_steps(axes: "Axes", curve: RecoveryCurve, colour: Colour) -> None:
    """Draw lines where the share is known, boxes where it rises at a time nobody knows."""
    from matplotlib.patches import Rectangle

    day, share, end = 0.0, 0.0, axes.get_xlim()[1]
    for step in curve.steps:
        axes.plot(
            [day, step.low], [share, share], color=colour, linewidth=1.8, gid="known", zorder=3
        )
        if step.high is None or step.remaining is None:
            axes.plot(
                [step.low, end],
                [share, share],
                color=colour,
                linewidth=1.2,
                linestyle=(0, (3, 2)),
                gid="unknown",
                zorder=3,
            )
            return
        after = 1.0 - step.remaining
        box = Rectangle((step.low, share), step.high - step.low, after - share, gid="box", zorder=2)
        box.set(facecolor=(*colour, 0.22), edgecolor=(*colour, 0.7), linewidth=0.8)
        axes.add_patch(box)
        day, share = step.high, after
    if curve.steps:
        axes.plot([day, end], [share, share], color=colour, linewidth=1.8, gid="known", zorder=3)


def _count_watched(axes: "Axes", curve: RecoveryCurve, colour: str | Colour, line: int) -> None:
    """Write under each day how many patients were seen not recovered on it or later: few of them carry the curve from there on."""
    for day in axes.get_xticks():
        _note(
            axes, str(sum(low >= day for low in curve.last_low)), day, line, colour, gid="watched"
        )
    _note(axes, "n =", None, line, colour, gid="n")


def _note(
    axes: "Axes", words: str, day: float | None, line: int, colour: str | Colour, *, gid: str
) -> None:
    """Write a small number under the axis, or, without a day, the name of its line."""
    place, shift = ((day, 0), 0) if day is not None else ((0, 0), -6)
    known = axes.get_xaxis_transform() if day is not None else axes.transAxes
    note = axes.annotate(
        words,
        place,
        (shift, -5 - 11 * line),
        xycoords=known,
        textcoords="offset points",
        va="top",
        gid=gid,
    )
    note.set(ha="right" if day is None else "center", fontsize=7.5, color=colour)


def _draw_population(
    axes: "Axes",
    rows: "pd.DataFrame",
    groups: Sequence[tuple["pd.DataFrame", Colour, Colour | str]],
    columns: Mapping[str, tuple[float, int]],
) -> None:
    """Draw the patients and the median of each group: its rows, the colour of its patients and that of its median."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    if rows["amount"].isna().all():
        axes.text(
            0.5,
            0.5,
            "no evaluable visit",
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=FADED,
            gid="empty",
        )
        axes.set_yticks([])
        return
    axes.set_yscale("log")
    axes.set_ylim(float(rows["amount"].min()) / 1.8, float(rows["amount"].max()) * 1.8)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    lines = max(line for _, line in columns.values()) + 1
    for place, (own, colour, middle) in enumerate(groups):
        _draw_patients(axes, own, colour)
        medians = visit_medians(own)
        _draw_medians(axes, medians, middle)
        shade = FADED if len(groups) == 1 else colour
        _note(axes, "n =", None, lines * place, shade, gid="n")
        for visit, count in zip(medians["visit"], medians["patients"], strict=True):
            day, line = columns[visit]
            _note(axes, str(count), day, lines * place + line, shade, gid="count")


def _draw_patients(axes: "Axes", rows: "pd.DataFrame", colour: Colour) -> None:
    for _, own in rows.groupby("patient"):
        restained = own["flags"].fillna("").str.contains(str(Flag.REAGENT_CHANGED))
        run = ((~own["quantified"]) | (restained != restained.shift(fill_value=False))).cumsum()[
            own["quantified"]
        ]
        for _, stretch in own[own["quantified"]].groupby(run):
            axes.plot(
                stretch["day"],
                stretch["amount"],
                color=colour,
                linewidth=0.7,
                alpha=0.45,
                gid="patient",
                zorder=2,
            )
    for quantified, fill in ((True, colour), (False, "white")):
        points = rows[(rows["quantified"] == quantified) & rows["amount"].notna()]
        sign = axes.plot(
            points["day"], points["amount"], "o", gid="Q" if quantified else "BLQ", zorder=2
        )[0]
        sign.set(
            markersize=3.2,
            markerfacecolor=fill,
            markeredgecolor=colour,
            markeredgewidth=0.7,
            alpha=0.65,
        )


def _draw_medians(axes: "Axes", medians: "pd.DataFrame", colour: Colour | str) -> None:
    given = medians["median"].notna()
    for _, stretch in medians[given].groupby((~given).cumsum()[given]):
        line = axes.plot(
            stretch["day"],
            stretch["median"],
            "o-",
            color=colour,
            linewidth=1.8,
            markersize=4.5,
            gid="median",
            zorder=4,
        )[0]
        line.set(markeredgecolor="white", markeredgewidth=0.6)
    ranged = medians.dropna(subset=["lower"])
    axes.vlines(
        ranged["day"],
        ranged["lower"],
        ranged["upper"],
        color=colour,
        linewidth=1.6,
        alpha=0.7,
        gid="quartiles",
        zorder=3,
    )


def _count_columns(axes: "Axes", rows: "pd.DataFrame") -> dict[str, tuple[float, int]]:
    """Choose where the number of patients of each visit stands: its day, and the second line where it is too near to another."""
    place = axes.xaxis.get_transform().transform
    span = place([*axes.get_xlim()])
    room = 0.018 * (span[1] - span[0])
    filled = [float("-inf"), float("-inf")]
    columns = {}
    for visit, day in (
        rows.dropna(subset=["amount"])
        .groupby("visit")["day"]
        .median()
        .sort_values(kind="stable")
        .items()
    ):
        position = place([day])[0]
        line = 0 if position - filled[0] >= room else 1
        filled[line] = position
        columns[str(visit)] = (float(day), line)
    return columns


def _recovery_signs() -> list["object"]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Line2D([], [], color=INK, linewidth=1.8, label="share known"),
        Patch(facecolor="#d5d9df", edgecolor=FADED, label="rises within the box, when is unknown"),
        Line2D(
            [],
            [],
            color=INK,
            linewidth=1.2,
            linestyle=(0, (3, 2)),
            label="unknown: no visit after this",
        ),
        Line2D([], [], color=FADED, linewidth=0.7, linestyle=":", label="half of the patients"),
    ]


def _curve_signs(*, grouped: bool) -> list["object"]:
    from matplotlib.lines import Line2D

    middle = FADED if grouped else INK
    return [
        Line2D(
            [],
            [],
            color=FADED,
            linewidth=0.8,
            marker="o",
            markersize=3.5,
            label="a patient, quantified",
        ),
        Line2D(
            [],
            [],
            color=FADED,
            linestyle="none",
            marker="o",
            markerfacecolor="white",
            markersize=3.5,
            label="below the limit, at the limit",
        ),
        Line2D([], [], color=middle, linewidth=1.8, marker="o", markersize=4.5, label="median"),
        Line2D(
            [],
            [],
            color=middle,
            linestyle="none",
            marker="|",
            markersize=9,
            markeredgewidth=1.6,
            label="middle half of the patients",
        ),
        Line2D([], [], color=INK, linewidth=0.8, linestyle=":", label="first infusion"),
    ]
