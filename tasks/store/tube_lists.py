"""Ask of all tubes only what a list of them needs: to read ten thousand whole takes 0.4 s.

A row whose identity was altered is listed as it is; each pass looks for such rows by itself.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, select

from gating.calibration.choice import TubeInstrument
from tasks.store.ledger import TAKEN_IN
from tasks.store.opening import Store
from tasks.store.schema.files import files, tubes
from tasks.vocabulary.moments import local_day


@dataclass(frozen=True, slots=True)
class TubeName:
    """Which file a tube came in, and whose it is."""

    tube_sha256: str
    inbox_path: str
    patient: str


def names_taken_in(store: Store) -> list[TubeName]:
    """List the tubes that were taken in by their names, in order of arrival."""
    chosen = _tubes(tubes.c.tube_sha256, files.c.inbox_path, tubes.c.patient)
    chosen = chosen.where(files.c.state.in_(TAKEN_IN)).order_by(files.c.id)
    with store.reading() as connection:
        return [TubeName(*row) for row in connection.execute(chosen)]


def counted_since(store: Store, moment: str) -> frozenset[str]:
    """Give the SHA-256 of the tubes counted at a time (as the store writes times) or later."""
    chosen = select(files.c.sha256).where(files.c.state == "counted", files.c.changed_at >= moment)
    with store.reading() as connection:
        return frozenset(connection.execute(chosen).scalars())


def counted_on(store: Store) -> Counter[tuple[str, TubeInstrument]]:
    """Count the counted tubes by panel, and by what is known of the instrument."""
    of = tubes.c
    chosen = _tubes(of.panel, of.instrument, of.cytometer, of.serial, of.collected, of.batch)
    found: Counter[tuple[str, TubeInstrument]] = Counter()
    with store.reading() as connection:
        rows = connection.execute(chosen.where(files.c.state == "counted")).all()
    for panel, named, cytometer, serial, collected, batch in rows:
        day = local_day(datetime.fromisoformat(collected), store.time_zone)
        stated = TubeInstrument(named or None, cytometer or None, serial or None, day, batch)
        found[panel, stated] += 1
    return found


def _tubes(*columns: ColumnElement[Any]) -> Select[Any]:
    return select(*columns).join(files, files.c.sha256 == tubes.c.tube_sha256)
