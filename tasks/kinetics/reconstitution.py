"""Describe the loss and return of the B cells of one patient."""

from collections.abc import Sequence

from tasks.kinetics.baseline import baseline_ratio, baseline_row, evaluable_after_infusion
from tasks.kinetics.recovery import (
    Crossing,
    Definition,
    Recovery,
    RecoverySettings,
    VisitCount,
    definitions,
    recovery,
)
from tasks.kinetics.recovery_shares import shares_at_recovery
from tasks.kinetics.rounding import nine_digits
from tasks.kinetics.rows import Parameter, Row, missing, number, or_infinite
from tasks.vocabulary.flags import Flag
from tasks.vocabulary.populations import B_CELLS, LYMPHOCYTES
from tasks.vocabulary.reasons import Why

DEPLETION_DEFINITION = "B_10"
REPORTED_RECOVERIES = ("recovery_B_10", "recovery_B_20", "recovery_B_1pct", "recovery_B_LLN")


def b_lineage_parameters(
    rows: Sequence[Row],
    tubes: Sequence[Row] | None,
    settings: RecoverySettings,
    *,
    baseline_visit: str | None,
) -> list[Parameter]:
    """Derive depletion, recovery and the ratio to baseline of one B-lineage population in blood.

    ``rows`` is one row a visit of one patient. ``tubes`` holds every row of the patient's blood and
    is given for the B cells as a whole; for a subset (``None``) only the ratio to baseline is
    derived, since the definitions are of total B cells. The share of naive cells is one of CD19+ B
    cells, so it stands with them alone.
    """
    kept = baseline_ratio(rows, "per_ul", baseline_visit, name="baseline_ratio_last")
    if tubes is None:
        return [kept]
    judged = recoveries(rows, tubes, settings, baseline_visit=baseline_visit)
    definition, main = next(each for each in judged if each[0].id == DEPLETION_DEFINITION)
    followed = bool(evaluable_after_infusion(rows))
    none = _why(main, followed=followed)
    version, points = definition.version, main.evaluable
    shares: list[Parameter] = []
    if all(row["population"] == B_CELLS for row in rows):
        shares = shares_at_recovery(tubes, main, none)
    return [
        _crossing("depletion_onset", main.depletion, none, points, version),
        *_recovery_parameters(judged, followed=followed),
        _crossing("aplasia_duration", main.duration, none, points, version),
        kept,
        *shares,
    ]


def _recovery_parameters(
    judged: Sequence[tuple[Definition, Recovery]], *, followed: bool
) -> list[Parameter]:
    """Lay out the recovery under every definition that has a parameter.

    A recovery that no later visit confirms is marked ``unconfirmed`` in its definition.
    """
    parameters: list[Parameter] = []
    for definition, each in judged:
        name = "recovery_" + definition.id.split("(")[0]
        if name not in REPORTED_RECOVERIES:
            continue
        has_recovered = each.recovery is not None and each.recovery.high is not None
        mark = ":unconfirmed" if has_recovered and not each.confirmed else ""
        why, rule = _why(each, followed=followed), f"{definition.id}{mark}@1"
        parameters.append(_crossing(name, each.recovery, why, each.evaluable, rule))
    return parameters


def recoveries(
    rows: Sequence[Row],
    tubes: Sequence[Row],
    settings: RecoverySettings,
    *,
    baseline_visit: str | None,
) -> list[tuple[Definition, Recovery]]:
    """Judge one patient's B cells under every definition.

    The deep definition (B_ND) looks at the tube of each visit that has most blood in it, the others
    at the winning row.
    """
    base = baseline_row(rows, "per_ul", baseline_visit)
    baseline_per_ul = None if base is None else number(base["per_ul"])
    usual = visit_counts(rows)
    deep = visit_counts(_deepest_tubes(tubes, rows[0]["population"]))
    judged: list[tuple[Definition, Recovery]] = []
    for definition in definitions(settings, baseline_per_ul):
        visits = deep if definition.basis == "detection" else usual
        judged.append((definition, recovery(visits, definition)))
    return judged


def _deepest_tubes(tubes: Sequence[Row], population: str) -> list[Row]:
    """Choose for each visit the evaluable tube with the lowest limit of detection, by day."""
    evaluable = [row for row in tubes if row["population"] == population and row["code"] != "NE"]
    deepest: dict[str, Row] = {}
    for row in sorted(evaluable, key=_depth):
        deepest.setdefault(row["visit"], row)
    return sorted(deepest.values(), key=lambda row: row["day"])


def _depth(row: Row) -> tuple[object, ...]:
    return nine_digits(or_infinite(row["lod_per_ul"])), row["day"], row["tube_sha256"]


def visit_counts(rows: Sequence[Row]) -> list[VisitCount]:
    """Read rows of a kinetics table, one a visit, as counts to be judged."""
    counts: list[VisitCount] = []
    for row in rows:
        few = str(Flag.FEW_LYMPHOCYTES) in str(row["flags"]).split(";") and row["code"] != "Q"
        of_lymphocytes = row["reference"] == LYMPHOCYTES
        counts.append(
            VisitCount(
                day=float(row["day"]),
                code=str(row["code"]),
                per_ul=number(row["per_ul"]),
                lod_per_ul=number(row["lod_per_ul"]),
                lloq_per_ul=number(row["lloq_per_ul"]),
                percent=number(row["percent_reference"]) if of_lymphocytes else None,
                percent_known=of_lymphocytes and not few,
            )
        )
    return counts


def _crossing(
    name: str, crossing: Crossing | None, none: Why, points: int, definition: str
) -> Parameter:
    if crossing is None:
        return missing(name, "d", definition, none, points)
    return Parameter(
        name,
        crossing.estimate,
        "d",
        crossing.low,
        crossing.high,
        crossing.censoring,
        points,
        definition,
    )


def _why(judged: Recovery, *, followed: bool) -> Why:
    """Give the reason why there is no depletion or recovery.

    ``followed``: there are evaluable visits after infusion.
    """
    if not followed:
        return Why.NO_VISIT
    if judged.depleted is None:
        return Why.DEPLETION_UNKNOWN
    if judged.depleted:
        return Why.NOT_RECOVERED
    return Why.NEVER_DEPLETED
