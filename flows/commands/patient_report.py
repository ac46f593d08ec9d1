"""The command that says where a patient's report is, or writes it as a PDF."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.cli import Json, Outcome, Study
from panels.text.errors import UsageFault


def report(
    patient: Annotated[str, Parameter(help="The patient, as patients.csv names it.")],
    *,
    study: Study = Path(),
    pdf: Annotated[
        bool, Parameter(negative="", help="Write the report as a PDF, with the gates of its tubes.")
    ] = False,
    output: Annotated[
        Path | None,
        Parameter(help="With --pdf: the file; report.pdf beside the tables when not given."),
    ] = None,
    json: Json = False,
) -> Outcome:
    """Say where a patient's report is; with --pdf, write it on A4 pages for the file.

    A tube that cannot be drawn is named, and the command ends with code 1.
    """
    from flows.progress import progress_shown, track
    from tasks.results.patient_pdf import report_page, write_patient_pdf
    from tasks.strategies.in_use import read_snapshot
    from tasks.study.folder import open_study

    if output is not None and not pdf:
        raise UsageFault("--output names the file of the PDF: give --pdf with it.")
    if output is not None and output.is_dir():
        raise UsageFault(f"--output: {output} is a folder. Name the file to write.")
    snapshot = read_snapshot(open_study(study))
    if not pdf:
        page = report_page(snapshot, patient)
        return Outcome(document={"patient": patient, "report": str(page)}, text=str(page))
    with progress_shown(quiet=json):
        written = write_patient_pdf(snapshot, patient, output, progress=track("gates"))
    lines = [f"{written.path}: {written.pages} pages, edition {written.fingerprint[:12]}"]
    if written.outdated:
        lines.append(
            f"The study holds newer data of {patient} than these tables: `reconflow run` writes "
            f"them anew."
        )
    document = {
        "patient": patient,
        "file": str(written.path),
        "pages": written.pages,
        "edition": written.fingerprint,
        "outdated": written.outdated,
        "not_drawn": list(written.not_drawn),
    }
    return Outcome(
        document, "\n".join([*lines, *written.not_drawn]), failed=bool(written.not_drawn)
    )
