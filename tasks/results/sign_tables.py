"""Sign a patient's published tables, unless they are known to be no longer what a run would write."""

from __future__ import annotations

from panels.text.errors import UsageFault
from tasks.results.patient_inputs import tables_due
from tasks.results.stored_tables import edited_tables, patient_folder
from tasks.review.sign_off import Standing, sign
from tasks.store.signatures import Signed
from tasks.strategies.in_use import read_snapshot
from tasks.study.folder import Study, open_study


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
            "would be signed. `reconflow run` writes it again and keeps the changed one beside it."
        )
    if not data_cut and _is_due(study, patient):
        raise UsageFault(
            f"{patient}'s tables are out of date: settings, sheets, strategies, calibrations or "
            "counts changed since they were written. `reconflow run` first, look at what it "
            "writes, then sign."
        )
    return sign(study, patient, state, by=by, meaning=meaning, data_cut=data_cut)


def _is_due(study: Study, patient: str) -> bool:
    """Tell whether a run would write a patient's tables anew; the study is read as it is now."""
    snapshot = read_snapshot(open_study(study.folder))
    return any(each.patient == patient for each in tables_due(snapshot).patients)
