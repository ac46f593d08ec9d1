"""Show results in Prefect's own pages: a table a patient, a link to the report. Pseudonyms only."""

import csv
import re
from pathlib import Path

from prefect.artifacts import create_link_artifact, create_table_artifact

from tasks.results.stored_tables import patient_folder
from tasks.study.folder import Study


def show_patient(study: Study, patient: str) -> None:
    """Publish a patient's table as a laboratory would print it."""
    path = patient_folder(study, patient) / "kinetics_wide.csv"
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    create_table_artifact(
        rows,
        key=f"kinetics-{_key(patient)}",
        description=f"Kinetic table of patient {patient}, cells/µL",
    )


def show_report(report: str) -> None:
    """Publish the way to the study's front page."""
    create_link_artifact(
        Path(report).as_uri(),
        link_text="Report of the study",
        key="report",
        description="All patients, all tubes",
    )


def _key(patient: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", patient.lower()).strip("-")
