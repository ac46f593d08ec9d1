"""Write what the patients of a study show together: estimates, and the page with figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from panels.text.errors import SettingsFault
from panels.text.spelling import nearest
from tasks.publish.table_files import write_cohort_tables
from tasks.publish.tables import csv_bytes, write_atomically
from tasks.results.cohort_pictures import FIGURES, CohortFrames, DrawAll, cohort_pictures
from tasks.sheets.patients import Patient
from tasks.study.folder import Study
from tasks.study.settings import FILE_NAME

if TYPE_CHECKING:
    import pandas as pd

    from tasks.study.snapshot import StudySnapshot

ESTIMATE_TABLES = (
    "composition.csv",
    "parameters_summary.csv",
    "recovery_curves.csv",
    "recovery_medians.csv",
)
PAGE = "cohort.html"
ESTIMATE_FILES = (*ESTIMATE_TABLES, PAGE, *(f"{name}.png" for name in FIGURES))
NOT_GIVEN = "not given"
MOST_STRATA = 6


def strata_of(study: Study, patients: Mapping[str, Patient]) -> dict[str, str]:
    """Give each patient's group under ``cohort.stratify_by``.

    None when nothing is set or nobody is in patients.csv.

    Raises SettingsFault when that is no column of patients.csv, or one with too many values to
    compare.
    """
    column = study.settings.cohort.stratify_by
    if column is None or not patients:
        return {}
    from tasks.kinetics.turnbull import EVERYONE

    columns = sorted({name for patient in patients.values() for name in patient.strata})
    where = f"{study.folder / FILE_NAME}: cohort.stratify_by"
    if column not in columns:
        hint = nearest(column, columns) or (
            f"; columns to group by are: {', '.join(columns)}"
            if columns
            else "; add it to patients.csv"
        )
        raise SettingsFault(
            f"{where}: '{column}' is no column of patients.csv that groups patients{hint}"
        )
    groups = {name: patient.strata.get(column) or NOT_GIVEN for name, patient in patients.items()}
    # The name under which all patients stand together cannot be that of some of them.
    groups = {name: f"'{group}'" if group == EVERYONE else group for name, group in groups.items()}
    number = len(set(groups.values()))
    if number > MOST_STRATA:
        raise SettingsFault(
            f"{where}: '{column}' has {number} different values; at most {MOST_STRATA} groups "
            f"can be compared."
        )
    return groups


def write_results(
    kinetics: pd.DataFrame,
    parameters: pd.DataFrame,
    recovery: pd.DataFrame,
    *,
    strata: Mapping[str, str],
    snapshot: StudySnapshot,
    draw_all: DrawAll,
) -> None:
    """Write all tables of a cohort, the figures as PNG and cohort.html into results/cohort.

    The tables are written while ``draw_all`` has others draw.
    """
    from tasks.kinetics.cohort_schema import (
        PARAMETER_SUMMARY,
        RECOVERY_CURVES,
        RECOVERY_MEDIANS,
    )
    from tasks.kinetics.composition import composition_frame
    from tasks.kinetics.schema import COMPOSITION
    from tasks.kinetics.summary import summary_frame
    from tasks.kinetics.turnbull import curves_frame, medians_frame, recovery_curves
    from tasks.publish.cohort_page import CohortRecord, render_cohort_page
    from tasks.publish.cohort_sentences import cohort_sentences

    study = snapshot.study
    folder = study.results / "cohort"
    grouped = (
        {name: strata.get(name, NOT_GIVEN) for name in sorted(set(kinetics["patient"]))}
        if strata
        else {}
    )
    curves = recovery_curves(recovery, grouped)
    composition, summary = (
        composition_frame(kinetics, study.settings.limits),
        summary_frame(parameters, grouped),
    )
    estimates = {
        "composition": (composition, COMPOSITION),
        "parameters_summary": (summary, PARAMETER_SUMMARY),
        "recovery_curves": (curves_frame(curves), RECOVERY_CURVES),
        "recovery_medians": (medians_frame(curves), RECOVERY_MEDIANS),
    }

    def write_tables() -> None:
        write_cohort_tables(folder, kinetics, parameters, recovery)
        for name, (frame, schema) in estimates.items():
            write_atomically(folder / f"{name}.csv", csv_bytes(frame, schema))

    column = study.settings.cohort.stratify_by if grouped else None
    record = CohortRecord(
        study.settings.study, tuple(curves), column, grouped, snapshot.labels(), snapshot.gates()
    )
    frames = CohortFrames(kinetics, parameters, recovery, composition)
    pictures = cohort_pictures(folder, record, frames, draw_all=draw_all, meanwhile=write_tables)
    sentences = cohort_sentences(record, kinetics, summary)
    page = render_cohort_page(record, kinetics, summary, pictures, sentences)
    write_atomically(folder / PAGE, page.encode())
