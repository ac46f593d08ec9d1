"""Say which numbers changed since a data-cut, and why."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tasks.kinetics.table_schema import Column, TableSchema
from tasks.vocabulary.flags import Flag

if TYPE_CHECKING:
    import pandas as pd

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
        Column("signed", "", "signature under the patient's tables at the cut; empty: none"),
    ),
)
ROW = "row"
PARAMETER_TABLE = "parameters"
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
REVIEW = "review"
DECISIONS = ("used", "corrected", REVIEW)
"""What is compared where the table at the cut held it already."""
PARAMETER_VALUES = ("value", "low", "high", "censoring", "definition")

COUNTS = ("events", "parent_events")
CORRECTED = "a person corrected a gate of the tube, or took a correction back"
CORRECTED_IN = "a person corrected a gate, or took a correction back, in tube"

Key = tuple[str, ...]
Row = Mapping[Hashable, Any]


class Tables(Protocol):
    """Tables of one moment: of the whole study, or of one patient."""

    @property
    def kinetics(self) -> pd.DataFrame: ...

    @property
    def parameters(self) -> pd.DataFrame: ...


def restatements(then: Tables, now: Tables) -> pd.DataFrame:
    """Compare the tables of a data-cut with those of now.

    Gives the columns of ``RESTATEMENTS``: rows that came or went, and values that changed, each
    with its reason. ``signed`` is left empty: only the store knows.
    """
    import pandas as pd

    rows = [*_kinetics(then.kinetics, now.kinetics), *_parameters(then.parameters, now.parameters)]
    return pd.DataFrame(rows, columns=RESTATEMENTS.names).astype("str")


def _kinetics(then: pd.DataFrame, now: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    key = ("tube_sha256", "population")
    rows_then, rows_now = _by_key(then, key), _by_key(now, key)
    tubes_then = {tube for tube, _ in rows_then}
    tubes_now = {tube for tube, _ in rows_now}
    corrected = _corrected_tubes(rows_then, rows_now)
    for each in sorted({*rows_then, *rows_now}):
        old, new = rows_then.get(each), rows_now.get(each)
        if old is not None and new is not None:
            yield from _changes(old, new, corrected)
        elif new is not None:
            why = _why_it_came(new, has_tube=each[0] in tubes_then)
            yield _line("kinetics", new, ROW, ("", _result(new)), why)
        elif old is not None:
            why = _why_it_went(old, has_tube=each[0] in tubes_now)
            yield _line("kinetics", old, ROW, (_result(old), ""), why)


def _corrected_tubes(then: Mapping[Key, Row], now: Mapping[Key, Row]) -> dict[str, Row]:
    """Give a row of every tube in which corrections changed, or counts by them, by tube.

    A tube whose uncorrected counts changed too was counted anew for another reason.
    """
    changed: dict[str, Row] = {}
    otherwise: set[str] = set()
    for key in then.keys() & now.keys():
        old, new = then[key], now[key]
        moved = any(_written(old[name]) != _written(new[name]) for name in COUNTS)
        marked = bool(old["used"]) and old["corrected"] != new["corrected"]
        is_corrected = "Y" in (old["corrected"], new["corrected"])
        if moved and (not is_corrected or _made_with_another(old, new)):
            otherwise.add(key[0])
        elif is_corrected and (moved or marked):
            changed[key[0]] = new
    return {tube: row for tube, row in changed.items() if tube not in otherwise}


def _changes(old: Row, new: Row, corrected: Mapping[str, Row]) -> Iterator[tuple[object, ...]]:
    """Yield a line for each value of a row that is another one now.

    ``corrected`` are the tubes in which corrections changed, or counts by them.
    """
    compared = (*IDENTITY, "day", *VALUES, *(DECISIONS if old["used"] else ()))
    changed = [name for name in compared if _written(old[name]) != _written(new[name])]
    decisive = [name for name in changed if name != REVIEW or _is_exclusion(old, new)]
    why = _why(old, new, decisive, corrected)
    for name in changed:
        reason = _review_now(new) if name == REVIEW else why
        yield _line("kinetics", new, name, (_written(old[name]), _written(new[name])), reason)


def _parameters(then: pd.DataFrame, now: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    key = ("patient", "specimen", "population", "parameter")
    rows_then, rows_now = _by_key(then, key), _by_key(now, key)
    for each in sorted({*rows_then, *rows_now}):
        old, new = rows_then.get(each), rows_now.get(each)
        before, after = _parameter_values(old), _parameter_values(new)
        if before == after:
            continue
        why = "follows from the kinetic table"
        if old is not None and new is not None and old["definition"] != new["definition"]:
            why = "the rule of the parameter is another one"
        shown = (_with_limits(before), _with_limits(after))
        yield _line(PARAMETER_TABLE, new or old or {}, each[3], shown, why)


def _parameter_values(row: Row | None) -> list[str]:
    if not row:
        return [""] * len(PARAMETER_VALUES)
    return [_written(row[name]) for name in PARAMETER_VALUES]


def _why(old: Row, new: Row, changed: list[str], corrected: Mapping[str, Row]) -> str:
    """Give the cause that lies farthest back: what counted, sheet, infusion, counts, draw."""
    known = _made_with_another(old, new) or _decided(new, changed)
    if known:
        return known
    if any(name in changed for name in IDENTITY):
        return "the sample sheet says otherwise now"
    if "day" in changed:
        return "the time of infusion is another one"
    if new["tube_sha256"] in corrected:
        return CORRECTED
    if not set(COUNTS).isdisjoint(changed):
        return "the tube was counted anew: controls or a baseline tube came, or the program changed"
    return (
        _tied_to(old, new, corrected)
        or _held_against(old, new, corrected)
        or "limits, background or a companion tube of the draw changed"
    )


def _tied_to(old: Row, new: Row, corrected: Mapping[str, Row]) -> str:
    """Name the corrected tube of the draw that a concentration is, or was, tied to."""
    if not _flagged(Flag.ANCHORED_ON_CORRECTED, old, new):
        return ""
    of_draw = ("patient", "specimen", "visit")
    told = _tubes_named(corrected, new, of_draw)
    return f"{CORRECTED_IN} {told}, which this value is tied to" if told else ""


def _held_against(old: Row, new: Row, corrected: Mapping[str, Row]) -> str:
    """Name the corrected tube before infusion whose background a count is, or was, held against."""
    if not _flagged(Flag.BACKGROUND_CORRECTED, old, new):
        return ""
    before_infusion = {tube: row for tube, row in corrected.items() if row["day"] < 0}
    told = _tubes_named(before_infusion, new, ("patient", "specimen", "panel"))
    return f"{CORRECTED_IN} {told}, whose background this value is held against" if told else ""


def _flagged(flag: Flag, *rows: Row) -> bool:
    return any(flag in row["flags"].split(";") for row in rows)


def _tubes_named(tubes: Mapping[str, Row], row: Row, shared: Sequence[str]) -> str:
    """Name the tubes that share these columns with a row."""
    return ", ".join(
        sorted(
            f"{each['panel']} {tube[:12]}"
            for tube, each in tubes.items()
            if all(each[name] == row[name] for name in shared)
        )
    )


def _made_with_another(old: Row, new: Row) -> str:
    """Name the strategy, panel or calibration that a row was counted with and was not before."""
    if (old["strategy"], old["strategy_sha256"]) != (new["strategy"], new["strategy_sha256"]):
        return f"counted under {new['strategy']} instead of {old['strategy']}"
    if old["panel_sha256"] and old["panel_sha256"] != new["panel_sha256"]:
        return f"counted with another content of the panel {new['panel']}"
    if old["calibration_sha256"] != new["calibration_sha256"]:
        then, now = (each["calibration"] or "the strategy's own numbers" for each in (old, new))
        return f"counted with {now} instead of {then}"
    return ""


def _decided(new: Row, changed: list[str]) -> str:
    """Name what a person decided on the tube since."""
    if REVIEW in changed:
        return _review_now(new)
    if "corrected" in changed:
        return CORRECTED
    return ""


def _review_now(new: Row) -> str:
    return f"the review of the tube says {new[REVIEW] or 'nothing'} now"


def _is_exclusion(old: Row, new: Row) -> bool:
    """Tell whether a tube was excluded or taken back: other decisions change no number.

    They are reopened by numbers that change.
    """
    return "excluded" in (old[REVIEW], new[REVIEW])


def _why_it_came(row: Row, *, has_tube: bool) -> str:
    """Give the reason for a new row; ``has_tube``: the tube was in the tables at the cut."""
    if has_tube:
        return f"{row['strategy']} reports this population"
    return "the tube was counted after the cut"


def _why_it_went(row: Row, *, has_tube: bool) -> str:
    """Give the reason for a lost row; ``has_tube``: the tube is still in the tables."""
    if has_tube:
        return f"{row['strategy']} reported this population; the version in use does not"
    return "the tube is not in the tables any more"


def _by_key(frame: pd.DataFrame, key: tuple[str, ...]) -> dict[Key, Row]:
    return {tuple(str(row[name]) for name in key): row for row in frame.to_dict("records")}


def _line(table: str, row: Row, what: str, values: tuple[str, str], why: str) -> tuple[object, ...]:
    """Lay out one line of ``RESTATEMENTS``; ``values`` are those then and now."""
    return (
        table,
        row["patient"],
        row.get("visit", ""),
        row["specimen"],
        row["population"],
        row.get("tube_sha256", ""),
        what,
        *values,
        why,
        "",
    )


def _result(row: Row) -> str:
    """Give the concentration of a row, or its code where it has none."""
    return _written(row["per_ul"]) or str(row["code"])


def _with_limits(values: list[str]) -> str:
    value, low, high, *_ = values
    if low or high:
        return f"{value} ({low} to {high})"
    return value


def _written(value: object) -> str:
    """Write a value as the tables do; nothing for not measured."""
    if value is None or value != value:  # noqa: PLR0124 - the one value that is not itself is NaN
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)
