"""Draw of which subsets the B cells consist, visit by visit.

The plots show what comes back after depletion, naive or memory cells.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.kinetics.composition import ALL_PARTS, PARTS
from tasks.publish.figure_style import (
    DPI,
    FADED,
    HATCH,
    INK,
    WIDTH,
    label_left,
    legend_below,
    literal,
    paper_style,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tasks.publish.wording import Row

COLOURS: Mapping[str, str] = {
    "naive_igm_igd_b": "#0b5c8e",
    "transitional_b": "#56a3d1",
    "other_naive_b": "#b5d8ec",
    "unswitched_memory_b": "#e8b04b",
    "switched_memory_b": "#c4631a",
    "double_negative_b": "#7a4b8b",
    "plasmablasts_b": "#2f6f4f",
    "plasma_cells_b": "#a83250",
    "secreting_b": "#8fae6b",
    "other_b": "#c9ced6",
}
MARK = "*"
"""Is written beside the number above a bar whose B cells are to more than a tenth plasmablasts or
plasma cells."""
MARKED = f"{MARK} more than a tenth of the B cells are plasmablasts or plasma cells"


@dataclass(frozen=True, slots=True)
class Bar:
    """One visit: its label, the number above it (``note``) and the share (percent) of each part.

    There are no shares where there are too few B cells; from few they are ``indicative``.
    ``marks`` are those of the parts' links (``tasks.publish.figure_links``).
    """

    label: str
    note: str
    shares: Mapping[str, float] = field(default_factory=dict)
    indicative: bool = False
    marks: Mapping[str, str] = field(default_factory=dict)


def patient_bars(
    composition: "pd.DataFrame", mark_of: "Callable[[Row], str] | None" = None
) -> list[Bar]:
    """Give a patient's visits in order of time, from rows with the columns of ``COMPOSITION``.

    ``mark_of`` gives the mark of a row's link.
    """
    bars = []
    for _, parts in composition.groupby(["day", "visit"], sort=True):
        first = parts.iloc[0]
        shares = {}
        if first["basis"] != "few_cells":
            shares = dict(zip(parts["part"], parts["share"], strict=True))
        mark = MARK if first["note"] else ""
        note = f"{first['b_events']:,}{mark}"
        marks = {}
        if mark_of is not None and shares:
            marks = {str(row["part"]): mark_of(row) for row in parts.to_dict("records")}
        indicative = first["basis"] == "indicative"
        bars.append(Bar(f"{first['visit']}", note, shares, indicative=indicative, marks=marks))
    return bars


def cohort_bars(composition: "pd.DataFrame") -> list[Bar]:
    """Give the mean of the patients' shares at each visit, with the number of patients.

    The visits are ordered by the median of their days.
    """
    known = composition.dropna(subset=["share"])
    days = composition.groupby("visit")["day"].median().sort_values(kind="stable")
    bars = []
    for visit in days.index:
        rows = known[known["visit"] == visit]
        # A part that a patient's strategy does not tell apart is none of that patient's: the mean
        # is of all patients.
        by_patient = rows.pivot_table(
            index="patient", columns="part", values="share", aggfunc="sum", fill_value=0.0
        )
        shares = {str(part): float(share) for part, share in by_patient.mean().to_dict().items()}
        bars.append(Bar(str(visit), str(rows["patient"].nunique()), shares))
    return bars


def draw_composition(panels: Mapping[str, Sequence[Bar]], counted: str) -> "Figure":
    """Draw one plot of stacked bars for each panel (title → bars).

    ``counted`` says what the numbers above the bars count.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    rows = max(1, len(panels))
    height = 0.35 + 2.5 * rows + 0.75
    every_bar = [bar for bars in panels.values() for bar in bars]
    with paper_style():
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
        grid = figure.subplots(rows, 1, squeeze=False)[:, 0]
        figure.subplots_adjust(
            left=0.75 / WIDTH,
            right=1 - 0.15 / WIDTH,
            top=1 - 0.55 / height,
            bottom=1.0 / height,
            hspace=0.5,
        )
        for axes, (title, bars) in zip(grid, panels.items(), strict=False):
            _draw_bars(axes, bars, counted)
            axes.set_title(title, loc="left", fontsize=10, fontweight="bold", color=INK, pad=20)
            sns.despine(ax=axes)
        if not panels:
            _say_empty(grid[0])
        label_left(figure, "share of the B cells (%)", 0.13 / WIDTH, 0.55)
        if any(bar.note.endswith(MARK) for bar in every_bar):
            words = figure.text(1 - 0.15 / WIDTH, 1 - 0.14 / height, MARKED, gid="marked")
            words.set(ha="right", va="top", fontsize=7.5, color=FADED)
        legend_below(figure, _signs(every_bar), 4, text_gap=0.5)
    return figure


def _signs(bars: Sequence[Bar]) -> list["Artist"]:
    """Name the parts, those outside the usual subsets only where one is drawn."""
    from matplotlib.patches import Patch

    drawn = {part for bar in bars for part, share in bar.shares.items() if share > 0}
    signs: list[Artist] = [
        Patch(facecolor=COLOURS[part], label=label)
        for part, label in ALL_PARTS.items()
        if part in drawn or part in PARTS
    ]
    indicative = Patch(facecolor="white", edgecolor=FADED, hatch=HATCH)
    indicative.set_label("few B cells: indicative")
    return [*signs, indicative]


def _draw_bars(axes: "Axes", bars: Sequence[Bar], counted: str) -> None:
    if not bars:
        _say_empty(axes)
        return
    axes.set_xlim(-0.6, max(len(bars), 6) - 0.4)
    axes.set_ylim(0, 100)
    rotation = 45 if len(bars) > 14 else 0
    axes.set_xticks(range(len(bars)), [literal(bar.label) for bar in bars], rotation=rotation)
    axes.tick_params(labelsize=8.5)
    for place, bar in enumerate(bars):
        _draw_bar(axes, place, bar)
    words = axes.annotate(
        counted, (0, 1), (-4, 8), xycoords="axes fraction", textcoords="offset points"
    )
    words.set(ha="right", fontsize=7.5, color=FADED)


def _draw_bar(axes: "Axes", place: int, bar: Bar) -> None:
    """Stack a visit's parts, and write over them the number its shares rest on."""
    bottom = 0.0
    for part in (part for part in ALL_PARTS if part in bar.shares):
        patch = axes.bar(place, bar.shares[part], bottom=bottom, width=0.78, gid=part)[0]
        patch.set(facecolor=COLOURS[part], edgecolor="white", linewidth=0.6)
        patch.set_url(bar.marks.get(part))
        if bar.indicative:
            patch.set_hatch("////")
        bottom += bar.shares[part]
    if not bar.shares:
        why = axes.text(place, 50, "too few", rotation=90, color=FADED, gid="few")
        why.set(ha="center", va="center", fontsize=7.5)
    note = axes.annotate(
        bar.note, (place, 100), (0, 5), textcoords="offset points", ha="center", gid="counted"
    )
    note.set(fontsize=7.5, color=FADED)


def _say_empty(axes: "Axes") -> None:
    axes.text(
        0.5,
        0.5,
        "no visit with B cells of all subsets",
        transform=axes.transAxes,
        ha="center",
        color=FADED,
        gid="empty",
    )
    axes.set_xticks([])
    axes.set_yticks([])
