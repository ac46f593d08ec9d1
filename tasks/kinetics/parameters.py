"""Derive each patient's parameters from the kinetic table.

Where tubes of a visit share a population, the row that wins in the wide table is the one used.
Values below the limit of quantification count as BLQ; a visit that is not evaluable is no sample.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from panels.text.errors import ReconflowError
from tasks.kinetics.cellular_kinetics import car_parameters
from tasks.kinetics.parameter_settings import ParameterSettings
from tasks.kinetics.plasma_cells import plasma_cell_parameters
from tasks.kinetics.reconstitution import b_lineage_parameters
from tasks.kinetics.rows import Parameter, Row
from tasks.kinetics.schema import PARAMETERS
from tasks.kinetics.table_schema import check_shape
from tasks.kinetics.winning_rows import KineticRows, kinetic_rows
from tasks.vocabulary.populations import TOTAL_B, population_rank, with_role
from tasks.vocabulary.reasons import why_of

CAR_POPULATIONS = with_role("car_kinetics")
PLASMA_CELLS = with_role("plasma_cells")
WITH_BASELINE_RATIO = with_role("baseline_ratio")


def parameters_frame(
    kinetics: pd.DataFrame,
    settings: ParameterSettings | None = None,
    rows: KineticRows | None = None,
) -> pd.DataFrame:
    """Derive all parameters of all patients of a kinetics table.

    The columns are those of ``PARAMETERS``. Every parameter of a population has its row, with an
    empty value where it is not estimable. Rows come by patient, specimen, population and in the
    order in which the parameters are defined. ``rows`` are those of ``kinetic_rows``, where they
    are known already.
    """
    chosen = settings or ParameterSettings()
    read = rows or kinetic_rows(kinetics, chosen.detect_events)
    tubes: dict[tuple[str, str], list[Row]] = {}
    for row in read.tubes:
        tubes.setdefault((row["patient"], row["specimen"]), []).append(row)
    records: list[tuple[object, ...]] = []
    for (patient, specimen), visits in sorted(_visits_by_population(read.visits).items()):
        for population in sorted(visits, key=population_rank):
            derived = _parameters(visits[population], tubes[patient, specimen], chosen)
            for analyte, parameters in derived.items():
                records += [_record(patient, specimen, analyte, each) for each in parameters]
    frame = PARAMETERS.frame(records)
    check_parameters(frame)
    _check_reasons(frame)
    return frame


def _visits_by_population(rows: Sequence[Row]) -> dict[tuple[str, str], dict[str, list[Row]]]:
    """Gather the rows of each (patient, specimen) by population, in order of time."""
    gathered: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in sorted(rows, key=lambda row: row["day"]):
        populations = gathered.setdefault((row["patient"], row["specimen"]), {})
        populations.setdefault(row["population"], []).append(row)
    return gathered


def _record(patient: str, specimen: str, analyte: str, parameter: Parameter) -> tuple[object, ...]:
    return (
        patient,
        specimen,
        analyte,
        parameter.name,
        parameter.value,
        parameter.unit,
        parameter.low,
        parameter.high,
        parameter.censoring,
        parameter.points,
        parameter.definition,
    )


def check_parameters(frame: pd.DataFrame) -> None:
    """Raise ReconflowError when a parameters table breaks one of the promises of ``PARAMETERS``."""
    check_shape(frame, PARAMETERS, "parameters")
    value, low, high = (frame[name].to_numpy() for name in ("value", "low", "high"))
    slack = 1e-9 * np.nanmax(np.abs([value, low, high, np.zeros(len(frame))]), axis=0)
    wrong = (
        (low > value + slack)
        | (high < value - slack)
        | (low > high)
        | ~frame["censoring"].isin(["interval", "right", "left", "none"])
    )
    if wrong.any():
        first = frame[wrong].iloc[0]
        raise ReconflowError(
            f"parameters table: {first['parameter']} of patient {first['patient']} lies "
            f"outside its own limits."
        )


def _check_reasons(frame: pd.DataFrame) -> None:
    """Raise ReconflowError for what has neither value nor limits nor a reason.

    Only new tables are checked: those of program versions before 0.3 gave no reasons.
    """
    unknown = frame[frame[["value", "low", "high"]].isna().all(axis=1)]
    silent = unknown[[why_of(definition) is None for definition in unknown["definition"]]]
    if len(silent):
        first = silent.iloc[0]
        raise ReconflowError(
            f"parameters table: {first['parameter']} of patient {first['patient']} has no "
            f"value and no reason why."
        )


def _parameters(
    rows: Sequence[Row], tubes: Sequence[Row], settings: ParameterSettings
) -> dict[str, list[Parameter]]:
    """Derive the parameters of a population of one patient and specimen, by analyte.

    ``rows`` are the population's, one a visit; ``tubes`` are all rows of the patient's specimen.
    """
    patient, specimen, population = rows[0]["patient"], rows[0]["specimen"], rows[0]["population"]
    baseline = settings.baseline_visits.get(patient)
    if population in PLASMA_CELLS:
        parameters = plasma_cell_parameters(rows, specimen=specimen, baseline_visit=baseline)
        return {population: parameters}
    if specimen != "blood":
        return {}
    if population in CAR_POPULATIONS:
        return car_parameters(rows, settings.offsets.get((patient, population), 0.0), settings)
    if population in (*TOTAL_B, *WITH_BASELINE_RATIO):
        whole = tubes if population in TOTAL_B else None
        parameters = b_lineage_parameters(rows, whole, settings.recovery, baseline_visit=baseline)
        return {population: parameters}
    return {}
