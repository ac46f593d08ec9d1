"""Keep the moves of files that are planned and not finished, so that a killed run is finished."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select

from panels.text.errors import StateConflict
from tasks.store.ledger import TAKEN_IN, FileRecord, State, claim, record_of
from tasks.store.opening import Store
from tasks.store.schema.files import files, moves
from tasks.store.upsert import insert_into


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """A move that is under way: what the file becomes when it has arrived."""

    file_id: int
    source: str
    target: str
    state: State
    reason: str
    duplicate_of: str | None = None


def plan_move(connection: Connection, record: FileRecord, move: PlannedMove) -> None:
    """Write down a move of a file that is as it was read, before the move is made.

    Raises StateConflict when its row is not ``record`` any more, or when another pass is moving it
    to another place.
    """
    claim(connection, record)
    statement = insert_into(connection, moves).values(**asdict(move))
    connection.execute(statement.on_conflict_do_nothing(index_elements=["file_id"]))
    target = select(moves.c.target).where(moves.c.file_id == move.file_id)
    if connection.execute(target).scalar() != move.target:
        raise StateConflict(f"{record.inbox_path} is being moved by another reconflow.")


def plan_anew(connection: Connection, record: FileRecord, move: PlannedMove) -> None:
    """Write down a move of a file in the place of another, where there is one.

    Raises StateConflict when the file's row is not ``record`` any more.
    """
    claim(connection, record)
    end_move(connection, move.file_id)
    connection.execute(insert(moves).values(**asdict(move)))


def is_planned(connection: Connection, file_id: int) -> bool:
    """Tell whether a move of a file was written down and not ended."""
    planned = select(moves.c.file_id).where(moves.c.file_id == file_id)
    return connection.execute(planned).first() is not None


def end_move(connection: Connection, file_id: int) -> None:
    """Strike out a move that was made or given up."""
    connection.execute(delete(moves).where(moves.c.file_id == file_id))


def planned_moves(store: Store, file_id: int | None = None) -> list[tuple[PlannedMove, FileRecord]]:
    """List the moves (all, or a file's) that were planned and not finished, with their files."""
    chosen = select(moves).order_by(moves.c.file_id)
    if file_id is not None:
        chosen = chosen.where(moves.c.file_id == file_id)
    with store.reading() as connection:
        planned = [PlannedMove(**row) for row in connection.execute(chosen).mappings()]
        moved = select(files).where(files.c.id.in_([move.file_id for move in planned]))
        records = {row.id: record_of(row) for row in connection.execute(moved)}
    return [(move, records[move.file_id]) for move in planned]


def refuse_twin(connection: Connection, record: FileRecord) -> None:
    """Raise StateConflict when a file with the same bytes was taken in, or is about to be.

    To be called after the tube's identity was written, which makes two that write it wait.
    """
    same = (files.c.sha256 == record.sha256) & (files.c.id != record.id)
    arriving = select(moves.c.file_id).where(moves.c.state.in_(TAKEN_IN))
    chosen = select(files.c.id).where(same, files.c.state.in_(TAKEN_IN) | files.c.id.in_(arriving))
    if connection.execute(chosen).first() is not None:
        raise StateConflict(f"{record.inbox_path}: the same bytes are being taken in.")
