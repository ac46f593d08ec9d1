"""Compare the results of two versions of a strategy.

Compared are amounts by population, events by gate, and every result that would read otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from panels.text.plural import counted
from tasks.concordance.agreement import (
    Differences,
    bland_altman,
    concordance_correlation,
    passing_bablok,
)
from tasks.concordance.recount import Comparison, folder_of
from tasks.counting.counts import TubeCounts
from tasks.kinetics.rows import number
from tasks.kinetics.schema import KINETICS, PARAMETERS
from tasks.kinetics.table_schema import TableSchema
from tasks.kinetics.wide_table import print_result
from tasks.publish.tables import csv_bytes
from tasks.results.patient_tables import counted_tubes, parameter_settings, patient_kinetics
from tasks.store.corrections import read_corrections
from tasks.vocabulary.populations import population_rank

if TYPE_CHECKING:
    import pandas as pd

    from gating.strategy.population import Population
    from tasks.study.folder import Study
    from tasks.study.snapshot import StudySnapshot

    Tables = tuple[pd.DataFrame, pd.DataFrame]
    """Kinetics and parameters."""
    Written = Callable[[Mapping[Any, Any]], str]
    """Writes the amount of a row of the parameters."""

BRIDGING_SAMPLES = 10
"""A comparison of fewer samples decides nothing (SCIENCE 6)."""
CLINICAL_PARAMETERS = (
    "depletion_onset",
    "recovery_B_10",
    "recovery_B_20",
    "recovery_B_1pct",
    "recovery_B_LLN",
    "persistence_wk24",
    "Tlast",
    "nadir",
)
KEY = ["patient", "tube_sha256", "population"]
AGREEMENT = [
    "population",
    "unit",
    "pairs",
    "slope",
    "slope_low",
    "slope_high",
    "intercept",
    "intercept_low",
    "intercept_high",
    "concordance",
    "concordance_low",
    "concordance_high",
    "bias_percent",
    "bias_low",
    "bias_high",
    "limit_low",
    "limit_high",
    "note",
]
CHANGED = ["patient", "visit", "day", "population", "what", "current", "other"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Everything that was compared.

    ``pairs`` are both versions' results of the same tube and population; ``by_population`` has the
    columns of ``AGREEMENT``, ``changed`` those of ``CHANGED``; ``events`` are by tube and gate;
    ``missing`` says in sentences what one version lacks; ``fingerprint`` is the hash of the results
    compared.
    """

    pairs: pd.DataFrame
    by_population: pd.DataFrame
    events: pd.DataFrame
    changed: pd.DataFrame
    missing: tuple[str, ...]
    fingerprint: str


def agreement(snapshot: StudySnapshot, compared: Comparison) -> Agreement:
    """Make both versions' tables of every patient as the study's are made, and compare them."""
    current = _tables(snapshot, compared, "current")
    other = _tables(snapshot, compared, "other")
    pairs, by_population, changed = compared_tables(current, other, compared.current.populations)
    missing = (
        *_missing(current[0], other[0], compared.other.name),
        *_corrected(snapshot, compared),
    )
    fingerprint = fingerprint_of(snapshot, compared, current[0], other[0])
    return Agreement(
        pairs, by_population, _events(snapshot.study, compared), changed, missing, fingerprint
    )


def compared_tables(
    current: Tables,
    other: Tables,
    populations: Mapping[str, Population],
    written: Written | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Compare kinetics and parameters of the same tubes that were counted in two ways.

    ``populations`` are the rules of the current way; ``written`` writes the amounts of parameters
    (None: as numbers and bare intervals). Gives ``pairs``, ``by_population`` and
    ``changed`` of ``Agreement``.
    """
    import pandas as pd

    pairs = current[0].merge(other[0], on=KEY, suffixes=("_current", "_other"), how="inner")
    pairs["rank"] = [population_rank(name) for name in pairs["population"]]
    pairs = pairs.sort_values(
        ["rank", "patient", "day_current", "tube_sha256"], kind="stable", ignore_index=True
    ).drop(columns="rank")
    changed = pd.DataFrame(
        [
            *_changed_results(pairs, populations),
            *changed_parameters(current[1], other[1], written),
        ],
        columns=CHANGED,
    )
    by_population = pd.DataFrame(
        [_agreement_of(name, rows) for name, rows in pairs.groupby("population", sort=False)],
        columns=AGREEMENT,
    )
    return pairs, by_population, changed


def _missing(current: pd.DataFrame, other: pd.DataFrame, other_name: str) -> Iterator[str]:
    """Say in sentences which tubes and populations one version lacks."""
    for sha in sorted(set(current["tube_sha256"]) - set(other["tube_sha256"])):
        yield f"Tube {sha[:12]} has no counts under {other_name}: it would be in no table."
    for name in sorted(set(current["population"]) ^ set(other["population"]), key=population_rank):
        yield f"The population {name} is reported by one version only."


def _corrected(snapshot: StudySnapshot, compared: Comparison) -> Iterator[str]:
    """Say how many tubes have corrections that do not hold under the other version."""
    with snapshot.study.store() as store:
        in_force = read_corrections(store).active()
    content = (compared.current.name, compared.current.release.sha256)
    tubes = {each.tube_sha256 for each in in_force if (each[1], each[2]) == content}
    if tubes:
        yield (
            f"{counted(len(tubes), 'tube')} of {compared.current.name} "
            f"{'was' if len(tubes) == 1 else 'were'} corrected by a person. The comparison is "
            f"without these corrections, and they do not hold under {compared.other.name}."
        )


def fingerprint_of(snapshot: StudySnapshot, compared: Comparison, *kinetics: pd.DataFrame) -> str:
    """Hash the results that are compared, or those of the archive as it is now.

    A promotion compares the hashes, to know whether the comparison is of the archive as it is.
    """
    tables = kinetics or tuple(
        _tables(snapshot, compared, side)[0] for side in ("current", "other")
    )
    digest = hashlib.sha256(
        (
            f"{compared.current.release.sha256} {compared.other.release.sha256} "
            f"{compared.current.panel_sha256}"
        ).encode()
    )
    for table in tables:
        digest.update(csv_bytes(table, KINETICS))
    return digest.hexdigest()


def _tables(snapshot: StudySnapshot, compared: Comparison, side: str) -> Tables:
    """Give the tables of every patient under one version, without what persons corrected."""
    chosen = compared.current if side == "current" else compared.other
    snapshot = snapshot.with_strategy(compared.panel, chosen)
    return tables_of(snapshot, compared.panel, counted_tubes(snapshot, corrected=False))


def tables_of(snapshot: StudySnapshot, panel: str, counted: Sequence[TubeCounts]) -> Tables:
    """Give the kinetics and the parameters of every patient of some counted tubes.

    The kinetics are those of the panel's tubes.
    """
    import pandas as pd

    from tasks.kinetics.parameters import parameters_frame

    patients, settings = snapshot.patients.patients, snapshot.study.settings
    kinetics, parameters = [], []
    tubes: dict[str, list[TubeCounts]] = {}
    for tube in counted:
        tubes.setdefault(tube.identity.patient, []).append(tube)
    for name in sorted(tubes.keys() & set(patients)):
        table = patient_kinetics(snapshot, patients[name], tubes[name])
        kinetics.append(table[table["panel"] == panel])
        rules = parameter_settings(settings, {name: patients[name]}, table, tubes[name])
        parameters.append(parameters_frame(table, rules))
    if not kinetics:
        return _empty(KINETICS), _empty(PARAMETERS)
    return pd.concat(kinetics, ignore_index=True), pd.concat(parameters, ignore_index=True)


def _empty(schema: TableSchema) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({column: [] for column in schema.names})


def amounts(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, str]:
    """Give the pairs that both versions detected, and their unit.

    The unit is cells/µL in blood, percent where there is no concentration.
    """
    for column, unit in (("per_ul", "1/uL"), ("percent_reference", "%")):
        pair = rows[[f"{column}_current", f"{column}_other"]].dropna()
        if len(pair):
            return pair.iloc[:, 0].to_numpy(float), pair.iloc[:, 1].to_numpy(float), unit
    return np.empty(0), np.empty(0), "1/uL"


def _agreement_of(population: object, rows: pd.DataFrame) -> tuple[object, ...]:
    """Give one row of the table of agreement, in the order of ``AGREEMENT``."""
    x, y, unit = amounts(rows)
    line = passing_bablok(x, y)
    differences = bland_altman(np.log(y / x))
    concordance = concordance_correlation(np.log10(x), np.log10(y))
    note = ""
    if len(x) < BRIDGING_SAMPLES:
        note = f"{len(x)} pairs, {BRIDGING_SAMPLES} are needed to decide anything"
    fitted = (None,) * 6 if line is None else astuple(line)
    lin = (None,) * 3 if concordance is None else astuple(concordance)
    return (population, unit, len(x), *fitted, *lin, *_percents(differences), note)


def _percents(differences: Differences | None) -> tuple[float | None, ...]:
    """Turn differences of logarithms into percent."""
    if differences is None:
        return (None,) * 5
    logarithms = (*astuple(differences.bias), differences.lower_limit, differences.upper_limit)
    return tuple(100 * float(np.expm1(value)) for value in logarithms)


def _changed_results(
    pairs: pd.DataFrame, populations: Mapping[str, Population]
) -> Iterator[tuple[object, ...]]:
    thresholds = {name: each.clinical_threshold_per_ul for name, each in populations.items()}
    for row in pairs.to_dict("records"):
        sides = [_side(row, end) for end in ("_current", "_other")]
        threshold = thresholds.get(row["population"])
        what = []
        if row["code_current"] != row["code_other"]:
            what.append("code")
        if threshold is not None and _above(sides[0], threshold) != _above(sides[1], threshold):
            what.append(f"clinical threshold {threshold:g}/uL")
        if what:
            visit = (row["patient"], row["visit_current"], row["day_current"])
            yield (*visit, row["population"], " and ".join(what), *map(print_result, sides))


def _side(row: dict[Any, Any], end: str) -> dict[Hashable, Any]:
    return {
        str(key).removesuffix(end): value for key, value in row.items() if str(key).endswith(end)
    }


def _above(side: dict[Hashable, Any], threshold: float) -> bool:
    per_ul = number(side["per_ul"])
    return per_ul is not None and per_ul >= threshold


def changed_parameters(
    current: pd.DataFrame, other: pd.DataFrame, written: Written | None = None
) -> Iterator[tuple[object, ...]]:
    """Yield the clinical parameters that differ, as rows of the columns ``CHANGED``."""
    key = ["patient", "specimen", "population", "parameter"]
    both = current.merge(other, on=key, suffixes=("_current", "_other"))
    for row in both[both["parameter"].isin(CLINICAL_PARAMETERS)].to_dict("records"):
        current_text, other_text = _interval(row, "_current"), _interval(row, "_other")
        if current_text == other_text:
            continue
        what = (row["patient"], "", None, row["population"], row["parameter"])
        if written is not None:
            named = {"parameter": row["parameter"]}
            current_text = written(_side(row, "_current") | named)
            other_text = written(_side(row, "_other") | named)
        yield (*what, current_text, other_text)


def _interval(row: dict[Any, Any], end: str) -> str:
    low, high, value = (_printed(row[f"{name}{end}"]) for name in ("low", "high", "value"))
    if row[f"censoring{end}"] in ("interval", "right", "left"):
        return f"({low}, {high}]"
    return value


def _printed(value: object) -> str:
    known = number(value)
    return "–" if known is None else f"{known:.4g}"


def _events(study: Study, compared: Comparison) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for path in sorted((folder_of(study, compared) / "tubes").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        rows += [
            (document["tube_sha256"], gate, each["current"], each["other"], each["f1"])
            for gate, each in document["gates"].items()
        ]
    return pd.DataFrame(
        rows, columns=["tube_sha256", "gate", "events_current", "events_other", "f1"]
    )
