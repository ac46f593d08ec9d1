"""Say what one result of one tube is and rests on, for whoever points at its number."""

from typing import NamedTuple

from tasks.kinetics.rows import number
from tasks.publish.figure_links import Link, gate_address
from tasks.publish.patient_record import PatientRecord
from tasks.publish.wording import Row, days_text, split_words
from tasks.vocabulary.amounts import concentration_text
from tasks.vocabulary.severity import Severity, severity_of, worst, worst_first

CODES_IN_SHORT = {
    "Q": "quantified",
    "DNQ": "detected, too few to quantify",
    "ND": "not detected",
    "NE": "not evaluable",
}
METHODS_IN_SHORT = {
    "bead": "counting beads of this tube",
    "volumetric": "acquired volume of this tube",
    "dual": "the haematology analyser's count",
    "chain": "concentration by way of another tube of the visit",
    "none": "no concentration",
}
ROOT = "../../"
"""The way from a patient's folder to the results."""


class Words(NamedTuple):
    """The flags of some results that have one severity."""

    severity: Severity
    words: tuple[str, ...]


def by_severity(flags: list[str]) -> list[Words]:
    """Gather flags by severity, the worst first."""
    ordered = worst_first(sorted(set(flags)))
    severities = dict.fromkeys(map(severity_of, ordered))
    return [
        Words(severity, tuple(word for word in ordered if severity_of(word) == severity))
        for severity in severities
    ]


def worst_flag(row: Row) -> str:
    """Give the worst severity among a result's flags; empty without any."""
    return worst(split_words(row["flags"]))


def result_link(record: PatientRecord, row: Row) -> Link:
    """Give the address of the gate that a row of the kinetics table was counted in, with its text.

    The row may have ``lod_percent`` beside the columns of ``KINETICS``.
    """
    gate = record.gate(str(row["strategy"]), str(row["population"]))
    return Link(gate_address(ROOT, str(row["tube_sha256"]), gate), result_text(record, row))


def result_text(record: PatientRecord, row: Row) -> str:
    """Say in a few lines what a result is: whose, when, how much, of what, and its flags."""
    day = number(row["day"])
    when = "" if day is None else f" (day {days_text(day)})"
    where = "" if row["specimen"] == "blood" else f", {row['specimen']}"
    method = METHODS_IN_SHORT.get(str(row["method"]), row["method"])
    lines = [
        f"{record.label(str(row['population']))}, {row['visit']}{when}{where}",
        f"{_amount(row)}: {CODES_IN_SHORT.get(str(row['code']), row['code'])} ({row['code']})",
        f"{_events(row['events'])} in the {row['panel']} tube; {method}",
        *(
            f"{severity}: {', '.join(words)}"
            for severity, words in by_severity(split_words(row["flags"]))
        ),
    ]
    return "\n".join(lines)


def _amount(row: Row) -> str:
    """Write the result as the tables print it, with its unit and its interval."""
    from tasks.kinetics.wide_table import print_result

    printed = print_result(row)
    if row["specimen"] != "blood" or printed in ("NE", "ND"):
        return printed
    low, high = number(row["per_ul_low"]), number(row["per_ul_high"])
    if row["code"] == "ND":
        upper = "" if high is None else concentration_text(high)
        if printed in ("ND", f"<{upper}"):
            upper = ""
        return f"{printed} per µL" + (f" (95 % interval up to {upper})" if upper else "")
    interval = ""
    if low is not None and high is not None:
        interval = f" (95 % interval {concentration_text(low)} to {concentration_text(high)})"
    return f"{printed.removesuffix(' (DNQ)')} per µL{interval}"


def _events(count: object) -> str:
    return "1 event" if int(str(count)) == 1 else f"{int(str(count)):,} events"
