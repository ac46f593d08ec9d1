"""Say in three sentences what the patients of a cohort show together, by rule from the tables."""

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from tasks.kinetics.turnbull import EVERYONE
from tasks.publish.cohort_page import CohortRecord, summary_cell
from tasks.publish.patient_record import within_sentence
from tasks.publish.wording import median_words
from tasks.vocabulary.populations import B_CELLS, CAR_PRODUCTS, PLASMA_CELLS

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[Hashable, Any]
LEAST_FOR_MEDIAN = 2


def cohort_sentences(
    record: CohortRecord, kinetics: "pd.DataFrame", summary: "pd.DataFrame"
) -> list[str]:
    """Give the sentences that the cohort's page begins with.

    They are of all patients together, whether or not groups are compared.
    """
    if kinetics.empty:
        return ["No tube has been counted: nothing can be said yet."]
    rows = summary[(summary["stratum"] == EVERYONE) & (summary["specimen"] == "blood")]
    of = {(row["population"], row["parameter"]): row for row in rows.to_dict("records")}
    peaks = [_peak(record, name, of) for name in CAR_PRODUCTS if (name, "Cmax") in of]
    return [
        " ".join(peaks) or "No CAR T cells were measured in blood.",
        _recovery(record, of),
        _last_visits(record, kinetics),
    ]


def _peak(record: CohortRecord, population: str, of: Mapping[tuple[str, str], Row]) -> str:
    name, cmax = record.label(population), of[population, "Cmax"]
    known, everyone = cmax["estimated"], cmax["patients"]
    if known < LEAST_FOR_MEDIAN:
        return f"{name}: the peak is known of {known} of {everyone} patients, too few for a median."
    tmax = of.get((population, "Tmax"))
    when = "" if tmax is None else summary_cell(tmax).amount
    on = f", {when}" if when.startswith(("day", "between", "after", "by")) else ""
    return (
        f"{name} peaked at a median of {summary_cell(cmax).amount}{on}; known of {known} of "
        f"{everyone} patients."
    )


def _recovery(record: CohortRecord, of: Mapping[tuple[str, str], Row]) -> str:
    curve = next(
        (
            each
            for each in record.curves
            if each.stratum == EVERYONE and each.definition.startswith("B_10@")
        ),
        None,
    )
    if curve is None or not curve.patients:
        return "No patient's B cells were seen below 10 per µL after infusion."
    noun = "patient" if curve.patients == 1 else "patients"
    said = (
        f"Of {curve.patients} {noun} whose B cells were seen below 10 per µL, {curve.recovered} "
        f"came back to it ({median_words(curve)})"
    )
    share = of.get((B_CELLS, "naive_share_at_recovery"))
    if share is None or share["estimated"] < LEAST_FOR_MEDIAN:
        return f"{said}."
    return (
        f"{said}; the naive share of the B cells was then {summary_cell(share).amount} (median), "
        f"known of {share['estimated']} of {share['patients']}."
    )


def _last_visits(record: CohortRecord, kinetics: "pd.DataFrame") -> str:
    """Count in how many patients each kind of cell was detected at the last visit."""
    from tasks.kinetics.winning_rows import winning_rows

    blood = winning_rows(kinetics[kinetics["specimen"] == "blood"])
    after = blood[blood["day"] > 0]
    if after.empty:
        return "No patient has a counted visit after infusion yet."
    last_days = after.groupby("patient")["day"].transform("max")
    last_visits = after.loc[after["day"] == last_days, ["patient", "visit"]].drop_duplicates()
    at_last = after.merge(last_visits, on=["patient", "visit"])
    patients = at_last["patient"].nunique()
    said = []
    for population in (B_CELLS, *CAR_PRODUCTS, PLASMA_CELLS):
        rows = at_last[at_last["population"] == population]
        evaluable = rows[rows["code"] != "NE"]
        if not (after["population"] == population).any():
            continue
        found = int(evaluable["code"].isin(["Q", "DNQ"]).sum())
        unknown = patients - len(evaluable)
        rest = f" ({unknown} not evaluable or not measured)" if unknown else ""
        name = within_sentence(record.label(population))
        said.append(f"{name} in {found} of {len(evaluable)}{rest}")
    noun = "patient" if patients == 1 else "patients"
    return f"At the last visit of {patients} {noun}, detected were: {', '.join(said)}."
