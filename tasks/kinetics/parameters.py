"""Derive each patient's parameters from the kinetic table.

Where tubes of a visit share a population, the row that wins in the wide table is the one used.
Values below the limit of quantification count as BLQ; a visit that is not evaluable is no sample.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pandas as pd

from panels.text.errors import ReconflowError
from tasks.kinetics import nca
from tasks.kinetics.areas import USUAL
from tasks.kinetics.biexponential import Decline, Estimate, fit_decline
from tasks.kinetics.nca_rules import WINDOWS, NcaRules
from tasks.kinetics.reconstitution import b_lineage_parameters, plasma_cell_parameters
from tasks.kinetics.recovery import Censoring, RecoverySettings
from tasks.kinetics.rounding import DAYS, Numbers, exceeds, within_days
from tasks.kinetics.rows import Parameter, Row, missing, number
from tasks.kinetics.schema import PARAMETERS
from tasks.kinetics.table_schema import check_shape
from tasks.kinetics.winning_rows import DETECT_EVENTS, KineticRows, kinetic_rows
from tasks.vocabulary.populations import TOTAL_B, population_rank, with_role
from tasks.vocabulary.reasons import Why, because, why_of

CAR_POPULATIONS = with_role("car_kinetics")
PLASMA_CELLS = with_role("plasma_cells")
WITH_BASELINE_RATIO = with_role("baseline_ratio")

NCA = "PKNCA-like@1"
TWO_PHASES = "biexponential-M3"
TMAX_GAP_DAYS = 7.0

_AREA_DEFINITIONS: Mapping[nca.AreaEnd, str] = MappingProxyType(
    {
        "interpolated": NCA,
        "last_quantified": "PKNCA-like:AUClast-as-BLQ-before-end@1",
        "last_sample": "PKNCA-like:to-last-sample-in-window@1",
    }
)


@dataclass(frozen=True, slots=True)
class ParameterSettings:
    """What the parameters need beside the table.

    ``offsets`` gives, for (patient, population), the days from the first infusion to that product's
    own: its clock. ``baseline_visits`` names a patient's baseline visit where it is not the last
    one before lymphodepletion. ``detect_events`` is the study's limit of detection, for the
    percentages of marrow. ``nca`` are the rules for CAR T cells; ``biexponential`` asks for their
    two-phase fit. ``reagents`` gives the CAR reagent of each tube (by SHA-256): it is a part of
    what was measured, so a change within a series makes two of it.
    """

    recovery: RecoverySettings = field(default_factory=RecoverySettings)
    offsets: Mapping[tuple[str, str], float] = field(default_factory=dict)
    baseline_visits: Mapping[str, str] = field(default_factory=dict)
    detect_events: int = DETECT_EVENTS
    nca: NcaRules = USUAL
    biexponential: bool = False
    reagents: Mapping[str, str] = field(default_factory=dict)


def parameters_frame(
    kinetics: pd.DataFrame,
    settings: ParameterSettings | None = None,
    rows: KineticRows | None = None,
) -> pd.DataFrame:
    """Derive all parameters of all patients of a kinetics table, with the columns of ``PARAMETERS``.

    Every parameter of a population has its row, with an empty value where it is not estimable. Rows
    come by patient, specimen, population and in the order in which the parameters are defined.
    ``rows`` are those of ``kinetic_rows``, where they are known already.
    """
    chosen = settings or ParameterSettings()
    read = rows or kinetic_rows(kinetics, chosen.detect_events)
    series: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in sorted(read.visits, key=lambda row: row["day"]):
        series.setdefault((row["patient"], row["specimen"]), {}).setdefault(
            row["population"], []
        ).append(row)
    tubes: dict[tuple[str, str], list[Row]] = {}
    for row in read.tubes:
        tubes.setdefault((row["patient"], row["specimen"]), []).append(row)
    records: list[tuple[object, ...]] = []
    for (patient, specimen), own in sorted(series.items()):
        for population in sorted(own, key=population_rank):
            for analyte, derived in _parameters(
                own[population], tubes[patient, specimen], chosen
            ).items():
                for each in derived:
                    value, censoring = (each.value, each.unit, each.low, each.high), each.censoring
                    records.append(
                        (
                            patient,
                            specimen,
                            analyte,
                            each.name,
                            *value,
                            censoring,
                            each.points,
                            each.definition,
                        )
                    )
    frame = PARAMETERS.frame(records)
    check_parameters(frame)
    _check_reasons(frame)
    return frame


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
    """Raise ReconflowError for what has neither value nor limits nor a reason; tables of program versions before 0.3 gave none."""
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
    """Choose what is derived from a population of one patient and specimen: ``rows``, one a visit, of all its ``tubes``; by analyte."""
    patient, specimen, population = rows[0]["patient"], rows[0]["specimen"], rows[0]["population"]
    baseline = settings.baseline_visits.get(patient)
    if population in PLASMA_CELLS:
        return {
            population: plasma_cell_parameters(rows, specimen=specimen, baseline_visit=baseline)
        }
    if specimen == "blood" and population in CAR_POPULATIONS:
        return car_parameters(rows, settings.offsets.get((patient, population), 0.0), settings)
    if specimen == "blood" and population in (*TOTAL_B, *WITH_BASELINE_RATIO):
        whole = tubes if population in TOTAL_B else None
        return {
            population: b_lineage_parameters(
                rows, whole, settings.recovery, baseline_visit=baseline
            )
        }
    return {}


def car_parameters(
    rows: Sequence[Row], offset: float, settings: ParameterSettings
) -> dict[str, list[Parameter]]:
    """Derive the cellular kinetics of one CAR population of one patient, on the clock of its own product; by analyte.

    Samples of two reagents are two analytes: the first goes by the population's name, a later one
    as ``car19_t@reagent``. It has no area, because where it stands at infusion was measured
    otherwise. The definition names the reagent, and the rules that are not the usual ones.
    """
    population = rows[0]["population"]
    reagents = {row["tube_sha256"]: settings.reagents.get(row["tube_sha256"], "") for row in rows}
    used = list(dict.fromkeys(reagents[row["tube_sha256"]] for row in rows if row["code"] != "NE"))
    rules = f";{told}" if (told := settings.nca.told()) else ""
    if len(used) < 2:
        return {
            population: [
                row.renamed(f"{row.definition}{rules}")
                for row in _one_series(rows, offset, settings)
            ]
        }
    found = {}
    for place, reagent in enumerate(used):
        name = reagent or "not stated"
        series = _one_series(
            [row for row in rows if reagents[row["tube_sha256"]] == reagent], offset, settings
        )
        if place:
            series = [
                missing(row.name, row.unit, NCA, Why.EARLIER_REAGENT)
                if row.name.startswith("AUC")
                else row
                for row in series
            ]
        found[f"{population}@{name}" if place else population] = [
            row.renamed(f"{row.definition}{rules};reagent={name}") for row in series
        ]
    return found


def _one_series(rows: Sequence[Row], offset: float, settings: ParameterSettings) -> list[Parameter]:
    by_day: dict[float, Row] = {}
    for row in rows:
        if row["code"] != "NE":
            by_day.setdefault(row["day"], row)
    evaluable = [row for day, row in by_day.items() if day - offset >= 0]
    quantified = np.array([row["code"] == "Q" for row in evaluable], dtype=bool)
    days, conc = (
        np.array([row[name] for row in evaluable], dtype=float) for name in ("day", "per_ul")
    )
    samples = nca.series(days - offset, conc, ~quantified, settings.nca)
    sensitive = settings.recovery.persistence_lloq_per_ul
    found = [
        *_peak(samples, evaluable),
        *_areas(samples),
        *_last(samples, evaluable, sensitive),
        *_slopes(samples),
    ]
    found.append(_persistence(samples, evaluable, sensitive))
    if settings.biexponential:
        lloq = [row["lloq_per_ul"] for row in evaluable]
        found += _two_phases(
            fit_decline(
                samples.time.tolist(), samples.conc.tolist(), (~samples.quantified).tolist(), lloq
            )
        )
    return found


def _limits(rows: Sequence[Row], index: int) -> tuple[float | None, float | None]:
    return (
        (number(rows[index]["per_ul_low"]), number(rows[index]["per_ul_high"]))
        if index >= 0
        else (None, None)
    )


def _peak(samples: nca.Series, rows: Sequence[Row]) -> list[Parameter]:
    peak, points = samples.peak, int(samples.quantified.sum())
    if nothing := nca.not_quantified(samples):
        return [missing("Cmax", "1/uL", NCA, nothing), missing("Tmax", "d", NCA, nothing)]
    low, high = _limits(rows, peak)
    day, censoring, before, after = float(samples.time[peak]), *_peak_censoring(samples.time, peak)
    return [
        Parameter("Cmax", samples.highest, "1/uL", low, high, points=points, definition=NCA),
        Parameter("Tmax", day, "d", before, after, censoring, points, NCA),
    ]


def _peak_censoring(time: Numbers, peak: int) -> tuple[Censoring, float | None, float | None]:
    """Say whether the true peak may lie elsewhere: at the first or last sample, or beside a gap of more than a week."""
    before = float(time[peak - 1]) if peak > 0 else None
    after = float(time[peak + 1]) if peak < time.size - 1 else None
    if after is None:
        return "right", before, None
    if before is None:
        return "left", None, after
    wide = max(time[peak] - before, after - time[peak]) > TMAX_GAP_DAYS + DAYS
    return ("interval", before, after) if wide else ("none", None, None)


def _areas(samples: nca.Series) -> list[Parameter]:
    points = int(samples.quantified.sum())
    found: list[Parameter] = []
    for end in WINDOWS:
        partial, name = nca.partial_area(samples, end), f"AUC0-{end}"
        if isinstance(partial, Why):
            found.append(missing(name, "d/uL", NCA, partial, points))
        elif partial.end == "last_sample":
            found.append(
                Parameter(
                    name,
                    partial.value,
                    "d/uL",
                    partial.value,
                    None,
                    "right",
                    points,
                    _AREA_DEFINITIONS[partial.end],
                )
            )
        else:
            found.append(
                Parameter(
                    name,
                    partial.value,
                    "d/uL",
                    points=points,
                    definition=_AREA_DEFINITIONS[partial.end],
                )
            )
    whole = (("AUClast", nca.area_to_last(samples)), ("AUCall", nca.area_to_first_below(samples)))
    return [*found, *(_plain(name, value, "d/uL", points) for name, value in whole)]


def _plain(name: str, value: float | Why, unit: str, points: int, rule: str = NCA) -> Parameter:
    """Lay out a value without limits, or why there is none."""
    if isinstance(value, Why):
        return missing(name, unit, rule, value, points)
    return Parameter(name, value, unit, points=points, definition=rule)


def _last(samples: nca.Series, rows: Sequence[Row], sensitive: float) -> list[Parameter]:
    """Give the last quantified sample and the interval in which the cells fell below the limit.

    A later tube tells that they fell when it could have quantified what was last seen, or
    ``sensitive`` cells/µL; one such tube is enough only as the last, and then ``unconfirmed``. Its
    limit of quantification stands in the definition.
    """
    last, points = samples.last, int(samples.quantified.sum())
    if nothing := nca.not_quantified(samples):
        return [
            missing(name, unit, NCA, nothing)
            for name, unit in (("Clast", "1/uL"), ("Tlast", "d"), ("Tbql", "d"))
        ]
    low, high = _limits(rows, last)
    day, lloq = float(samples.time[last]), [row["lloq_per_ul"] for row in rows]
    first_below = nca.time_below(samples)
    later = () if isinstance(first_below, Why) else range(last + 1, samples.time.size)
    able = [i for i in later if not exceeds(lloq[i], max(sensitive, float(samples.conc[last])))]
    gone = float(samples.time[able[0]]) if able else None
    told = (
        f":LLOQ={lloq[able[0]]:.3g}/uL" + (":unconfirmed" if len(able) == 1 else "") if able else ""
    )
    why = first_below if isinstance(first_below, Why) else Why.NO_SENSITIVE_SAMPLE
    rule = NCA.replace("@", f"{told}@") if able else because(NCA, why)
    return [
        Parameter(
            "Clast", float(samples.conc[last]), "1/uL", low, high, points=points, definition=NCA
        ),
        Parameter("Tlast", day, "d", points=points, definition=NCA),
        Parameter(
            "Tbql", gone, "d", day, gone, "right" if gone is None else "interval", points, rule
        ),
    ]


def _slopes(samples: nca.Series) -> list[Parameter]:
    slope, doubling = nca.terminal_slope(samples), nca.doubling_time(samples)
    rate, half_life, points = (
        (slope, slope, 0)
        if isinstance(slope, Why)
        else (slope.lambda_z, slope.half_life, slope.points)
    )
    time, rising = (doubling, 0) if isinstance(doubling, Why) else doubling
    rule = "log-linear-2-points@1" if rising == nca.MINIMUM_RISE_POINTS else "log-linear@1"
    return [
        _plain("lambda_z", rate, "1/d", points),
        _plain("half_life", half_life, "d", points),
        _plain("doubling_time", time, "d", rising, rule),
    ]


def _persistence(samples: nca.Series, rows: Sequence[Row], sensitive: float) -> Parameter:
    """Tell whether the cells were quantified around week 24.

    "Not quantified" (0) holds only below the limit of quantification of the best tube there, which
    the definition names; when that lies above ``sensitive`` cells/µL the tube cannot tell and there
    is no value.
    """
    start, end = samples.rules.persistence
    name, rule = "persistence_wk24", f"quantified-D{(start + end) / 2:g}±{(end - start) / 2:g}"
    there = within_days(samples.time, start, end)
    points, value = int(np.count_nonzero(there)), nca.persistence(samples)
    if value is Why.NOT_SAMPLED_AT_WEEK_24 or value == 1:
        return _plain(name, value, "1", points, f"{rule}@1")
    inside = [row for row, is_there in zip(rows, there, strict=True) if is_there]
    lloq = min(float(row["lloq_per_ul"]) for row in inside)
    rule += f":LLOQ={lloq:.3g}/uL" + (
        ":detected" if any(row["code"] == "DNQ" for row in inside) else ""
    )
    if isinstance(value, Why):
        return missing(name, "1", f"{rule}@1", value, points)
    if exceeds(lloq, sensitive):
        return missing(name, "1", f"{rule}@1", Why.TOO_HIGH, points)
    return Parameter(name, value, "1", censoring="left", points=points, definition=f"{rule}@1")


def _two_phases(decline: Decline) -> list[Parameter]:
    """Lay out the two-phase fit; where there is none the definition says why."""
    rule = (
        because(f"{TWO_PHASES}@1", decline.reason)
        if decline.reason
        else f"{TWO_PHASES}:profile-95@1"
    )

    def row(name: str, estimate: Estimate | None, unit: str) -> Parameter:
        if estimate is None:
            return Parameter(name, None, unit, points=decline.points, definition=rule)
        return Parameter(
            name, estimate.value, unit, estimate.low, estimate.high, "none", decline.points, rule
        )

    fast, slow = decline.alpha, decline.beta
    return [
        row("alpha", fast, "1/d"),
        row("beta", slow, "1/d"),
        row("FB", decline.fb, "1"),
        row("half_life_alpha", fast.half_life() if fast else None, "d"),
        row("half_life_beta", slow.half_life() if slow else None, "d"),
    ]
