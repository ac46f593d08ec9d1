"""Put flags and kinetic parameters into words a clinician reads without the manual."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import isnan
from typing import Any, NamedTuple

from tasks.vocabulary.reasons import why_of

CODES = {
    "Q": "quantified: the number is the result",
    "DNQ": "detected, but too few events to quantify: the number, marked (DNQ), is an indication",
    "ND": "not detected: written as less than the limit of detection (LOD) of that tube, <x",
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
CANNOT = "cannot be given"
Row = Mapping[Hashable, Any]
RECOVERIES = ("recovery_B_10", "recovery_B_20", "recovery_B_1pct", "recovery_B_LLN")
POINTS_IN_TIME = frozenset({"Tmax", "Tlast", "Tbql", "depletion_onset", "nadir_day", *RECOVERIES})
UNITS = {"1/uL": "cells/µL", "d/uL": "cells × days/µL", "1/d": "per day", "d": "days", "1": ""}


class Sentence(NamedTuple):
    """One parameter in words: what it is, how much, the measurements it rests on, the definition it follows."""

    name: str
    amount: str
    points: str
    definition: str


def explained(flags: Iterable[str], meanings: Mapping[str, str]) -> dict[str, str]:
    """Give the meaning of each flag, in alphabetical order; a flag without one says so instead of vanishing."""
    return {
        flag: meanings.get(flag, f"No explanation is on file for '{flag}'.")
        for flag in sorted(set(flags))
    }


def parameter_sentence(row: Row) -> Sentence:
    """Put one row of parameters.csv into words, saying what is only known to lie in an interval."""
    parameter = str(row["parameter"])
    points = _number(row["points"])
    definition = row["definition"] if isinstance(row["definition"], str) else ""
    amount, why = _amount(parameter, row), why_of(definition)
    told = f"{amount}: {why.sentence}" if amount == CANNOT and why else amount
    return Sentence(
        NAMES.get(parameter, parameter), told, "" if points is None else f"{points:.0f}", definition
    )


def _amount(parameter: str, row: Row) -> str:
    value, low, high = (_number(row[name]) for name in ("value", "low", "high"))
    unit = row["unit"] if isinstance(row["unit"], str) else ""
    in_time = unit == "d" and parameter in POINTS_IN_TIME
    sizes = [
        None if number is None else _sized(number, unit, in_time=in_time)
        for number in (value, low, high)
    ]
    if parameter.startswith("persistence") and value is not None:
        # What "no" could not see stands in the definition: LLOQ=…
        return "yes" if value else "no, below the limit of quantification"
    if row["censoring"] in ("interval", "right", "left"):
        inside = value is not None and low is not None and high is not None and low < value < high
        return _bounded(str(row["censoring"]), sizes, in_time=in_time, inside=inside)
    if value is None:
        return CANNOT
    return f"{sizes[0]}{_spread(low, high)}"


def _spread(low: float | None, high: float | None) -> str:
    """Say the limits of an interval, and that a side has none."""
    if low is not None and high is not None:
        return f" ({significant(low)} to {significant(high)})"
    if low is not None:
        return f" (above {significant(low)}, no upper limit)"
    return f" (below {significant(high)}, no lower limit)" if high is not None else ""


def _bounded(censoring: str, sizes: Sequence[str | None], *, in_time: bool, inside: bool) -> str:
    """Say what is known of a value that lies in an interval, or beyond a bound."""
    value, low, high = sizes
    if censoring == "interval" and low and high:
        return f"between {low} and {high}" + (f", estimated {value}" if inside else "")
    if censoring == "right" and in_time and (value or low):
        return f"{value}, possibly later" if value else f"after {low}, not seen yet"
    if censoring == "left" and in_time and (value or high):
        return f"{value}, possibly earlier" if value else f"before {high}"
    if censoring == "right" and (low or value):
        return f"at least {low or value}"
    if censoring == "left" and (high or value):
        return f"less than {high or value}"
    return CANNOT


def _sized(value: float, unit: str, *, in_time: bool) -> str:
    if in_time:
        return f"day {value:.1f}".removesuffix(".0")
    return f"{significant(value)} {UNITS.get(unit, unit)}".strip()


def significant(value: float, digits: int = 3) -> str:
    """Write a number with so many significant digits and never in scientific notation; whole from 100 on."""
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
