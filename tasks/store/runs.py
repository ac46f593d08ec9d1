"""Keep when the study was run and what came of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import insert, select, update

from tasks.store.opening import Store, utc_now
from tasks.store.schema.passes import runs

RunOutcome = Literal["running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over the study; ``ended_at`` is None while it runs, or when it was killed."""

    id: int
    kind: str
    started_at: str
    ended_at: str | None
    outcome: RunOutcome
    summary: Mapping[str, Any]


def begin_run(store: Store, kind: str) -> int:
    """Note that a pass (``run``, ``nightly``, ``watch`` …) begins, and give its number."""
    values = {"kind": kind, "started_at": utc_now(), "outcome": "running", "summary": "{}"}
    with store.writing() as connection:
        statement = insert(runs).values(**values).returning(runs.c.id)
        return int(connection.execute(statement).scalar_one())


def end_run(
    store: Store, run_id: int, outcome: Literal["done", "failed"], summary: Mapping[str, Any]
) -> None:
    """Note that a pass has ended, and with what."""
    values = {
        "ended_at": utc_now(),
        "outcome": outcome,
        "summary": json.dumps(summary, sort_keys=True, ensure_ascii=False),
    }
    with store.writing() as connection:
        connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


def last_run(store: Store, kind: str | None = None) -> Run | None:
    """Give the latest pass, of one kind or of any."""
    chosen = select(runs).order_by(runs.c.id.desc()).limit(1)
    if kind is not None:
        chosen = chosen.where(runs.c.kind == kind)
    with store.reading() as connection:
        row = connection.execute(chosen).one_or_none()
    if row is None:
        return None
    summary = json.loads(row.summary)
    return Run(row.id, row.kind, row.started_at, row.ended_at, row.outcome, summary)
