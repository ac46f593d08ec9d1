"""Make a compared version the current one, recorded with who, why and on what comparison."""

from __future__ import annotations

from panels.text.errors import UsageFault
from tasks.concordance.compare import fingerprint_of
from tasks.concordance.page import INPUTS
from tasks.concordance.recount import comparison, folder_of, tubes_to_compare
from tasks.store.promotions import PinChange, Promotion, begin_promotion, end_promotion
from tasks.strategies.in_use import read_snapshot
from tasks.strategies.pins import changed_settings, finish_promotions, write_pin
from tasks.study.folder import Study, open_study
from tasks.study.lock import study_lock


def promote(study: Study, strategy: str, approved_by: str, reason: str) -> Promotion:
    """Write the promotion of a version into the ledger, and the version into study.yaml.

    No pass and no other promotion is under way meanwhile. The ledger comes first and says that
    study.yaml has to follow: a promotion that is killed in between is finished by the next pass or
    promotion. Raises UsageFault when the version was not compared with the archive as it is now, or
    name or reason are missing; SettingsFault when study.yaml is of a shape that is better edited by
    hand.
    """
    if not approved_by.strip() or not reason.strip():
        raise UsageFault(
            "A promotion needs who approved it and why: --approved-by NAME --reason TEXT."
        )
    with study_lock(study):
        present = finish_promotions(open_study(study.folder))
        promotion = _promotion_of(present, strategy, approved_by, reason)
        text = changed_settings(
            present, PinChange(promotion.panel, promotion.from_strategy, promotion.to_strategy)
        )
        with present.store() as store:
            begin_promotion(store, promotion)
            write_pin(present, text)
            end_promotion(store, promotion.panel, promotion.to_strategy)
    return promotion


def _promotion_of(study: Study, strategy: str, approved_by: str, reason: str) -> Promotion:
    """Give the promotion, if the version was compared with the one in use.

    Raises UsageFault when it was not, or not over the archive as it is now.
    """
    snapshot = read_snapshot(study)
    compared = comparison(snapshot, strategy)
    fingerprint = folder_of(study, compared) / INPUTS
    how = f"run: reconflow regate --strategy {compared.other.name}"
    if not fingerprint.is_file():
        raise UsageFault(
            f"{compared.other.name} was not compared with {compared.current.name} yet; {how}"
        )
    pending = tubes_to_compare(study, compared)
    if pending or fingerprint.read_text() != fingerprint_of(snapshot, compared):
        raise UsageFault(
            f"The comparison of {compared.other.name} is not of the archive as it is now; {how}"
        )
    return Promotion(
        compared.panel,
        compared.current.name,
        compared.other.name,
        approved_by,
        reason,
        fingerprint.read_text(),
    )
