"""Keep the ledger: every file that ever entered the inbox, its present state and its history."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, Select, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from panels.text.errors import StateConflict
from tasks.store.opening import Store, utc_now
from tasks.store.schema.files import files, transitions
from tasks.store.upsert import insert_into

State = Literal["settling", "waiting", "accepted", "counted", "failed", "quarantined", "duplicate"]
TAKEN_IN: tuple[State, ...] = ("accepted", "counted", "failed")
"""States of a tube whose identity is known and whose counts belong to the study."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of the ledger.

    ``inbox_path`` is the name it came in under, ``place`` where its bytes lie now (None: gone).
    """

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


def add_file(
    connection: Connection, name: str, inbox_path: str, place: str, stat: FileStat, reason: str = ""
) -> int | None:
    """Enter a file that was seen for the first time, as settling, and give its id.

    None when another pass has entered a file at this place meanwhile; then nothing is changed.
    """
    values = {"name": name, "inbox_path": inbox_path, "place": place, "state": "settling"}
    values |= {"reason": reason, "changed_at": utc_now(), **asdict(stat)}
    statement = insert_into(connection, files).values(**values)
    statement = statement.on_conflict_do_nothing(index_elements=["place"])
    file_id = connection.execute(statement.returning(files.c.id)).scalar()
    if file_id is not None:
        _append(connection, file_id, None, "settling", reason)
    return file_id


def claim(connection: Connection, record: FileRecord) -> None:
    """Lock a file's row until the end of the transaction; every change of a file begins with it.

    Raises StateConflict when it is not as it was read: another pass has the file in hand.
    """
    chosen = select(files).where(files.c.id == record.id).with_for_update()
    row = connection.execute(chosen).one_or_none()
    if row is None or record_of(row) != record:
        raise StateConflict(f"{record.inbox_path} was changed by another reconflow meanwhile.")


def see_again(connection: Connection, record: FileRecord, stat: FileStat) -> FileRecord:
    """Note what a file looks like now and give its record; its state is not touched.

    Raises StateConflict when its row is not ``record`` any more.
    """
    claim(connection, record)
    values = asdict(stat)
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
    """Append a change that leaves the state as it is (a corrected identity) to a file's history."""
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
    now = record_of(row)
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
        return record_of(connection.execute(select(files).where(files.c.id == file_id)).one())


def all_files(store: Store, states: Collection[State] = get_args(State)) -> list[FileRecord]:
    """List the files in any of these states, in order of arrival."""
    return _files(store, select(files).where(files.c.state.in_(states)))


def states_by_hash(store: Store) -> list[tuple[str | None, State]]:
    """List SHA-256 and state of every file, and nothing else of it."""
    chosen = select(files.c.sha256, files.c.state)
    with store.reading() as connection:
        return [(sha256, state) for sha256, state in connection.execute(chosen)]


def files_within(store: Store, folder: str) -> dict[str, FileRecord]:
    """Map each place below ``folder`` to the file that lies there."""
    inside = files.c.place.startswith(f"{folder}/", autoescape=True)
    with store.reading() as connection:
        rows = connection.execute(select(files).where(inside)).all()
    return {row.place: record_of(row) for row in rows}


def files_with_bytes(store: Store, sha256: str) -> list[FileRecord]:
    """List the files that hold the same bytes, in order of arrival."""
    return _files(store, select(files).where(files.c.sha256 == sha256))


def files_called(store: Store, inbox_path: str) -> list[FileRecord]:
    """List the files that came in under the same name, in order of arrival."""
    return _files(store, select(files).where(files.c.inbox_path == inbox_path))


def count_by_state(store: Store) -> dict[State, int]:
    """Count the files of the ledger in every state."""
    chosen = select(files.c.state, func.count().label("number")).group_by(files.c.state)
    with store.reading() as connection:
        numbers = {row.state: int(row.number) for row in connection.execute(chosen)}
    return {state: numbers.get(state, 0) for state in get_args(State)}


def history(store: Store, file_id: int) -> list[Transition]:
    """List every step of one file, first to last."""
    columns = (
        transitions.c.at,
        transitions.c.from_state,
        transitions.c.to_state,
        transitions.c.reason,
    )
    chosen = select(*columns).where(transitions.c.file_id == file_id).order_by(transitions.c.id)
    with store.reading() as connection:
        return [Transition(*row) for row in connection.execute(chosen)]


def record_of(row: Row[Any]) -> FileRecord:
    """Read a whole row of ``files``."""
    return FileRecord(**row._mapping)  # noqa: SLF001 - the public name of a row's columns in SQLAlchemy


def _files(store: Store, chosen: Select[Any]) -> list[FileRecord]:
    with store.reading() as connection:
        return [record_of(row) for row in connection.execute(chosen.order_by(files.c.id))]


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
