"""Write what people and browsers read of one patient: the report and the data of its pages."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.publish.map_page import PAGE as MAP_PAGE
from tasks.publish.page_data import data_script
from tasks.publish.patient_record import PatientRecord
from tasks.publish.tables import write_atomically
from tasks.results.instrument_names import with_instrument_name
from tasks.results.stored_tables import patient_folder
from tasks.vocabulary.flags import meanings

if TYPE_CHECKING:
    import pandas as pd

    from tasks.counting.counts import TubeCounts
    from tasks.sheets.patients import Patient
    from tasks.store.tubes import Tube
    from tasks.study.snapshot import StudySnapshot
    from tasks.vocabulary.tube_identity import TubeIdentity

SERIES, REPORT = "series.js", "report.html"
CONTROLS = ".controls.sha256"
"""Beside series.js: which controls it names, and whether the report leads to a map, which needs to
know by what the tubes were counted. They change no table, so they are no part of what the tables
were made of: another control in a batch does not make another edition."""


def patient_record(
    snapshot: StudySnapshot,
    patient: Patient,
    tubes: Sequence[TubeCounts],
    notes: Sequence[str],
    controls: Sequence[TubeIdentity] = (),
) -> PatientRecord:
    """Gather what the pages of a patient say beside the tables."""
    return PatientRecord(
        patient=patient.patient,
        infusions=patient.products or {"infusion": patient.infused},
        labels=snapshot.labels(),
        flag_meanings=meanings(),
        notes=notes,
        limits=snapshot.study.settings.limits,
        time_zone=patient.time_zone,
        baseline_visit=patient.baseline_visit,
        tubes=tubes,
        controls=controls,
        gates=snapshot.gates(),
        has_map=has_map(patient_folder(snapshot.study, patient.patient)),
    )


def controls_by_patient(known: Sequence[Tube]) -> dict[str, list[TubeIdentity]]:
    """List for each patient its controls, and those of the batches in which its tubes were run.

    ``known`` are all tubes taken in, whose order the controls keep; a patient without any is left
    out.
    """
    present = [tube for tube in known if tube.file.state != "failed"]
    controls = [with_instrument_name(tube) for tube in present if tube.identity.control]
    of_batch: dict[tuple[str, str | None], list[int]] = {}
    wanted: dict[str, set[int]] = {}
    for place, control in enumerate(controls):
        wanted.setdefault(control.patient, set()).add(place)
        if control.batch:
            of_batch.setdefault((control.panel, control.batch), []).append(place)
    for identity in (tube.identity for tube in present):
        places = of_batch.get((identity.panel, identity.batch), ())
        wanted.setdefault(identity.patient, set()).update(places)
    return {
        patient: [controls[place] for place in sorted(places)]
        for patient, places in wanted.items()
        if places
    }


def has_map(folder: Path) -> bool:
    """Tell whether there is a page of maps in a patient's folder."""
    return (folder / MAP_PAGE).is_file()


def controls_shown(folder: Path) -> str:
    """Give the mark of the controls that the pages in a patient's folder name; empty without it."""
    mark = folder / CONTROLS
    return mark.read_text(encoding="utf-8") if mark.is_file() else ""


def controls_mark(
    controls: Sequence[TubeIdentity], tubes: Sequence[TubeCounts], *, has_map: bool
) -> str:
    """Give the mark of pages that name these controls, as they are known now.

    Where there is a page of maps, they have to lead to it and to know how ``tubes`` were counted.
    """
    of_map = [MAP_PAGE, *sorted(tube.counted_as for tube in tubes)] if has_map else []
    listed = "\n".join([*map(repr, controls), *of_map])
    return hashlib.sha256(listed.encode()).hexdigest() + "\n"


def write_patient_pages(
    folder: Path, record: PatientRecord, kinetics: pd.DataFrame, parameters: pd.DataFrame
) -> None:
    """Write report.html and series.js into a patient's folder."""
    from tasks.publish.course import course_sentences
    from tasks.publish.patient_figures import patient_drawings
    from tasks.publish.patient_series import patient_series
    from tasks.publish.report import render_patient_report

    sentences = course_sentences(record, kinetics, parameters)
    series = patient_series(record, kinetics, sentences)
    write_atomically(folder / SERIES, data_script("patient", record.patient, series))
    figures = patient_drawings(record, kinetics)
    page = render_patient_report(record, kinetics, parameters, figures, sentences)
    write_atomically(folder / REPORT, page.encode())
    mark = controls_mark(record.controls, record.tubes, has_map=record.has_map)
    write_atomically(folder / CONTROLS, mark.encode())
