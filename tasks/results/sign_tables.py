"""Sign a patient's published tables, unless a run would write others."""

from __future__ import annotations

from gating.evaluation.engine import ENGINE_VERSION
from panels.text.errors import UsageFault
from tasks.results.patient_inputs import tables_due
from tasks.results.stored_tables import edited_tables, patient_folder
from tasks.review.sign_off import Standing, sign
from tasks.store.signatures import Signed
from tasks.store.tubes import taken_in, tubes_to_count
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study
from tasks.tubes.reference_tubes import is_fmo, reference_sets


def sign_tables(
    study: Study, patient: str, state: Signed, *, by: str, meaning: str, data_cut: str = ""
) -> Standing:
    """Sign tables as ``tasks.review.sign_off.sign`` does.

    Raises UsageFault as that does, while a published table is not what the store holds, and while
    the tables of now are made of something else than a run would make them of.
    """
    edited = edited_tables(patient_folder(study, patient))
    if edited:
        raise UsageFault(
            f"patients/{patient}/{edited[0]} was changed after it was written, so it is not what "
            "would be signed. The next run (`reconflow run`) writes it again and keeps the changed "
            "one beside it."
        )
    if not data_cut and _is_due(study, patient):
        raise UsageFault(
            f"{patient}'s tables are out of date: settings, sheets, strategies, calibrations or "
            "counts changed since they were written. Let the next run (`reconflow run`) write "
            "them, look at them, then sign."
        )
    return sign(study, patient, state, by=by, meaning=meaning, data_cut=data_cut)


def _is_due(study: Study, patient: str) -> bool:
    """Tell whether a run would write a patient's tables anew; the study is read as it is now."""
    snapshot = read_snapshot(open_study(study.folder))
    if any(each.patient == patient for each in tables_due(snapshot).patients):
        return True
    with study.store() as store:
        known = taken_in(store)
        waiting = tubes_to_count(
            store,
            snapshot.versions(),
            ENGINE_VERSION,
            reference_sets=reference_sets(snapshot, store, known),
            panels=snapshot.panel_contents(),
            calibrations=snapshot.calibrations(known),
        )
    identities = (each.identity for each in waiting)
    return any(each.patient == patient and not is_fmo(each) for each in identities)
