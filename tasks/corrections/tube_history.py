"""Tell everything that ever happened to a tube, in order, with who and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from tasks.store.corrections import Correction, CorrectionLog, read_corrections
from tasks.store.exclusions import DONE, exclusions_of
from tasks.store.gatings import TubeGating, gatings_of
from tasks.store.ledger import files_with_bytes, history
from tasks.store.opening import Store
from tasks.store.schema.decisions import reviews
from tasks.store.tubes import Tube
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tasks.study.tube_named import tube_named
from tasks.tubes.corrections import binding_of, value_in_words
from tasks.vocabulary.populations import population_rank

SHOWN = 6
"""So many populations of a counting are told in words; the document has them all."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a tube; ``by`` is empty where the program did it.

    ``details`` are values that JSON can hold.
    """

    at: str
    what: str
    words: str
    by: str = ""
    why: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def tube_history(study: Study, name: str) -> tuple[Tube, list[Event]]:
    """Give a tube, and what happened to it in order of time.

    Raises UsageFault when the tube cannot be found.
    """
    snapshot = read_snapshot(study)
    with study.store() as store:
        tube = tube_named(store, name)
        sha256 = tube.identity.tube_sha256
        log = read_corrections(store)
        used = snapshot.strategies.get(tube.identity.panel)
        present = binding_of(tube, used, used.for_tube(tube)) if used else None
        states = {each.id: log.state(each, present) for each in log.of(sha256)}
        events = [
            *_files(store, sha256),
            *map(_counted, gatings_of(store, sha256)),
            *(_corrected(each, states[each.id]) for each in log.of(sha256)),
            *_withdrawn(log, sha256),
            *_decided(store, sha256),
            *_reviewed(store, tube),
        ]
    return tube, sorted(events, key=lambda each: each.at)


def _files(store: Store, sha256: str) -> Iterator[Event]:
    """Tell the states of every file that held the tube's bytes."""
    for record in files_with_bytes(store, sha256):
        for step in history(store, record.id):
            state = f"{step.from_state} → {step.to_state}" if step.from_state else step.to_state
            details = {"file": record.inbox_path, "state": step.to_state}
            yield Event(step.at, "file", f"{record.inbox_path}: {state}", "", step.reason, details)


def _counted(gating: TubeGating) -> Event:
    made_with = [gating.strategy, *filter(None, [gating.calibration])]
    how = f"counted with {', '.join(made_with)} (engine {gating.engine_version})"
    if gating.correction_sha256:
        how += f", corrected ({gating.correction_sha256[:12]})"
    details = {
        "strategy": gating.strategy,
        "strategy_sha256": gating.strategy_sha256,
        "calibration": gating.calibration,
        "calibration_sha256": gating.calibration_sha256,
        "panel": gating.panel,
        "panel_sha256": gating.panel_sha256,
        "engine": gating.engine_version,
        "reference_set_sha256": gating.reference_set_sha256,
        "correction_sha256": gating.correction_sha256,
        "total_events": gating.total_events,
        "beads": gating.beads,
        "counts": {each.population: each.events for each in gating.counts},
    }
    return Event(gating.counted_at, "counted", f"{how}: {_main_counts(gating)}", details=details)


def _main_counts(gating: TubeGating) -> str:
    """Say how many events there were, and the first populations in the order of the tables."""
    ranked = sorted(gating.counts, key=lambda each: population_rank(each.population))
    told = [f"{each.population} {each.events:,}" for each in ranked[:SHOWN]]
    more = f" and {len(ranked) - SHOWN} more" if len(ranked) > SHOWN else ""
    return f"{gating.total_events:,} events, {', '.join(told)}{more}"


def _corrected(each: Correction, state: str) -> Event:
    second = f", with {each.second}" if each.second else ""
    words = f"corrected ({state}): {value_in_words(each)}, limits {each.limits}{second}"
    details = {
        "kind": each.kind,
        "name": each.name,
        "value": each.value,
        "value_before": each.value_before,
        "limits": each.limits,
        "second": each.second,
        "strategy": each.strategy,
        "calibration": each.calibration,
        "populations": list(each.populations),
        "state": state,
    }
    return Event(each.at, "corrected", words, each.made_by, each.reason, details)


def _withdrawn(log: CorrectionLog, sha256: str) -> Iterator[Event]:
    for each in log.of(sha256):
        taken_back = log.withdrawn.get(each.id)
        if taken_back is not None:
            words = f"correction withdrawn: {value_in_words(each)}"
            details = {"kind": each.kind, "name": each.name}
            yield Event(
                taken_back.at, "withdrawn", words, taken_back.made_by, taken_back.reason, details
            )


def _decided(store: Store, sha256: str) -> Iterator[Event]:
    for each in exclusions_of(store, sha256):
        yield Event(each.at, each.action, DONE[each.action], each.made_by, each.reason)


def _reviewed(store: Store, tube: Tube) -> Iterator[Event]:
    """Tell the reviews of the tube, and of its whole visit."""
    identity = tube.identity
    chosen = select(reviews).where(
        reviews.c.patient == identity.patient,
        reviews.c.visit == identity.visit,
        reviews.c.tube_sha256.in_(["", identity.tube_sha256]),
    )
    with store.reading() as connection:
        rows = connection.execute(chosen.order_by(reviews.c.id)).all()
    for row in rows:
        of = "the tube" if row.tube_sha256 else f"the visit {row.visit}"
        words = f"reviewed, {of}: {row.decision}"
        yield Event(row.at, "review", words, row.reviewer, row.comment, {"decision": row.decision})


def history_lines(events: Sequence[Event]) -> Iterator[str]:
    """Write the history of a tube for a terminal: when, what, who and why."""
    for each in events:
        at = each.at[:19].replace("T", " ")
        yield f"{at}  {each.words}"
        who = ": ".join(filter(None, [f"by {each.by}" if each.by else "", each.why]))
        if who:
            yield f"{'':<21}{who}"
