"""Put what would read otherwise with a draft into the words of a patient's report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.publish.wording import NAMES, parameter_sentence


def amount_words(row: Mapping[Any, Any]) -> str:
    """Write the amount of a parameter as a report does, with its unit."""
    return parameter_sentence(row).amount


def changed_words(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Give a row of what would be another as the page of a draft shows it."""
    what = _text(row["what"])
    is_parameter = what in NAMES
    today, draft = _text(row["current"]), _text(row["other"])
    return {
        "patient": _text(row["patient"]),
        "visit": _text(row["visit"]),
        "day": None if _is_missing(row["day"]) else float(row["day"]),
        "population": _text(row["population"]),
        "what": NAMES[what] if is_parameter else what.replace("/uL", " cells/µL"),
        "today": today if is_parameter else _with_unit(today),
        "draft": draft if is_parameter else _with_unit(draft),
    }


def _with_unit(result: str) -> str:
    """Write the unit of a concentration behind its number; a percentage has its own."""
    number, blank, mark = result.partition(" ")
    if "%" in result or not any(map(str.isdigit, number)):
        return result
    return f"{number} cells/µL{blank}{mark}"


def _text(value: Any) -> str:
    return "" if _is_missing(value) else str(value)


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN
