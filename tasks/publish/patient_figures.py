"""Draw the curves of one patient, each point linked to the gate it was counted in."""

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.publish.curves import COLUMNS, Specimen, draw_kinetic_curves, drawn_rows
from tasks.publish.figure_links import FigureLinks, Link, LinkedFigure, gate_address
from tasks.publish.patient_record import PatientRecord
from tasks.publish.result_words import ROOT, result_link
from tasks.publish.svg_figure import svg_markup
from tasks.publish.visit_tables import B_CELLS_TITLE, GROUPS, SECRETING
from tasks.publish.wording import Row, days_text
from tasks.vocabulary.amounts import percent_text
from tasks.vocabulary.populations import B_CELLS

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

DRAWN = GROUPS[:3]
COMPOSITION_TITLE = "What the B cells consist of"
MARROW_TITLE = "Marrow"


class CurveGroup(NamedTuple):
    """Populations (id, label) of one specimen that are drawn together under a title."""

    title: str
    populations: list[tuple[str, str]]
    specimen: Specimen


def patient_figures(
    record: PatientRecord, kinetics: "pd.DataFrame", *, columns: int = COLUMNS
) -> dict[str, LinkedFigure]:
    """Draw a patient's curves, by their titles, at most so many plots beside each other.

    They are CAR T cells, B cells and what they consist of, plasma cells; and marrow where it was
    measured.
    """
    figures: dict[str, LinkedFigure] = {}
    for group in curve_groups(record, kinetics):
        figures[group.title] = _curves(record, kinetics, group, columns=columns)
        if group.title == B_CELLS_TITLE:
            figures |= composition_figure(record, kinetics)
    return figures


def patient_drawings(record: PatientRecord, kinetics: "pd.DataFrame") -> "dict[str, Markup]":
    """Give the markup of a patient's curves, by the titles of ``patient_figures``.

    Each population has a plot of its own: side by side on a wide page, one below the other on a
    phone.
    """
    drawings: dict[str, Markup] = {}
    for group in curve_groups(record, kinetics):
        drawings[group.title] = _panels(record, kinetics, group)
        if group.title == B_CELLS_TITLE:
            for title, drawn in composition_figure(record, kinetics).items():
                drawings[title] = svg_markup(drawn.figure, title, drawn.links)
    return drawings


def curve_groups(record: PatientRecord, kinetics: "pd.DataFrame") -> list[CurveGroup]:
    """List what is drawn together: populations of blood that were measured, and those of marrow."""
    blood, marrow = (
        set(kinetics.loc[kinetics["specimen"] == specimen, "population"])
        for specimen in ("blood", "marrow")
    )
    groups = [CurveGroup(title, _named(record, group, blood), "blood") for title, group in DRAWN]
    groups.append(CurveGroup(MARROW_TITLE, _named(record, SECRETING, marrow), "marrow"))
    return [group for group in groups if group.populations]


def _named(
    record: PatientRecord, group: Sequence[str], measured: Container[str]
) -> list[tuple[str, str]]:
    """Pair the measured populations of a group with their names."""
    return [(name, record.label(name)) for name in group if name in measured]


def _panels(record: PatientRecord, kinetics: "pd.DataFrame", group: CurveGroup) -> "Markup":
    """Give the plots of a group with what their axes show and their signs."""
    from markupsafe import Markup

    from tasks.publish.curve_panels import draw_curve_panels

    links = FigureLinks()
    names = [name for name, _ in group.populations]
    panels = draw_curve_panels(
        drawn_rows(kinetics, names, group.specimen, record.limits.detect_events),
        group.populations,
        record.infusion_days(),
        specimen=group.specimen,
        mark_of=lambda row: links.add(result_link(record, row)),
    )
    plots = Markup("").join(
        svg_markup(figure, f"{group.title}: {label}", links.links)
        for label, figure in panels.plots.items()
    )
    signs = svg_markup(panels.signs, f"{group.title}: what the signs mean")
    return Markup('<p class="axes">{}</p><div class="panels">{}</div>{}').format(
        panels.axes, plots, signs
    )


def _curves(
    record: PatientRecord, kinetics: "pd.DataFrame", group: CurveGroup, *, columns: int
) -> LinkedFigure:
    links = FigureLinks()
    figure = draw_kinetic_curves(
        kinetics,
        group.populations,
        record.infusion_days(),
        specimen=group.specimen,
        columns=columns,
        detect_events=record.limits.detect_events,
        mark_of=lambda row: links.add(result_link(record, row)),
    )
    return LinkedFigure(figure, links.links)


def composition_figure(record: PatientRecord, kinetics: "pd.DataFrame") -> dict[str, LinkedFigure]:
    """Draw what the B cells consist of, by its title; nothing where no visit has enough of them."""
    from tasks.kinetics.composition import composition_frame
    from tasks.publish.composition_plots import draw_composition, patient_bars

    links = FigureLinks()
    frame = composition_frame(kinetics, record.limits)
    bars = patient_bars(frame, lambda row: links.add(_part_link(record, row)))
    if not bars:
        return {}
    figure = draw_composition({"": bars}, B_CELLS_TITLE)
    return {COMPOSITION_TITLE: LinkedFigure(figure, links.links)}


def _part_link(record: PatientRecord, row: Row) -> Link:
    """Link a part of a bar to the B cells of its tube; a reported population is lit there."""
    from tasks.kinetics.composition import ALL_PARTS

    part, strategy = str(row["part"]), str(row["strategy"])
    light = record.gate(strategy, part) if part in record.labels else ""
    gate = record.gate(strategy, B_CELLS)
    share, low, high = (percent_text(float(row[name])) for name in ("share", "low", "high"))
    lines = [
        f"{ALL_PARTS[part]}, {row['visit']} (day {days_text(float(row['day']))})",
        f"{share} % of {row['b_events']:,} B cells (95 % interval {low} to {high} %)",
    ]
    address = gate_address(ROOT, str(row["tube_sha256"]), gate, light)
    return Link(address, "\n".join(lines))
