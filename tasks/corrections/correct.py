"""Correct one tube: set a threshold or redraw a polygon in it, with name and reason.

The tube is gated without and with, so that the effect is known before anything is written; then the
correction and its entry in the log are written together, and the counts follow. A command that is
killed between the two leaves a tube that the next pass counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from panels.text.errors import FieldFault, UsageFault
from tasks.corrections.counted_otherwise import counted_otherwise
from tasks.corrections.permitted import gate_set, threshold_set
from tasks.corrections.spelt import unknown_name
from tasks.corrections.tables_follow import (
    TablesChanged,
    finished_by_the_next_pass,
    present_snapshot,
    tables_follow,
)
from tasks.store.audit import AuditEntry, add_entry
from tasks.store.corrections import (
    CORRECTED,
    WITHDREW,
    Correction,
    Kind,
    Value,
    Vertices,
    Withdrawal,
    corrections_sha256,
    write_corrections,
    write_withdrawals,
)
from tasks.store.gatings import save_gating
from tasks.store.opening import utc_now
from tasks.store.tubes import Tube
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study
from tasks.study.lock import study_lock
from tasks.study.snapshot import StrategyInUse, StudySnapshot
from tasks.study.tube_named import about, described, subject_of, tube_named
from tasks.tubes.corrections import (
    as_boundaries,
    binding_of,
    corrected_populations,
    corrections_in_force,
)
from tasks.tubes.count_tube import counting_inputs, keep_counts
from tasks.tubes.gate_tube import GatedTube, gate_tube
from tasks.vocabulary.person import explanation, is_same_person, person

if TYPE_CHECKING:
    from gating.evaluation.compiled_strategy import Compiled
    from tasks.tubes.reference_tubes import ReferenceIndex


@dataclass(frozen=True, slots=True)
class Request:
    """What a person wants to set in a tube, in the file's linear units, and why.

    ``second`` is another person who agrees, empty where none was asked.
    """

    by: str
    reason: str
    thresholds: Mapping[str, float] = field(default_factory=dict)
    gates: Mapping[str, Vertices] = field(default_factory=dict)
    second: str = ""


@dataclass(frozen=True, slots=True)
class CountChange:
    """The events of one population before and after a correction."""

    population: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction does: to which tube, which boundaries, counts and published numbers.

    ``superseded`` are the corrections in whose place they step, ``uncorrected`` the thresholds of
    the tube without any correction, in the file's linear units. ``tables`` is None where nothing
    was written. ``waits`` says that the tube's tables are still of another calibration or strategy.
    """

    tube: Tube
    made: tuple[Correction, ...]
    units: Mapping[str, str]
    changes: tuple[CountChange, ...]
    superseded: tuple[Correction, ...] = ()
    uncorrected: Mapping[str, float] = field(default_factory=dict)
    tables: TablesChanged | None = None
    waits: str = ""


def preview_correction(study: Study, name: str, request: Request) -> Corrected:
    """Say what a correction would do, and write nothing; raises as ``correct_tube`` does."""
    request = _checked(request)
    snapshot = read_snapshot(study)
    with study.store() as store:
        tube = tube_named(store, name)
        before = gated_tube(snapshot, tube)
        waits = counted_otherwise(store, before.gating)
    uncorrected = uncorrected_gates(snapshot, tube, before)
    made = _corrections(before, uncorrected, request)
    counts = before.preview().counts(as_boundaries(made))
    return replace(summed_up(tube, before, uncorrected, made, counts), waits=waits)


def correct_tube(study: Study, name: str, request: Request) -> Corrected:
    """Set thresholds or outlines of one tube; its counts and its patient's tables follow at once.

    No pass is under way meanwhile. Raises UsageFault when the tube, a threshold or a gate cannot be
    found, the name or the reason is missing, or a second person is needed; TubeFault when the tube
    cannot be gated.
    """
    request = _checked(request)
    with study_lock(study), study.store() as store:
        snapshot = present_snapshot(study)
        tube = tube_named(store, name)
        before = gated_tube(snapshot, tube)
        uncorrected = uncorrected_gates(snapshot, tube, before)
        made = _corrections(before, uncorrected, request)
        after = gated_tube(snapshot, tube, together(before, made))
        events = {each.population: each.events for each in after.gating.counts}
        done = summed_up(tube, before, uncorrected, made, events)
        done = replace(done, waits=counted_otherwise(store, before.gating))
        save_gating(store, before.gating, seen=tube.file)
        with store.writing() as connection:
            write_corrections(connection, made)
            add_entry(connection, entry_of(request, done))
        with finished_by_the_next_pass("The correction"):
            keep_counts(snapshot, store, tube, after)
            return replace(done, tables=tables_follow(snapshot, tube))


def withdraw_corrections(
    study: Study, name: str, places: Sequence[str], by: str, reason: str
) -> tuple[Tube, list[Correction], TablesChanged]:
    """Take corrections of a tube back: those of the named thresholds and gates, or all.

    The counts without them hold again at once. The tube is gated before anything is written. Raises
    UsageFault when there is nothing to take back; TubeFault when the tube cannot be gated, OSError
    when its file cannot be reached.
    """
    by, reason = person("by", by), explanation("reason", reason)
    with study_lock(study), study.store() as store:
        snapshot = present_snapshot(study)
        tube = tube_named(store, name)
        used = _used(snapshot, tube)
        in_force = corrections_in_force(store, binding_of(tube, used, used.for_tube(tube)))
        chosen = [each for each in in_force if not places or each.name in places]
        _refuse_unknown(places, in_force)
        if not chosen:
            raise UsageFault(f"Nothing is corrected in this tube now:\n  {described(tube)}")
        after = gated_tube(snapshot, tube, [each for each in in_force if each not in chosen])
        at = utc_now()
        with store.writing() as connection:
            write_withdrawals(connection, [Withdrawal(each.id, at, by, reason) for each in chosen])
            details = about(tube) | {"withdrawn": [each.name for each in chosen], "reason": reason}
            add_entry(connection, AuditEntry(by, WITHDREW, subject_of(tube), details))
        with finished_by_the_next_pass("The withdrawal"):
            keep_counts(snapshot, store, tube, after)
            return tube, chosen, tables_follow(snapshot, tube)


def _checked(request: Request) -> Request:
    """Raise UsageFault where a request lacks a name, a reason or anything to set."""
    by, second = persons(request.by, request.second)
    if not request.thresholds and not request.gates:
        raise UsageFault("Nothing to set: move a threshold or an outline first.")
    return replace(request, by=by, second=second, reason=explanation("reason", request.reason))


def persons(by: str, second: str) -> tuple[str, str]:
    """Give who corrects and who agrees (empty: nobody), without blanks around their names.

    Raises UsageFault where the first is missing, or both are one person.
    """
    by = person("by", by)
    second = person("second", second) if second else ""
    if second and is_same_person(by, second):
        why = f" is {second}, who makes the correction: name another person."
        raise FieldFault("second", why)
    return by, second


def gated_tube(
    snapshot: StudySnapshot,
    tube: Tube,
    corrections: Sequence[Correction] | None = None,
    references: ReferenceIndex | None = None,
) -> GatedTube:
    """Gate a tube with corrections (None: those in force).

    ``references`` are the study's reference tubes where they were read already. Raises UsageFault
    where the tube is not counted.
    """
    used = _used(snapshot, tube)
    known = references or counting_inputs(snapshot).references
    return gate_tube(snapshot.study, tube, used, known, corrections=corrections)


def uncorrected_gates(
    snapshot: StudySnapshot,
    tube: Tube,
    gated: GatedTube,
    references: ReferenceIndex | None = None,
) -> Compiled:
    """Give the gates of a gated tube as they are without any correction.

    How far one person may move a boundary is measured from there.
    """
    if not gated.corrections:
        return gated.compiled
    return gated_tube(snapshot, tube, (), references).compiled


def together(before: GatedTube, made: Sequence[Correction]) -> list[Correction]:
    """Give the corrections of a tube when some more are made, by kind and name."""
    set_anew = {each.place for each in made}
    kept = [each for each in before.corrections if each.place not in set_anew]
    return sorted([*kept, *made], key=lambda each: each.place)


def summed_up(
    tube: Tube,
    before: GatedTube,
    uncorrected: Compiled,
    made: Sequence[Correction],
    after: Mapping[str, int],
) -> Corrected:
    """Sum up what corrections do; ``after`` are the events of each population with them."""
    channels = {
        each.threshold: f"{each.marker} ({each.detector})" for each in before.compiled.thresholds
    }
    changes = tuple(
        CountChange(each.population, each.events, after[each.population])
        for each in before.gating.counts
        if after[each.population] != each.events
    )
    units = {each.name: channels[each.name] for each in made if each.kind == "threshold"}
    places = {each.place for each in made}
    return Corrected(
        tube,
        tuple(made),
        units,
        changes,
        superseded=tuple(each for each in before.corrections if each.place in places),
        uncorrected={each.threshold: each.value for each in uncorrected.thresholds},
    )


def _used(snapshot: StudySnapshot, tube: Tube) -> StrategyInUse:
    """Give what counts a tube; raises UsageFault where nothing does yet."""
    used = snapshot.strategies.get(tube.identity.panel)
    if used is None or tube.file.state != "counted":
        reason = f": {tube.file.reason}" if tube.file.reason else "."
        raise UsageFault(
            f"This tube is not counted ({tube.file.state}){reason} Only what was counted can be "
            f"corrected; the next run (`reconflow run`) counts what is due.\n  {described(tube)}"
        )
    return used


def _corrections(before: GatedTube, uncorrected: Compiled, request: Request) -> list[Correction]:
    """Make the corrections of a request; raises UsageFault where one may not be made so."""
    return of_one_act(before, boundaries_set(before, uncorrected, request, utc_now()))


def of_one_act(before: GatedTube, made: Iterable[Correction]) -> list[Correction]:
    """Give the corrections of a tube that are made at once, with the hash of all that then hold."""
    made = list(made)
    sha256 = corrections_sha256(together(before, made))
    return [replace(each, sha256_after=sha256) for each in made]


def boundaries_set(
    before: GatedTube, uncorrected: Compiled, request: Request, at: str
) -> Iterator[Correction]:
    """Make a correction of each threshold and each gate of a request, at a time (UTC).

    Raises UsageFault where one may not be made so.
    """
    calibrated, gating = before.calibrated, before.gating

    def correction(kind: Kind, name: str, values: tuple[Value, Value], limits: str) -> Correction:
        made = Correction(
            tube_sha256=gating.tube_sha256,
            strategy=gating.strategy,
            strategy_sha256=gating.strategy_sha256,
            calibration=calibrated.calibration,
            calibration_sha256=calibrated.sha256,
            kind=kind,
            name=name,
            value=values[0],
            value_before=values[1],
            limits=limits,
            populations=(),
            at=at,
            made_by=request.by,
            second=request.second,
            reason=request.reason,
            sha256_before=gating.correction_sha256,
        )
        touched = corrected_populations(before.compiled.strategy, [made])
        ordered = [each.id for each in calibrated.strategy.populations if each.id in touched]
        return replace(made, populations=tuple(ordered))

    for name, value in request.thresholds.items():
        values, limits = threshold_set(before, name, value, request.second)
        yield correction("threshold", name, values, limits)
    for name, vertices in request.gates.items():
        outlines, limits = gate_set(before, uncorrected, name, vertices, request.second)
        yield correction("gate", name, outlines, limits)


def entry_of(request: Request, done: Corrected) -> AuditEntry:
    """Tell the log of decisions what a request set in a tube, and which counts it changed."""
    details: dict[str, object] = about(done.tube) | {
        "strategy": done.made[0].strategy,
        "calibration": done.made[0].calibration,
        "set": [
            {"kind": each.kind, "name": each.name, "to": each.value, "from": each.value_before}
            for each in done.made
        ],
        "limits": {each.name: each.limits for each in done.made},
        "second": request.second,
        "reason": request.reason,
        "events": {each.population: [each.before, each.after] for each in done.changes},
    }
    return AuditEntry(request.by, CORRECTED, subject_of(done.tube), details)


def _refuse_unknown(places: Sequence[str], in_force: Sequence[Correction]) -> None:
    corrected = {each.name: "" for each in in_force}
    for name in places:
        if name not in corrected:
            raise unknown_name("NAME", name, "correction", corrected, {})
