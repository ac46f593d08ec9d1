"""Say which numbers changed since a data-cut, and why."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tasks.kinetics.table_schema import Column, TableSchema

if TYPE_CHECKING:
    import pandas as pd

    from tasks.export.study_data import StudyData

RESTATEMENTS = TableSchema(
    grain="one row a value that is another one now than at the cut",
    key=("table", "patient", "visit", "population", "what"),
    columns=(
        Column("table", "", "kinetics or parameters"),
        Column("patient", "", "pseudonymous id"),
        Column("visit", "", "nominal visit label; empty for parameters"),
        Column("specimen", "", "blood or marrow"),
        Column("population", "", "population id"),
        Column("tube_sha256", "", "the tube; empty for parameters"),
        Column("what", "", "column of kinetics, name of the parameter, or row"),
        Column("then", "", "the value at the cut; empty when there was none"),
        Column("now", "", "the value now; empty when there is none"),
        Column("why", "", "what changed before it"),
    ),
)
ROW = "row"
IDENTITY = ("patient", "visit", "collected", "specimen")
VALUES = (
    "events",
    "parent_events",
    "percent_reference",
    "per_ul",
    "per_ul_low",
    "per_ul_high",
    "lod_per_ul",
    "lloq_per_ul",
    "code",
    "method",
    "flags",
)
PARAMETER_VALUES = ("value", "low", "high", "censoring", "definition")

Row = Mapping[Hashable, Any]


def restatements(then: StudyData, now: StudyData) -> pd.DataFrame:
    """Compare a cut with what is known now: rows that came or went, and values that changed, each with its reason."""
    import pandas as pd

    rows = [*_kinetics(then.kinetics, now.kinetics), *_parameters(then.parameters, now.parameters)]
    return pd.DataFrame(rows, columns=RESTATEMENTS.names).astype("str")


def _kinetics(then: pd.DataFrame, now: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    was, is_ = (
        _by_key(then, ("tube_sha256", "population")),
        _by_key(now, ("tube_sha256", "population")),
    )
    tubes_then, tubes_now = {tube for tube, _ in was}, {tube for tube, _ in is_}
    for key in sorted({*was, *is_}):
        old, new = was.get(key), is_.get(key)
        if old is None or new is None:
            present = new or old or {}
            why = _came_or_went(
                key, tubes_now if old is not None else tubes_then, came=old is None, row=present
            )
            yield _line(
                "kinetics",
                present,
                ROW,
                "" if old is None else _told(old["per_ul"]),
                "" if new is None else _told(new["per_ul"]),
                why,
            )
            continue
        changed = [
            name for name in (*IDENTITY, "day", *VALUES) if _told(old[name]) != _told(new[name])
        ]
        why = _why(old, new, changed)
        yield from (
            _line("kinetics", new, name, _told(old[name]), _told(new[name]), why)
            for name in changed
        )


def _parameters(then: pd.DataFrame, now: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    key = ("patient", "specimen", "population", "parameter")
    was, is_ = _by_key(then, key), _by_key(now, key)
    for each in sorted({*was, *is_}):
        old, new = was.get(each), is_.get(each)
        pairs = [
            (_told(old[name]) if old else "", _told(new[name]) if new else "")
            for name in PARAMETER_VALUES
        ]
        if any(before != after for before, after in pairs):
            rule = old is not None and new is not None and old["definition"] != new["definition"]
            why = (
                "the rule of the parameter is another one"
                if rule
                else "follows from the kinetic table"
            )
            yield _line(
                "parameters", new or old or {}, each[3], _shown(pairs, 0), _shown(pairs, 1), why
            )


def _why(old: Row, new: Row, changed: list[str]) -> str:
    """Name the cause that lies farthest back: strategy, panel, identity, infusion, thresholds, rules."""
    if (old["strategy"], old["strategy_sha256"]) != (new["strategy"], new["strategy_sha256"]):
        return f"counted under {new['strategy']} instead of {old['strategy']}"
    if old["panel_sha256"] and old["panel_sha256"] != new["panel_sha256"]:
        return f"counted with another content of the panel {new['panel']}"
    if any(name in changed for name in IDENTITY):
        return "the sample sheet says otherwise now"
    if "day" in changed:
        return "the time of infusion is another one"
    if "events" in changed or "parent_events" in changed:
        return "the tube was counted anew: controls or a baseline tube came, or the program changed"
    return "limits, background or a companion tube of the draw changed"


def _came_or_went(key: tuple[str, ...], others: set[str], *, came: bool, row: Row) -> str:
    if key[0] in others:
        return (
            f"{row['strategy']} reports this population"
            if came
            else f"{row['strategy']} reported this population; the version in use does not"
        )
    return (
        "the tube was counted after the cut" if came else "the tube is not in the tables any more"
    )


def _by_key(frame: pd.DataFrame, key: tuple[str, ...]) -> dict[tuple[str, ...], Row]:
    return {tuple(str(row[name]) for name in key): row for row in frame.to_dict("records")}


def _line(table: str, row: Row, what: str, then: str, now: str, why: str) -> tuple[object, ...]:
    place = (
        row["patient"],
        row.get("visit", ""),
        row["specimen"],
        row["population"],
        row.get("tube_sha256", ""),
    )
    return (table, *place, what, then, now, why)


def _shown(pairs: list[tuple[str, str]], side: int) -> str:
    value, low, high, *_ = (pair[side] for pair in pairs)
    return f"{value} ({low} to {high})" if low or high else value


def _told(value: object) -> str:
    """Write a value as the tables do; nothing for not measured."""
    if value is None or value != value:  # noqa: PLR0124 - the one value that is not itself is NaN
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)
