"""Keep what a person set otherwise in one tube, and say which of it holds.

A correction holds for one tube under one content of its strategy and one of its calibration. It is
never changed: a later one of the same threshold or gate supersedes it, a withdrawal ends it.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, insert, select

from panels.text.printable import printable
from tasks.store.audit import KeptEntry
from tasks.store.digests import sealed
from tasks.store.opening import Store
from tasks.store.schema.decisions import corrections, withdrawals
from tasks.store.told import Details, Matched, matched, values_of

Kind = Literal["threshold", "gate"]
State = Literal["active", "expired", "withdrawn", "superseded", "altered"]
Vertices = tuple[tuple[float, float], ...]
Value = float | Vertices
"""A threshold's value, or a polygon's vertices, in the file's linear units."""
CORRECTED, WITHDREW = "corrected", "withdrew a correction"
"""What the log says was done."""
_JSON = ("value", "value_before", "populations")


class Binding(NamedTuple):
    """What a correction holds for: a tube, and the contents that count it."""

    tube_sha256: str
    strategy: str
    strategy_sha256: str
    calibration_sha256: str


@dataclass(frozen=True, slots=True)
class Correction:
    """One threshold or gate of one tube as a person set it (``strategy`` is ``bcell@2.0.0``).

    ``value_before`` is where it lay before, ``limits`` says how far one person may go,
    ``populations`` are those whose gates hang on it. ``second`` is the other person, empty where
    none was needed. ``sha256_before`` and ``sha256_after`` are the
    hashes of the tube's corrections without and with it; ``id`` is 0 until it is written.
    """

    tube_sha256: str
    strategy: str
    strategy_sha256: str
    calibration: str
    calibration_sha256: str
    kind: Kind
    name: str
    value: Value
    value_before: Value
    limits: str
    populations: tuple[str, ...]
    at: str
    made_by: str
    second: str
    reason: str
    sha256_before: str = ""
    sha256_after: str = ""
    id: int = 0

    @property
    def binding(self) -> Binding:
        """Give what the correction holds for."""
        return Binding(
            self.tube_sha256, self.strategy, self.strategy_sha256, self.calibration_sha256
        )

    @property
    def place(self) -> tuple[str, str]:
        """Name what was corrected: its kind and its name."""
        return self.kind, self.name


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A correction that was taken back: by whom, when and why."""

    correction_id: int
    at: str
    made_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class CorrectionLog:
    """All corrections of a study in the order they were made, and what became of them.

    ``altered`` are the numbers of those that are not as they were written, or that the log does not
    tell of; they hold no more. ``overtaken`` are those after which the log tells of another one of
    the same threshold or gate, whether or not that is still there.
    """

    made: tuple[Correction, ...] = ()
    withdrawn: Mapping[int, Withdrawal] = field(default_factory=dict)
    altered: frozenset[int] = frozenset()
    overtaken: frozenset[int] = frozenset()

    def of(self, tube_sha256: str) -> list[Correction]:
        """List the corrections of a tube."""
        return [each for each in self.made if each.tube_sha256 == tube_sha256]

    def active(self) -> dict[Binding, tuple[Correction, ...]]:
        """Give by what they hold for the corrections that are in force, by kind and name."""
        in_force: defaultdict[Binding, list[Correction]] = defaultdict(list)
        for each in self._latest().values():
            if each.id not in self.withdrawn and each.id not in self.overtaken:
                in_force[each.binding].append(each)
        return {
            binding: tuple(sorted(each, key=lambda one: one.place))
            for binding, each in in_force.items()
        }

    def hashes(self) -> dict[Binding, str]:
        """Give the hash of the corrections in force, by what they hold for."""
        return {binding: corrections_sha256(each) for binding, each in self.active().items()}

    def state(self, correction: Correction, present: Binding | None) -> State:
        """Say what became of a correction; ``present`` counts its tube now (None: nothing does)."""
        if correction.id in self.altered:
            return "altered"
        if correction.id in self.withdrawn:
            return "withdrawn"
        latest = self._latest().get((correction.binding, *correction.place))
        if correction.id in self.overtaken or latest != correction:
            return "superseded"
        return "active" if correction.binding == present else "expired"

    def _latest(self) -> dict[tuple[Binding, str, str], Correction]:
        return {
            (each.binding, *each.place): each for each in self.made if each.id not in self.altered
        }


def read_corrections(store: Store) -> CorrectionLog:
    """Read all corrections and withdrawals of a study."""
    with store.reading() as connection:
        return corrections_within(connection)


def corrections_within(connection: Connection) -> CorrectionLog:
    """Read all corrections and withdrawals in a transaction that is under way."""
    corrected, withdrawn = matched_corrections(connection), matched_withdrawals(connection)
    unsound = (*corrected.altered, *corrected.untold)
    return CorrectionLog(
        made=tuple(sorted(map(_correction, (*corrected.rows, *unsound)), key=lambda each: each.id)),
        withdrawn={
            row.correction_id: Withdrawal(row.correction_id, row.at, row.made_by, row.reason)
            for row in withdrawn.rows
        },
        altered=frozenset(row.id for row in unsound),
        overtaken=_overtaken(corrected),
    )


def matched_corrections(connection: Connection) -> Matched:
    """Hold the corrections against the log."""
    return matched(connection, corrections, [CORRECTED], _of_row, _of_entry)


def matched_withdrawals(connection: Connection) -> Matched:
    """Hold what was taken back against the log."""
    columns = (corrections.c.id, corrections.c.tube_sha256, corrections.c.name)
    of = {row.id: [row.tube_sha256, row.name] for row in connection.execute(select(*columns))}

    def of_row(row: Row[Any]) -> object:
        named = of.get(row.correction_id, ["", ""])
        return [printable(row.made_by), row.reason, *named]

    def of_entry(entry: KeptEntry, details: Details) -> Iterator[object]:
        tube_sha256, reason = values_of(details, ("tube_sha256", "reason"))
        for name in details.get("withdrawn", ()):
            yield [entry.actor, reason, tube_sha256, name]

    return matched(connection, withdrawals, [WITHDREW], of_row, of_entry)


def _of_row(row: Row[Any]) -> object:
    return [
        printable(row.made_by),
        [row.tube_sha256, f"{row.strategy}@{row.version}", row.calibration, row.kind, row.name],
        [json.loads(row.value), json.loads(row.value_before), row.second, row.reason],
    ]


def _of_entry(entry: KeptEntry, details: Details) -> Iterator[object]:
    tube = values_of(details, ("tube_sha256", "strategy", "calibration"))
    why = values_of(details, ("second", "reason"))
    for each in details.get("set", ()):
        place = [*tube, *values_of(each, ("kind", "name"))]
        yield [entry.actor, place, [*values_of(each, ("to", "from")), *why]]


def _overtaken(corrected: Matched) -> frozenset[int]:
    """Name the corrections after which the log tells of another one of the same place."""
    places = [json.dumps(json.loads(each.key)[1]) for each in corrected.told]
    last = {place: number for number, place in enumerate(places)}
    return frozenset(
        each.row.id
        for number, each in enumerate(corrected.told)
        if each.row is not None and last[places[number]] != number
    )


def write_corrections(connection: Connection, made: Iterable[Correction]) -> None:
    """Write new corrections, in the transaction of the connection."""
    for each in made:
        connection.execute(insert(corrections).values(**sealed(corrections, _values(each))))


def write_withdrawals(connection: Connection, made: Iterable[Withdrawal]) -> None:
    """Write that corrections were taken back, in the transaction of the connection."""
    for each in made:
        connection.execute(insert(withdrawals).values(**sealed(withdrawals, asdict(each))))


def corrections_sha256(in_force: Sequence[Correction]) -> str:
    """Hash the corrections of a tube that are in force: what, where, by whom, when and why.

    Empty where there are none.
    """
    if not in_force:
        return ""
    lines = sorted(
        (
            each.kind,
            each.name,
            _document(each.value),
            each.at,
            each.made_by,
            each.second,
            each.reason,
        )
        for each in in_force
    )
    return hashlib.sha256(json.dumps(lines, ensure_ascii=False).encode()).hexdigest()


def _values(each: Correction) -> dict[str, Any]:
    name, _, version = each.strategy.partition("@")
    values = asdict(each) | {"strategy": name, "version": version}
    values |= {key: _document(getattr(each, key)) for key in _JSON}
    del values["id"]
    return values


def _correction(row: Row[Any]) -> Correction:
    cells = dict(row._mapping)  # noqa: SLF001 - the public name of a row's columns in SQLAlchemy
    cells["strategy"] = f"{cells['strategy']}@{cells.pop('version')}"
    cells |= {key: _value(cells[key]) for key in ("value", "value_before")}
    cells["populations"] = tuple(json.loads(cells["populations"]))
    del cells["digest"]
    return Correction(**cells)


def _document(value: Value | tuple[str, ...]) -> str:
    return json.dumps(value, allow_nan=False)


def _value(document: str) -> Value:
    read = json.loads(document)
    if isinstance(read, list):
        return tuple((float(x), float(y)) for x, y in read)
    return float(read)
