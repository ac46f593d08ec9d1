"""Write the tables, curves and pages of a study from what its store holds, for only the patients whose inputs changed."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from panels.text.errors import ReconflowError
from tasks.counting.background import baseline_backgrounds
from tasks.counting.bead_rates import expected_bead_rates, with_bead_rates
from tasks.counting.counts import TubeCounts
from tasks.counting.quantity import Rules, group_by_visit, quantify_visit
from tasks.counting.volume import CountMethod
from tasks.kinetics.schema import RECOVERY
from tasks.publish.table_files import write_cohort_tables, write_patient_tables
from tasks.publish.tables import csv_bytes, write_atomically
from tasks.results.cohort_estimates import ESTIMATE_FILES, strata_of, write_estimates
from tasks.results.draw_checks import compare_draws, contradictions, draws_in_qc
from tasks.results.patient_notes import patient_notes
from tasks.results.series_flags import with_series_flags
from tasks.results.stored_tables import (
    begin_tables,
    edited_tables,
    frames_of,
    made_of,
    stored_tables,
    write_mark,
)
from tasks.sheets.drugs import read_drugs
from tasks.sheets.patients import Patient
from tasks.sheets.same_draw import two_draws
from tasks.store.counts import read_counts, tube_counts
from tasks.store.editions import (
    WITHDRAWN,
    Edition,
    last_editions,
    last_fingerprints,
    save_edition,
)
from tasks.store.tubes import taken_in
from tasks.strategies.in_use import InUse, in_use
from tasks.study.folder import Study
from tasks.tubes.reference_tubes import current_reference_sets
from tasks.vocabulary.elapsed import elapsed_days
from tasks.vocabulary.flags import meanings

if TYPE_CHECKING:
    import pandas as pd

    from tasks.kinetics.parameters import ParameterSettings

PATIENT_FILES = (
    "kinetics.csv",
    "kinetics_wide.csv",
    "parameters.csv",
    "kinetics.xlsx",
    "report.html",
)
PATIENT_TABLES = ("kinetics.csv", "kinetics_wide.csv", "parameters.csv")
COHORT_TABLES = (
    "kinetics.csv",
    "kinetics.parquet",
    "parameters.csv",
    "parameters.parquet",
    "recovery.csv",
)
COHORT_FILES = (*COHORT_TABLES, *ESTIMATE_FILES)
ANALYTE_OF = {"car19": "car19_t", "carbcma": "carbcma_t"}
"""Product (``infused_<product>`` of patients.csv) → the population whose clock it starts."""


@dataclass(frozen=True, slots=True)
class PatientInputs:
    """All that one patient's results are made of; ``fingerprint`` changes when any of it does.

    ``notes`` are sentences on what the tables do not hold; ``reference_sets`` is, for those of the
    patient's tubes that may ask others, the hash of whom they may ask now; ``bead_rates`` is what
    their batches let expect; ``edited`` names the published tables that somebody changed.
    """

    patient: str
    fingerprint: str
    notes: tuple[str, ...] = ()
    reference_sets: Mapping[str, str] = field(default_factory=dict)
    bead_rates: Mapping[str, float] = field(default_factory=dict)
    edited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TablesDue:
    """The patients whose tables have to be made, and the tubes whose counts were altered in the store."""

    patients: list[PatientInputs]
    altered: frozenset[str]


def patients_to_build(study: Study, used: Mapping[str, InUse]) -> list[PatientInputs]:
    """List the patients whose results are missing or were made from other inputs than there are now."""
    return tables_due(study, used).patients


def tables_due(study: Study, used: Mapping[str, InUse]) -> TablesDue:
    """Compare the results of every patient with what they would be made of now."""
    everyone = study.patients().patients
    with study.store() as store:
        known = taken_in(store)
        reference_sets = current_reference_sets(study, store, used, known)
        read = read_counts(
            store, _names(used), reference_sets=reference_sets, panels=_contents(used), known=known
        )
    counted = read.counted
    notes, rules = patient_notes(study, known), _rules(study, used)
    rates, built = expected_bead_rates(counted), _built_from(study)
    tubes: dict[str, list[TubeCounts]] = {}
    for tube in with_series_flags(
        with_bead_rates(counted, rates), read_drugs(study.drugs_sheet)[0]
    ):
        tubes.setdefault(tube.identity.patient, []).append(tube)
    inputs = [
        PatientInputs(
            name,
            _fingerprint(rules, everyone.get(name), own, notes.get(name, ())),
            notes.get(name, ()),
            {
                sha: reference_sets[sha]
                for sha in (tube.identity.tube_sha256 for tube in own)
                if sha in reference_sets
            },
            {
                sha: rates[sha]
                for sha in (tube.identity.tube_sha256 for tube in own)
                if sha in rates
            },
            tuple(edited_tables(patient_folder(study, name))),
        )
        for name, own in sorted(tubes.items())
    ]
    due = [each for each in inputs if each.edited or built.get(each.patient) != each.fingerprint]
    return TablesDue(due, read.altered)


def build_patient(study: Study, inputs: PatientInputs) -> None:
    """Write one patient's tables, curves and report.

    What was written is kept in the store too, so that a data-cut of an earlier day can be made
    again. Raises ReconflowError when the patient has left patients.csv or a table would break one
    of its promises.
    """
    from tasks.kinetics.cohort import recovery_frame
    from tasks.kinetics.parameters import parameters_frame
    from tasks.kinetics.table import kinetic_rows, wide_frame

    used, everyone = in_use(study), study.patients()
    patient = everyone.patients.get(inputs.patient)
    if patient is None:
        raise ReconflowError(everyone.why_not(inputs.patient))
    tubes = counted_tubes(
        study,
        used,
        inputs.patient,
        reference_sets=inputs.reference_sets,
        bead_rates=inputs.bead_rates,
    )
    kinetics = patient_kinetics(study, used, patient, tubes)
    settings = parameter_settings(study, {patient.patient: patient}, kinetics, tubes)
    rows = kinetic_rows(kinetics, settings.detect_events)
    parameters, recovery = (
        parameters_frame(kinetics, settings, rows),
        recovery_frame(kinetics, settings, rows),
    )
    folder = patient_folder(study, patient.patient)
    begin_tables(folder)
    compared = compare_draws(
        tubes, _populations(used), counting=_counting(used), limits=study.settings.limits
    )
    draws_in_qc(study, compared)
    against = contradictions(compared)
    wide = wide_frame(kinetics, settings.detect_events, rows)
    kept = write_patient_tables(folder, kinetics, parameters, wide, meanings(), against)
    notes = (*inputs.notes, *(f"{visit}: {sentence}" for visit, sentence in against))
    _write_report(study, patient, used, kinetics, parameters, notes=notes)
    with study.store() as store:
        save_edition(
            store,
            Edition(patient.patient, inputs.fingerprint, *kept, csv_bytes(recovery, RECOVERY)),
        )
    write_mark(folder, inputs.fingerprint, PATIENT_TABLES)


def cohort_is_due(study: Study) -> bool:
    """Tell whether the cohort's results are missing, were made of other ones, or hold a patient who has no tubes any more."""
    folder = study.results / "cohort"
    with study.store() as store:
        patients = last_fingerprints(store)
    complete = all((folder / name).is_file() for name in COHORT_FILES)
    current = complete and made_of(folder) == _cohort_fingerprint(study, patients)
    return not current or bool(edited_tables(folder)) or bool(_withdrawn(study, patients))


def build_cohort(study: Study) -> int:
    """Join all patients' tables into the cohort's, estimate and draw what they show together, and give the number of patients.

    Raises SettingsFault, before anything is written, when ``cohort.stratify_by`` is no column of
    patients.csv. Results of a patient who has no tubes any more are set aside in
    ``results/withdrawn``: a table nobody rebuilds would soon be wrong, but nothing is deleted.
    """
    from tasks.kinetics.cohort import cohort_kinetics, cohort_parameters, recovery_frame

    everyone = study.patients().patients
    strata = strata_of(study, everyone)
    with study.store() as store:
        patients = last_fingerprints(store)
    for name in _withdrawn(study, patients):
        _set_aside(study, name)
        with study.store() as store:
            save_edition(store, Edition(name, WITHDRAWN))
    stored = stored_tables(study)
    kinetics = cohort_kinetics(frames_of(stored.values(), "kinetics"))
    parameters = cohort_parameters(frames_of(stored.values(), "parameters"))
    recovery = recovery_frame(kinetics, parameter_settings(study, everyone, kinetics))
    folder = study.results / "cohort"
    begin_tables(folder)
    write_cohort_tables(folder, kinetics, parameters, recovery)
    write_estimates(
        study, kinetics, parameters, recovery, strata=strata, labels=_labels(in_use(study))
    )
    made = {name: each.fingerprint for name, each in stored.items()}
    write_mark(
        folder,
        _cohort_fingerprint(study, made),
        [name for name in COHORT_FILES if name.endswith(".csv")],
    )
    return len(stored)


def built_patients(study: Study) -> list[str]:
    """List the patients who have tables, by name."""
    with study.store() as store:
        return sorted(last_fingerprints(store))


def patient_folder(study: Study, patient: str) -> Path:
    """Give the results folder of a patient."""
    return study.results / "patients" / patient


def patient_kinetics(
    study: Study, used: Mapping[str, InUse], patient: Patient, tubes: Sequence[TubeCounts]
) -> pd.DataFrame:
    """Quantify all visits of one patient, one row a tube × population.

    Raises ReconflowError when one visit's label is used for two draws: most tables have one row a
    visit.
    """
    from tasks.kinetics.table import kinetics_frame

    for visit in group_by_visit(tubes).values():
        identities = [tube.identity for tube in visit if not tube.identity.control]
        doubt = (
            two_draws(identities[-1], identities[:1], study.settings.limits.same_draw_hours)
            if identities
            else None
        )
        if doubt:
            raise ReconflowError(doubt)
    rules, counting = _populations(used), _counting(used)
    backgrounds = baseline_backgrounds(
        tubes, rules, infused=patient.infused, baseline_visit=patient.baseline_visit
    )
    rows = [
        row
        for visit in group_by_visit(tubes).values()
        for row in quantify_visit(
            visit, rules, counting=counting, limits=study.settings.limits, backgrounds=backgrounds
        )
    ]
    return kinetics_frame(
        rows,
        infused={patient.patient: patient.infused},
        order={name: list(own) for name, own in rules.items()},
    )


def parameter_settings(
    study: Study,
    patients: Mapping[str, Patient],
    kinetics: pd.DataFrame,
    tubes: Sequence[TubeCounts] = (),
) -> ParameterSettings:
    """Gather what the parameters of some patients need beside their kinetics and the ``tubes`` these were made of."""
    from tasks.kinetics.parameters import ParameterSettings

    offsets = {
        (patient.patient, ANALYTE_OF[product]): elapsed_days(
            patient.infused, infused, patient.time_zone
        )
        for patient in patients.values()
        for product, infused in patient.products.items()
        if product in ANALYTE_OF
    }
    later = kinetics[kinetics["day"] >= 0]
    too_late = set(zip(later["patient"], later["visit"], strict=True))
    baselines = {
        # No visit has an empty label: what was named is no baseline, and none is chosen in its
        # place.
        patient.patient: ""
        if (patient.patient, patient.baseline_visit) in too_late
        else patient.baseline_visit
        for patient in patients.values()
        if patient.baseline_visit
    }
    detect_events = study.settings.limits.detect_events
    kinetic = study.settings.kinetics
    reagents = {tube.identity.tube_sha256: tube.identity.car_reagent or "" for tube in tubes}
    return ParameterSettings(
        study.settings.recovery,
        offsets,
        baselines,
        detect_events,
        kinetic.nca,
        kinetic.biexponential,
        reagents,
    )


def _write_report(
    study: Study,
    patient: Patient,
    used: Mapping[str, InUse],
    kinetics: pd.DataFrame,
    parameters: pd.DataFrame,
    *,
    notes: Sequence[str],
) -> None:
    from tasks.publish.figure_bytes import png_bytes
    from tasks.publish.report import PatientRecord, patient_figures, render_patient_report

    labels = _labels(used)
    infusions = patient.products or {"infusion": patient.infused}
    record = PatientRecord(
        patient.patient,
        infusions,
        labels,
        meanings(),
        notes,
        study.settings.limits,
        patient.time_zone,
    )
    pictures = {
        title: png_bytes(figure) for title, figure in patient_figures(record, kinetics).items()
    }
    page = patient_folder(study, patient.patient) / "report.html"
    write_atomically(page, render_patient_report(record, kinetics, parameters, pictures).encode())


def _labels(used: Mapping[str, InUse]) -> dict[str, str]:
    return {p.id: p.label for each in used.values() for p in each.populations.values()}


def counted_tubes(
    study: Study,
    used: Mapping[str, InUse],
    patient: str | None = None,
    *,
    reference_sets: Mapping[str, str] | None = None,
    bead_rates: Mapping[str, float] | None = None,
) -> list[TubeCounts]:
    """Give the counts of a study's tubes (or one patient's) under the strategies in use, with what the sheets say of them.

    ``reference_sets`` is that of ``current_reference_sets``, ``bead_rates`` what batches let expect, where
    these are known already: to know them takes a look at all tubes of the study.
    """
    only = None if bead_rates is None else patient
    with study.store() as store:
        known = (
            current_reference_sets(study, store, used) if reference_sets is None else reference_sets
        )
        counted = tube_counts(
            store, _names(used), patient=only, reference_sets=known, panels=_contents(used)
        )
    expected = expected_bead_rates(counted) if bead_rates is None else bead_rates
    rated = with_bead_rates(counted, expected)
    own = [tube for tube in rated if patient is None or tube.identity.patient == patient]
    return with_series_flags(own, read_drugs(study.drugs_sheet)[0])


def _populations(used: Mapping[str, InUse]) -> Rules:
    return {each.name: each.populations for each in used.values()}


def _counting(used: Mapping[str, InUse]) -> dict[str, tuple[CountMethod, ...]]:
    return {panel: each.panel.counting for panel, each in used.items()}


def _names(used: Mapping[str, InUse]) -> dict[str, str]:
    return {panel: each.name for panel, each in used.items()}


def _contents(used: Mapping[str, InUse]) -> dict[str, str]:
    return {panel: each.panel_sha256 for panel, each in used.items()}


def _withdrawn(study: Study, patients: Iterable[str]) -> list[str]:
    """List the patients with results whose tubes all went to other patients (a mended sheet).

    A patient whose tubes the store does not know at all is none of them: then it is the store that
    lacks something.
    """
    with study.store() as store:
        tubes = [tube.identity for tube in taken_in(store)]
        present, known = {tube.patient for tube in tubes}, {tube.tube_sha256 for tube in tubes}
        gone = [last_editions(store, name)[name] for name in patients if name not in present]
    return [each.patient for each in gone if _tubes_in(each) <= known]


def _tubes_in(edition: Edition) -> set[str]:
    return {row["tube_sha256"] for row in csv.DictReader(io.StringIO(edition.kinetics.decode()))}


def _set_aside(study: Study, patient: str) -> None:
    """Move a patient's results to ``results/withdrawn``, beside those set aside earlier."""
    aside = study.results / "withdrawn"
    aside.mkdir(exist_ok=True)
    names = itertools.chain((patient,), (f"{patient}-{number}" for number in itertools.count(2)))
    patient_folder(study, patient).rename(
        next(aside / name for name in names if not (aside / name).exists())
    )


def _rules(study: Study, used: Mapping[str, InUse]) -> dict[str, object]:
    """Gather what enters the results of every patient: strategies, settings, program."""
    return {
        "strategies": {
            panel: (each.release.sha256, each.panel_sha256) for panel, each in used.items()
        },
        "limits": study.settings.limits.model_dump(mode="json"),
        "recovery": study.settings.recovery.model_dump(mode="json"),
        "kinetics": study.settings.kinetics.model_dump(mode="json"),
        "reconflow": version("reconflow"),
    }


def _fingerprint(
    rules: Mapping[str, object],
    patient: Patient | None,
    tubes: Sequence[TubeCounts],
    notes: Sequence[str],
) -> str:
    """Hash everything that enters a patient's results: counts, identities, infusions, rules."""
    inputs = {
        **rules,
        "tubes": [repr(tube) for tube in tubes],
        "notes": list(notes),
        "patient": None if patient is None else asdict(patient) | {"line": None},
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=_plain).encode()).hexdigest()


def _cohort_fingerprint(study: Study, patients: Mapping[str, str]) -> str:
    """Hash everything that enters the cohort's results: what each patient's were made of, and how patients are grouped."""
    inputs = {
        "study": study.settings.study,
        "patients": dict(patients),
        "cohort": study.settings.cohort.model_dump(mode="json"),
    }
    return hashlib.sha256(
        json.dumps({**inputs, "reconflow": version("reconflow")}, sort_keys=True).encode()
    ).hexdigest()


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _built_from(study: Study) -> dict[str, str]:
    """Map each patient whose results are complete, and are those of the store, to what they were made of."""
    with study.store() as store:
        folders = {name: patient_folder(study, name) for name in last_fingerprints(store)}
    complete = {
        name: folder
        for name, folder in folders.items()
        if all((folder / file).is_file() for file in PATIENT_FILES)
    }
    return {name: made_of(folder) for name, folder in complete.items()}
