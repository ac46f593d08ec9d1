"""Order the lines of a figure with one line for each patient, and write their names beside them."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.publish.figure_style import DPI, INK, WIDTH, paper_style, say_empty

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class PatientLine:
    """One line of a figure: a patient, or the name of the group whose patients follow."""

    name: str
    is_group: bool = False


def patient_lines(patients: Sequence[str], strata: Mapping[str, str]) -> list[PatientLine]:
    """Order the patients by group and name, each group under its name; without groups by name."""
    ordered = sorted(patients, key=lambda name: (strata.get(name, ""), name))
    lines: list[PatientLine] = []
    for group, members in itertools.groupby(ordered, lambda name: strata.get(name, "")):
        if group:
            lines.append(PatientLine(group, is_group=True))
        lines += [PatientLine(name) for name in members]
    return lines


def name_lines(axes: "Axes", lines: Sequence[PatientLine], middle: float) -> None:
    """Write the names beside their lines, those of groups in bold.

    ``middle`` says how far below its upper end a line's middle is.
    """
    axes.set_yticks([row + middle for row in range(len(lines))], [line.name for line in lines])
    labels, ticks = axes.get_yticklabels(), axes.yaxis.get_major_ticks()
    for label, tick, line in zip(labels, ticks, lines, strict=True):
        if line.is_group:
            label.set(fontweight="bold", color=INK)
            tick.tick1line.set_visible(False)


def label_room(lines: Sequence[PatientLine]) -> float:
    """Give the share of the figure's width that the longest name needs."""
    longest = max((len(line.name) for line in lines), default=1)
    return min(0.3, (0.3 + 0.082 * longest) / WIDTH)


def draw_too_many(patients: int) -> "Figure":
    """Draw no lines, and say why: there are too many patients."""
    from matplotlib.figure import Figure

    with paper_style():
        figure = Figure(figsize=(WIDTH, 1.2), dpi=DPI, facecolor="white")
        axes = figure.subplots()
        axes.set_axis_off()
        say_empty(
            axes,
            f"{patients:,} patients are too many for a line or bar each; "
            "the tables of the cohort hold their numbers.",
        )
    return figure
