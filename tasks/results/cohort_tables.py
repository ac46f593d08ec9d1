"""Join the patients' tables into the cohort's, and estimate and draw what they show together."""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version

from tasks.results.cohort_estimates import ESTIMATE_FILES, strata_of, write_results
from tasks.results.cohort_pictures import DrawAll, drawn_here
from tasks.results.patient_tables import parameter_settings
from tasks.results.stored_tables import (
    begin_tables,
    edited_tables,
    frames_of,
    made_of,
    patient_folder,
    stored_tables,
    write_mark,
)
from tasks.review.restating import restating_entry
from tasks.store.editions import WITHDRAWN, Edition, last_editions, last_fingerprints, save_edition
from tasks.store.opening import Store
from tasks.store.tubes import taken_in
from tasks.study.folder import Study
from tasks.study.snapshot import StudySnapshot

COHORT_TABLES = (
    "kinetics.csv",
    "kinetics.parquet",
    "parameters.csv",
    "parameters.parquet",
    "recovery.csv",
)
COHORT_FILES = (*COHORT_TABLES, *ESTIMATE_FILES)


def cohort_is_due(study: Study) -> bool:
    """Tell whether the cohort's results are missing or made of other tables than there are."""
    folder = study.results / "cohort"
    with study.store() as store:
        patients = last_fingerprints(store)
        withdrawn = _withdrawn(store, patients)
    complete = all((folder / name).is_file() for name in COHORT_FILES)
    current = complete and made_of(folder) == _cohort_fingerprint(study, patients)
    return not current or bool(edited_tables(folder)) or bool(withdrawn)


def build_cohort(snapshot: StudySnapshot, draw_all: DrawAll = drawn_here) -> int:
    """Write the cohort's tables, estimates and figures, and give the number of patients.

    ``draw_all`` is who draws the figures.

    Raises SettingsFault, before anything is written, when ``cohort.stratify_by`` is no column of
    patients.csv. Results of a patient who has no tubes any more are set aside in
    ``results/withdrawn``: a table nobody rebuilds would soon be wrong, but nothing is deleted.
    """
    from tasks.kinetics.cohort import cohort_kinetics, cohort_parameters, recovery_frame

    study, patients = snapshot.study, snapshot.patients.patients
    strata = strata_of(study, patients)
    with study.store() as store:
        for name in _withdrawn(store, last_fingerprints(store)):
            _set_aside(study, name)
            gone = Edition(name, WITHDRAWN)
            save_edition(store, gone, restating_entry(store, gone))
    stored = stored_tables(study)
    made = {name: each.fingerprint for name, each in stored.items()}
    kinetics = cohort_kinetics(frames_of(stored.values(), "kinetics"))
    parameters = cohort_parameters(frames_of(stored.values(), "parameters"))
    del stored
    recovery = recovery_frame(kinetics, parameter_settings(study.settings, patients, kinetics))
    folder = study.results / "cohort"
    begin_tables(folder)
    write_results(
        kinetics, parameters, recovery, strata=strata, snapshot=snapshot, draw_all=draw_all
    )
    write_mark(
        folder,
        _cohort_fingerprint(study, made),
        [name for name in COHORT_FILES if name.endswith(".csv")],
    )
    return len(made)


def _withdrawn(store: Store, patients: Iterable[str]) -> list[str]:
    """List the patients with results whose tubes all went to other patients (a corrected sheet).

    A patient whose tubes the store does not know at all is none of them: then it is the store that
    lacks something.
    """
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


def _cohort_fingerprint(study: Study, patients: Mapping[str, str]) -> str:
    """Hash what enters the cohort's results: what each patient's were made of, and the groups."""
    inputs = {
        "study": study.settings.study,
        "patients": dict(patients),
        "cohort": study.settings.cohort.model_dump(mode="json"),
    }
    return hashlib.sha256(
        json.dumps({**inputs, "reconflow": version("reconflow")}, sort_keys=True).encode()
    ).hexdigest()
