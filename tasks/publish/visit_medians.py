"""Sum up the patients of a cohort visit by visit: their number, median and quartiles."""

from typing import TYPE_CHECKING

from tasks.kinetics.summary import FEWEST_FOR_MEDIAN, FEWEST_FOR_QUARTILES

if TYPE_CHECKING:
    import pandas as pd


def with_amounts(winners: "pd.DataFrame", population: str) -> "pd.DataFrame":
    """Choose a population's rows and add the columns ``quantified`` and ``amount`` (cells/µL).

    Below the lower limit of quantification (LLOQ) the amount is that limit; it is empty where the
    visit is not evaluable.
    """
    chosen = winners[winners["population"] == population]
    rows = chosen.sort_values(["patient", "day"], kind="stable").copy()
    rows["quantified"] = rows["code"] == "Q"
    at_least_limit = rows["per_ul"].where(rows["quantified"], rows["lloq_per_ul"])
    rows["amount"] = at_least_limit.where(rows["code"] != "NE").astype(float)
    return rows


def visit_medians(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Sum up each visit of the rows that ``with_amounts`` gives, one row a visit in order of days.

    Columns: visit, day (the median of its patients' days), patients (evaluable), median, lower and
    upper quartile (empty where they cannot be given), all in cells/µL.
    """
    import pandas as pd

    summed = [
        (str(name), *_summed_visit(visit))
        for name, visit in rows.dropna(subset=["amount"]).groupby("visit", sort=False)
    ]
    frame = pd.DataFrame(summed, columns=["visit", "day", "patients", "median", "lower", "upper"])
    return frame.sort_values("day", kind="stable", ignore_index=True)


def _summed_visit(visit: "pd.DataFrame") -> tuple[float, int, float, float, float]:
    """Give day, patients, median and quartiles of one visit.

    A median needs two patients and half of them quantified.
    """
    day, count, amounts = float(visit["day"].median()), len(visit), visit["amount"]
    median = lower = upper = float("nan")
    if count >= FEWEST_FOR_MEDIAN and 2 * int(visit["quantified"].sum()) >= count:
        median = amounts.median()
        if count >= FEWEST_FOR_QUARTILES:
            lower, upper = amounts.quantile([0.25, 0.75])
    return day, count, median, lower, upper
