"""Say in three sentences how a patient fared: the peak, the B cells, and what is still there.

Each sentence follows from the tables by rule. What cannot be said is said to be so, with the
reason; a value that is only known to lie in an interval is given as the interval.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tasks.kinetics.rows import Row, number
from tasks.publish.patient_record import PatientRecord
from tasks.publish.wording import CANNOT, days_text, parameter_sentence, split_words
from tasks.publish.wording import Row as ParameterRow
from tasks.vocabulary.amounts import concentration_text, percent_text
from tasks.vocabulary.populations import (
    B_CELLS,
    CAR_PRODUCTS,
    PLASMA_CELLS,
    POPULATION_OF_PRODUCT,
)
from tasks.vocabulary.reasons import Why, why_of
from tasks.vocabulary.severity import severity_of

if TYPE_CHECKING:
    import pandas as pd

DETECTED = ("Q", "DNQ")


def course_sentences(
    record: PatientRecord, kinetics: "pd.DataFrame", parameters: "pd.DataFrame"
) -> list[str]:
    """Give the sentences that a patient's report begins with.

    A further sentence warns where a result that they rest on has a flag that asks for a decision.
    """
    from tasks.kinetics.winning_rows import kinetic_rows

    visits = kinetic_rows(kinetics, record.limits.detect_events).visits
    blood = sorted(
        (row for row in visits if row["specimen"] == "blood"), key=lambda row: float(row["day"])
    )
    if not blood:
        return ["No tube of blood has been counted: nothing can be said of the course yet."]
    course = _Course(record, blood, parameters.to_dict("records"))
    return [
        course.peaks(),
        _sentence(course.b_cells()),
        _sentence(course.last_visit()),
        *course.warnings(),
    ]


@dataclass(frozen=True)
class _Course:
    """One patient's results in blood, one a visit and population, by day; and the parameters."""

    record: PatientRecord
    blood: Sequence[Row]
    parameters: Sequence[ParameterRow]

    @cached_property
    def products(self) -> list[str]:
        """List the populations of the products that were infused or measured."""
        infused = {POPULATION_OF_PRODUCT.get(name) for name in self.record.infusions}
        return [name for name in CAR_PRODUCTS if name in infused or self.of(name)]

    def of(self, population: str) -> list[Row]:
        return [row for row in self.blood if row["population"] == population]

    def after_infusion(self, population: str) -> list[Row]:
        return [row for row in self.of(population) if float(row["day"]) > 0]

    def parameter(self, population: str, name: str) -> ParameterRow | None:
        for row in self.parameters:
            if (row["specimen"], row["population"], row["parameter"]) == (
                "blood",
                population,
                name,
            ):
                return row
        return None

    def peaks(self) -> str:
        """Say how high and when each product peaked."""
        if not self.products:
            return "No CAR product was infused or measured."
        return " ".join(_sentence(self.peak(name)) for name in self.products)

    def peak(self, population: str) -> str:
        name = self.record.label_within(population)
        rows, cmax = self.after_infusion(population), self.parameter(population, "Cmax")
        if not rows:
            return f"{name} were not measured in blood after infusion"
        height = None if cmax is None else number(cmax["value"])
        if cmax is None or height is None:
            return f"{name} {_without_peak(rows)}"
        tmax = self.parameter(population, "Tmax")
        when = "" if tmax is None else parameter_sentence(tmax).amount
        on = f" on {when}" if when.startswith("day") else ""
        peak = f"{concentration_text(height)} per µL{_interval(cmax)}"
        return f"{name} peaked at {peak}{on}{_reservation(rows)}"

    def b_cells(self) -> str:
        """Say when the B cells were lost and came back, and how many of them were naive then."""
        if not self.after_infusion(B_CELLS):
            return "B cells were not measured in blood after infusion"
        onset = self.parameter(B_CELLS, "depletion_onset")
        recovered = self.parameter(B_CELLS, "recovery_B_10")
        if onset is None or recovered is None:
            return "whether B cells were depleted cannot be said"
        fell = _fall(onset)
        if why_of(str(onset["definition"])) is not None and _has_no_value(onset):
            return fell
        return f"{fell}, and {_return(recovered)}{self.naive_share(recovered)}"

    def naive_share(self, recovered: ParameterRow) -> str:
        if _has_no_value(recovered) or recovered["censoring"] == "right":
            return ""
        share = self.parameter(B_CELLS, "naive_share_at_recovery")
        if share is None:
            return ""
        value, high = number(share["value"]), number(share["high"])
        if value is not None:
            day = _day_in(str(share["definition"]))
            interval = _interval(share)
            return f"; {percent_text(100 * value)} % of them were naive{interval}{day}"
        if share["censoring"] == "left" and high is not None:
            return f"; no naive cells were among them (at most {percent_text(100 * high)} %)"
        why = why_of(str(share["definition"]))
        return f"; their naive share {CANNOT}{f': {why.sentence}' if why else ''}"

    def last_visit(self) -> str:
        """Say of the cells that matter which were still there at the last visit."""
        last = self.blood[-1]
        if float(last["day"]) <= 0:
            return "there is no counted visit after infusion yet"
        at_last = {row["population"]: row for row in self.blood if row["visit"] == last["visit"]}
        named = dict.fromkeys((*self.products, B_CELLS, PLASMA_CELLS))
        wanted = [name for name in named if name in self.products or self.of(name)]
        groups: dict[str, list[str]] = {
            "still present": [],
            "not detected": [],
            "not evaluable": [],
            "not measured": [],
        }
        for name in wanted:
            group, words = self._at_last(name, at_last.get(name))
            groups[group].append(words)
        parts = [f"{group}: {', '.join(words)}" for group, words in groups.items() if words]
        return (
            f"at the last visit, {last['visit']} (day {days_text(float(last['day']))}), "
            f"{'; '.join(parts)}"
        )

    def _at_last(self, population: str, row: Row | None) -> tuple[str, str]:
        """Give the group of a population at the last visit, and its name with the result."""
        name = self.record.label_within(population)
        if row is None:
            earlier = self.of(population)
            if not earlier:
                return "not measured", name
            return "not measured", f"{name} (at {earlier[-1]['visit']}: {_printed(earlier[-1])})"
        if row["code"] == "NE":
            return "not evaluable", name
        if row["code"] == "ND":
            return "not detected", f"{name} ({_printed(row)})"
        return "still present", f"{name} ({_printed(row)})"

    def warnings(self) -> list[str]:
        """Warn where a result that the sentences rest on asks for a decision first."""
        concerned = {*self.products, B_CELLS, PLASMA_CELLS}
        words = [
            [word for word in split_words(row["flags"]) if severity_of(word) == "stop"]
            for row in self.blood
            if row["population"] in concerned
        ]
        flagged = [each for each in words if each]
        if not flagged:
            return []
        named = ", ".join(sorted({word for each in flagged for word in each}))
        warning = (
            f"To be decided first: {len(flagged)} of {len(words)} results of these cells may not "
            f"be used until a person decided ({named})."
        )
        return [warning]


def _without_peak(rows: Sequence[Row]) -> str:
    """Say of cells without a quantified peak what was seen of them after infusion."""
    evaluable = [row for row in rows if row["code"] != "NE"]
    if not evaluable:
        return f"could not be evaluated at any visit after infusion ({_visits(len(rows))})"
    seen = [row for row in evaluable if row["code"] in DETECTED]
    count, some = len(evaluable), f"{len(seen)} of {len(evaluable)} visits"
    one = "the only visit"
    where = "after infusion that could be evaluated"
    if not seen:
        return f"were not detected at {one if count == 1 else f'any of {count} visits'} {where}"
    never = "" if any(row["code"] == "Q" for row in seen) else ", but never quantified"
    return f"were detected at {one if count == 1 else some} {where}{never}: no peak can be given"


def _reservation(rows: Sequence[Row]) -> str:
    """Say what the peak may have missed."""
    missed = sum(row["code"] == "NE" for row in rows)
    if len(rows) - missed == 1:
        return ", at the only evaluable visit after infusion"
    if missed:
        return f"; {_visits(missed)} after infusion could not be evaluated"
    return ""


def _fall(onset: ParameterRow) -> str:
    if not _has_no_value(onset):
        return f"B cells fell below 10 per µL {parameter_sentence(onset).amount}"
    why = why_of(str(onset["definition"]))
    if why is Why.NEVER_DEPLETED:
        return "B cells were not seen below 10 per µL at any visit after infusion"
    reason = f": {why.sentence}" if why else ""
    return f"when B cells fell below 10 per µL cannot be said{reason}"


def _return(recovered: ParameterRow) -> str:
    if recovered["censoring"] == "right":
        low = number(recovered["low"])
        until = "" if low is None else f" by day {days_text(low)}"
        return f"had not come back to 10 per µL{until}"
    if _has_no_value(recovered):
        why = why_of(str(recovered["definition"]))
        return f"whether they came back cannot be said{f': {why.sentence}' if why else ''}"
    unconfirmed = ":unconfirmed" in str(recovered["definition"])
    doubt = " (not confirmed by a later visit yet)" if unconfirmed else ""
    return f"came back to 10 per µL {parameter_sentence(recovered).amount}{doubt}"


def _has_no_value(row: ParameterRow) -> bool:
    return all(number(row[name]) is None for name in ("value", "low", "high"))


def _interval(row: ParameterRow) -> str:
    """Write the 95 % interval of a concentration, or of a share in percent."""
    low, high = number(row["low"]), number(row["high"])
    if low is None or high is None:
        return ""
    if row["unit"] == "1/uL":
        return f" (95 % interval {concentration_text(low)} to {concentration_text(high)})"
    return f" (95 % interval {percent_text(100 * low)} to {percent_text(100 * high)} %)"


def _day_in(definition: str) -> str:
    """Read the day of the visit whose cells a share is of: ``naive-of-B-at-B_10:day-62.9:CP@1``."""
    day = re.search(r":day-([\d.]+)", definition)
    return f" on day {days_text(float(day[1].rstrip('.')))}" if day else ""


def _printed(row: Row) -> str:
    from tasks.kinetics.wide_table import print_result

    text = print_result(row)
    if text in ("ND", "NE"):
        return "limit unknown" if text == "ND" else "not evaluable"
    mark = " (DNQ)"
    few = ", too few to quantify" if text.endswith(mark) else ""
    return f"{text.removesuffix(mark)} per µL{few}"


def _visits(count: int) -> str:
    return "1 visit" if count == 1 else f"{count} visits"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
