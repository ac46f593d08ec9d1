"""Keep the ledger: every file that ever entered the inbox, its one present state, and how it came to it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from panels.text.errors import StateConflict
from tasks.store.opening import Store, utc_now
from tasks.store.schema import files, moves, notes, transitions

State = Literal["settling", "waiting", "accepted", "counted", "failed", "quarantined", "duplicate"]
TAKEN_IN: tuple[State, ...] = ("accepted", "counted", "failed")
"""States of a tube whose identity is known and whose counts belong to the study."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of the ledger. ``inbox_path`` is how it came in, ``place`` where its bytes lie now (None: gone)."""

    id: int
    name: str
    inbox_path: str
    place: str | None
    sha256: str | None
    size: int
    mtime_ns: int
    seen_at: float
    state: State
    reason: str
    duplicate_of: str | None
    changed_at: str


@dataclass(frozen=True, slots=True)
class FileStat:
    """What was seen of a file at one moment."""

    size: int
    mtime_ns: int
    seen_at: float
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Transition:
    """One step in a file's history."""

    at: str
    from_state: State | None
    to_state: State
    reason: str


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """A move that is under way: what the file becomes when it has arrived."""

    file_id: int
    source: str
    target: str
    state: State
    reason: str
    duplicate_of: str | None = None


def add_file(
    connection: Connection, name: str, inbox_path: str, place: str, stat: FileStat, reason: str = ""
) -> int | None:
    """Enter a file that was seen for the first time; it settles. Gives its id.

    None when another pass has entered a file at this place meanwhile; then nothing is changed.
    """
    values = {"name": name, "inbox_path": inbox_path, "place": place, "state": "settling"}
    values |= {"reason": reason, "changed_at": utc_now(), **_stat_values(stat)}
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(files).values(**values)
    statement = statement.on_conflict_do_nothing(index_elements=["place"])
    file_id = connection.execute(statement.returning(files.c.id)).scalar()
    if file_id is not None:
        _append(connection, file_id, None, "settling", reason)
    return file_id


def claim(connection: Connection, record: FileRecord) -> None:
    """Keep a file's row as it is until the end of the change; everything else here begins with it.

    Raises StateConflict when it is not as it was read: another pass has the file in hand.
    """
    chosen = select(files).where(files.c.id == record.id).with_for_update()
    row = connection.execute(chosen).one_or_none()
    if row is None or _record(row) != record:
        raise StateConflict(f"{record.inbox_path} was changed by another reconflow meanwhile.")


def refuse_twin(connection: Connection, record: FileRecord) -> None:
    """Raise StateConflict when a file with the same bytes was taken in, or is about to be.

    To be called after the tube's identity was written, which makes two that write it wait.
    """
    same = (files.c.sha256 == record.sha256) & (files.c.id != record.id)
    coming = select(moves.c.file_id).where(moves.c.state.in_(TAKEN_IN))
    chosen = select(files.c.id).where(same, files.c.state.in_(TAKEN_IN) | files.c.id.in_(coming))
    if connection.execute(chosen).first() is not None:
        raise StateConflict(f"{record.inbox_path}: the same bytes are being taken in.")


def see_again(connection: Connection, record: FileRecord, stat: FileStat) -> FileRecord:
    """Note what a file looks like now and give its record; its state is not touched.

    Raises StateConflict when its row is not ``record`` any more.
    """
    claim(connection, record)
    values = _stat_values(stat)
    connection.execute(update(files).where(files.c.id == record.id).values(**values))
    return replace(record, **values)


def set_state(
    connection: Connection, record: FileRecord, state: State, reason: str, **changes: str | None
) -> FileRecord:
    """Give a file that is as it was read a state, note the step in its history, give its record.

    Nothing happens when it is in that state for the same reason. ``changes`` may set ``place``,
    ``name``, ``inbox_path`` and ``duplicate_of``. Raises StateConflict when its row is not
    ``record`` any more, or another file lies at the new place.
    """
    claim(connection, record)
    return _change(connection, record, state, reason, changes)


def note_change(connection: Connection, file_id: int, reason: str) -> None:
    """Append a change that leaves the state as it is (a mended identity) to a file's history."""
    state = connection.execute(select(files.c.state).where(files.c.id == file_id)).scalar_one()
    _append(connection, file_id, state, state, reason)


def set_tube_state(
    connection: Connection,
    tube_sha256: str,
    state: Literal["accepted", "counted", "failed"],
    reason: str = "",
    *,
    seen: FileRecord | None = None,
) -> None:
    """Give a tube that was taken in its state.

    With ``seen``, its file when the work on it began, a state or reason that it got since stays.
    """
    chosen = select(files).where(files.c.sha256 == tube_sha256, files.c.state.in_(TAKEN_IN))
    row = connection.execute(chosen.order_by(files.c.id).with_for_update()).first()
    if row is None:
        return
    now = _record(row)
    if seen is None or (now.state, now.reason) == (seen.state, seen.reason):
        _change(connection, now, state, reason, {})


def record_failure(
    store: Store, tube_sha256: str, error: str, *, seen: FileRecord | None = None
) -> None:
    """Note that a tube could not be counted, and why (``seen`` as in set_tube_state)."""
    with store.writing() as connection:
        set_tube_state(connection, tube_sha256, "failed", error, seen=seen)


def file_now(store: Store, file_id: int) -> FileRecord:
    """Read a file of the ledger again."""
    with store.reading() as connection:
        return _record(connection.execute(select(files).where(files.c.id == file_id)).one())


def all_files(store: Store, states: Collection[State] = get_args(State)) -> list[FileRecord]:
    """List the files in any of these states, in order of arrival."""
    with store.reading() as connection:
        return [
            _record(row)
            for row in connection.execute(
                select(files).where(files.c.state.in_(states)).order_by(files.c.id)
            )
        ]


def files_within(store: Store, folder: str) -> dict[str, FileRecord]:
    """Map each place below ``folder`` to the file that lies there."""
    inside = files.c.place.startswith(f"{folder}/", autoescape=True)
    with store.reading() as connection:
        return {row.place: _record(row) for row in connection.execute(select(files).where(inside))}


def files_with_bytes(store: Store, sha256: str) -> list[FileRecord]:
    """List the files that hold the same bytes."""
    with store.reading() as connection:
        return [
            _record(row)
            for row in connection.execute(
                select(files).where(files.c.sha256 == sha256).order_by(files.c.id)
            )
        ]


def files_called(store: Store, inbox_path: str) -> list[FileRecord]:
    """List the files that came in under the same name, in order of arrival."""
    chosen = select(files).where(files.c.inbox_path == inbox_path).order_by(files.c.id)
    with store.reading() as connection:
        return [_record(row) for row in connection.execute(chosen)]


def count_by_state(store: Store) -> dict[State, int]:
    """Count the files of the ledger in every state."""
    with store.reading() as connection:
        rows = connection.execute(
            select(files.c.state, func.count().label("number")).group_by(files.c.state)
        )
        found = {row.state: int(row.number) for row in rows}
    return {state: found.get(state, 0) for state in get_args(State)}


def history(store: Store, file_id: int) -> list[Transition]:
    """List every step of one file, first to last."""
    chosen = select(transitions).where(transitions.c.file_id == file_id).order_by(transitions.c.id)
    with store.reading() as connection:
        return [
            Transition(row.at, row.from_state, row.to_state, row.reason)
            for row in connection.execute(chosen)
        ]


def plan_move(connection: Connection, record: FileRecord, move: PlannedMove) -> None:
    """Write down a move of a file that is as it was read, before the move is made.

    Raises StateConflict when its row is not ``record`` any more, or when another pass is moving it
    to another place.
    """
    claim(connection, record)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    values = {name: getattr(move, name) for name in PlannedMove.__slots__}
    statement = dialect.insert(moves).values(**values)
    connection.execute(statement.on_conflict_do_nothing(index_elements=["file_id"]))
    target = select(moves.c.target).where(moves.c.file_id == move.file_id)
    if connection.execute(target).scalar() != move.target:
        raise StateConflict(f"{record.inbox_path} is being moved by another reconflow.")


def plan_anew(connection: Connection, record: FileRecord, move: PlannedMove) -> None:
    """Write down a move of a file in the place of another, where there is one.

    Raises StateConflict when the file's row is not ``record`` any more.
    """
    claim(connection, record)
    connection.execute(delete(moves).where(moves.c.file_id == move.file_id))
    values = {name: getattr(move, name) for name in PlannedMove.__slots__}
    connection.execute(insert(moves).values(**values))


def is_planned(connection: Connection, file_id: int) -> bool:
    """Tell whether a move of a file was written down and not ended."""
    chosen = select(moves.c.file_id).where(moves.c.file_id == file_id)
    return connection.execute(chosen).first() is not None


def end_move(connection: Connection, file_id: int) -> None:
    """Strike out a move that was made or given up."""
    connection.execute(delete(moves).where(moves.c.file_id == file_id))


def planned_moves(store: Store, file_id: int | None = None) -> list[tuple[PlannedMove, FileRecord]]:
    """List the moves (all, or a file's) that were planned and not finished, with their files."""
    wanted = select(moves).order_by(moves.c.file_id)
    wanted = wanted if file_id is None else wanted.where(moves.c.file_id == file_id)
    with store.reading() as connection:
        planned = [PlannedMove(**row._mapping) for row in connection.execute(wanted)]  # noqa: SLF001
        chosen = select(files).where(files.c.id.in_([move.file_id for move in planned]))
        known = {row.id: _record(row) for row in connection.execute(chosen)}
    return [(move, known[move.file_id]) for move in planned]


def remember(store: Store, name: str, value: str) -> None:
    """Keep one note for the next pass."""
    with store.writing() as connection:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(notes).values(name=name, value=value)
        statement = statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
        connection.execute(statement)


def remember_first(store: Store, name: str, value: str) -> str:
    """Keep a note unless there is one; gives the one that is kept."""
    with store.writing() as connection:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(notes).values(name=name, value=value)
        connection.execute(statement.on_conflict_do_nothing(index_elements=["name"]))
        kept = connection.execute(select(notes.c.value).where(notes.c.name == name)).scalar_one()
    return str(kept)


def forget(store: Store, name: str) -> None:
    """Remove a note."""
    with store.writing() as connection:
        connection.execute(delete(notes).where(notes.c.name == name))


def recall(store: Store, name: str) -> str | None:
    """Give a note that an earlier pass kept."""
    with store.reading() as connection:
        return connection.execute(select(notes.c.value).where(notes.c.name == name)).scalar()


def _change(
    connection: Connection, now: FileRecord, state: State, reason: str, changes: Mapping[str, Any]
) -> FileRecord:
    """Change a row that is kept as ``now`` until the end of the transaction."""
    then = replace(now, state=state, reason=reason, **changes)
    if then == now:
        return now
    then = replace(then, changed_at=utc_now())
    values = {"state": state, "reason": reason, "changed_at": then.changed_at, **changes}
    try:
        connection.execute(update(files).where(files.c.id == now.id).values(**values))
    except IntegrityError as error:
        place = changes.get("place")
        raise StateConflict(f"{now.inbox_path}: another file lies at {place}.") from error
    if (now.state, now.reason) != (state, reason):
        _append(connection, now.id, now.state, state, reason)
    return then


def _append(
    connection: Connection, file_id: int, before: str | None, after: str, reason: str
) -> None:
    connection.execute(
        insert(transitions).values(
            file_id=file_id, at=utc_now(), from_state=before, to_state=after, reason=reason
        )
    )


def _stat_values(stat: FileStat) -> Mapping[str, Any]:
    return {
        "size": stat.size,
        "mtime_ns": stat.mtime_ns,
        "seen_at": stat.seen_at,
        "sha256": stat.sha256,
    }


def _record(row: Row[Any]) -> FileRecord:
    return FileRecord(**row._mapping)  # noqa: SLF001 - the public name of a row's columns in SQLAlchemy
