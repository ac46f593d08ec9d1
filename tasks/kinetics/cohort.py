"""Gather the patients' tables into those of the cohort."""

from collections.abc import Iterable, Sequence

import pandas as pd

from panels.text.errors import ReconflowError
from tasks.kinetics.parameter_settings import ParameterSettings
from tasks.kinetics.parameters import check_parameters
from tasks.kinetics.reconstitution import recoveries
from tasks.kinetics.recovery import Crossing, Definition, Recovery
from tasks.kinetics.rows import Row
from tasks.kinetics.schema import KINETICS, PARAMETERS, RECOVERY
from tasks.kinetics.table import check_kinetics
from tasks.kinetics.table_schema import check_shape
from tasks.kinetics.winning_rows import KineticRows, blood_rows, kinetic_rows
from tasks.vocabulary.populations import B_CELLS

NEVER_SEEN = Crossing(None, None, "none")


def cohort_kinetics(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Join the patients' kinetics tables, one row a tube × population, by patient."""
    joined = _joined(frames, KINETICS.names)
    check_kinetics(joined)
    return joined


def cohort_parameters(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Join the patients' parameters by patient.

    The grain is one row a patient × specimen × population × parameter.
    """
    joined = _joined(frames, PARAMETERS.names)
    check_parameters(joined)
    return joined


def recovery_frame(
    kinetics: pd.DataFrame,
    settings: ParameterSettings | None = None,
    rows: KineticRows | None = None,
) -> pd.DataFrame:
    """Bound depletion and recovery of the B cells in blood, one row a patient × definition.

    ``rows`` are those of ``kinetic_rows``, where they are known already.
    """
    chosen = settings or ParameterSettings()
    read = rows or kinetic_rows(blood_rows(kinetics, [B_CELLS]), chosen.detect_events)
    visits_of, tubes_of = _b_cells_by_patient(read.visits), _b_cells_by_patient(read.tubes)
    records: list[tuple[object, ...]] = []
    for patient, visits in sorted(visits_of.items()):
        judged = recoveries(
            sorted(visits, key=lambda row: row["day"]),
            tubes_of[patient],
            chosen.recovery,
            baseline_visit=chosen.baseline_visits.get(patient),
        )
        records += [_record(patient, definition, each) for definition, each in judged]
    frame = RECOVERY.frame(records)
    check_recovery(frame)
    return frame


def check_recovery(frame: pd.DataFrame) -> None:
    """Raise ReconflowError when a recovery table breaks one of the promises of ``RECOVERY``."""
    check_shape(frame, RECOVERY, "recovery")
    wrong = (frame["low"] >= frame["high"]) | (
        (frame["censoring"] == "right") != (frame["depleted"].eq(True) & frame["high"].isna())
    )
    if wrong.any():
        first = frame[wrong].iloc[0]
        raise ReconflowError(
            f"recovery table: the interval of patient {first['patient']} under "
            f"{first['definition']} is impossible."
        )


def _joined(frames: Iterable[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return pd.DataFrame({name: [] for name in columns})
    return pd.concat(filled, ignore_index=True).sort_values(
        "patient", kind="stable", ignore_index=True
    )


def _b_cells_by_patient(rows: Sequence[Row]) -> dict[str, list[Row]]:
    by_patient: dict[str, list[Row]] = {}
    for row in rows:
        if row["specimen"] == "blood" and row["population"] == B_CELLS:
            by_patient.setdefault(row["patient"], []).append(row)
    return by_patient


def _record(patient: str, definition: Definition, judged: Recovery) -> tuple[object, ...]:
    depletion = judged.depletion or NEVER_SEEN
    regained = judged.recovery or NEVER_SEEN
    return (
        patient,
        B_CELLS,
        definition.version,
        judged.depleted,
        depletion.low,
        depletion.high,
        regained.low,
        regained.high,
        regained.estimate,
        regained.censoring,
        judged.confirmed,
        judged.lost,
        judged.evaluable,
        judged.skipped,
    )
