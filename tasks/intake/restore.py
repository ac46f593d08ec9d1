"""Identify tubes again whose identity was altered in the store, from the sheets."""

from contextlib import suppress

from gating.fcs.header import read_header
from panels.text.errors import StateConflict, TubeFault
from tasks.intake.context import IntakeContext
from tasks.intake.identify import identify
from tasks.intake.sources import trusted_keywords
from tasks.store.ledger import note_change, record_failure, set_state
from tasks.store.tubes import Tube, altered_identities, save_tube
from tasks.study.archived_bytes import verified_bytes

ALTERED = "Its identity was altered in the store after it was written"


def restore_identities(context: IntakeContext) -> tuple[str, ...]:
    """Give altered tubes the identity that the sheets say; one they do not name is failed.

    Until then such a tube is in no table.
    """
    return tuple(_restore(context, tube) for tube in altered_identities(context.store))


def _restore(context: IntakeContext, tube: Tube) -> str:
    file, sha256 = tube.file.inbox_path, tube.identity.tube_sha256
    cytometer = serial = None
    try:
        with verified_bytes(context.study, tube) as path:
            header = read_header(path)
        keywords = trusted_keywords(header, context.registry.settings)
        cytometer, serial = header.cytometer, header.serial
    except (TubeFault, OSError):
        keywords = {}
    identified = identify(context.registry, file, sha256, keywords)
    if identified.identity is None:
        reason = f"{ALTERED}, and it is in no table. {' '.join(identified.sentences)}"
        record_failure(context.store, sha256, reason)
        return f"{file}: {reason}"
    change = f"{ALTERED}; it is again what {identified.row or 'its name'} says."
    with suppress(StateConflict), context.store.writing() as connection:
        save_tube(connection, identified.identity, keywords, cytometer=cytometer, serial=serial)
        note_change(connection, tube.file.id, change)
        if tube.file.state == "failed" and tube.file.reason.startswith(ALTERED):
            set_state(connection, tube.file, "accepted", "")
    return f"{file}: {change}"
