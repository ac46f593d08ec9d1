"""Gather what the files of one pass are judged by."""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.intake.inbox import Listing
from tasks.intake.registry import Registry, read_registry
from tasks.sheets.samples import SampleRow
from tasks.store.ledger import TAKEN_IN, FileRecord, all_files
from tasks.store.opening import Store
from tasks.study.folder import Study


@dataclass(frozen=True, slots=True)
class IntakeContext:
    """The study, its open store, its sheets, and which files each line of a sheet names.

    ``unused`` are the lines that name no file that ever came in.
    """

    study: Study
    store: Store
    registry: Registry
    claims: Mapping[SampleRow, tuple[FileRecord, ...]]
    unused: tuple[SampleRow, ...] = ()

    def claimed_by(self, row: SampleRow | None) -> tuple[FileRecord, ...]:
        """Give the files that a line names; none where there is no line."""
        return self.claims.get(row, ()) if row else ()


def open_intake(study: Study, store: Store, listing: Listing) -> IntakeContext:
    """Read all sheets once, for one pass."""
    registry = read_registry(study, study.patients(), listing)
    samples = registry.samples
    claims: dict[SampleRow, list[FileRecord]] = {}
    used: set[SampleRow] = set()
    for record in all_files(store):
        lines = [line for line in samples.naming(record.inbox_path) if isinstance(line, SampleRow)]
        used.update(lines)
        if not _is_held(record):
            continue
        for line in lines:
            if not line.many:
                claims.setdefault(line, []).append(record)
    return IntakeContext(
        study,
        store,
        registry,
        claims={line: tuple(records) for line, records in claims.items()},
        unused=tuple(line for line in samples.rows if line not in used),
    )


def _is_held(record: FileRecord) -> bool:
    """Tell whether a file was taken in, or still lies in the inbox."""
    if record.state in TAKEN_IN:
        return True
    return record.state in {"settling", "waiting"} and bool(record.place)
