"""Make all corrections of a sheet: everything is checked first, then tube after tube is corrected.

Whoever is killed in between gives the sheet again: what is set already is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from panels.text.errors import TubeFault, UsageFault
from tasks.corrections.correct import (
    Corrected,
    Request,
    boundaries_set,
    entry_of,
    gated_tube,
    of_one_act,
    persons,
    summed_up,
    together,
    uncorrected_gates,
)
from tasks.corrections.correction_sheet import (
    CorrectionSheet,
    LeftOut,
    SheetLine,
    read_correction_sheet,
    refused,
)
from tasks.corrections.counted_otherwise import counted_otherwise
from tasks.corrections.drawn_otherwise import Boundary, NotABoundary, boundaries_of
from tasks.corrections.permitted import is_at
from tasks.corrections.tables_follow import (
    TablesChanged,
    finished_by_the_next_pass,
    patients_follow,
    present_snapshot,
)
from tasks.store.audit import add_entry
from tasks.store.corrections import Correction, Value, write_corrections
from tasks.store.gatings import save_gating
from tasks.store.opening import utc_now
from tasks.study.lock import study_lock
from tasks.study.tube_named import tube_named
from tasks.tubes.corrections import as_boundaries
from tasks.tubes.count_tube import counting_inputs, keep_counts

if TYPE_CHECKING:
    from pathlib import Path

    from gating.evaluation.compiled_strategy import Compiled
    from tasks.store.gatings import TubeGating
    from tasks.store.opening import Store
    from tasks.store.tubes import Tube
    from tasks.study.folder import Study
    from tasks.study.snapshot import StudySnapshot
    from tasks.tubes.gate_tube import GatedTube
    from tasks.tubes.reference_tubes import ReferenceIndex

_Seen = dict[tuple[str, str], tuple[int, Value]]
"""By kind and name of a boundary: the first line that sets it, and to what."""


@dataclass(frozen=True, slots=True)
class SheetCorrected:
    """What the corrections of a sheet do.

    ``already`` are the lines whose boundaries lie there already, ``left_out`` those of an import
    that no correction can carry over. ``tables`` has one entry a patient; None where nothing was to
    be written.
    """

    done: tuple[Corrected, ...]
    already: tuple[int, ...]
    left_out: tuple[LeftOut, ...]
    tables: tuple[TablesChanged, ...] | None = None


@dataclass(slots=True)
class _Findings:
    """What was found while the lines of a sheet were checked, by the lines' numbers."""

    faults: list[tuple[int, str]] = field(default_factory=list)
    already: list[int] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Checked:
    """The corrections of one tube, not yet written, and what counts the tube without them."""

    done: Corrected
    before: TubeGating
    all_then: Sequence[Correction]


@dataclass(frozen=True, slots=True)
class _Study:
    """What all tubes of a sheet are checked and counted with."""

    snapshot: StudySnapshot
    store: Store
    references: ReferenceIndex
    by: str
    second: str


def correct_from_sheet(
    study: Study, path: Path, *, by: str, second: str, reason: str, dry_run: bool = False
) -> SheetCorrected:
    """Make all corrections of a sheet; the tables of the patients follow once, at the end.

    ``second`` is another person who agrees (empty: nobody), ``reason`` stands for lines that give
    none. With ``dry_run`` nothing is written. Raises SheetFault with one sentence a line where any
    line may not be set so: then nothing was.
    """
    by, second = persons(by, second)
    sheet = read_correction_sheet(path, reason)
    with study_lock(study), study.store() as store:
        snapshot = present_snapshot(study)
        given = _Study(snapshot, store, counting_inputs(snapshot).references, by, second)
        found = _Findings(faults=list(sheet.faults), left_out=list(sheet.left_out))
        checked = list(_checked(given, sheet, found))
        if found.faults:
            raise refused(path, found.faults)
        corrected = SheetCorrected(
            tuple(each.done for each in checked),
            tuple(sorted(found.already)),
            tuple(sorted(found.left_out, key=lambda each: each.number)),
        )
        return corrected if dry_run else replace(corrected, tables=_written(given, checked))


def _written(given: _Study, checked: Sequence[_Checked]) -> tuple[TablesChanged, ...]:
    with finished_by_the_next_pass("What was set before this"):
        for each in checked:
            _write(given, each)
        patients = list(dict.fromkeys(each.done.tube.identity.patient for each in checked))
        return tuple(patients_follow(given.snapshot, patients)) if patients else ()


def _write(given: _Study, checked: _Checked) -> None:
    """Write the corrections of one tube with their entries in the log, one a reason; count it."""
    done, tube, store = checked.done, checked.done.tube, given.store
    after = gated_tube(given.snapshot, tube, checked.all_then, given.references)
    save_gating(store, checked.before, seen=tube.file)
    with store.writing() as connection:
        write_corrections(connection, done.made)
        for reason in dict.fromkeys(each.reason for each in done.made):
            made = tuple(each for each in done.made if each.reason == reason)
            request = Request(given.by, reason, second=given.second)
            add_entry(connection, entry_of(request, replace(done, made=made)))
    keep_counts(given.snapshot, store, tube, after)


def _checked(given: _Study, sheet: CorrectionSheet, found: _Findings) -> Iterator[_Checked]:
    """Check the lines tube by tube, each tube gated once, and yield what is to be written."""
    for tube, lines in _by_tube(given.store, sheet.lines, found):
        try:
            before = gated_tube(given.snapshot, tube, references=given.references)
            uncorrected = uncorrected_gates(given.snapshot, tube, before, given.references)
        except (UsageFault, TubeFault, OSError) as fault:
            found.faults.append((lines[0].number, str(fault)))
            continue
        made = of_one_act(before, _made(given, lines, before, uncorrected, found))
        if made:
            counts = before.preview().counts(as_boundaries(made))
            done = summed_up(tube, before, uncorrected, made, counts)
            done = replace(done, waits=counted_otherwise(given.store, before.gating))
            yield _Checked(done, before.gating, together(before, made))


def _by_tube(
    store: Store, lines: Sequence[SheetLine], found: _Findings
) -> list[tuple[Tube, list[SheetLine]]]:
    """Group lines by the tube they name, which may be by its file or its hash."""
    grouped: dict[str, tuple[Tube, list[SheetLine]]] = {}
    for line in lines:
        try:
            tube = tube_named(store, line.file)
        except UsageFault as fault:
            found.faults.append((line.number, str(fault)))
            continue
        grouped.setdefault(tube.identity.tube_sha256, (tube, []))[1].append(line)
    return list(grouped.values())


def _made(
    given: _Study,
    lines: Sequence[SheetLine],
    before: GatedTube,
    uncorrected: Compiled,
    found: _Findings,
) -> Iterator[Correction]:
    """Make the corrections of one tube's lines, each boundary once; note what is wrong with any."""
    at = utc_now()
    seen: _Seen = {}
    for line in lines:
        try:
            wanted = boundaries_of(line, before.compiled)
            anew = [each for each in wanted if _is_to_set(before, line, each, seen)]
            if not anew:
                found.already.append(line.number)
            if anew:
                request = _request(given, line, anew)
                yield from boundaries_set(before, uncorrected, request, at)
        except UsageFault as fault:
            found.faults.append((line.number, str(fault)))
        except NotABoundary as reason:
            found.left_out.append(LeftOut(line.number, str(reason)))


def _request(given: _Study, line: SheetLine, boundaries: Sequence[Boundary]) -> Request:
    thresholds = {name: value for _, name, value in boundaries if isinstance(value, float)}
    gates = {name: value for _, name, value in boundaries if isinstance(value, tuple)}
    return Request(given.by, line.reason, thresholds, gates, given.second)


def _is_to_set(before: GatedTube, line: SheetLine, boundary: Boundary, seen: _Seen) -> bool:
    """Tell whether a boundary lies elsewhere, and no line before sets it.

    Raises UsageFault where a line before sets it otherwise.
    """
    kind, name, value = boundary
    earlier, first = seen.setdefault((kind, name), (line.number, value))
    if first != value:
        raise UsageFault(f"it sets {name} otherwise than line {earlier} does.")
    return earlier == line.number and not is_at(before, name, value)
