"""Say why the numbers of a draft would be refused by its release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gating.calibration.model import CalibrationRelease
from gating.evaluation.reference_gates import compile_reference
from panels.catalogue import load_panel
from panels.text.errors import ReconflowError
from tasks.calibrate.release import refuse_misfit

if TYPE_CHECKING:
    from tasks.drafts.draft_file import Draft
    from tasks.study.folder import Study


def why_refused(study: Study, draft: Draft) -> str:
    """Give the sentence with which a release would refuse the numbers of a draft; empty: none.

    What a release asks for beside (reasons, the step of a version) is not asked here.
    """
    release = draft.release
    try:
        if isinstance(release, CalibrationRelease):
            refuse_misfit(study.folder, release.calibration)
        else:
            strategy = release.strategy
            compile_reference(strategy, load_panel(strategy.panel, study.own_panels))
    except ReconflowError as fault:
        return str(fault)
    return ""
