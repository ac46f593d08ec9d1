"""The commands about the log of decisions."""

import json as json_format
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

from cyclopts import App, Parameter

from flows.cli import Json, Outcome, Study
from panels.text.errors import UsageFault
from panels.text.printable import shown

if TYPE_CHECKING:
    from tasks.review.audit_trail import Trail
    from tasks.store.audit import KeptEntry
    from tasks.study.folder import Study as OpenStudy

LONGEST_DETAILS = 300
NOT_SHOWN = {"patient", "visit", "saw", "content", "first", "tube_sha256", "name", "token_sha256"}
"""Details that the subject says already, or that only a program reads."""

TOLD_FIRST = {"comment", "meaning", "reason", "summary"}
"""Details in the words of a person, and what changed."""

audit = App(
    name="audit",
    help=(
        "Print and verify the log of corrections, reviews, signatures, promotions and releases.\n\n"
        "Each entry holds the hash of the one before it: one that was altered, taken out or put in "
        "is named, and the command ends with code 1."
    ),
    help_format="plaintext",
)


@audit.default
def show(
    *,
    patient: Annotated[str | None, Parameter(help="Print only what concerns this patient.")] = None,
    since: Annotated[
        str | None, Parameter(help="Print only entries from this day or time on.")
    ] = None,
    study: Study = Path(),
    json: Json = False,
) -> Outcome:
    """Print the log of decisions, and verify that it is as it was written.

    All of it is verified, whatever is printed.
    """
    opened, trail = _read(study)
    zone = opened.settings.local_zone or "UTC"
    first = _moment(since, zone) if since else None
    chosen = [each for each in trail.entries if _is_asked_for(each, patient, first)]
    lines = [*(_line(each, zone) for each in chosen), *_verdict(trail, zone)]
    document = {"entries": [_document(each) for each in chosen], **_verified(trail)}
    return Outcome(document=document, text="\n".join(lines), failed=not trail.verified)


@audit.command
def export(file: Path, *, study: Study = Path(), json: Json = False) -> Outcome:
    """Write the whole log to FILE (.csv or .jsonl), with the hashes that prove it elsewhere."""
    from tasks.publish.tables import write_atomically

    if file.suffix.lower() not in {".csv", ".jsonl"}:
        raise UsageFault(f"{file}: the file's name has to end in .csv or .jsonl.")
    opened, trail = _read(study)
    written = _csv(trail) if file.suffix.lower() == ".csv" else _jsonl(trail)
    write_atomically(file, written.encode())
    zone = opened.settings.local_zone or "UTC"
    text = "\n".join([str(file), *_verdict(trail, zone)])
    document = {"file": str(file), "entries": len(trail.entries), **_verified(trail)}
    return Outcome(document=document, text=text, failed=not trail.verified)


def _read(folder: Path) -> "tuple[OpenStudy, Trail]":
    from tasks.review.audit_trail import read_trail
    from tasks.study.folder import open_study

    opened = open_study(folder)
    with opened.store() as store:
        return opened, read_trail(opened, store)


def _moment(since: str, zone: str) -> datetime:
    try:
        moment = datetime.fromisoformat(since)
    except ValueError as error:
        raise UsageFault(
            f"--since {shown(since)}: not a day or time; write 2026-03-31 or 2026-03-31T18:00."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))


def _is_asked_for(entry: "KeptEntry", patient: str | None, first: datetime | None) -> bool:
    if first is not None and datetime.fromisoformat(entry.at) < first:
        return False
    if patient is None:
        return True
    return patient in {_details(entry).get("patient"), entry.subject}


def _details(entry: "KeptEntry") -> dict[str, Any]:
    """Read what an entry says beside its subject; nothing where it was made unreadable by hand."""
    try:
        details = json_format.loads(entry.details)
    except ValueError:
        return {}
    return details if isinstance(details, dict) else {}


def _line(entry: "KeptEntry", zone: str) -> str:
    told = {name: _told(value) for name, value in _details(entry).items() if name not in NOT_SHOWN}
    names = sorted(told, key=lambda name: name not in TOLD_FIRST)
    details = "; ".join(f"{name.replace('_', ' ')}: {told[name]}" for name in names if told[name])
    first = f"{entry.number:>5}  {_time(entry.at, zone)}  {entry.actor}: {entry.action}"
    line = f"{first} {entry.subject}"
    return f"{line}\n       {shown(details, LONGEST_DETAILS)}" if details else line


def _told(value: object) -> str:
    """Write a detail without the marks of a program; nothing for what is empty."""
    if isinstance(value, list):
        return ", ".join(map(_told, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_told(each)}" for name, each in value.items())
    return "" if value is None else str(value)


def _time(at: str, zone: str) -> str:
    """Write a time of the log in the study's zone; one that an alteration made none as it is."""
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return shown(at)
    return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def _verdict(trail: "Trail", zone: str) -> Sequence[str]:
    if not trail.verified:
        return ["", "The log is NOT as it was written:", *(f"  {each}" for each in trail.sentences)]
    if not trail.entries:
        return ["The log has no entries yet."]
    last = trail.entries[-1]
    return [
        "",
        f"{last.number:,} {'entry' if last.number == 1 else 'entries'}, each as it was written.",
        f"The last hash: {last.sha256}",
        f"Times are of {zone}. What this proves and what not: docs/review.md",
    ]


def _verified(trail: "Trail") -> dict[str, object]:
    broken = (
        None if trail.broken is None else {"entry": trail.broken.number, "how": trail.broken.how}
    )
    last = trail.entries[-1] if trail.entries else None
    return {
        "verified": trail.verified,
        "broken": broken,
        "faults": list(trail.faults),
        "head": None if last is None else {"number": last.number, "sha256": last.sha256},
    }


def _document(entry: "KeptEntry") -> dict[str, object]:
    return asdict(entry) | {"details": _details(entry)}


def _csv(trail: "Trail") -> str:
    from panels.files.csv_cells import csv_text

    rows = [list(asdict(each).values()) for each in trail.entries]
    return csv_text(_columns(), rows)


def _jsonl(trail: "Trail") -> str:
    lines = [json_format.dumps(asdict(each), ensure_ascii=False) for each in trail.entries]
    return "".join(f"{line}\n" for line in lines)


def _columns() -> list[str]:
    from dataclasses import fields

    from tasks.store.audit import KeptEntry

    return [field.name for field in fields(KeptEntry)]
