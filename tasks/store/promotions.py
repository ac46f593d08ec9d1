"""Keep who made which strategy version the current one of a panel, when and why.

A promotion is written before study.yaml has its pin: until it has, the pin is kept here, too.
"""

from dataclasses import asdict, dataclass

from sqlalchemy import delete, insert, select

from tasks.store.audit import AuditEntry, add_entry
from tasks.store.counted_with import write_strategies
from tasks.store.opening import Store, utc_now
from tasks.store.schema.decisions import pin_changes, promotions


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


@dataclass(frozen=True, slots=True)
class PinChange:
    """A pin that study.yaml is about to get with a promotion."""

    panel: str
    from_strategy: str
    to_strategy: str


def begin_promotion(store: Store, promotion: Promotion) -> None:
    """Write a promotion down, which is never changed, and that study.yaml has to get its pin.

    ``end_promotion`` notes that it has.
    """
    values = asdict(promotion) | {"at": utc_now()}
    change = PinChange(promotion.panel, promotion.from_strategy, promotion.to_strategy)
    with store.writing() as connection:
        connection.execute(insert(promotions).values(**values))
        connection.execute(delete(pin_changes).where(pin_changes.c.panel == promotion.panel))
        connection.execute(insert(pin_changes).values(**asdict(change)))
        add_entry(connection, _entry(promotion))


def _entry(promotion: Promotion) -> AuditEntry:
    """Tell the log of a promotion."""
    names = ("from_strategy", "to_strategy", "reason", "concordance")
    details = {name: getattr(promotion, name) for name in names}
    return AuditEntry(promotion.approved_by, "promoted", promotion.panel, details)


def end_promotion(store: Store, panel: str, strategy: str) -> None:
    """Note that study.yaml has the pin of a promotion, and which strategy counts the panel now.

    Also where somebody wrote another pin there meanwhile.
    """
    with store.writing() as connection:
        connection.execute(delete(pin_changes).where(pin_changes.c.panel == panel))
        write_strategies(connection, {panel: strategy})


def pin_changes_of(store: Store) -> dict[str, PinChange]:
    """Give by panel the pins that study.yaml was about to get when a promotion was interrupted."""
    with store.reading() as connection:
        rows = connection.execute(select(pin_changes)).all()
    return {row.panel: PinChange(row.panel, row.from_strategy, row.to_strategy) for row in rows}


def promotions_of(store: Store) -> list[Promotion]:
    """List all promotions, oldest first."""
    with store.reading() as connection:
        rows = connection.execute(select(promotions).order_by(promotions.c.id)).all()
    return [
        Promotion(
            panel=row.panel,
            from_strategy=row.from_strategy,
            to_strategy=row.to_strategy,
            approved_by=row.approved_by,
            reason=row.reason,
            concordance=row.concordance,
            at=row.at,
        )
        for row in rows
    ]
