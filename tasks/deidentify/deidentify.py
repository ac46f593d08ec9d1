"""Make clean copies of FCS files: the same events, and no keyword that could name a person.

What stays is chosen by a list (``clean_keywords``). A copy is read again before it is given out:
its events have to be the original's, and no other reader may refuse it.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gating.fcs.header import read_header
from gating.fcs.located import LocatedDataSet, locate_data_sets
from panels.files.csv_cells import csv_text
from panels.files.durable import write_durably
from panels.files.plain_file import regular_sha256
from panels.text.errors import ReconflowError, UnreadableFile
from tasks.deidentify.clean_keywords import CleanKeywords, Removed, clean_keywords
from tasks.deidentify.date_shift import days_back
from tasks.deidentify.write_copy import write_copy

if TYPE_CHECKING:
    from typing import Any

REMOVED = "removed_keywords.csv"
COLUMNS = ("copy", "data_set", "keyword", "why")
_PIECE = 2**20
_NAMED = 12


@dataclass(frozen=True, slots=True)
class Copied:
    """An original, its clean copy, and what was removed of each data set (numbered from 1)."""

    original: Path
    original_sha256: str
    copy: Path
    removed: tuple[tuple[int, Removed], ...]
    dates: str

    def document(self) -> dict[str, Any]:
        """Give it for programs; it tells which copy is whose, so it stays in the laboratory."""
        return {
            "original": str(self.original),
            "original_sha256": self.original_sha256,
            "copy": str(self.copy),
            "dates": self.dates,
            "removed": [
                {"data_set": number, "keyword": each.keyword, "why": each.why}
                for number, each in self.removed
            ],
        }


@dataclass(frozen=True, slots=True)
class Request:
    """What to copy where: ``key`` shifts dates (None: removed), ``also`` are words of labels.

    ``patients`` names the patient of an original by its SHA-256.
    """

    files: Sequence[Path]
    output: Path
    key: bytes | None
    patients: Mapping[str, str]
    also: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Copies:
    """The copies made, and a sentence on each file of which none was made."""

    made: tuple[Copied, ...]
    faults: tuple[str, ...]


def deidentify(request: Request) -> Copies:
    """Copy every file that can be copied cleanly, and say in a sentence why another cannot."""
    request.output.mkdir(parents=True, exist_ok=True)
    copies, faults = [], []
    for path in request.files:
        try:
            copies.append(_copied(path, request))
        except ReconflowError as fault:
            faults.append(f"Not copied: {fault}")
        except OSError as error:
            faults.append(f"Not copied: {path.name}: {error.strerror}.")
    if copies:
        _write_removed(request.output, copies)
    return Copies(tuple(copies), tuple(faults))


def _copied(path: Path, request: Request) -> Copied:
    read_header(path)
    data_sets = locate_data_sets(path)
    sha256 = regular_sha256(path, follow=True)
    patient = request.patients.get(sha256)
    days = days_back(request.key, patient) if request.key and patient else None
    clean = [clean_keywords(each.data_set.keywords, days, request.also) for each in data_sets]
    unnamed = request.output / f".{sha256[:_NAMED]}.unfinished.fcs"
    try:
        write_copy(path, unnamed, data_sets, [each.kept for each in clean])
        _refuse_other_events(path, data_sets, unnamed)
        copy = request.output / f"tube-{regular_sha256(unnamed)[:_NAMED]}.fcs"
        unnamed.replace(copy)
    finally:
        unnamed.unlink(missing_ok=True)
    return Copied(
        original=path,
        original_sha256=sha256,
        copy=copy,
        removed=tuple(_numbered(clean, data_sets)),
        dates=_dates(clean, days),
    )


def _numbered(
    clean: Sequence[CleanKeywords], data_sets: Sequence[LocatedDataSet]
) -> list[tuple[int, Removed]]:
    listed = []
    for number, (each, located) in enumerate(zip(clean, data_sets, strict=True), 1):
        listed += [(number, removed) for removed in sorted(each.removed, key=_order)]
        analysis = located.data_set.keywords.get("$BEGINANALYSIS", "0").strip().strip("0")
        if analysis:
            listed.append((number, Removed("(segment ANALYSIS)", "may hold any text")))
    return listed


def _order(removed: Removed) -> tuple[str, str]:
    return removed.keyword, removed.why


def _dates(clean: Sequence[CleanKeywords], days: int | None) -> str:
    has = any("$DATE" in each.kept or "$BEGINDATETIME" in each.kept for each in clean)
    if days is None or not has:
        return "removed"
    return "shifted"


def _refuse_other_events(original: Path, data_sets: Sequence[LocatedDataSet], copy: Path) -> None:
    """Read a copy again; raise UnreadableFile unless every data set holds the original's events."""
    read_header(copy)
    copied = locate_data_sets(copy)
    before = [_digest(original, each) for each in data_sets]
    after = [_digest(copy, each) for each in copied]
    if before != after:
        raise UnreadableFile(
            f"{original.name}: its copy would not hold the same events. Report this as an error."
        )


def _digest(path: Path, each: LocatedDataSet) -> str:
    digest, left = hashlib.sha256(), each.length
    with path.open("rb") as file:
        file.seek(each.first)
        while left:
            piece = file.read(min(left, _PIECE))
            if not piece:
                break
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def _write_removed(output: Path, copies: Sequence[Copied]) -> None:
    """Write what was removed of these copies beside what earlier calls removed of others."""
    names = {each.copy.name for each in copies}
    rows = [row for row in _kept_rows(output / REMOVED) if row[0] not in names]
    rows += [
        [name, str(number), removed.keyword, removed.why]
        for name, each in {each.copy.name: each for each in copies}.items()
        for number, removed in each.removed
    ]
    table = csv_text(COLUMNS, sorted(rows))
    write_durably(output / REMOVED, table.encode())


def _kept_rows(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in list(csv.reader(file))[1:] if len(row) == len(COLUMNS)]
