"""Give drafts as their pages show them: the list, and one with its numbers and tubes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gating.calibration.model import CalibrationRelease
from panels.files.user_file import MEGABYTE, NotReadable, read_user_file
from panels.text.errors import ReconflowError
from panels.text.plural import counted
from tasks.calibrate.draft import EVIDENCE, MEASUREMENTS, NOTES
from tasks.drafts.candidate import Candidate, candidate
from tasks.drafts.changes import fixed_threshold, polygons_of
from tasks.drafts.draft_file import Draft, DraftName, known_drafts, read_draft
from tasks.drafts.edits import Told, told
from tasks.drafts.file_text import BY_HAND, source_of
from tasks.drafts.live_drafts import MOST_TUBES, sha12_of
from tasks.drafts.permitted import why_refused
from tasks.store.tubes import Tube, taken_in
from tasks.study.folder import Study

if TYPE_CHECKING:
    from gating.strategy.model import Strategy
    from gating.strategy.threshold import Threshold
    from tasks.study.snapshot import StudySnapshot

FIRST_LAID_OUT = 6
"""So many tubes a page begins with."""
MOST_NAMED = 3
Document = dict[str, Any]


def list_document(study: Study) -> Document:
    """List the drafts of a study; one that cannot be read says why."""
    return {"drafts": [_line(study, name) for name in known_drafts(study)]}


def draft_document(snapshot: StudySnapshot, name: DraftName) -> Document:
    """Give a draft with all that its page shows but the tubes themselves.

    Raises a UsageFault where it cannot be read or put in the place of what counts.
    """
    study = snapshot.study
    draft = read_draft(study, name)
    present = candidate(snapshot, draft)
    with study.store() as store:
        tubes = [each for each in taken_in(store) if present.takes(each)]
        log = told(store, draft)
    measured_on = _measured_on(draft)
    return _head(draft) | {
        "told": _told_of(draft, measured_on),
        "evidence": _evidence(study, draft),
        "stamp": draft.stamp,
        "notes": [*_notes(present, tubes, log), *_doubts(draft)],
        "today": _today(present, tubes),
        "refused": why_refused(study, draft),
        "thresholds": _thresholds(present, tubes),
        "polygons": _polygons(draft),
        "tubes": [_tube(present, each, measured_on) for each in tubes],
        "chosen": _chosen(tubes, measured_on),
        "most": MOST_TUBES,
        "edits": [
            {"at": each.at, "by": each.by, "reason": each.reason, "words": list(each.words)}
            for each in log.edits
        ],
    }


def _line(study: Study, name: DraftName) -> Document:
    empty = dict.fromkeys(("title", "panel", "instrument", "strategy", "told"), "")
    line: Document = {"key": name.key, "kind": name.kind, "pin": name.pin, **empty}
    line |= {"edited_by": [], "fault": "", "refused": ""}
    try:
        draft = read_draft(study, name)
        with study.store() as store:
            edits = told(store, draft).edits
        return line | {
            **_head(draft),
            "told": _told_of(draft, _measured_on(draft)),
            "edited_by": list(dict.fromkeys(each.by for each in edits)),
            "refused": why_refused(study, draft),
        }
    except ReconflowError as fault:
        return line | {"fault": str(fault)}


def _head(draft: Draft) -> Document:
    release = draft.release
    if isinstance(release, CalibrationRelease):
        calibration = release.calibration
        title, instrument = calibration.title, calibration.instrument
        strategy = calibration.strategy
    else:
        title, instrument, strategy = release.strategy.title, "", release.strategy.name
    return {
        "key": draft.name.key,
        "kind": draft.name.kind,
        "pin": draft.name.pin,
        "title": title,
        "panel": draft.panel,
        "instrument": instrument,
        "strategy": strategy,
    }


def _measured_on(draft: Draft) -> list[str]:
    """Name the tubes on which a calibration was measured, as the table beside it does."""
    try:
        rows = csv.DictReader(io.StringIO(_beside(draft, MEASUREMENTS)))
        return list(dict.fromkeys(row["tube"] for row in rows if row.get("tube")))
    except csv.Error:
        return []


def _doubts(draft: Draft) -> Iterator[str]:
    """Say again what the command that measured a calibration warned of."""
    for note in filter(None, map(str.strip, _beside(draft, NOTES).splitlines())):
        yield f"When it was measured: {note}."


def _evidence(study: Study, draft: Draft) -> str:
    """Name the page with the evidence of a calibration, from the study's folder on."""
    page = draft.path.with_name(EVIDENCE)
    return page.relative_to(study.folder).as_posix() if page.is_file() else ""


def _beside(draft: Draft, name: str) -> str:
    """Read a file that lies beside a calibration; empty where there is none."""
    if not isinstance(draft.release, CalibrationRelease):
        return ""
    try:
        written = read_user_file(draft.path.with_name(name), 10 * MEGABYTE)
    except (FileNotFoundError, NotReadable):
        return ""
    return written.decode("utf-8", errors="replace")


def _told_of(draft: Draft, measured_on: Sequence[str]) -> str:
    if not isinstance(draft.release, CalibrationRelease):
        return ""
    if not measured_on:
        return "No table beside it says on which tubes it was measured."
    names = ", ".join(measured_on[:MOST_NAMED])
    more = len(measured_on) - MOST_NAMED
    return f"Measured on {counted(len(measured_on), 'tube')}: {names}" + (
        f" and {more} more." if more > 0 else "."
    )


def _notes(present: Candidate, tubes: Sequence[Tube], log: Told) -> Iterator[str]:
    """Say what a person has to know before relying on what the page shows."""
    pin, today = present.draft.name.pin, present.today
    if log.unlogged:
        yield log.unlogged
    if today is None:
        yield f"study.yaml has no strategy for the panel {present.draft.panel}: nothing is counted."
    elif isinstance(present.draft.release, CalibrationRelease) and not present.fits_today:
        yield (
            f"The panel is counted with {today.name}; {pin} holds numbers for "
            f"{present.used.name}. It counts nothing until that strategy is promoted."
        )
    if not tubes:
        yield "No tube of the study is of its panel and instrument: there is nothing to look at."
    elif not any(map(present.counts, tubes)):
        yield "No tube of the study would be counted with it: see 'since' and 'batches'."


def _today(present: Candidate, tubes: Sequence[Tube]) -> str:
    today = present.today
    if today is None or not tubes:
        return ""
    pins = sorted({today.for_tube(each).calibration for each in tubes} - {""})
    numbers = f", with the numbers of {' and '.join(pins)}" if pins else ""
    return f"What counts {counted(len(tubes), 'such tube')} now: {today.name}{numbers}."


def _thresholds(present: Candidate, tubes: Sequence[Tube]) -> list[Document]:
    now = {} if present.today is None else _counting_now(present, tubes)
    unmeasured: Mapping[str, str] = {}
    if isinstance(present.draft.release, CalibrationRelease):
        unmeasured = present.draft.release.calibration.unmeasured
    drawn = present.used.release.strategy
    return [
        {
            "name": name,
            "marker": threshold.marker,
            "kept": threshold.value,
            "limits": threshold.limits and list(threshold.limits),
            "drawn": drawn.thresholds[name].value,
            "today": now.get(name, []),
            **_source(present.draft, name),
            "unmeasured": unmeasured.get(name, ""),
            "measured": len(threshold.sources) > 1,
            "fixed": fixed_threshold(present.draft, name),
        }
        for name, threshold in _with_numbers(present).thresholds.items()
    ]


def _with_numbers(present: Candidate) -> Strategy:
    """Give the strategy with the draft's numbers."""
    numbers = present.alone.numbers
    if isinstance(present.draft.release, CalibrationRelease):
        return numbers.strategies[-1].strategy
    return numbers.default.strategy


def _counting_now(present: Candidate, tubes: Sequence[Tube]) -> dict[str, list[float]]:
    assert present.today is not None
    used = {id(each.strategy): each.strategy for each in map(present.today.for_tube, tubes)}
    names = [*_with_numbers(present).thresholds]
    thresholds: list[Mapping[str, Threshold]] = [each.thresholds for each in used.values()]
    return {
        name: sorted({each[name].value for each in thresholds if name in each}) for name in names
    }


def _source(draft: Draft, name: str) -> Document:
    source = source_of(draft, ("thresholds", name, "value"))
    by_hand = source.startswith(BY_HAND)
    return {
        "source": source,
        "edited": f"Set by hand by {source.removeprefix(BY_HAND)}" if by_hand else "",
    }


def _polygons(draft: Draft) -> list[Document]:
    """List the outlines that can be moved: those of a strategy."""
    if isinstance(draft.release, CalibrationRelease):
        return []
    return [
        {
            "gate": gate,
            "x": polygon.x,
            "y": polygon.y,
            "vertices": [list(each) for each in polygon.vertices],
            "fixed": "",
        }
        for gate, polygon in polygons_of(draft.release.strategy).items()
    ]


def _tube(present: Candidate, tube: Tube, measured_on: Sequence[str]) -> Document:
    identity = tube.identity
    return {
        "sha12": sha12_of(tube),
        "file": identity.file,
        "patient": identity.patient,
        "visit": identity.visit,
        "specimen": identity.specimen,
        "control": identity.control or "",
        "collected": identity.collected.isoformat(),
        "instrument": identity.instrument or "",
        "batch": identity.batch or "",
        "measured_on": _is_among(tube, measured_on),
        "counts": present.counts(tube),
        "state": tube.file.state,
    }


def _is_among(tube: Tube, names: Sequence[str]) -> bool:
    return bool({tube.identity.file, tube.file.inbox_path.rpartition("/")[2]} & set(names))


def _chosen(tubes: Sequence[Tube], measured_on: Sequence[str]) -> list[str]:
    """Choose what to lay out first: what it was measured on, else the first tubes of patients."""
    first = [each for each in tubes if _is_among(each, measured_on)]
    if not first:
        full = [each for each in tubes if not each.identity.control] or list(tubes)
        patients = {each.identity.patient: each for each in reversed(full)}
        first = sorted(patients.values(), key=lambda each: each.identity.patient)
        first += [each for each in full if each not in first]
    return [sha12_of(each) for each in first[:FIRST_LAID_OUT]]
