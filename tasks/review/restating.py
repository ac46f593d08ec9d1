"""Tell the log when new tables of a patient restate numbers that were published before."""

from importlib.metadata import version

from tasks.review.restated import RESTATED, Restated, restated
from tasks.review.seen import content_sha256
from tasks.review.sign_off import STATES, Standing, standing
from tasks.store.audit import AuditEntry
from tasks.store.editions import Edition, last_editions
from tasks.store.opening import Store
from tasks.store.signatures import signatures_of

MOST_TOLD = 20
"""So many values are told one by one in an entry of the log; `export --as-of` lists all."""


def restating_entry(store: Store, edition: Edition) -> AuditEntry | None:
    """Describe what an edition that is about to be kept restates; None where it restates nothing.

    That is published values that are others or gone, and a signature that does not hold any more.
    """
    before = last_editions(store, edition.patient).get(edition.patient)
    if before is None or _same_tables(before, edition):
        return None
    changed = restated(before, edition) if edition.kinetics else Restated((), (), 0)
    ended = _ended_signature(store, edition)
    if edition.kinetics and not changed.values and ended is None:
        return None
    details: dict[str, object] = {
        "patient": edition.patient,
        "summary": changed.sentence if edition.kinetics else "all tubes went to other patients",
        "values": len(changed.values),
        "first": [each.text for each in changed.values[:MOST_TOLD]],
    }
    if ended is not None:
        details["signature"] = f"{ended.state} by {ended.by} at {ended.at} holds no more"
    return AuditEntry(f"reconflow {version('reconflow')}", RESTATED, edition.patient, details)


def _same_tables(one: Edition, other: Edition) -> bool:
    return (one.kinetics, one.parameters) == (other.kinetics, other.parameters)


def _ended_signature(store: Store, edition: Edition) -> Standing | None:
    """Give the signature under the tables of now that these do not have any more."""
    if not signatures_of(store, edition.patient):
        return None
    signed = standing(store, edition.patient)
    if signed.state not in STATES:
        return None
    kept = edition.kinetics and content_sha256(edition) == signed.signatures[-1].content
    return None if kept else signed
