"""Take a tube out of every series, or let it in again, with name and reason."""

from __future__ import annotations

from panels.text.errors import UsageFault
from tasks.corrections.tables_follow import (
    TablesChanged,
    finished_by_the_next_pass,
    present_snapshot,
    tables_follow,
)
from tasks.store.audit import AuditEntry, add_entry
from tasks.store.exclusions import (
    DONE,
    Action,
    Exclusion,
    exclusions_of,
    write_exclusion,
)
from tasks.store.opening import utc_now
from tasks.store.tubes import Tube
from tasks.study.folder import Study
from tasks.study.lock import study_lock
from tasks.study.tube_named import about, described, subject_of, tube_named
from tasks.vocabulary.person import explanation, person


def decide_on_tube(
    study: Study, name: str, action: Action, by: str, reason: str
) -> tuple[Tube, TablesChanged]:
    """Exclude a tube or include it again; the tables of its patient follow at once.

    Its counts stay, and its rows too: they are used for nothing. No pass is under way meanwhile.
    Raises UsageFault when the tube cannot be found, name or reason are missing, or the tube is
    excluded (included) already.
    """
    by, reason = person("by", by), explanation("reason", reason)
    with study_lock(study), study.store() as store:
        snapshot = present_snapshot(study)
        tube = tube_named(store, name)
        sha256 = tube.identity.tube_sha256
        earlier = exclusions_of(store, sha256)
        last = earlier[-1] if earlier else None
        if (last.action if last else "include") == action:
            raise UsageFault(_nothing_to_do(tube, last))
        with store.writing() as connection:
            write_exclusion(connection, Exclusion(sha256, action, utc_now(), by, reason))
            details = about(tube) | {"reason": reason}
            add_entry(connection, AuditEntry(by, DONE[action], subject_of(tube), details))
        with finished_by_the_next_pass("The decision"):
            return tube, tables_follow(snapshot, tube)


def _nothing_to_do(tube: Tube, last: Exclusion | None) -> str:
    if last is None:
        return f"This tube was never excluded:\n  {described(tube)}"
    done = DONE[last.action]
    return (
        f"This tube was {done} already by {last.made_by} on {last.at[:10]}: {last.reason}\n"
        f"  {described(tube)}"
    )
