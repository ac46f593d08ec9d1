"""Keep who made which strategy version the current one of a panel, when and why."""

from dataclasses import dataclass

from sqlalchemy import insert, select

from tasks.store.opening import Store, utc_now
from tasks.store.schema import promotions


@dataclass(frozen=True, slots=True)
class Promotion:
    """One version made current; ``concordance`` is the hash of the comparison it rests on."""

    panel: str
    from_strategy: str
    to_strategy: str
    approved_by: str
    reason: str
    concordance: str
    at: str = ""


def save_promotion(store: Store, promotion: Promotion) -> None:
    """Write a promotion down; it is never changed."""
    with store.writing() as connection:
        values = {name: getattr(promotion, name) for name in Promotion.__slots__ if name != "at"}
        connection.execute(insert(promotions).values(at=utc_now(), **values))


def promotions_of(store: Store) -> list[Promotion]:
    """List all promotions, oldest first."""
    with store.reading() as connection:
        rows = connection.execute(select(promotions).order_by(promotions.c.id)).all()
    return [Promotion(**{name: getattr(row, name) for name in Promotion.__slots__}) for row in rows]
