"""Write the study's front page: every patient's visits, open files and the way to every report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from tasks.publish.pages import render

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One file that is not counted: its state, and in words why and what to do."""

    file: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class CohortOverview:
    """What the front page says beside the tables: files by state, open files, the last run.

    Open files wait or failed. ``patients`` names all patients of the study, so that one without a
    counted tube is not forgotten; ``cohort_page`` says whether there is a page of all patients
    together; ``strategies`` maps panel and version to how that version came to count it;
    ``notices`` are sentences on the sheets and the instruments; ``uncalibrated`` says which tubes
    were counted without a calibration of their instrument (empty: none); ``instruments`` maps the
    address of each instrument's page to its name and how it stands.
    """

    study: str
    states: Mapping[str, int]
    open_files: Sequence[LedgerLine]
    last_run: datetime | None
    last_run_outcome: str = ""
    patients: Sequence[str] = ()
    cohort_page: bool = False
    strategies: Mapping[tuple[str, str], str] = field(default_factory=dict)
    notices: Sequence[str] = ()
    uncalibrated: str = ""
    instruments: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GridCell:
    """One visit of one patient: its tubes, and which panels of the cohort it lacks."""

    kind: str
    text: str
    missing: tuple[str, ...] = ()


def render_index(overview: CohortOverview, kinetics: "pd.DataFrame") -> str:
    """Write results/index.html: who has which visits, what waits or failed and why.

    It leads to every report.
    """
    visits, grid = completeness(kinetics)
    everyone = {patient: grid.get(patient, []) for patient in sorted({*grid, *overview.patients})}
    return render("index.html", {"overview": overview, "visits": visits, "grid": everyone})


def completeness(kinetics: "pd.DataFrame") -> tuple[list[str], dict[str, list[GridCell]]]:
    """Say for each patient and visit how many of the cohort's blood panels are counted.

    Gives the visits by median day, and each patient's cells in their order, with the panels that
    are missing.
    """
    tubes = kinetics.drop_duplicates("tube_sha256")
    panels = sorted(set(tubes.loc[tubes["specimen"] == "blood", "panel"]))
    days = tubes.groupby("visit")["day"].median().sort_values(kind="stable")
    visits = [str(visit) for visit in days.index]
    grid = {}
    for patient, of_patient in tubes.groupby("patient"):
        last = max((visits.index(visit) for visit in of_patient["visit"]), default=-1)
        grid[str(patient)] = [
            _grid_cell(of_patient[of_patient["visit"] == visit], panels, reached=i <= last)
            for i, visit in enumerate(visits)
        ]
    return visits, grid


def _grid_cell(tubes: "pd.DataFrame", panels: Sequence[str], *, reached: bool) -> GridCell:
    """Describe one visit of one patient; ``reached``: the patient came then or later."""
    blood = set(tubes.loc[tubes["specimen"] == "blood", "panel"])
    marrow = " +M" if (tubes["specimen"] == "marrow").any() else ""
    missing = tuple(panel for panel in panels if panel not in blood)
    if blood:
        kind = "partial" if missing else "full"
        return GridCell(kind, f"{len(blood)}/{len(panels)}{marrow}", missing)
    return GridCell("missed", f"–{marrow}", missing) if reached else GridCell("ahead", "")
