"""Write results/corrections.csv: who set what in which tube, why, and what it changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from panels.files.csv_cells import csv_text
from tasks.publish.tables import write_atomically
from tasks.store.corrections import Correction, CorrectionLog, Value, read_corrections
from tasks.store.gatings import TubeGating, gatings_of
from tasks.store.opening import Store
from tasks.store.tubes import Tube, taken_in
from tasks.study.snapshot import StudySnapshot
from tasks.tubes.corrections import binding_of

TABLE = "corrections.csv"
HEADER = (
    "at",
    "by",
    "second",
    "reason",
    "patient",
    "visit",
    "file",
    "tube_sha256",
    "strategy",
    "calibration",
    "kind",
    "name",
    "old_value",
    "new_value",
    "limits",
    "together_with",
    "population",
    "events_before",
    "events_after",
    "state",
    "withdrawn_at",
    "withdrawn_by",
    "withdrawn_reason",
)


def write_corrections_table(snapshot: StudySnapshot) -> None:
    """Write one row a correction × population that it changed, in the order they were made.

    A correction that changed no count has one row without population. ``together_with`` names what
    was set at the same moment: counts that hang on both changed by both. ``old_value`` and
    ``events_before`` are what held just before, an earlier correction's where one was in force.
    Values are in the file's linear units; an outline is ``x,y;x,y;…``.
    """
    with snapshot.study.store() as store:
        log = read_corrections(store)
        tubes = {tube.identity.tube_sha256: tube for tube in taken_in(store)} if log.made else {}
        rows = list(_rows(snapshot, store, log, tubes))
    write_atomically(snapshot.study.results / TABLE, csv_text(HEADER, rows).encode())


def _rows(
    snapshot: StudySnapshot, store: Store, log: CorrectionLog, tubes: dict[str, Tube]
) -> Iterator[tuple[object, ...]]:
    gatings = {sha: gatings_of(store, sha) for sha in {each.tube_sha256 for each in log.made}}
    for each in log.made:
        tube = tubes.get(each.tube_sha256)
        together = sorted(other.name for other in log.made if _is_of_the_same_act(each, other))
        first = (
            *_who(each),
            *_tube_cells(tube),
            each.tube_sha256,
            *_what(each),
            ";".join(together),
        )
        last = _state_cells(snapshot, log, each, tube)
        changed = _changed(each, gatings[each.tube_sha256]) or [("", None, None)]
        for cells in changed:
            yield (*first, *cells, *last)


def _is_of_the_same_act(each: Correction, other: Correction) -> bool:
    return (
        other.id != each.id
        and other.sha256_after == each.sha256_after
        and other.sha256_before == each.sha256_before
        and other.at == each.at
    )


def _who(each: Correction) -> tuple[object, ...]:
    return each.at, each.made_by, each.second, each.reason


def _tube_cells(tube: Tube | None) -> tuple[object, ...]:
    """Give patient, visit and file of a tube; empty where it left the study."""
    if tube is None:
        return "", "", ""
    return tube.identity.patient, tube.identity.visit, tube.identity.file


def _what(each: Correction) -> tuple[object, ...]:
    values = (_written(each.value_before), _written(each.value))
    return each.strategy, each.calibration, each.kind, each.name, *values, each.limits


def _written(value: Value) -> str:
    if isinstance(value, tuple):
        return ";".join(f"{x:.10g},{y:.10g}" for x, y in value)
    return f"{value:.10g}"


def _state_cells(
    snapshot: StudySnapshot, log: CorrectionLog, each: Correction, tube: Tube | None
) -> tuple[object, ...]:
    used = snapshot.strategies.get(tube.identity.panel) if tube else None
    present = binding_of(tube, used, used.for_tube(tube)) if tube and used else None
    taken_back = log.withdrawn.get(each.id)
    state = log.state(each, present)
    if taken_back is None:
        return state, "", "", ""
    return state, taken_back.at, taken_back.made_by, taken_back.reason


def _changed(
    each: Correction, gatings: Sequence[TubeGating]
) -> list[tuple[str, int | None, int | None]]:
    """List the populations that hang on a correction and got other events with it."""
    alike = [gating for gating in gatings if gating.binding == each.binding]
    before = _events(alike, each.sha256_before)
    after = _events(alike, each.sha256_after)
    return [
        (name, before[name], after[name])
        for name in each.populations
        if name in before and name in after and before[name] != after[name]
    ]


def _events(gatings: Sequence[TubeGating], correction_sha256: str) -> dict[str, int]:
    """Give the events of each population as last counted with these corrections."""
    counted = [each for each in gatings if each.correction_sha256 == correction_sha256]
    return {each.population: each.events for each in counted[-1].counts} if counted else {}
