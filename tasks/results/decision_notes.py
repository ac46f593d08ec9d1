"""Say in a patient's report which tubes a person corrected or excluded, who, when and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.store.corrections import read_corrections
from tasks.store.exclusions import exclusions_of
from tasks.store.opening import Store
from tasks.store.tubes import Tube
from tasks.study.snapshot import StudySnapshot
from tasks.tubes.corrections import binding_of, in_words


def decision_notes(
    snapshot: StudySnapshot, store: Store, tubes: Sequence[Tube]
) -> Iterator[tuple[str, str]]:
    """Yield patient and sentence of every tube with a correction in force, and every excluded one.

    ``tubes`` are all tubes taken in. A file's name is not repeated.
    """
    in_force = read_corrections(store).active()
    last = {each.tube_sha256: each for each in exclusions_of(store)}
    for tube in tubes:
        identity = tube.identity
        sha256 = identity.tube_sha256
        what = f"{identity.panel} tube {sha256[:12]} of visit {identity.visit}"
        what += f" ({identity.specimen})"
        used = snapshot.strategies.get(identity.panel) if in_force else None
        corrected = in_force.get(binding_of(tube, used, used.for_tube(tube)), ()) if used else ()
        if corrected:
            yield identity.patient, f"The {what} was corrected: {in_words(corrected)}"
        decided = last.get(sha256)
        if decided is not None and decided.action == "exclude":
            yield (
                identity.patient,
                (
                    f"The {what} was excluded by {decided.made_by} on {decided.at[:10]}: "
                    f"{decided.reason}. Its rows stay and are used for nothing."
                ),
            )
