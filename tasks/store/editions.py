"""Keep every edition of a patient's tables, so that what was known on an earlier day can be shown again."""

import zlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, text

from tasks.store.opening import Store, utc_now
from tasks.store.schema import editions

TABLES = ("kinetics", "parameters", "recovery")


@dataclass(frozen=True, slots=True)
class Edition:
    """The tables of one patient as they were written once (CSV); ``fingerprint`` stands for what they were made of."""

    patient: str
    fingerprint: str
    kinetics: bytes = b""
    parameters: bytes = b""
    recovery: bytes = b""


def save_edition(store: Store, edition: Edition) -> bool:
    """Add an edition unless the patient's last one is the same; tells whether it was added."""
    last = select(editions.c.fingerprint).where(editions.c.patient == edition.patient).order_by(editions.c.id.desc()).limit(1)
    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            # Two that add the same edition at once would both find it missing.
            connection.execute(text("LOCK TABLE editions IN SHARE ROW EXCLUSIVE MODE"))
        if connection.execute(last).scalar() == edition.fingerprint:
            return False
        values = {name: zlib.compress(getattr(edition, name), 6) for name in TABLES}
        connection.execute(insert(editions).values(patient=edition.patient, at=utc_now(), fingerprint=edition.fingerprint, **values))
    return True


def editions_as_of(store: Store, moment: datetime | None = None) -> list[Edition]:
    """Give each patient's last edition at a moment (an aware time; None: now), by patient; withdrawn patients are left out."""
    chosen = select(editions).order_by(editions.c.id)
    with store.reading() as connection:
        rows = connection.execute(chosen).all()
    last = {row.patient: row for row in rows if moment is None or datetime.fromisoformat(row.at) <= moment}
    found = [Edition(row.patient, row.fingerprint, *(zlib.decompress(getattr(row, name)) for name in TABLES)) for row in last.values()]
    return sorted((each for each in found if each.kinetics), key=lambda each: each.patient)


def first_edition(store: Store) -> str | None:
    """Give the time of the first edition of all, None without any."""
    with store.reading() as connection:
        return connection.execute(select(editions.c.at).order_by(editions.c.id).limit(1)).scalar()
