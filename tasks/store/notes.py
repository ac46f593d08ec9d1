"""Keep what the program remembers from one pass to the next, by name."""

from sqlalchemy import delete, select

from tasks.store.opening import Store
from tasks.store.schema.passes import notes
from tasks.store.upsert import insert_into


def remember(store: Store, name: str, value: str) -> None:
    """Keep one note for the next pass."""
    with store.writing() as connection:
        statement = insert_into(connection, notes).values(name=name, value=value)
        statement = statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
        connection.execute(statement)


def remember_first(store: Store, name: str, value: str) -> str:
    """Keep a note unless there is one, and give the one that is kept."""
    with store.writing() as connection:
        statement = insert_into(connection, notes).values(name=name, value=value)
        connection.execute(statement.on_conflict_do_nothing(index_elements=["name"]))
        kept = connection.execute(select(notes.c.value).where(notes.c.name == name)).scalar_one()
    return str(kept)


def recall(store: Store, name: str) -> str | None:
    """Give a note that an earlier pass kept, None without one."""
    with store.reading() as connection:
        return connection.execute(select(notes.c.value).where(notes.c.name == name)).scalar()


def forget(store: Store, name: str) -> None:
    """Remove a note."""
    with store.writing() as connection:
        connection.execute(delete(notes).where(notes.c.name == name))
