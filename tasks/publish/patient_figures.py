"""Draw the curves of one patient, each point linked to the gate it was counted in."""

from collections.abc import Container, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tasks.publish.curves import (
    COLUMNS,
    CurveScale,
    Specimen,
    curve_scale,
    draw_kinetic_curves,
    drawn_rows,
)
from tasks.publish.figure_links import FigureLinks, Link, LinkedFigure, gate_address
from tasks.publish.kept_drawings import KeptDrawings, as_drawn
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

    from tasks.publish.composition_plots import Bar

DRAWN = GROUPS[:3]
COMPOSITION_TITLE = "What the B cells consist of"
MARROW_TITLE = "Marrow"
MOST_KEPT = 500
"""So many plots are kept, of some 20 kB each: those of forty patients."""


_KEPT: "KeptDrawings[Markup]" = KeptDrawings(MOST_KEPT)


class CurveGroup(NamedTuple):
    """Populations (id, label) of one specimen that are drawn together under a title."""

    title: str
    populations: list[tuple[str, str]]
    specimen: Specimen


class _Shared(NamedTuple):
    """What the plots of a group share: its title, their scale, and the day of each product."""

    title: str
    scale: CurveScale
    infusions: Mapping[str, float]


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


def patient_drawings(
    record: PatientRecord, kinetics: "pd.DataFrame", kept: "KeptDrawings[Markup]" = _KEPT
) -> "dict[str, Markup]":
    """Give the markup of a patient's curves, by the titles of ``patient_figures``.

    Each population has a plot of its own: side by side on a wide page, one below the other on a
    phone. ``kept`` holds what was drawn already.
    """
    drawings: dict[str, Markup] = {}
    kinetics = as_drawn(kinetics)
    for group in curve_groups(record, kinetics):
        drawings[group.title] = _panels(record, kinetics, group, kept)
        if group.title == B_CELLS_TITLE:
            drawings |= _composition_drawing(record, kinetics, kept)
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


def _panels(
    record: PatientRecord, kinetics: "pd.DataFrame", group: CurveGroup, kept: "KeptDrawings[Markup]"
) -> "Markup":
    """Give the plots of a group with what their axes show and their signs."""
    from markupsafe import Markup

    from tasks.publish.curve_panels import axes_sentence

    names = [name for name, _ in group.populations]
    rows = drawn_rows(kinetics, names, group.specimen, record.limits.detect_events)
    shared = _Shared(group.title, curve_scale(rows), record.infusion_days())

    def plot(place: int, population: tuple[str, str]) -> Markup:
        of_population = rows[rows["population"] == population[0]]
        values = of_population.to_dict("records")
        made_of = (shared, population, place, [(row, result_link(record, row)) for row in values])
        return kept.drawing(
            made_of, lambda: _plot(record, of_population, population, place, shared)
        )

    plots = Markup("").join(plot(place, each) for place, each in enumerate(group.populations))
    return Markup('<p class="axes">{}</p><div class="panels">{}</div>{}').format(
        axes_sentence(group.specimen, shared.scale), plots, _signs(group.title, group.specimen)
    )


def _plot(
    record: PatientRecord,
    rows: "pd.DataFrame",
    population: tuple[str, str],
    place: int,
    shared: _Shared,
) -> "Markup":
    """Give the plot of one population at a place of its group."""
    from tasks.publish.curve_panels import draw_curve_panel

    links = FigureLinks()
    figure = draw_curve_panel(
        rows,
        population,
        shared.infusions,
        place=place,
        scale=shared.scale,
        mark_of=lambda row: links.add(result_link(record, row)),
    )
    return svg_markup(figure, f"{shared.title}: {population[1]}", links.links)


@cache
def _signs(title: str, specimen: Specimen) -> "Markup":
    """Give the legend of a group, which is the same for all patients."""
    from tasks.publish.curve_panels import draw_signs

    return svg_markup(draw_signs(specimen), f"{title}: what the signs mean")


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
    from tasks.publish.composition_plots import draw_composition

    bars, links = _composition(record, kinetics)
    if not bars:
        return {}
    return {COMPOSITION_TITLE: LinkedFigure(draw_composition({"": bars}, B_CELLS_TITLE), links)}


def _composition_drawing(
    record: PatientRecord, kinetics: "pd.DataFrame", kept: "KeptDrawings[Markup]"
) -> "dict[str, Markup]":
    """Give the markup of ``composition_figure``."""
    from tasks.publish.composition_plots import draw_composition

    bars, links = _composition(record, kinetics)
    if not bars:
        return {}

    def draw() -> "Markup":
        figure = draw_composition({"": bars}, B_CELLS_TITLE)
        return svg_markup(figure, COMPOSITION_TITLE, links)

    return {COMPOSITION_TITLE: kept.drawing((COMPOSITION_TITLE, bars, links), draw)}


def _composition(
    record: PatientRecord, kinetics: "pd.DataFrame"
) -> "tuple[list[Bar], Sequence[Link]]":
    """Give the bars of a patient's visits and the links of their parts."""
    from tasks.kinetics.composition import composition_frame
    from tasks.publish.composition_plots import patient_bars

    links = FigureLinks()
    frame = composition_frame(kinetics, record.limits)
    bars = patient_bars(frame, lambda row: links.add(_part_link(record, row)))
    return bars, links.links


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
