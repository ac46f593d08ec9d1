"""Find what speaks against an identity: another file, another tube, or another draw has it."""

from collections.abc import Mapping, Sequence

from tasks.intake.context import IntakeContext
from tasks.intake.identify import Identification, identify
from tasks.intake.scan import Candidate
from tasks.sheets.same_draw import two_draws
from tasks.sheets.samples import SampleRow
from tasks.store.ledger import TAKEN_IN, FileRecord
from tasks.store.tubes import taken_in
from tasks.vocabulary.tube_identity import TubeIdentity


def find_conflict(
    context: IntakeContext,
    candidate: Candidate,
    identified: Identification,
    keywords: Mapping[str, str],
    same_bytes: Sequence[FileRecord],
) -> str | None:
    """Say why a file must wait although its identity is known; None where nothing is against it.

    ``same_bytes`` are the other files with the same bytes.
    """
    if identified.identity is None:
        return None
    return (
        _line_used_twice(context, candidate, identified.row)
        or _bytes_of_two_draws(context, identified.identity, keywords, same_bytes)
        or _label_used_twice(context, identified.identity, identified.row)
    )


def is_same_draw(one: TubeIdentity, other: TubeIdentity) -> bool:
    """Tell whether two identities can be those of one tube."""
    return _draw(one) == _draw(other)


def _draw(identity: TubeIdentity) -> tuple[object, ...]:
    return identity.patient, identity.drawn_at, identity.panel, identity.specimen, identity.control


def _line_used_twice(
    context: IntakeContext, candidate: Candidate, row: SampleRow | None
) -> str | None:
    """Refuse to let one line of a sheet identify two different tubes.

    Cytometers write Tube_001.fcs every day.
    """
    others = (
        record
        for record in context.claimed_by(row)
        if record.sha256 != candidate.sha256 and record.id != candidate.record.id
    )
    other = next(others, None)
    if other is None:
        return None
    use = f"also fits {other.inbox_path}"
    if other.state in TAKEN_IN:
        use = f"was used for another tube, taken in as {other.inbox_path}"
    return (
        f"{row} names {candidate.record.inbox_path}, but it {use}. Give each file a name "
        f"of its own and a line of its own."
    )


def _bytes_of_two_draws(
    context: IntakeContext,
    identity: TubeIdentity,
    keywords: Mapping[str, str],
    same_bytes: Sequence[FileRecord],
) -> str | None:
    """Refuse the same bytes when the sheet gives them to two draws."""
    for record in same_bytes:
        if record.state not in {"settling", "waiting"} or not record.place:
            continue
        other = identify(context.registry, record.inbox_path, identity.tube_sha256, keywords)
        if other.identity and not is_same_draw(other.identity, identity):
            return (
                f"{identity.file} and {record.inbox_path} hold the same bytes, but are said to be "
                f"different tubes. Correct the sample sheet."
            )
    return None


def _label_used_twice(
    context: IntakeContext, identity: TubeIdentity, row: SampleRow | None
) -> str | None:
    """Refuse a visit label that a tube of another day has: a table's row is called by it."""
    others = [tube.identity for tube in taken_in(context.store, patient=identity.patient)]
    conflict = two_draws(identity, others, context.study.settings.limits.same_draw_hours)
    if conflict and row:
        return f"{row}: {conflict}"
    return conflict
