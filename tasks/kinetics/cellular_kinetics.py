"""Derive the cellular kinetics of a CAR population: exposure, peak, persistence and decline."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from tasks.kinetics import nca
from tasks.kinetics.biexponential import Decline, Estimate, fit_decline
from tasks.kinetics.parameter_settings import ParameterSettings
from tasks.kinetics.recovery import Censoring
from tasks.kinetics.rounding import DAYS, Numbers, exceeds, within_days
from tasks.kinetics.rows import Parameter, Row, missing, number
from tasks.kinetics.sample_series import Series, series
from tasks.vocabulary.reasons import Why, because

NCA = "PKNCA-like@1"
TWO_PHASES = "biexponential-M3"
TMAX_GAP_DAYS = 7.0

_AREA_DEFINITIONS: Mapping[nca.AreaEnd, str] = MappingProxyType(
    {
        "interpolated": NCA,
        "last_quantified": "PKNCA-like:AUClast-as-BLQ-before-end@1",
        "last_sample": "PKNCA-like:to-last-sample-in-window@1",
        "holds_lower_bound": "PKNCA-like:AUClast-holds-a-lower-bound@1",
    }
)


def car_parameters(
    rows: Sequence[Row], offset: float, settings: ParameterSettings
) -> dict[str, list[Parameter]]:
    """Derive the cellular kinetics of one CAR population of one patient, by analyte.

    ``offset`` is the days from the first infusion to that of its own product: its clock. Samples of
    two reagents are two analytes: the first goes by the population's name, a later one as
    ``car19_t@reagent``. It has no area, because the level at infusion was measured otherwise. The
    definition names the reagent, and the rules that are not the usual ones.
    """
    population = rows[0]["population"]
    reagents = {row["tube_sha256"]: settings.reagents.get(row["tube_sha256"], "") for row in rows}
    used = list(dict.fromkeys(reagents[row["tube_sha256"]] for row in rows if row["code"] != "NE"))
    unusual = settings.nca.unusual()
    rules = f";{unusual}" if unusual else ""
    if len(used) < 2:
        derived = _parameters_of_series(rows, offset, settings)
        return {population: [each.renamed(f"{each.definition}{rules}") for each in derived]}
    analytes: dict[str, list[Parameter]] = {}
    for place, reagent in enumerate(used):
        name = reagent or "not stated"
        with_reagent = [row for row in rows if reagents[row["tube_sha256"]] == reagent]
        derived = _parameters_of_series(with_reagent, offset, settings)
        if place:
            derived = [_without_area(each) for each in derived]
        analyte = f"{population}@{name}" if place else population
        analytes[analyte] = [
            each.renamed(f"{each.definition}{rules};reagent={name}") for each in derived
        ]
    return analytes


def _without_area(parameter: Parameter) -> Parameter:
    if not parameter.name.startswith("AUC"):
        return parameter
    return missing(parameter.name, parameter.unit, NCA, Why.EARLIER_REAGENT)


def _parameters_of_series(
    rows: Sequence[Row], offset: float, settings: ParameterSettings
) -> list[Parameter]:
    """Derive the parameters of the samples of one reagent.

    Of rows of one day the first is used; what is not evaluable is no sample.
    """
    by_day: dict[float, Row] = {}
    for row in rows:
        if row["code"] != "NE":
            by_day.setdefault(row["day"], row)
    evaluable = [row for day, row in by_day.items() if day - offset >= 0]
    quantified = np.array([row["code"] == "Q" for row in evaluable], dtype=bool)
    days = np.array([row["day"] for row in evaluable], dtype=float)
    conc = np.array([row["per_ul"] for row in evaluable], dtype=float)
    samples = series(days - offset, conc, ~quantified, settings.nca)
    sensitive = settings.recovery.persistence_lloq_per_ul
    parameters = [
        *_peak(samples, evaluable),
        *_areas(samples),
        *_last(samples, evaluable, sensitive),
        *_slopes(samples),
        _persistence(samples, evaluable, sensitive),
    ]
    if settings.biexponential:
        decline = fit_decline(
            samples.time.tolist(),
            samples.conc.tolist(),
            (~samples.quantified).tolist(),
            [row["lloq_per_ul"] for row in evaluable],
        )
        parameters += _two_phases(decline)
    return parameters


def _limits(row: Row) -> tuple[float | None, float | None]:
    return number(row["per_ul_low"]), number(row["per_ul_high"])


def _peak(samples: Series, rows: Sequence[Row]) -> list[Parameter]:
    peak, points = samples.peak, int(samples.quantified.sum())
    if nothing := nca.not_quantified(samples):
        return [missing("Cmax", "1/uL", NCA, nothing), missing("Tmax", "d", NCA, nothing)]
    low, high = _limits(rows[peak])
    day = float(samples.time[peak])
    censoring, before, after = _peak_censoring(samples.time, peak)
    return [
        Parameter("Cmax", samples.highest, "1/uL", low, high, points=points, definition=NCA),
        Parameter("Tmax", day, "d", before, after, censoring, points, NCA),
    ]


def _peak_censoring(time: Numbers, peak: int) -> tuple[Censoring, float | None, float | None]:
    """Decide whether the true peak may lie elsewhere, and between which samples.

    It may where the peak is the first or last sample, or lies beside a gap of more than a week.
    """
    before = float(time[peak - 1]) if peak > 0 else None
    after = float(time[peak + 1]) if peak < time.size - 1 else None
    if after is None:
        return "right", before, None
    if before is None:
        return "left", None, after
    if max(time[peak] - before, after - time[peak]) > TMAX_GAP_DAYS + DAYS:
        return "interval", before, after
    return "none", None, None


def _areas(samples: Series) -> list[Parameter]:
    points = int(samples.quantified.sum())
    return [
        *(_partial_area(found, end, points) for end, found in nca.partial_areas(samples).items()),
        _plain("AUClast", nca.area_to_last(samples), "d/uL", points),
        _plain("AUCall", nca.area_to_first_below(samples), "d/uL", points),
    ]


def _partial_area(partial: nca.PartialArea | Why, end: int, points: int) -> Parameter:
    name = f"AUC0-{end}"
    if isinstance(partial, Why):
        return missing(name, "d/uL", NCA, partial, points)
    rule = _AREA_DEFINITIONS[partial.end]
    if partial.is_lower_bound:
        return Parameter(name, partial.value, "d/uL", partial.value, None, "right", points, rule)
    return Parameter(name, partial.value, "d/uL", points=points, definition=rule)


def _plain(name: str, value: float | Why, unit: str, points: int, rule: str = NCA) -> Parameter:
    """Lay out a value without limits, or the reason why there is none."""
    if isinstance(value, Why):
        return missing(name, unit, rule, value, points)
    return Parameter(name, value, unit, points=points, definition=rule)


def _last(samples: Series, rows: Sequence[Row], sensitive: float) -> list[Parameter]:
    """Give the last quantified sample and the interval in which the cells fell below the limit.

    ``sensitive`` is in cells/µL, as in ``_loss``.
    """
    last, points = samples.last, int(samples.quantified.sum())
    if nothing := nca.not_quantified(samples):
        return [
            missing(name, unit, NCA, nothing)
            for name, unit in (("Clast", "1/uL"), ("Tlast", "d"), ("Tbql", "d"))
        ]
    low, high = _limits(rows[last])
    day, level = float(samples.time[last]), float(samples.conc[last])
    gone, rule = _loss(samples, rows, sensitive)
    censoring: Censoring = "right" if gone is None else "interval"
    return [
        Parameter("Clast", level, "1/uL", low, high, points=points, definition=NCA),
        Parameter("Tlast", day, "d", points=points, definition=NCA),
        Parameter("Tbql", gone, "d", day, gone, censoring, points, rule),
    ]


def _loss(samples: Series, rows: Sequence[Row], sensitive: float) -> tuple[float | None, str]:
    """Give the day on which the cells had fallen below the limit, and the definition it follows.

    A later tube shows that they fell when it could have quantified what was last seen, or
    ``sensitive`` cells/µL; one such tube is enough only as the last, and then ``unconfirmed``. Its
    limit of quantification stands in the definition.
    """
    first_below = nca.time_below(samples)
    if isinstance(first_below, Why):
        return None, because(NCA, first_below)
    last = samples.last
    needed = max(sensitive, float(samples.conc[last]))
    able = [
        place
        for place in range(last + 1, samples.time.size)
        if not exceeds(rows[place]["lloq_per_ul"], needed)
    ]
    if not able:
        return None, because(NCA, Why.NO_SENSITIVE_SAMPLE)
    first = able[0]
    unconfirmed = ":unconfirmed" if len(able) == 1 else ""
    limit = f":LLOQ={rows[first]['lloq_per_ul']:.3g}/uL{unconfirmed}"
    return float(samples.time[first]), NCA.replace("@", f"{limit}@")


def _slopes(samples: Series) -> list[Parameter]:
    slope, doubling = nca.terminal_slope(samples), nca.doubling_time(samples)
    rate: float | Why
    half_life: float | Why
    if isinstance(slope, Why):
        rate, half_life, points = slope, slope, 0
    else:
        rate, half_life, points = slope.lambda_z, slope.half_life, slope.points
    time, rising = (doubling, 0) if isinstance(doubling, Why) else doubling
    rule = "log-linear-2-points@1" if rising == nca.MINIMUM_RISE_POINTS else "log-linear@1"
    return [
        _plain("lambda_z", rate, "1/d", points),
        _plain("half_life", half_life, "d", points),
        _plain("doubling_time", time, "d", rising, rule),
    ]


def _persistence(samples: Series, rows: Sequence[Row], sensitive: float) -> Parameter:
    """Decide whether the cells were quantified around week 24.

    "Not quantified" (0) holds only below the limit of quantification of the best tube there, which
    the definition names; when that lies above ``sensitive`` cells/µL the tube cannot tell and there
    is no value.
    """
    start, end = samples.rules.persistence
    name, rule = "persistence_wk24", f"quantified-D{(start + end) / 2:g}±{(end - start) / 2:g}"
    in_window = within_days(samples.time, start, end)
    points, value = int(np.count_nonzero(in_window)), nca.persistence(samples)
    if value is Why.NOT_SAMPLED_AT_WEEK_24 or value == 1:
        return _plain(name, value, "1", points, f"{rule}@1")
    inside = [row for row, is_inside in zip(rows, in_window, strict=True) if is_inside]
    lloq = min(float(row["lloq_per_ul"]) for row in inside)
    detected = ":detected" if any(row["code"] == "DNQ" for row in inside) else ""
    rule = f"{rule}:LLOQ={lloq:.3g}/uL{detected}@1"
    if isinstance(value, Why):
        return missing(name, "1", rule, value, points)
    if exceeds(lloq, sensitive):
        return missing(name, "1", rule, Why.TOO_HIGH, points)
    return Parameter(name, value, "1", censoring="left", points=points, definition=rule)


def _two_phases(decline: Decline) -> list[Parameter]:
    """Lay out the two-phase fit; where there is none the definition gives the reason."""
    rule = f"{TWO_PHASES}:profile-95@1"
    if decline.reason:
        rule = because(f"{TWO_PHASES}@1", decline.reason)

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
        row("half_life_alpha", _half_life(fast), "d"),
        row("half_life_beta", _half_life(slow), "d"),
    ]


def _half_life(rate: Estimate | None) -> Estimate | None:
    return None if rate is None else rate.half_life()
