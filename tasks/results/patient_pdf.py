"""Put a patient's pages together as one PDF, with the gates of every tube that was used."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from gating.display.projection import project
from panels.text.errors import ReconflowError, TubeFault, UsageFault
from panels.text.spelling import nearest
from tasks.kinetics.schema import KINETICS, PARAMETERS
from tasks.publish.tables import read_table, write_atomically
from tasks.results.draw_checks import contradictions
from tasks.results.patient_inputs import tables_due
from tasks.results.patient_notes import patient_notes
from tasks.results.patient_pages import REPORT, patient_record
from tasks.results.patient_tables import compared_draws, contradiction_notes, counted_tubes
from tasks.results.stored_tables import patient_folder
from tasks.store.editions import Edition, last_edition_at, last_editions
from tasks.store.faults import in_words
from tasks.store.tubes import taken_in
from tasks.tubes.gate_tube import gate_tube
from tasks.tubes.gating_page import tube_head
from tasks.tubes.reference_tubes import reference_index

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from tasks.publish.report_pdf import TubePicture
    from tasks.store.tubes import Tube
    from tasks.study.snapshot import StudySnapshot
    from tasks.tubes.reference_tubes import ReferenceIndex

PDF = "report.pdf"


@dataclass(frozen=True, slots=True)
class WrittenPdf:
    """A PDF that was written: where, how many pages, and what could not be drawn and why.

    ``fingerprint`` is that of the edition; ``outdated`` says that the study holds more by now.
    """

    path: Path
    pages: int
    fingerprint: str
    outdated: bool
    not_drawn: Sequence[str]


@dataclass(slots=True)
class _Gates:
    """Draw the gates of tubes one after the other; ``faults`` are those that cannot be drawn."""

    snapshot: StudySnapshot
    tubes: Sequence[Tube]
    references: ReferenceIndex
    progress: Callable[[int, int], None]
    faults: list[str] = field(default_factory=list)

    def pictures(self) -> Iterator[TubePicture]:
        from tasks.publish.report_pdf import TubePicture

        for done, tube in enumerate(self.tubes):
            self.progress(done, len(self.tubes))
            identity = tube.identity
            name = (
                f"{identity.visit}  ·  {identity.panel}  ·  {identity.specimen}  ·  {identity.file}"
            )
            try:
                yield TubePicture(name, _gates_figure(self.snapshot, tube, self.references))
            except (TubeFault, OSError) as error:
                said = in_words(error) if isinstance(error, OSError) else str(error)
                fault = f"The gates of tube {identity.tube_sha256[:12]} cannot be drawn: {said}"
                self.faults.append(fault)
                yield TubePicture(name, fault=fault)
        self.progress(len(self.tubes), len(self.tubes))


def report_page(snapshot: StudySnapshot, patient: str) -> Path:
    """Give the path of a patient's report.

    Raises UsageFault when there is no such patient, ReconflowError when nothing was written of the
    patient yet.
    """
    edition_of(snapshot, patient)
    page = patient_folder(snapshot.study, patient) / REPORT
    if not page.is_file():
        raise ReconflowError(f"{page} is missing. `reconflow run` writes it again.")
    return page


def edition_of(snapshot: StudySnapshot, patient: str) -> Edition:
    """Give the last edition of a patient's tables; raises as ``report_page`` does."""
    with snapshot.study.store() as store:
        edition = last_editions(store, patient).get(patient)
    if edition is not None and edition.kinetics:
        return edition
    patients = snapshot.patients.patients
    if patient not in patients:
        hint = nearest(patient, patients).replace("; did", " Did")
        raise UsageFault(f"{snapshot.patients.why_not(patient)}{hint}")
    raise ReconflowError(
        f"There are no tables of {patient} yet: no tube of this patient has been counted. "
        f"`reconflow status` says what waits and why; `reconflow run` counts."
    )


def write_patient_pdf(
    snapshot: StudySnapshot,
    patient: str,
    output: Path | None = None,
    *,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> WrittenPdf:
    """Write the PDF of the last edition of a patient's tables; report.pdf beside them by default.

    The tubes are gated again from the archive. What cannot be is named on its page and in the
    result, and the rest is written. ``progress`` is told how many tubes of how many are drawn.
    Raises as ``report_page`` does, and OSError when the file cannot be written.
    """
    from tasks.publish.report_pdf import DataEdition, report_pdf

    edition = edition_of(snapshot, patient)
    known = snapshot.patients.patients.get(patient)
    if known is None:
        raise UsageFault(snapshot.patients.why_not(patient))
    kinetics = read_table(io.BytesIO(edition.kinetics), KINETICS)
    parameters = read_table(io.BytesIO(edition.parameters), PARAMETERS)
    with snapshot.study.store() as store:
        made = last_edition_at(store, patient)
        tubes = taken_in(store)
        references = reference_index(snapshot, store, tubes)
    if made is None:
        raise ReconflowError(f"The tables of {patient} were changed meanwhile. Try again.")
    counted = counted_tubes(snapshot, patient)
    notes = (
        *patient_notes(snapshot, tubes).get(patient, ()),
        *contradiction_notes(contradictions(compared_draws(snapshot, counted), snapshot.labels())),
    )
    record = patient_record(snapshot, known, counted, notes)
    gates = _Gates(snapshot, _used_tubes(kinetics, tubes), references, progress)
    content, pages = report_pdf(
        record,
        kinetics,
        parameters,
        DataEdition(edition.fingerprint, made.astimezone(UTC)),
        gates.pictures(),
    )
    path = output or patient_folder(snapshot.study, patient) / PDF
    write_atomically(path, content)
    outdated = any(each.patient == patient for each in tables_due(snapshot).patients)
    return WrittenPdf(path, pages, edition.fingerprint, outdated, tuple(gates.faults))


def _used_tubes(kinetics: pd.DataFrame, tubes: Sequence[Tube]) -> list[Tube]:
    """List the tubes of which some result is used, by time of collection."""
    from tasks.kinetics.winning_rows import winning_rows

    used = set(winning_rows(kinetics)["tube_sha256"])
    return [tube for tube in tubes if tube.identity.tube_sha256 in used]


def _gates_figure(snapshot: StudySnapshot, tube: Tube, references: ReferenceIndex) -> Figure:
    from tasks.publish.gating_page import gating_figure

    panel = tube.identity.panel
    used = snapshot.strategies.get(panel)
    if used is None:
        raise TubeFault(f"the panel {panel} has no strategy any more.")
    gated = gate_tube(snapshot.study, tube, used, references)
    views = project(gated.compiled, gated.evaluation, gated.events, gated.header)
    return gating_figure(tube_head(tube, gated), gated.gating.flags, views)
