"""Name the rows of the store that contradict the log, and the entries whose rows are gone."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Row

from tasks.store.corrections import matched_corrections, matched_withdrawals
from tasks.store.exclusions import matched_exclusions
from tasks.store.opening import Store
from tasks.store.people import matched_people, misdated_people
from tasks.store.reviews import matched_reviews
from tasks.store.signatures import matched_signatures
from tasks.store.told import Matched

NAMED: tuple[tuple[Callable[[Connection], Matched], Callable[[Row[Any]], str]], ...] = (
    (matched_reviews, lambda row: f"The decision on {row.patient} {row.visit}"),
    (matched_signatures, lambda row: f"The signature under {row.patient}"),
    (
        matched_exclusions,
        lambda row: f"The row that {row.made_by} {row.action}d tube {row.tube_sha256[:12]}",
    ),
    (
        matched_corrections,
        lambda row: f"The correction of {row.name} in tube {row.tube_sha256[:12]}",
    ),
    (
        matched_withdrawals,
        lambda row: f"The row that {row.made_by} took correction {row.correction_id} back",
    ),
    (matched_people, lambda row: f"The token of {row.name} as {row.role}"),
)
"""For each kind of row: how it is held against the log, and how one is named."""


def contradictions(store: Store) -> tuple[str, ...]:
    """Say in sentences which rows and which entries of the log contradict each other."""
    with store.reading() as connection:
        compared = [
            sentence for held, named in NAMED for sentence in _sentences(held(connection), named)
        ]
        misdated = [
            f"The token of {row.name} was ended or taken up again by another hand: the log does "
            "not tell of it."
            for row in misdated_people(connection)
        ]
    return (*compared, *misdated)


def _sentences(found: Matched, named: Callable[[Row[Any]], str]) -> Iterator[str]:
    for row in found.altered:
        yield f"{named(row)} was altered in the store."
    entries = {each.entry.sha256 for each in found.told if each.row is not None}
    for row in found.untold:
        if getattr(row, "entry", "") in entries:
            yield f"{named(row)} is in the store twice: one entry of the log tells of both."
        else:
            yield (
                f"{named(row)} has no entry in the log: another hand put it into the store, or "
                "took the entry away."
            )
    for each in found.told:
        if each.row is None:
            entry = each.entry
            yield (
                f"Entry {entry.number} ({entry.action} {entry.subject}) tells of a row that is not "
                "in the store any more as it was written."
            )
