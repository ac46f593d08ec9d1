"""Put flags and kinetic parameters into words a clinician reads without the manual."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.publish.definition_words import rule_in_words
from tasks.vocabulary.amounts import concentration_text, percent_text
from tasks.vocabulary.reasons import why_of

if TYPE_CHECKING:
    from tasks.kinetics.turnbull import RecoveryCurve

CODES = {
    "Q": "quantified: the number is the result",
    "DNQ": "detected, but too few events to quantify: the number, marked (DNQ), is an indication",
    "ND": "not detected: written as less than the limit of detection (LOD) of that tube, or than "
    "the upper 95 % limit of what was counted where that is higher, <x",
    "NE": "not evaluable: this tube cannot answer the question; nothing may be concluded from it",
}
METHODS = {
    "bead": "counting beads in the same tube",
    "volumetric": "acquired volume of the same tube",
    "dual": "the haematology analyser's leukocyte or lymphocyte count",
    "chain": (
        "a population counted in a bead or volumetric tube of the same visit ties this tube to a "
        "concentration"
    ),
    "none": "no concentration, percentages only",
}
NAMES = {
    "Cmax": "Highest quantified concentration",
    "Tmax": "Day of the highest concentration",
    "AUC0-28": "Exposure (area under the curve), day 0 to 28",
    "AUC0-84": "Exposure (area under the curve), day 0 to 84",
    "AUC0-168": "Exposure (area under the curve), day 0 to 168",
    "AUClast": "Exposure (area under the curve), to the last quantified visit",
    "AUCall": "Exposure (area under the curve), to the first visit without quantified cells",
    "Clast": "Last quantified concentration",
    "Tlast": "Last day quantified",
    "Tbql": "First day no longer quantified",
    "lambda_z": "Terminal rate of decline",
    "half_life": "Terminal half-life",
    "doubling_time": "Doubling time during expansion",
    "persistence_wk24": "Still quantified at week 24",
    "alpha": "Rate of the fast decline (two-phase fit)",
    "beta": "Rate of the slow decline (two-phase fit)",
    "FB": "Share of the peak in the slow decline (two-phase fit)",
    "half_life_alpha": "Half-life of the fast decline (two-phase fit)",
    "half_life_beta": "Half-life of the slow decline (two-phase fit)",
    "depletion_onset": "Depletion begins",
    "recovery_B_10": "Recovery to 10 B cells per µL",
    "recovery_B_20": "Recovery to 20 B cells per µL",
    "recovery_B_1pct": "Recovery to more than 1 % of lymphocytes",
    "recovery_B_LLN": "Recovery to the lower limit of normal",
    "aplasia_duration": "Duration of B-cell aplasia",
    "baseline_ratio_last": "Last visit compared with baseline",
    "naive_share_at_recovery": "Naive share of B cells at recovery",
    "naive_igm_igd_share_at_recovery": "Naive IgM+ IgD+ share of B cells at recovery",
    "transitional_share_at_recovery": "Transitional share of B cells at recovery",
    "memory_share_at_recovery": "Memory share of B cells at recovery",
    "nadir": "Lowest value",
    "nadir_day": "Day of the lowest value",
    "percent_of_baseline_last": "Last visit, percent of baseline",
}
RECOVERY_DEFINITIONS = {
    "B_10": "10 B cells per µL or more",
    "B_20": "20 B cells per µL or more",
    "B_1pct": "more than 1 % of lymphocytes, or 100 per µL",
    "B_LLN": "lower limit of normal or more",
}
CANNOT = "cannot be given"
Row = Mapping[Hashable, Any]
RECOVERIES = ("recovery_B_10", "recovery_B_20", "recovery_B_1pct", "recovery_B_LLN")
POINTS_IN_TIME = frozenset({"Tmax", "Tlast", "Tbql", "depletion_onset", "nadir_day", *RECOVERIES})
SHARE = "_share_at_recovery"
"""What the name of a parameter ends with that is a share of the B cells."""
AMOUNTS = ("value", "low", "high", "median", "median_low", "median_high", "minimum", "maximum")
UNITS = {"1/uL": "cells/µL", "d/uL": "cells × days/µL", "1/d": "per day", "d": "days", "1": ""}


class Sentence(NamedTuple):
    """One parameter in words: what it is, and how much.

    ``points`` is the number of measurements it rests on, ``rule`` what it follows, in words, and
    ``definition`` the same as parameters.csv has it.
    """

    name: str
    amount: str
    points: str
    rule: str
    definition: str


def split_words(cell: object) -> list[str]:
    """Read the words of a cell of the column ``flags``."""
    return [word for word in cell.split(";") if word] if isinstance(cell, str) else []


def explained(flags: Iterable[str], meanings: Mapping[str, str]) -> dict[str, str]:
    """Give the meaning of each flag, in alphabetical order.

    A flag without one says so instead of vanishing.
    """
    return {
        flag: meanings.get(flag, f"No explanation is on file for '{flag}'.")
        for flag in sorted(set(flags))
    }


def in_percent(row: Row) -> Row:
    """Give a share of the B cells in percent, as it is written in words; any other row as it is.

    ``row`` is one of parameters.csv, or of the summary of the parameters.
    """
    if not str(row["parameter"]).endswith(SHARE):
        return row
    percent: dict[Hashable, Any] = {"unit": "%"}
    for name in AMOUNTS:
        share = _number(row.get(name))
        percent[name] = None if share is None else 100 * share
    return {**row, **percent}


def parameter_sentence(row: Row) -> Sentence:
    """Put one row of parameters.csv into words, saying what is only known to lie in an interval."""
    parameter = str(row["parameter"])
    row = in_percent(row)
    definition = row["definition"] if isinstance(row["definition"], str) else ""
    amount = _amount(parameter, row)
    why = why_of(definition) if amount == CANNOT else None
    if why:
        amount = f"{amount}: {why.sentence}"
    rule = rule_in_words(definition, said=why)
    number = _number(row["points"])
    points = "" if number is None else f"{number:.0f}"
    return Sentence(NAMES.get(parameter, parameter), amount, points, rule, definition)


def _amount(parameter: str, row: Row) -> str:
    value, low, high = (_number(row[name]) for name in ("value", "low", "high"))
    if parameter.startswith("persistence") and value is not None:
        # The definition says what "no" could not see: LLOQ=…
        return "yes" if value else "no, below the limit of quantification"
    unit = row["unit"] if isinstance(row["unit"], str) else ""
    in_time = is_point_in_time(parameter, unit)
    if row["censoring"] in ("interval", "right", "left"):
        sizes = [_size(number, unit, in_time=in_time) for number in (value, low, high)]
        inside = _lies_inside(value, low, high)
        return _bounded(str(row["censoring"]), sizes, in_time=in_time, inside=inside)
    if value is None:
        return CANNOT
    return f"{_size(value, unit, in_time=in_time)}{_spread(low, high, unit, in_time=in_time)}"


def _lies_inside(value: float | None, low: float | None, high: float | None) -> bool:
    """Tell whether a value is an estimate between its bounds, not one of them."""
    return value is not None and low is not None and high is not None and low < value < high


def _spread(low: float | None, high: float | None, unit: str, *, in_time: bool) -> str:
    """Say the limits of an interval, and that a side has none."""

    def written(value: float) -> str:
        return amount_text(value, unit, in_time=in_time)

    if low is not None and high is not None:
        return f" ({written(low)} to {written(high)})"
    if low is not None:
        return f" (above {written(low)}, no upper limit)"
    if high is not None:
        return f" (below {written(high)}, no lower limit)"
    return ""


def _bounded(censoring: str, sizes: Sequence[str | None], *, in_time: bool, inside: bool) -> str:
    """Say what is known of a value that lies in an interval, or beyond a bound.

    ``sizes`` are value and bounds in words; a value ``inside`` its bounds is an estimate.
    """
    value, low, high = sizes
    if censoring == "right":
        return _at_least(value, low, in_time=in_time)
    if censoring == "left":
        return _at_most(value, high, in_time=in_time)
    if not (low and high):
        return CANNOT
    estimate = f", estimated {value}" if inside else ""
    return f"between {low} and {high}{estimate}"


def _at_least(value: str | None, low: str | None, *, in_time: bool) -> str:
    if not (value or low):
        return CANNOT
    if not in_time:
        return f"at least {low or value}"
    return f"{value}, possibly later" if value else f"after {low}, not seen yet"


def _at_most(value: str | None, high: str | None, *, in_time: bool) -> str:
    if not (value or high):
        return CANNOT
    if not in_time:
        return f"less than {high or value}"
    if not value:
        return f"before {high}"
    if high and high != value:
        return f"{value}, or at any time up to {high}"
    return f"{value}, possibly earlier"


def _size(value: float | None, unit: str, *, in_time: bool) -> str | None:
    if value is None:
        return None
    text = amount_text(value, unit, in_time=in_time)
    return f"day {text}" if in_time else f"{text} {UNITS.get(unit, unit)}".strip()


def is_point_in_time(parameter: str, unit: str) -> bool:
    """Tell whether a parameter is a day on the patient's clock, not a duration or an amount."""
    return unit == "d" and parameter in POINTS_IN_TIME


def amount_text(value: float, unit: str, *, in_time: bool = False) -> str:
    """Write the value of a parameter without its unit; ``in_time``: it is a point in time.

    Concentrations and percentages have the digits that they have in every table, anything else
    three.
    """
    if in_time:
        return days_text(value)
    written = {"1/uL": concentration_text, "%": percent_text}.get(unit, significant)
    return written(value)


def definition_words(version: str) -> str:
    """Put a versioned definition of recovery into words."""
    name, _, limit = version.split("@", maxsplit=1)[0].rstrip(")").partition("(")
    if name == "B_LLN" and limit:
        return f"lower limit of normal ({limit} per µL) or more"
    return RECOVERY_DEFINITIONS.get(name, version)


FEW_PATIENTS = 10
"""With fewer, the interval of Turnbull's median may be narrower than what is known of each."""


def median_words(curve: "RecoveryCurve") -> str:
    """Say in which interval the median time to recovery lies."""
    if not curve.patients:
        return "no patient seen depleted"
    low = days_text(curve.median_low or 0.0)
    median = "median of few patients" if curve.patients < FEW_PATIENTS else "median"
    if curve.median_high is None:
        return f"{median} not reached, after day {low}"
    return f"{median} after day {low}, by day {days_text(curve.median_high)}"


def days_text(days: float) -> str:
    """Write days with one decimal, which is left out when it is zero."""
    return f"{days:.1f}".removesuffix(".0")


def significant(value: float, digits: int = 3) -> str:
    """Write a number that is neither concentration nor percentage; whole from 100 on.

    It has so many significant digits below.

    It is never in scientific notation.
    """
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    exponent = int(f"{value:.{digits - 1}e}".split("e")[1])
    return f"{value:.{max(0, digits - 1 - exponent)}f}"


def _number(value: object) -> float | None:
    """Read a cell as a number; None, NaN and NA are no number."""
    if value is None or type(value).__name__ == "NAType":
        return None
    number = float(str(value))
    return None if isnan(number) else number
