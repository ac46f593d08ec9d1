"""Tell in a patient's report what its tables do not hold, and why.

These are tubes that failed, wait or were refused, and a baseline visit that cannot be one. It also
tells what persons decided on single tubes.

A file's name is not repeated here, because a cytometer's operator may have written a person's
name in it; the front page has it.
"""

from collections.abc import Iterable, Mapping, Sequence

from panels.text.spelling import nearest
from tasks.intake.inbox import list_inbox
from tasks.results.decision_notes import decision_notes
from tasks.sheets.csv_table import SheetProblem
from tasks.sheets.patients import NAME, Patient, PatientSheet
from tasks.sheets.samples import SampleRow, SampleSheet, read_samples
from tasks.store.ledger import FileRecord, State, all_files
from tasks.store.tubes import Tube
from tasks.study.snapshot import StudySnapshot
from tasks.vocabulary.moments import comparable, elapsed_days
from tasks.vocabulary.tube_identity import TubeIdentity

_OPEN: tuple[State, ...] = ("waiting", "quarantined")


def patient_notes(snapshot: StudySnapshot, tubes: Sequence[Tube]) -> dict[str, tuple[str, ...]]:
    """Give for each patient the sentences its report has to begin with, in a fixed order.

    ``tubes`` are all tubes taken in.
    """
    study = snapshot.study
    with study.store() as store:
        open_files = [record for record in all_files(store, _OPEN) if record.place]
        decided = list(decision_notes(snapshot, store, tubes))
    samples = read_samples(study.samples_sheet, study.inbox, list_inbox(study).sheets)
    sentences_of: dict[str, set[str]] = {}
    for tube in tubes:
        if tube.file.state == "failed" and not (tube.identity.control or "").startswith("fmo:"):
            short = tube.identity.tube_sha256[:12]
            what = (
                f"The {tube.identity.panel} tube {short} of visit {tube.identity.visit} "
                f"({tube.identity.specimen})"
            )
            sentences_of.setdefault(tube.identity.patient, set()).add(
                f"{what} failed and is in no table; the overview says why."
            )
    taken = {tube.file.inbox_path for tube in tubes}
    for record in open_files:
        for patient, what in _meant(samples, record) if record.inbox_path not in taken else ():
            became = "waits" if record.state == "waiting" else "was refused"
            sentences_of.setdefault(patient, set()).add(
                f"{what} {became} and is in no table; the overview says why."
            )
    for fault in snapshot.drug_problems:
        concerned = (
            [fault.patient] if fault.patient else sorted({tube.identity.patient for tube in tubes})
        )
        for patient in concerned:
            sentences_of.setdefault(patient, set()).add(
                f"{fault} Until it is corrected no count says whether such a drug hides it."
            )
    for patient, said in (*baseline_warnings(snapshot.patients, tubes).items(), *decided):
        sentences_of.setdefault(patient, set()).add(said)
    return {patient: tuple(sorted(sentences)) for patient, sentences in sentences_of.items()}


def baseline_warnings(patients: PatientSheet, tubes: Iterable[Tube]) -> dict[str, str]:
    """Warn of each patient whose ``baseline_visit`` is none of its visits before infusion."""
    of_patient: dict[str, list[TubeIdentity]] = {}
    for tube in tubes:
        if not tube.identity.control:
            of_patient.setdefault(tube.identity.patient, []).append(tube.identity)
    warnings: dict[str, str] = {}
    for name, identities in sorted(of_patient.items()):
        patient = patients.patients.get(name)
        warning = _baseline_warning(patient, identities) if patient else None
        if warning:
            warnings[name] = warning
    return warnings


def _baseline_warning(patient: Patient, tubes: Iterable[TubeIdentity]) -> str | None:
    days = _visit_days(patient, tubes)
    named = patient.baseline_visit
    if named is None or not days or days.get(named, 0.0) < 0:
        return None
    where = f"{NAME}, line {patient.line}, column baseline_visit: {patient.patient}"
    listed = ", ".join(
        f"{visit} (day {day:.1f})" for visit, day in sorted(days.items(), key=lambda item: item[1])
    )
    wrong = (
        f"'{named}' is not before the infusion"
        if named in days
        else f"there is no visit '{named}' so far{nearest(named, days)}"
    )
    return (
        f"{where}: {wrong.rstrip('?')}. The visits are {listed}. Until this is corrected nothing "
        f"is compared with a baseline."
    )


def _visit_days(patient: Patient, tubes: Iterable[TubeIdentity]) -> Mapping[str, float]:
    """Give the latest day of each visit."""
    days: dict[str, float] = {}
    for tube in tubes:
        if comparable(patient.infused, tube.collected, tube.time_zone):
            day = elapsed_days(patient.infused, tube.collected, tube.time_zone)
            days[tube.visit] = max(day, days.get(tube.visit, day))
    return days


def _meant(samples: SampleSheet, record: FileRecord) -> list[tuple[str, str]]:
    """Give the patients a file belongs to by the sheets, and a description of the file.

    The description does not repeat the file's name.
    """
    meant = []
    for line in samples.naming(record.inbox_path):
        if isinstance(line, SheetProblem):
            meant += (
                [(line.patient, f"The file of {line.file}, line {line.line}")]
                if line.patient
                else []
            )
        elif isinstance(line, SampleRow) and "patient" in line.values:
            panel, visit = line.values.get("panel", ""), line.values.get("visit", "")
            what = f"{panel} tube" if panel else "file"
            meant.append(
                (
                    str(line.values["patient"]),
                    f"The {what} of {f'visit {visit}, ' if visit else ''}{line}",
                )
            )
    return meant
