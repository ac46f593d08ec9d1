"""Time the rebuild of all tables and parameters of a large study: 500 patients × 20 visits × 21
populations.

    python benchmarks/tables_speed.py [--folder DIR] [--patients 500] [--workers 2]

The store is filled by its own functions (some minutes; with --folder it is kept for the next time).
Then, each in the worker processes that a pass would use: tables and parameters alone (counts →
kinetics, wide table, parameters, recovery, as CSV); and everything a patient gets (with the
workbook and the report with its curves) for one patient in ten.
"""

import argparse
import math
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

from gating.evaluation.engine import ENGINE_VERSION
from tasks.counting.counts import PopulationCount
from tasks.kinetics.cohort import recovery_frame
from tasks.kinetics.parameters import parameters_frame
from tasks.kinetics.schema import KINETICS, PARAMETERS, RECOVERY
from tasks.kinetics.wide_table import wide_frame
from tasks.kinetics.winning_rows import kinetic_rows
from tasks.publish.tables import csv_bytes
from tasks.results.patient_inputs import PatientInputs, tables_due
from tasks.results.patient_tables import (
    build_patient,
    counted_tubes,
    parameter_settings,
    patient_kinetics,
)
from tasks.store.gatings import TubeGating, save_gating
from tasks.store.ledger import FileStat, add_file, all_files, set_state
from tasks.store.tubes import save_tube, taken_in
from tasks.strategies.in_use import read_snapshot, strategies_in_use
from tasks.study.folder import Study, open_study
from tasks.vocabulary.tube_identity import TubeIdentity

DAYS = (-7, 1, 4, 7, 10, 14, 21, 28, 42, 56, 70, 84, 98, 112, 126, 140, 154, 168, 252, 364)
PANELS = ("bcell", "tbnk")
INFUSED = datetime.fromisoformat("2026-01-10T11:00")


def make_study(folder: Path, patients: int) -> Study:
    """Write a study whose tubes are counted already: B cells go after infusion and come back in the
    fourth month.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "inbox").mkdir(exist_ok=True)
    (folder / "study.yaml").write_text("study: speed\n", encoding="utf-8")
    names = [f"S{number:03d}" for number in range(patients)]
    lines = [f"{name},{INFUSED.isoformat()}\n" for name in names]
    (folder / "patients.csv").write_text("patient,infused\n" + "".join(lines), encoding="utf-8")
    study = open_study(folder)
    used = strategies_in_use(study)
    with study.store() as store:
        identities = [
            _identity(name, day, panel) for name in names for day in DAYS for panel in PANELS
        ]
        with store.writing() as connection:
            for identity in identities:
                sha = identity.tube_sha256
                add_file(
                    connection,
                    identity.file,
                    identity.file,
                    f"archive/{identity.file}",
                    FileStat(1, 1, 0.0, sha),
                )
        records = {record.sha256: record for record in all_files(store)}
        with store.writing() as connection:
            for identity in identities:
                save_tube(connection, identity, {})
                set_state(connection, records[identity.tube_sha256], "accepted", "")
        numbers = read_snapshot(study).calibrations(taken_in(store))
        for identity in identities:
            gating = _gating(identity, used[identity.panel])
            sha256 = numbers[identity.tube_sha256]
            save_gating(store, replace(gating, calibration_sha256=sha256))
    return study


def _identity(patient: str, day: int, panel: str) -> TubeIdentity:
    sha = f"{patient}{day}{panel}".encode().hex().ljust(64, "0")
    beads = {"beads_per_tube": 50_000.0, "blood_volume_ul": 50.0} if panel == "tbnk" else {}
    collected = INFUSED + timedelta(days=day)
    return TubeIdentity(
        sha,
        f"{patient}_{day}_{panel}.fcs",
        patient,
        collected,
        panel,
        f"D{day}",
        leukocytes_per_ul=5000.0,
        **beads,
    )


def _gating(identity: TubeIdentity, used) -> TubeGating:  # noqa: ANN001
    day = (identity.collected - INFUSED).days
    share = 1.0 if day < 0 else 0.0 if day < 84 else 1 - math.exp(-(day - 80) / 60)
    parent_of = used.release.strategy.parent_of()
    events = {"leukocytes": 50_000, "lymphocytes": 20_000, "t_cells": 15_000}
    sizes = {
        p.id: events.get(p.id, round(1500 * share / (1 + place)))
        for place, p in enumerate(used.populations.values())
    }
    counts = tuple(
        PopulationCount(
            p.id,
            sizes[p.id],
            parent_of[p.gate],
            50_000,
            p.reference,
            max(sizes[p.id], sizes[p.reference]),
        )
        for p in used.populations.values()
    )
    beads = 12_000 if used.release.strategy.beads else None
    panel = f"{used.panel.panel}@{used.panel.version}"
    return TubeGating(
        identity.tube_sha256,
        used.name,
        used.release.sha256,
        ENGINE_VERSION,
        panel,
        80_000,
        counts,
        beads=beads,
        panel_sha256=used.panel_sha256,
    )


def tables_alone(folder: Path, inputs: list[PatientInputs]) -> int:
    """Make and write the tables and parameters of some patients; gives the number of kinetic
    rows.
    """
    study = open_study(folder)
    snapshot = read_snapshot(study)
    everyone = snapshot.patients.patients
    rows = 0
    for each in inputs:
        name = each.patient
        tubes = counted_tubes(
            snapshot, name, reference_sets=each.reference_sets, bead_rates=each.bead_rates
        )
        kinetics = patient_kinetics(snapshot, everyone[name], tubes)
        settings = parameter_settings(study.settings, {name: everyone[name]}, kinetics)
        read = kinetic_rows(kinetics, settings.detect_events)
        parameters, recovery = (
            parameters_frame(kinetics, settings, read),
            recovery_frame(kinetics, settings, read),
        )
        place = folder / "alone" / name
        place.mkdir(parents=True, exist_ok=True)
        wide = wide_frame(kinetics, settings.detect_events, read)
        made = ((kinetics, KINETICS), (parameters, PARAMETERS), (recovery, RECOVERY), (wide, None))
        tables = [csv_bytes(frame, schema) for frame, schema in made]
        for number, content in enumerate(tables):
            (place / f"{number}.csv").write_bytes(content)
        rows += len(kinetics)
    return rows


def everything(folder: Path, inputs: list[PatientInputs]) -> int:
    """Build all files of some patients, as a pass does."""
    snapshot = read_snapshot(open_study(folder))
    for each in inputs:
        build_patient(snapshot, each)
    return len(inputs)


def _shared(
    pool: ProcessPoolExecutor, workers: int, work: Callable[..., int], folder: Path, items: list
) -> tuple[int, float]:
    list(pool.map(work, [folder] * workers, [items[:1]] * workers))
    start = time.perf_counter()
    done = sum(
        pool.map(work, [folder] * workers, [items[number::workers] for number in range(workers)])
    )
    return done, time.perf_counter() - start


def main() -> None:
    """Fill the store if it is empty, then time each way of rebuilding."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--patients", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as spare,
        ProcessPoolExecutor(options.workers, get_context("spawn")) as pool,
    ):
        folder = (options.folder or Path(spare) / "study").resolve()
        study = (
            open_study(folder)
            if (folder / "study.yaml").is_file()
            else make_study(folder, options.patients)
        )
        shutil.rmtree(
            study.results, ignore_errors=True
        )  # what an earlier run of this file built is not due
        start = time.perf_counter()
        due = tables_due(read_snapshot(study)).patients
        print(
            f"asking what all patients' results are made of: "
            f"{time.perf_counter() - start:.1f} s, {len(due)} are due"
        )
        rows, seconds = _shared(pool, options.workers, tables_alone, folder, due)
        each = 1000 * seconds / len(due)
        print(
            f"tables and parameters of {len(due)} patients, {rows:,} rows: {seconds:.1f} s, "
            f"{each:.0f} ms a patient"
        )
        count, seconds = _shared(pool, options.workers, everything, folder, due[::10])
        print(
            f"everything of {count} patients (workbook, curves, report): "
            f"{seconds / count:.2f} s a patient"
        )


if __name__ == "__main__":
    main()
