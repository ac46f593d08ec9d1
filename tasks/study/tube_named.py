"""Find the tube that a person means by a file name or the beginning of a hash."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from panels.text.errors import UsageFault
from panels.text.printable import shown
from panels.text.spelling import nearest
from tasks.store.ledger import all_files
from tasks.store.opening import Store
from tasks.store.tubes import Tube, taken_in

LEAST_DIGITS = 6
"""So many digits of a hash name a tube."""
_HASH = re.compile(rf"[0-9a-fA-F]{{{LEAST_DIGITS},64}}")
MOST_LISTED = 10


def tube_named(
    store: Store, name: str, among: Container[str] | None = None, of: str = "this study"
) -> Tube:
    """Give the tube that came in under a file name, or whose SHA-256 begins so.

    ``among`` are the hashes of those that can be meant, those ``of`` a visit; None: all. Raises
    UsageFault when there is none, or more than one; then they are listed with their hashes.
    """
    known = [
        tube for tube in taken_in(store) if among is None or tube.identity.tube_sha256 in among
    ]
    found = [tube for tube in known if _is_called(tube, name)]
    if not found and _HASH.fullmatch(name):
        found = [tube for tube in known if tube.identity.tube_sha256.startswith(name.casefold())]
    if len(found) > 1:
        raise UsageFault(
            f"'{shown(name)}' is {len(found)} tubes. Name one by the beginning of its hash:\n"
            + _listed(found)
        )
    if not found:
        named = "" if among is None else f"\nThose of {of}:\n{_listed(known)}"
        raise UsageFault(_unknown(store, name, known, of) + named)
    return found[0]


def described(tube: Tube) -> str:
    """Name a tube for a person: its hash, patient, visit, panel and file."""
    identity = tube.identity
    return (
        f"{identity.tube_sha256[:12]}  {identity.patient} {identity.visit} {identity.specimen} "
        f"{identity.panel}  {shown(tube.file.inbox_path, 80)}"
    )


def subject_of(tube: Tube) -> str:
    """Name a tube in the log of decisions."""
    identity = tube.identity
    return f"tube {identity.tube_sha256[:12]} {identity.patient} {identity.visit} {identity.panel}"


def about(tube: Tube) -> dict[str, object]:
    """Give what an entry of the log says of a tube, beside its subject."""
    identity = tube.identity
    return {
        "patient": identity.patient,
        "visit": identity.visit,
        "file": identity.file,
        "tube_sha256": identity.tube_sha256,
    }


def _is_called(tube: Tube, name: str) -> bool:
    return name in {tube.file.inbox_path, tube.file.inbox_path.rpartition("/")[2]}


def _listed(tubes: Sequence[Tube]) -> str:
    lines = [f"  {described(tube)}" for tube in tubes[:MOST_LISTED]]
    if len(tubes) > MOST_LISTED:
        lines.append(f"  … and {len(tubes) - MOST_LISTED} more")
    return "\n".join(lines)


def _unknown(store: Store, name: str, known: Sequence[Tube], of: str) -> str:
    """Say why a name is no tube: the file waits or was refused, or nothing is called so."""
    for record in all_files(store):
        if name in {record.inbox_path, record.name} and record.state not in {"accepted", "counted"}:
            reason = f": {record.reason}" if record.reason else ""
            return f"'{shown(name)}' is {record.state} and no tube of the study yet{reason}"
    names = {tube.file.inbox_path.rpartition("/")[2] for tube in known}
    return (
        f"No tube of {of} came in as '{shown(name)}' or has a hash that begins so"
        f"{nearest(name, names) or '.'} Give the file's name as it came into the inbox, or at "
        f"least {LEAST_DIGITS} digits of its SHA-256 (column tube_sha256 of kinetics.csv)."
    )
