"""Judge one file at rest in the inbox, without changing anything."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gating.fcs.header import TubeHeader, read_header
from panels.text.errors import UnreadableFile
from tasks.intake.conflicts import find_conflict, is_same_draw
from tasks.intake.context import IntakeContext
from tasks.intake.identify import Identification, identify
from tasks.intake.inbox import is_fcs_name
from tasks.intake.panel_fit import find_misfit
from tasks.intake.scan import Candidate
from tasks.intake.sources import trusted_keywords
from tasks.intake.whole import MissingPart, missing_part, unreadable_part
from tasks.store.ledger import TAKEN_IN, FileRecord, State, files_with_bytes
from tasks.vocabulary.tube_identity import TubeIdentity

_SHEET_LIKE = frozenset({".xlsx", ".xls", ".ods", ".tsv", ".txt"})
"""Endings of files that may be a sample sheet in another form."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a file, and why.

    An accepted one has its identity, its trusted keywords and the instrument that it names.
    """

    state: State
    reason: str
    identity: TubeIdentity | None = None
    keywords: Mapping[str, str] = field(default_factory=dict)
    duplicate_of: str | None = None
    cytometer: str = ""
    serial: str = ""


def judge(context: IntakeContext, candidate: Candidate) -> Verdict:
    """Decide what becomes of a file; nothing is changed by it."""
    if not is_fcs_name(candidate.path):
        return Verdict("quarantined", not_fcs(candidate.path))
    records = files_with_bytes(context.store, candidate.sha256)
    same_bytes = [record for record in records if record.id != candidate.record.id]
    by_sheet = _identify(context, candidate, {})
    kept = (record for record in same_bytes if record.state in TAKEN_IN and record.place)
    twin = next(kept, None)
    if twin:
        return _duplicate(context, candidate, twin, by_sheet)
    waits = candidate.record.state == "waiting" and by_sheet.identity is None
    if waits and not context.registry.settings.intake.keywords:
        # It was read before, and no keyword can complete what the sheet says.
        return _waiting(by_sheet, same_bytes)
    header = _whole_header(context, candidate)
    if isinstance(header, Verdict):
        return header
    return _judge_readable(context, candidate, header, same_bytes)


def _whole_header(context: IntakeContext, candidate: Candidate) -> TubeHeader | Verdict:
    """Read the header of a file that is whole; gives the verdict on any other."""
    header, refusal = None, ""
    try:
        header = read_header(candidate.path)
        missing = missing_part(candidate.path, header)
    except UnreadableFile as fault:
        missing = unreadable_part(candidate.path, fault)
        refusal = str(fault)
    if missing and not _is_patience_over(context, candidate):
        return _unfinished(context, missing)
    if missing:
        refusal = missing.refusal
    if refusal or header is None:
        return Verdict("quarantined", refusal)
    return header


def _is_patience_over(context: IntakeContext, candidate: Candidate) -> bool:
    """Tell whether a file that is not whole has not changed for so long that no copy goes on.

    Only our own clock counts, from when the file was first seen as it is: a share's may be hours
    off, and a copy may be given the time of its original. Our own that was set back counts too.
    """
    patience = context.study.settings.intake.patience_seconds
    return patience == 0 or abs(time.time() - candidate.record.seen_at) >= patience


def _unfinished(context: IntakeContext, missing: MissingPart) -> Verdict:
    patience = context.study.settings.intake.patience_seconds
    duration = f"{patience:.0f} seconds" if patience < 120 else f"{patience / 60:.0f} minutes"
    return Verdict(
        "settling",
        f"The copy is not finished: {missing.why}. It is looked at again by itself, "
        f"and refused when it has not changed for {duration}.",
    )


def _judge_readable(
    context: IntakeContext,
    candidate: Candidate,
    header: TubeHeader,
    same_bytes: Sequence[FileRecord],
) -> Verdict:
    keywords = trusted_keywords(header, context.registry.settings)
    identified = _identify(context, candidate, keywords)
    if identified.identity is None:
        return _waiting(identified, same_bytes)
    conflict = find_conflict(context, candidate, identified, keywords, same_bytes)
    if conflict:
        return Verdict("waiting", conflict)
    misfit = find_misfit(header, identified.identity, context.study.own_panels, identified.secret)
    if misfit:
        sentence = misfit.sentence
        if identified.row and misfit.state == "waiting":
            sentence = f"{identified.row}: {sentence}"
        return Verdict(misfit.state, sentence)
    return Verdict(
        "accepted",
        " ".join(header.problems),
        identified.identity,
        keywords,
        cytometer=header.cytometer,
        serial=header.serial,
    )


def _identify(
    context: IntakeContext, candidate: Candidate, keywords: Mapping[str, str]
) -> Identification:
    return identify(context.registry, candidate.record.inbox_path, candidate.sha256, keywords)


def _waiting(unidentified: Identification, same_bytes: Sequence[FileRecord]) -> Verdict:
    reason = " ".join(unidentified.sentences)
    copies = [each.inbox_path for each in same_bytes if each.state == "waiting" and each.place]
    if copies:
        reason += f" The same bytes lie at {' and '.join(copies)}."
    return Verdict("waiting", reason)


def _duplicate(
    context: IntakeContext, candidate: Candidate, twin: FileRecord, by_sheet: Identification
) -> Verdict:
    reason = (
        f"The same bytes as {twin.inbox_path}, which was taken in before (tube "
        f"{candidate.sha256[:12]})."
    )
    first = identify(context.registry, twin.inbox_path, candidate.sha256, {}).identity
    if first and by_sheet.identity and not is_same_draw(first, by_sheet.identity):
        reason += (
            f" But {by_sheet.row or 'its name'} says it is a different tube: one of the two is "
            f"wrong. Correct the sample sheet."
        )
    return Verdict("duplicate", reason, duplicate_of=candidate.sha256)


def not_fcs(path: Path) -> str:
    """Say that the name of a file is not that of an FCS file, and what to drop instead."""
    if path.suffix.lower() in _SHEET_LIKE:
        return (
            "This is not an FCS file. If it is a sample sheet, save it as 'CSV UTF-8 (comma "
            "delimited)' and drop that."
        )
    return (
        f"This is not an FCS file (its name ends in '{path.suffix}'). Drop files that end in .fcs "
        f"or .lmd."
    )
