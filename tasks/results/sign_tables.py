"""Sign a patient's published tables, unless somebody changed them by hand."""

from __future__ import annotations

from panels.text.errors import UsageFault
from tasks.results.stored_tables import edited_tables, patient_folder
from tasks.review.sign_off import Standing, sign
from tasks.store.signatures import Signed
from tasks.study.folder import Study


def sign_tables(
    study: Study, patient: str, state: Signed, *, by: str, meaning: str, data_cut: str = ""
) -> Standing:
    """Sign tables as ``tasks.review.sign_off.sign`` does.

    Raises UsageFault as that does, and while a published table is not what the store holds.
    """
    edited = edited_tables(patient_folder(study, patient))
    if edited:
        raise UsageFault(
            f"patients/{patient}/{edited[0]} was changed after it was written, so it is not what "
            "would be signed. `reconflow run` writes it again and keeps the changed one beside it."
        )
    return sign(study, patient, state, by=by, meaning=meaning, data_cut=data_cut)
