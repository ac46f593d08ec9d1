"""Draw what the patients of a cohort show together, linked to their gates and their reports."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from tasks.kinetics.turnbull import EVERYONE
from tasks.publish.cohort_page import CohortRecord
from tasks.publish.figure_links import (
    MARK,
    FigureLinks,
    Link,
    LinkedFigure,
    gate_address,
    link_names,
)
from tasks.publish.patient_record import PatientRecord
from tasks.publish.result_words import result_text
from tasks.publish.svg_figure import short_svg_markup
from tasks.publish.wording import Row

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup
    from matplotlib.figure import Figure

ROOT = "../"
"""The way from the cohort's folder to the results."""
MOST_SVG_LETTERS = 300_000
"""A figure with more is put into the page as a picture, without links."""
MOST_LINES = 1_000
"""Of more patients no figure has a line each: nobody reads it, and each line takes 0.2 MB of memory
while it is drawn."""
DESCRIPTIONS = {
    "time_to_recovery": "Share of patients recovered over time; the table holds the medians",
    "curves": "Every patient's cells in blood over time with the median; "
    "the tables of all results hold the numbers",
    "composition": "Mean share of naive, transitional and memory cells among the B cells, visit by "
    "visit; the table of the composition holds the numbers",
    "swimmer": "Depletion and recovery of B cells and persistence of CAR T cells, one bar a "
    "patient; the tables hold the numbers",
    "completeness": "Patients and visits: counted, nothing evaluable, or missing",
    "exposure": "Area under the curve from day 0 to 28 of every patient, highest first; the table "
    "of parameters holds the numbers",
}


def cohort_figures(
    record: CohortRecord,
    kinetics: "pd.DataFrame",
    parameters: "pd.DataFrame",
    recovery: "pd.DataFrame",
    composition: "pd.DataFrame",
    names: Sequence[str] = tuple(DESCRIPTIONS),
) -> dict[str, LinkedFigure]:
    """Draw the cohort's figures with these names, by the name of their file.

    The frames have the columns of the schemas that bear their names.
    """
    from tasks.publish.cohort_curves import draw_cohort_curves
    from tasks.publish.completeness_plot import draw_completeness
    from tasks.publish.composition_plots import cohort_bars, draw_composition
    from tasks.publish.exposure_plot import draw_exposure
    from tasks.publish.patient_lines import draw_too_many
    from tasks.publish.recovery_plot import draw_recovery
    from tasks.publish.swimmer_plot import draw_swimmers

    patients = sorted(set(kinetics["patient"]))

    def curves() -> LinkedFigure:
        points = PointLinks(record)
        drawn = draw_cohort_curves(kinetics, strata=record.strata, mark_of=points.add)
        return LinkedFigure(drawn, points)

    def bars() -> LinkedFigure:
        strata = composition["patient"].map(record.strata or (lambda _: EVERYONE))
        groups = {str(name): cohort_bars(rows) for name, rows in composition.groupby(strata)}
        return LinkedFigure(draw_composition(groups, "n ="), ())

    def named(draw_lines: "Callable[[], Figure]") -> LinkedFigure:
        if len(patients) > MOST_LINES:
            return LinkedFigure(draw_too_many(len(patients)), ())
        figure, links = draw_lines(), FigureLinks()
        link_names(figure, {patient: links.add(_report_link(patient)) for patient in patients})
        return LinkedFigure(figure, links.links)

    draw: dict[str, Callable[[], LinkedFigure]] = {
        "time_to_recovery": lambda: LinkedFigure(draw_recovery(record.curves), ()),
        "curves": curves,
        "composition": bars,
        "swimmer": lambda: named(
            lambda: draw_swimmers(kinetics, parameters, recovery, record.strata)
        ),
        "completeness": lambda: named(lambda: draw_completeness(kinetics, record.strata)),
        "exposure": lambda: named(lambda: draw_exposure(parameters, patients, record.strata)),
    }
    return {name: draw[name]() for name in names}


class PointLinks(Sequence[Link]):
    """The links of the points of a cohort's curves, each put into words when it is asked for.

    A large figure is shown as a picture, without any of its links.
    """

    def __init__(self, record: CohortRecord) -> None:
        """Begin without points."""
        self._record = record
        self._rows: list[Row] = []

    def add(self, row: Row) -> str:
        """Keep the row of a point, and give the mark that stands for its link."""
        self._rows.append(row)
        return f"{MARK}{len(self._rows) - 1}"

    def __getitem__(self, place: int) -> Link:  # type: ignore[override] # never asked for a slice
        """Give the link of the point with this mark."""
        return _point_link(self._record, self._rows[place])

    def __len__(self) -> int:
        """Give the number of points."""
        return len(self._rows)


def _point_link(record: CohortRecord, row: Row) -> Link:
    patient = PatientRecord(str(row["patient"]), {}, record.labels)
    text = f"{row['patient']}: {result_text(patient, row)}"
    gate = record.gates.get((str(row["strategy"]), str(row["population"])), str(row["population"]))
    return Link(gate_address(ROOT, str(row["tube_sha256"]), gate), text)


def _report_link(patient: str) -> Link:
    return Link(f"{ROOT}patients/{quote(patient, safe='')}/report.html", f"Report of {patient}")


def figure_in_page(name: str, linked: LinkedFigure, png: bytes) -> "Markup":
    """Give the markup of a figure: SVG with its links, or the picture where SVG would be large.

    ``png`` are the bytes of that picture.
    """
    from markupsafe import Markup

    description = DESCRIPTIONS[name]
    svg = short_svg_markup(linked.figure, description, linked.links, MOST_SVG_LETTERS)
    if svg is not None:
        return svg
    data = b64encode(png).decode()
    picture = f'<img src="data:image/png;base64,{data}" alt="{escape(description)}">'
    return Markup(picture)  # noqa: S704 - escaped above
