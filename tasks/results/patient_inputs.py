"""Find the patients whose tables have to be made anew, because their inputs changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from importlib.metadata import version

from tasks.counting.bead_rates import expected_bead_rates, with_bead_rates
from tasks.counting.counts import TubeCounts
from tasks.results.calibration_flags import with_calibration_flags
from tasks.results.gate_pages import gates_of
from tasks.results.instrument_names import with_instrument_names
from tasks.results.patient_notes import patient_notes
from tasks.results.patient_pages import controls_by_patient, controls_mark, has_map
from tasks.results.series_flags import with_series_flags
from tasks.results.stored_tables import edited_tables, made_of, patient_folder
from tasks.results.tables_expected import (
    Expected,
    is_all_as_expected,
    is_as_expected,
    study_sha256,
)
from tasks.sheets.patients import Patient
from tasks.store.counts import gating_rows, read_counts
from tasks.store.editions import last_fingerprints
from tasks.store.opening import Store
from tasks.store.reviews import Review, reviews_of
from tasks.store.tubes import taken_in
from tasks.study.folder import Study
from tasks.study.snapshot import StudySnapshot
from tasks.tubes.reference_tubes import reference_sets
from tasks.vocabulary.tube_identity import TubeIdentity

PATIENT_FILES = (
    "kinetics.csv",
    "kinetics_wide.csv",
    "parameters.csv",
    "kinetics.xlsx",
    "series.js",
    "report.html",
)


@dataclass(frozen=True, slots=True)
class PatientInputs:
    """All that one patient's results are made of; ``fingerprint`` changes when any of it does.

    ``notes`` are sentences on what the tables do not hold; ``reference_sets`` is, for those of the
    patient's tubes that have reference tubes, the hash of which these are now; ``bead_rates`` is
    what their batches let expect; ``edited`` names the published tables that somebody changed;
    ``decisions`` are those of reviewers, oldest first; ``controls`` are those that the pages name.
    """

    patient: str
    fingerprint: str
    notes: tuple[str, ...] = ()
    reference_sets: Mapping[str, str] = field(default_factory=dict)
    bead_rates: Mapping[str, float] = field(default_factory=dict)
    edited: tuple[str, ...] = ()
    decisions: tuple[Review, ...] = ()
    controls: tuple[TubeIdentity, ...] = ()


@dataclass(frozen=True, slots=True)
class TablesDue:
    """The patients whose tables have to be made, and the tubes with altered counts in the store.

    ``made_of`` stands for all that was read of the study; ``expected`` is, by patient, what a
    folder has to hold when its tables are made. Both are empty where counts were altered, and
    ``expected`` where it is what was kept.
    """

    patients: list[PatientInputs]
    altered: frozenset[str]
    made_of: str = ""
    expected: Mapping[str, Expected] = field(default_factory=dict)


def tables_due(snapshot: StudySnapshot) -> TablesDue:
    """Compare the results of every patient with what they would be made of now."""
    study = snapshot.study
    with study.store() as store:
        known = taken_in(store)
        rows = gating_rows(store, snapshot.versions().values())
        notes = patient_notes(snapshot, known)
        of_study = study_sha256(snapshot, store, known, rows, notes)
        built = _built_from(study, store)
        if is_all_as_expected(study, of_study, built):
            return TablesDue([], frozenset(), of_study)
        references = reference_sets(snapshot, store, known)
        read = read_counts(
            store,
            snapshot.versions(),
            reference_sets=references,
            panels=snapshot.panel_contents(),
            calibrations=snapshot.calibrations(known),
            known=known,
            rows=rows,
        )
        reviews = reviews_of(store)
    rules = _rules(snapshot)
    rates = expected_bead_rates(read.counted)
    tubes: dict[str, list[TubeCounts]] = {}
    calibrated = with_calibration_flags(snapshot, read.counted, known)
    flagged = with_series_flags(with_bead_rates(calibrated, rates), snapshot.exposures)
    for tube in with_instrument_names(flagged, known):
        tubes.setdefault(tube.identity.patient, []).append(tube)
    controls, decided = controls_by_patient(known), _by_patient(reviews)
    due, expected = [], {}
    for name, counted in sorted(tubes.items()):
        sentences = notes.get(name, ())
        decisions = tuple(decided.get(name, ()))
        shas = [tube.identity.tube_sha256 for tube in counted]
        inputs = PatientInputs(
            name,
            _fingerprint(
                rules | _decided(decisions),
                snapshot.patients.patients.get(name),
                counted,
                sentences,
            ),
            sentences,
            {sha: references[sha] for sha in shas if sha in references},
            {sha: rates[sha] for sha in shas if sha in rates},
            tuple(edited_tables(patient_folder(study, name))),
            decisions,
            tuple(controls.get(name, ())),
        )
        expected[name] = _expected(snapshot, inputs, counted)
        if inputs.edited or not is_as_expected(study, name, expected[name], built):
            due.append(inputs)
    if read.altered:
        return TablesDue(due, read.altered)
    return TablesDue(due, read.altered, of_study, expected)


def _expected(
    snapshot: StudySnapshot, inputs: PatientInputs, counted: Sequence[TubeCounts]
) -> Expected:
    """Say what the folder of a patient with these tubes has to hold."""
    with_map = has_map(patient_folder(snapshot.study, inputs.patient))
    return Expected(
        inputs.fingerprint,
        controls_mark(inputs.controls, counted, has_map=with_map),
        with_map,
        tuple(gates_of(snapshot, counted)),
    )


def _by_patient(reviews: Sequence[Review]) -> dict[str, list[Review]]:
    listed: dict[str, list[Review]] = {}
    for each in reviews:
        listed.setdefault(each.patient, []).append(each)
    return listed


def _rules(snapshot: StudySnapshot) -> dict[str, object]:
    """Gather what enters the results of every patient: strategies, settings, program."""
    settings = snapshot.study.settings
    return {
        "strategies": {
            panel: (used.release.sha256, used.panel_sha256)
            for panel, used in snapshot.strategies.items()
        },
        "limits": settings.limits.model_dump(mode="json"),
        "recovery": settings.recovery.model_dump(mode="json"),
        "kinetics": settings.kinetics.model_dump(mode="json"),
        "reconflow": version("reconflow"),
    }


def _decided(decisions: Sequence[Review]) -> dict[str, object]:
    """Name the decisions that enter a patient's tables by their entries in the log."""
    return {"reviews": [each.entry for each in decisions]} if decisions else {}


def _fingerprint(
    rules: Mapping[str, object],
    patient: Patient | None,
    tubes: Sequence[TubeCounts],
    notes: Sequence[str],
) -> str:
    """Hash everything that enters a patient's results: counts, identities, infusions, rules."""
    inputs = {
        **rules,
        "tubes": [_written(tube) for tube in tubes],
        "notes": list(notes),
        "patient": None if patient is None else asdict(patient) | {"line": None},
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=_plain).encode()).hexdigest()


def _written(tube: TubeCounts) -> str:
    """Write a tube's counts in one way only: a set has another order in each process."""
    return f"{replace(tube, corrected=frozenset())!r} {sorted(tube.corrected)}"


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _built_from(study: Study, store: Store) -> dict[str, str]:
    """Map each patient whose results are complete to what they were made of."""
    built = {}
    for name in last_fingerprints(store):
        folder = patient_folder(study, name)
        if all((folder / file).is_file() for file in PATIENT_FILES):
            built[name] = made_of(folder)
    return built
