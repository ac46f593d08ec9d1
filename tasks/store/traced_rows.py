"""List the rows of the store that an entry of the log tells of, to hold each against the other."""

from dataclasses import dataclass
from typing import get_args

from sqlalchemy import select

from tasks.store.digests import is_intact
from tasks.store.opening import Store
from tasks.store.reviews import ACTIONS
from tasks.store.schema import reviews, signatures
from tasks.store.signatures import Signed, signing_action

TRACED_ACTIONS = frozenset({*ACTIONS.values(), *map(signing_action, get_args(Signed))})
"""What the log says was done where a row was written with the entry."""


@dataclass(frozen=True, slots=True)
class TracedRow:
    """One decision or signature: its entry's hash, how to name it, and whether it is intact."""

    entry: str
    named: str
    intact: bool


def traced_rows(store: Store) -> list[TracedRow]:
    """List every decision and signature, altered or not."""
    with store.reading() as connection:
        decided = connection.execute(select(reviews).order_by(reviews.c.id)).all()
        signed = connection.execute(select(signatures).order_by(signatures.c.id)).all()
    return [
        *(
            TracedRow(
                row.entry, f"The decision on {row.patient} {row.visit}", is_intact(reviews, row)
            )
            for row in decided
        ),
        *(
            TracedRow(row.entry, f"The signature under {row.patient}", is_intact(signatures, row))
            for row in signed
        ),
    ]
