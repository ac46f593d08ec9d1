"""Keep the ledger: every file that ever entered the inbox, its one present state, and how it came to it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, delete, func, insert, select, update

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
class Sight:
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


def add_file(connection: Connection, name: str, inbox_path: str, place: str, sight: Sight, reason: str = "") -> None:
    """Enter a file that was seen for the first time; it settles."""
    values = {"name": name, "inbox_path": inbox_path, "place": place, "duplicate_of": None, **_sight_values(sight)}
    statement = insert(files).values(state="settling", reason=reason, changed_at=utc_now(), **values).returning(files.c.id)
    file_id = connection.execute(statement).scalar_one()
    _append(connection, file_id, None, "settling", reason)


def see_again(connection: Connection, file_id: int, sight: Sight) -> None:
    """Note what a file looks like now; its state is not touched."""
    connection.execute(update(files).where(files.c.id == file_id).values(**_sight_values(sight)))


def set_state(connection: Connection, file_id: int, state: State, reason: str, **changes: str | None) -> bool:
    """Give a file its state and append the step to its history; nothing happens when it is in it for the same reason.

    ``changes`` may set ``place``, ``name``, ``inbox_path`` and ``duplicate_of``. Tells whether anything was changed.
    """
    old = connection.execute(select(files).where(files.c.id == file_id).with_for_update()).one()
    if old.state == state and old.reason == reason and all(getattr(old, key) == value for key, value in changes.items()):
        return False
    connection.execute(update(files).where(files.c.id == file_id).values(state=state, reason=reason, changed_at=utc_now(), **changes))
    if (old.state, old.reason) != (state, reason):
        _append(connection, file_id, old.state, state, reason)
    return True


def note_change(connection: Connection, file_id: int, reason: str) -> None:
    """Append a change that leaves the state as it is (a mended identity) to a file's history."""
    state = connection.execute(select(files.c.state).where(files.c.id == file_id)).scalar_one()
    _append(connection, file_id, state, state, reason)


def set_tube_state(connection: Connection, tube_sha256: str, state: Literal["accepted", "counted"]) -> None:
    """Give a tube that was taken in its state."""
    found = connection.execute(select(files.c.id).where(files.c.sha256 == tube_sha256, files.c.state.in_(TAKEN_IN))).scalar()
    if found is not None:
        set_state(connection, found, state, "")


def record_failure(store: Store, tube_sha256: str, error: str) -> None:
    """Note that a tube that was taken in could not be counted, and why; `reconflow retry` takes it up again."""
    with store.writing() as connection:
        found = connection.execute(select(files.c.id).where(files.c.sha256 == tube_sha256, files.c.state.in_(TAKEN_IN))).scalar()
        if found is not None:
            set_state(connection, found, "failed", error)


def all_files(store: Store, states: Collection[State] = get_args(State)) -> list[FileRecord]:
    """List the files in any of these states, in order of arrival."""
    with store.reading() as connection:
        return [_record(row) for row in connection.execute(select(files).where(files.c.state.in_(states)).order_by(files.c.id))]


def files_within(store: Store, folder: str) -> dict[str, FileRecord]:
    """Map each place below ``folder`` to the file that lies there."""
    inside = files.c.place.startswith(f"{folder}/", autoescape=True)
    with store.reading() as connection:
        return {row.place: _record(row) for row in connection.execute(select(files).where(inside))}


def files_with_bytes(store: Store, sha256: str) -> list[FileRecord]:
    """List the files that hold the same bytes."""
    with store.reading() as connection:
        return [_record(row) for row in connection.execute(select(files).where(files.c.sha256 == sha256).order_by(files.c.id))]


def files_called(store: Store, inbox_path: str) -> list[FileRecord]:
    """List the files that came in under the same name, in order of arrival."""
    chosen = select(files).where(files.c.inbox_path == inbox_path).order_by(files.c.id)
    with store.reading() as connection:
        return [_record(row) for row in connection.execute(chosen)]


def count_by_state(store: Store) -> dict[State, int]:
    """Count the files of the ledger in every state."""
    with store.reading() as connection:
        rows = connection.execute(select(files.c.state, func.count().label("number")).group_by(files.c.state))
        found = {row.state: int(row.number) for row in rows}
    return {state: found.get(state, 0) for state in get_args(State)}


def history(store: Store, file_id: int) -> list[Transition]:
    """List every step of one file, first to last."""
    chosen = select(transitions).where(transitions.c.file_id == file_id).order_by(transitions.c.id)
    with store.reading() as connection:
        return [Transition(row.at, row.from_state, row.to_state, row.reason) for row in connection.execute(chosen)]


def plan_move(connection: Connection, move: PlannedMove) -> None:
    """Write down a move before it is made."""
    connection.execute(delete(moves).where(moves.c.file_id == move.file_id))
    connection.execute(
        insert(moves).values(
            file_id=move.file_id, source=move.source, target=move.target,
            state=move.state, reason=move.reason, duplicate_of=move.duplicate_of,
        )
    )  # fmt: skip


def end_move(connection: Connection, file_id: int) -> None:
    """Strike out a move that was made or given up."""
    connection.execute(delete(moves).where(moves.c.file_id == file_id))


def planned_moves(store: Store) -> list[tuple[PlannedMove, FileRecord]]:
    """List the moves that were planned and not finished, with their files."""
    with store.reading() as connection:
        planned = [PlannedMove(**row._mapping) for row in connection.execute(select(moves).order_by(moves.c.file_id))]  # noqa: SLF001
        chosen = select(files).where(files.c.id.in_([move.file_id for move in planned]))
        known = {row.id: _record(row) for row in connection.execute(chosen)}
    return [(move, known[move.file_id]) for move in planned]


def remember(store: Store, name: str, value: str) -> None:
    """Keep one note for the next pass."""
    with store.writing() as connection:
        connection.execute(delete(notes).where(notes.c.name == name))
        connection.execute(insert(notes).values(name=name, value=value))


def recall(store: Store, name: str) -> str | None:
    """Give a note that an earlier pass kept."""
    with store.reading() as connection:
        return connection.execute(select(notes.c.value).where(notes.c.name == name)).scalar()


def _append(connection: Connection, file_id: int, before: str | None, after: str, reason: str) -> None:
    connection.execute(insert(transitions).values(file_id=file_id, at=utc_now(), from_state=before, to_state=after, reason=reason))


def _sight_values(sight: Sight) -> Mapping[str, Any]:
    return {"size": sight.size, "mtime_ns": sight.mtime_ns, "seen_at": sight.seen_at, "sha256": sight.sha256}


def _record(row: Row[Any]) -> FileRecord:
    return FileRecord(**row._mapping)  # noqa: SLF001 - the public name of a row's columns in SQLAlchemy
