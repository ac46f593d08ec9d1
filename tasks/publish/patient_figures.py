"""Draw the curves of one patient, each point linked to the gate it was counted in."""

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

from tasks.publish.curves import COLUMNS, Specimen, draw_kinetic_curves
from tasks.publish.figure_links import FigureLinks, Link, LinkedFigure, gate_address
from tasks.publish.patient_record import PatientRecord
from tasks.publish.result_words import ROOT, result_link
from tasks.publish.visit_tables import B_CELLS_TITLE, GROUPS, SECRETING
from tasks.publish.wording import Row, days_text
from tasks.vocabulary.amounts import percent_text
from tasks.vocabulary.populations import B_CELLS

if TYPE_CHECKING:
    import pandas as pd

DRAWN = GROUPS[:3]
COMPOSITION_TITLE = "What the B cells consist of"
MARROW_TITLE = "Marrow"


def patient_figures(
    record: PatientRecord, kinetics: "pd.DataFrame", *, columns: int = COLUMNS
) -> dict[str, LinkedFigure]:
    """Draw a patient's curves, by their titles, at most so many plots beside each other.

    They are CAR T cells, B cells and what they consist of, plasma cells; and marrow where it was
    measured.
    """
    blood, marrow = (
        set(kinetics.loc[kinetics["specimen"] == specimen, "population"])
        for specimen in ("blood", "marrow")
    )
    figures: dict[str, LinkedFigure] = {}
    for title, group in DRAWN:
        populations = _named(record, group, blood)
        if populations:
            figures[title] = _curves(record, kinetics, populations, columns=columns)
        if title == B_CELLS_TITLE:
            composition = _composition(record, kinetics)
            if composition is not None:
                figures[COMPOSITION_TITLE] = composition
    in_marrow = _named(record, SECRETING, marrow)
    if in_marrow:
        figures[MARROW_TITLE] = _curves(
            record, kinetics, in_marrow, columns=columns, specimen="marrow"
        )
    return figures


def _named(
    record: PatientRecord, group: Sequence[str], measured: Container[str]
) -> list[tuple[str, str]]:
    """Pair the measured populations of a group with their names."""
    return [(name, record.label(name)) for name in group if name in measured]


def _curves(
    record: PatientRecord,
    kinetics: "pd.DataFrame",
    populations: Sequence[tuple[str, str]],
    *,
    columns: int,
    specimen: Specimen = "blood",
) -> LinkedFigure:
    links = FigureLinks()
    figure = draw_kinetic_curves(
        kinetics,
        populations,
        record.infusion_days(),
        specimen=specimen,
        columns=columns,
        detect_events=record.limits.detect_events,
        mark_of=lambda row: links.add(result_link(record, row)),
    )
    return LinkedFigure(figure, links.links)


def _composition(record: PatientRecord, kinetics: "pd.DataFrame") -> LinkedFigure | None:
    from tasks.kinetics.composition import composition_frame
    from tasks.publish.composition_plots import draw_composition, patient_bars

    links = FigureLinks()
    frame = composition_frame(kinetics, record.limits)
    bars = patient_bars(frame, lambda row: links.add(_part_link(record, row)))
    if not bars:
        return None
    return LinkedFigure(draw_composition({"": bars}, B_CELLS_TITLE), links.links)


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
