"""Show results in Prefect's own pages: a table a patient, the way to the report.

Pseudonyms only.
"""

import csv
import re

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from flows.review_pages.announced import REVIEW_URL, review_address
from flows.served_study import deployment_name
from panels.text.printable import printable
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
        key=_key("kinetics", patient, deployment_name(study)),
        description=f"Kinetic table of patient {patient}, cells/µL",
    )


def show_report(study: Study, report: str) -> None:
    """Publish the way to the study's front page: a link where the review pages are served.

    A browser follows no link from Prefect's page to a file, so without them words say where the
    front page lies.
    """
    address, key = review_address(), _key("report", deployment_name(study))
    if address:
        create_link_artifact(
            address,
            link_text="Front page of the study",
            key=key,
            description="All patients, all tubes",
        )
        return
    create_markdown_artifact(
        "The front page of the study, with all patients and tubes, is this file on the computer "
        f"that ran the pass:\n\n    {printable(report)}\n\nOpen it there, or where the folder is "
        f"shared. Where the review pages are served, {REVIEW_URL} makes this a link.\n",
        key=key,
        description="All patients, all tubes",
    )


def _key(*names: str) -> str:
    """Join names to a key, which other studies on the server of a site do not have."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(names).lower()).strip("-")
