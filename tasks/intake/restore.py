"""Identify tubes again whose identity was altered in the store; the sheets are the source of it."""

from gating.events import read_header
from panels.errors import UnreadableFile
from tasks.intake.admit import Desk
from tasks.intake.identify import believed_keywords, identify
from tasks.store.ledger import note_change, record_failure, set_state
from tasks.store.tubes import Tube, altered_identities, save_tube

ALTERED = "Its identity was altered in the store after it was written"


def restore_identities(desk: Desk) -> tuple[str, ...]:
    """Give altered tubes the identity that the sheets say; one they do not name is failed.

    Until then such a tube is in no table.
    """
    return tuple(_restore(desk, tube) for tube in altered_identities(desk.store))


def _restore(desk: Desk, tube: Tube) -> str:
    file, sha256 = tube.file.inbox_path, tube.identity.tube_sha256
    try:
        header = read_header(desk.study.path_of(tube.file.place or ""))
        keywords = believed_keywords(header, desk.registry.settings)
    except (UnreadableFile, OSError):
        keywords = {}
    found = identify(desk.registry, file, sha256, keywords)
    if found.identity is None:
        reason = f"{ALTERED}, and it is in no table. {' '.join(found.sentences)}"
        record_failure(desk.store, sha256, reason)
        return f"{file}: {reason}"
    change = f"{ALTERED}; it is again what {found.row or 'its name'} says."
    with desk.store.writing() as connection:
        save_tube(connection, found.identity, keywords)
        note_change(connection, tube.file.id, change)
        if tube.file.state == "failed" and tube.file.reason.startswith(ALTERED):
            set_state(connection, tube.file, "accepted", "")
    return f"{file}: {change}"
