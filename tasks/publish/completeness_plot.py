"""Draw which visit of which patient was counted, allowed no statement, or is missing."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tasks.publish.figure_style import DPI, FADED, INK, WIDTH, paper_style, say_empty
from tasks.publish.patient_lines import label_room, name_lines, patient_lines
from tasks.publish.strata import NO_STRATA
from tasks.vocabulary.populations import IN_COHORT_FIGURES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COUNTED = "counted"
NOTHING_EVALUABLE = "nothing evaluable"
MISSING = "missing"
NOT_REACHED = "not reached"
STATES = {
    COUNTED: ("#cfe8da", "●", "o"),
    NOTHING_EVALUABLE: ("#f8dfa5", "×", "x"),
    MISSING: ("#ffffff", "–", "_"),
    NOT_REACHED: ("#eceff3", "", ""),
}
"""The colour of each state of a visit, its sign in words, and the marker that looks like it."""


def visit_states(kinetics: "pd.DataFrame") -> tuple[list[str], dict[str, list[str]]]:
    """Say for each patient and visit whether blood was counted.

    Gives the visits by median day, and each patient's states in their order. Counted: B cells or
    CAR T cells could be evaluated. Nothing evaluable: there are tubes, but they allow no statement
    on either, or are excluded. Missing: no blood tube, though the patient came to a later visit.
    """
    blood = kinetics[kinetics["specimen"] == "blood"]
    days = blood.groupby("visit")["day"].median().sort_values(kind="stable")
    visits = [str(visit) for visit in days.index]
    shown = blood["population"].isin([name for name, _ in IN_COHORT_FIGURES])
    evaluable = blood[shown & (blood["code"] != "NE") & (blood["review"] != "excluded")]
    with_tube = set(zip(blood["patient"], blood["visit"], strict=True))
    counted = set(zip(evaluable["patient"], evaluable["visit"], strict=True))
    states = {}
    for patient in sorted(set(kinetics["patient"])):
        attended = {visit for visit in visits if (patient, visit) in with_tube}
        evaluated = {visit for visit in visits if (patient, visit) in counted}
        states[str(patient)] = _states(visits, attended, evaluated)
    return visits, states


def _states(visits: list[str], attended: set[str], evaluated: set[str]) -> list[str]:
    """Give one patient's state at each visit, from those with a tube and those with a result."""
    last = max((i for i, visit in enumerate(visits) if visit in attended), default=-1)
    states = []
    for i, visit in enumerate(visits):
        if visit in evaluated:
            states.append(COUNTED)
        elif visit in attended:
            states.append(NOTHING_EVALUABLE)
        elif i < last:
            states.append(MISSING)
        else:
            states.append(NOT_REACHED)
    return states


def draw_completeness(kinetics: "pd.DataFrame", strata: Mapping[str, str] = NO_STRATA) -> "Figure":
    """Draw the state of every visit of every patient, as ``visit_states`` gives them."""
    from matplotlib.figure import Figure

    visits, states = visit_states(kinetics)
    lines = patient_lines(list(states), strata)
    height = 1.25 + 0.3 * max(1, len(lines))
    with paper_style():
        figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
        axes = figure.subplots()
        figure.subplots_adjust(left=label_room(lines), right=1 - 0.15 / WIDTH)
        figure.subplots_adjust(top=1 - 0.62 / height, bottom=0.5 / height)
        for state in STATES:
            places = [
                (column, row)
                for row, line in enumerate(lines)
                if not line.is_group
                for column, each in enumerate(states[line.name])
                if each == state
            ]
            _draw_cells(axes, places, state)
        axes.set_xlim(0, max(1, len(visits)))
        axes.set_ylim(max(1, len(lines)), 0)
        _name_visits(axes, visits)
        name_lines(axes, lines, 0.5)
        for spine in axes.spines.values():
            spine.set(color="#d9dfe6")
        if not states:
            say_empty(axes, "no visit yet")
        _explain_signs(figure)
    return figure


def _explain_signs(figure: "Figure") -> None:
    from matplotlib.patches import Patch

    signs = [
        Patch(facecolor=colour, edgecolor=FADED, linewidth=0.5, label=f"{sign} {state}".strip())
        for state, (colour, sign, _) in STATES.items()
    ]
    figure.legend(handles=signs, loc="lower center", ncols=4, frameon=False, fontsize=8.5)


def _draw_cells(axes: "Axes", places: Sequence[tuple[int, int]], state: str) -> None:
    """Draw all cells of one state at once: some thousand artists of their own take seconds."""
    from matplotlib.collections import PolyCollection

    colour, _, marker = STATES[state]
    corners = [
        [(column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1)]
        for column, row in places
    ]
    cells = PolyCollection(corners, facecolors=colour, edgecolors="white", linewidths=1.5)
    cells.set_gid(state)
    axes.add_collection(cells, autolim=False)
    if marker and places:
        across, down = ([place[side] + 0.5 for place in places] for side in (0, 1))
        signs = axes.scatter(across, down, s=32, c=INK, marker=marker, linewidths=1.1)
        signs.set_gid(f"{state} sign")


def _name_visits(axes: "Axes", visits: list[str]) -> None:
    """Write the visits aslant over their columns."""
    middles = [i + 0.5 for i in range(len(visits))]
    axes.set_xticks(middles, visits, rotation=45, ha="left", rotation_mode="anchor")
    axes.tick_params(length=0, labelsize=8.5)
    axes.tick_params(top=False, labeltop=True, bottom=False, labelbottom=False)
